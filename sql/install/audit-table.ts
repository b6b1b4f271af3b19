/** On the home shard: what was changed through the admin API, by whom, and what came of it. */
export const auditTable = `
CREATE TABLE IF NOT EXISTS weft.audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  address text NOT NULL,
  action text NOT NULL,
  target text NOT NULL,
  result text NOT NULL);
REVOKE ALL ON weft.audit FROM PUBLIC;`
