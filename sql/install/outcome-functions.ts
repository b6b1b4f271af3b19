/**
 * How a client finds out what became of a transaction whose COMMIT it heard nothing of: `weft.txn_id()` leaves a marker on
 * the home shard, which is there exactly if the transaction was committed (docs/decisions/0065-what-became-of-it.md).
 * Who asks puts one of its own in its place: from then on the transaction could not commit any more.
 */
const txnId = `
CREATE OR REPLACE FUNCTION weft.txn_id() RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
DECLARE
  s weft.txn_marker_state := (SELECT s FROM weft.txn_marker_state s);
  us bigint := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, s.forgotten_us + 1);
  body text := us || '-' || replace(gen_random_uuid()::text, '-', '');
  marker text := 'm' || body || '-' || left(encode(sha256(s.secret || convert_to(body, 'UTF8')), 'hex'), 16);
  writer xid;
BEGIN
  INSERT INTO weft.txn_marker AS m (id, made_us, committed) VALUES (marker, us, true) RETURNING m.xmin INTO writer;
  -- A subtransaction may be rolled back alone, and the marker with it.
  IF writer <> pg_current_xact_id()::xid THEN
    RAISE EXCEPTION 'weft.txn_id() cannot be called behind a savepoint' USING ERRCODE = '25001',
      HINT = 'Call it at the begin of the transaction.';
  END IF;
  RETURN marker;
END $weft$;`

const outcome = `
CREATE OR REPLACE FUNCTION weft.txn_marker_outcome(marker text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $weft$
DECLARE
  s weft.txn_marker_state := (SELECT s FROM weft.txn_marker_state s);
  parts text[] := regexp_match(marker, '^m(([0-9]{1,18})-[0-9a-f]{32})-([0-9a-f]{16})$');
  told bool;
BEGIN
  IF parts IS NULL OR parts[3] <> left(encode(sha256(s.secret || convert_to(parts[1], 'UTF8')), 'hex'), 16) THEN
    RETURN NULL;
  END IF;
  INSERT INTO weft.txn_marker (id, made_us, committed) VALUES (marker, parts[2]::bigint, false)
    ON CONFLICT (id) DO NOTHING;
  IF FOUND AND parts[2]::bigint <= (SELECT forgotten_us FROM weft.txn_marker_state) THEN
    DELETE FROM weft.txn_marker m WHERE m.id = marker;
    RETURN 'unknown';
  END IF;
  -- Touched: what is told is as durable as the commit that tells it.
  UPDATE weft.txn_marker m SET committed = m.committed WHERE m.id = marker RETURNING m.committed INTO told;
  RETURN CASE told WHEN true THEN 'committed' WHEN false THEN 'aborted' ELSE 'unknown' END;
EXCEPTION WHEN lock_not_available THEN
  RETURN 'in doubt';
END $weft$;
CREATE OR REPLACE FUNCTION weft.txn_markers_forget(kept_seconds float8) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $weft$
  WITH gone AS (
    DELETE FROM weft.txn_marker WHERE at < clock_timestamp() - make_interval(secs => kept_seconds) RETURNING made_us)
  UPDATE weft.txn_marker_state s SET forgotten_us = greatest(s.forgotten_us, (SELECT max(made_us) FROM gone))
   WHERE EXISTS (SELECT FROM gone) $weft$;`

/** On the home shard. */
export const outcomeFunctions = `
CREATE TABLE IF NOT EXISTS weft.txn_marker (
  id text PRIMARY KEY,
  made_us bigint NOT NULL,
  committed bool NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS weft.txn_marker_state (
  only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
  forgotten_us bigint NOT NULL,
  secret bytea NOT NULL);
INSERT INTO weft.txn_marker_state (forgotten_us, secret)
  VALUES (0, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING;
REVOKE ALL ON weft.txn_marker, weft.txn_marker_state FROM PUBLIC;
${txnId}
${outcome}
REVOKE ALL ON FUNCTION weft.txn_marker_outcome(text), weft.txn_markers_forget(float8) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION weft.txn_id() TO PUBLIC;`
