/**
 * The functions and keywords that tell a transaction's or a statement's time, told which: for columns that must keep their
 * label (sql/plan/times). On every shard. Postgres puts the argument in their place when it plans.
 */
const namesake = (name: string, type: string, body = '$1') => `
CREATE OR REPLACE FUNCTION weft."${name}"(t timestamptz) RETURNS ${type}
LANGUAGE sql ${type === 'timestamptz' ? 'IMMUTABLE' : 'STABLE'} PARALLEL SAFE AS 'SELECT ${body}';
GRANT EXECUTE ON FUNCTION weft."${name}"(timestamptz) TO PUBLIC;`

/** `age(x)` as Postgres defines it, with another CURRENT_DATE. */
const age = (type: string, body: string) => `
CREATE OR REPLACE FUNCTION weft.age(x ${type}, t timestamptz) RETURNS ${type === 'xid' ? 'int' : 'interval'}
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT ${body}';
GRANT EXECUTE ON FUNCTION weft.age(${type}, timestamptz) TO PUBLIC;`

export const timeFunctions = [
  namesake('now', 'timestamptz'),
  namesake('transaction_timestamp', 'timestamptz'),
  namesake('statement_timestamp', 'timestamptz'),
  namesake('current_timestamp', 'timestamptz'),
  namesake('current_date', 'date', '$1::pg_catalog.date'),
  namesake('current_time', 'timetz', '$1::pg_catalog.timetz'),
  namesake('localtime', 'time', '$1::pg_catalog.time'),
  namesake('localtimestamp', 'timestamp', '$1::pg_catalog.timestamp'),
  age('timestamptz', 'pg_catalog.age($2::pg_catalog.date::pg_catalog.timestamptz, $1)'),
  age('timestamp', 'pg_catalog.age($2::pg_catalog.date::pg_catalog.timestamp, $1)'),
  age('xid', 'pg_catalog.age($1)'),
].join('')
