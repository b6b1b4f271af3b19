import type { LogStatement } from './log-connection.ts'
import { WITHIN_FAILED } from './txn-log.ts'

/**
 * The statements of the Postgres log.
 *
 * `txn_coordinator` holds the registrations; the KEY SHARE lock makes "the registration exists" and "the record is
 * there" one atomic fact: a registration cannot be deleted while a group that relies on it is being written, and a
 * group that comes after the deletion finds it gone. So whoever sees the registration gone sees every record that
 * was ever written under it (docs/decisions/0002-tombstones.md).
 *
 * `txn_kept` holds commits that recovery has concluded, and `txn_forgotten` the highest timestamp of those that are not
 * kept any more (docs/decisions/0065-what-became-of-it.md).
 */
export const installSql = `
SELECT pg_advisory_xact_lock(7305808869229538100);
CREATE SCHEMA IF NOT EXISTS weft;
CREATE TABLE IF NOT EXISTS weft.txn_coordinator (
  incarnation text PRIMARY KEY,
  seen timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS weft.txn_log (
  txn_id text PRIMARY KEY,
  incarnation text NOT NULL,
  version int NOT NULL,
  decision text NOT NULL,
  participants int[] NOT NULL,
  confirmed int[] NOT NULL DEFAULT '{}',
  record text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now())
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
CREATE TABLE IF NOT EXISTS weft.txn_kept (
  txn_id text PRIMARY KEY,
  commit_ts numeric NOT NULL,
  concluded_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS weft.txn_forgotten (
  only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
  commit_ts numeric NOT NULL);
INSERT INTO weft.txn_forgotten (commit_ts) VALUES (0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS weft.txn_secret (secret bytea NOT NULL);
REVOKE ALL ON weft.txn_secret, weft.txn_log, weft.txn_coordinator, weft.txn_kept, weft.txn_forgotten FROM PUBLIC;
INSERT INTO weft.txn_secret SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
 WHERE NOT EXISTS (SELECT FROM weft.txn_secret);
${withinSql()}
`

/**
 * The record as a part of the transaction whose commit is the decision, which a client's role runs. What keeps it from being
 * forged is the proof: of this record, in the transaction with this id, made with a secret that only Weft's own login reads.
 *
 * Many such transactions are under way at the same time, so the registration's row is not locked (each lock would make a
 * MultiXact). In the place of that lock: whoever deletes a registration waits first, table lock against table lock, for
 * all that are writing records; and a registration is looked for only after the record was written.
 */
function withinSql(): string {
  return `
CREATE OR REPLACE FUNCTION weft.txn_decide(record text, txn text, inc text, participants int[], proof text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM weft.txn_secret s
    WHERE proof = encode(sha256(s.secret || sha256(s.secret ||
      convert_to(concat_ws(' ', pg_current_xact_id(), txn, inc, participants, record), 'UTF8'))), 'hex');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'permission denied for function txn_decide' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO weft.txn_log (txn_id, incarnation, version, decision, participants, record)
    VALUES (txn, inc, 1, 'commit', participants, record) ON CONFLICT (txn_id) DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'transaction % has a record', txn USING ERRCODE = '${WITHIN_FAILED.exists}';
  END IF;
  PERFORM FROM weft.txn_coordinator WHERE incarnation = inc;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'coordinator % is not registered', inc USING ERRCODE = '${WITHIN_FAILED.fenced}';
  END IF;
END $$;
CREATE OR REPLACE FUNCTION weft.txn_await_writers() RETURNS trigger LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
  LOCK TABLE weft.txn_log IN SHARE MODE;
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER await_writers BEFORE DELETE ON weft.txn_coordinator
  FOR EACH STATEMENT EXECUTE FUNCTION weft.txn_await_writers();`
}

const EXPIRED = `
 seen < clock_timestamp() - make_interval(secs => $1)
   AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $1)`

export const statements = {
  create: {
    name: 'weft_create',
    text: `
WITH live AS MATERIALIZED (
  SELECT incarnation FROM weft.txn_coordinator WHERE incarnation = ANY($2::text[]) FOR KEY SHARE)
INSERT INTO weft.txn_log (txn_id, incarnation, version, decision, participants, record)
SELECT r.txn_id, r.incarnation, 1, r.decision, r.participants::int[], r.record
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
       AS r (txn_id, incarnation, decision, participants, record)
 WHERE r.decision = 'abort' OR r.incarnation IN (SELECT incarnation FROM live)
ON CONFLICT (txn_id) DO NOTHING
RETURNING txn_id`,
  },
  /**
   * A read that is as durable as a decision: it touches the record, and its own commit, which is waited for, comes
   * after the record's in the WAL. So nobody acts on a record that a crash or a failover could still take back.
   */
  look: {
    name: 'weft_look',
    text: `
WITH asked AS (
  SELECT * FROM unnest($1::text[], $2::text[]) AS a (txn_id, incarnation)
), seen AS (
  UPDATE weft.txn_log l SET confirmed = l.confirmed FROM asked a WHERE l.txn_id = a.txn_id
  RETURNING l.txn_id, l.record)
SELECT a.txn_id, s.record,
       EXISTS (SELECT FROM weft.txn_coordinator c WHERE c.incarnation = a.incarnation) AS registered
  FROM asked a LEFT JOIN seen s USING (txn_id)`,
  },
  secret: {
    name: 'weft_secret',
    text: "SELECT encode(secret, 'hex') AS secret FROM weft.txn_secret",
  },
  register: {
    name: 'weft_register',
    text: `INSERT INTO weft.txn_coordinator (incarnation) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1 AS ok`,
  },
  beat: {
    name: 'weft_beat',
    text: 'UPDATE weft.txn_coordinator SET seen = now() WHERE incarnation = $1 RETURNING 1 AS ok',
  },
  unregister: {
    name: 'weft_unregister',
    text: 'DELETE FROM weft.txn_coordinator WHERE incarnation = $1',
  },
  confirm: {
    name: 'weft_confirm',
    text: `
UPDATE weft.txn_log SET confirmed = confirmed || $2::int
 WHERE txn_id = $1 AND version = 1 AND decision = 'commit' AND NOT $2::int = ANY (confirmed)`,
  },
  conclude: {
    name: 'weft_conclude',
    text: `
WITH gone AS (
  DELETE FROM weft.txn_log
   WHERE txn_id = $1 AND version = 1 AND decision = 'commit' AND confirmed @> participants
  RETURNING txn_id, record)
INSERT INTO weft.txn_kept (txn_id, commit_ts)
SELECT txn_id, (record::jsonb ->> 'commitTs')::numeric FROM gone ON CONFLICT DO NOTHING`,
  },
  /** After `look`: a record that it found to be gone is here by now. */
  kept: {
    name: 'weft_kept',
    text: `
SELECT EXISTS (SELECT FROM weft.txn_kept WHERE txn_id = $1) AS kept,
       (SELECT commit_ts::text FROM weft.txn_forgotten) AS forgotten`,
  },
  forget: {
    name: 'weft_forget',
    text: `
WITH gone AS (
  DELETE FROM weft.txn_kept WHERE concluded_at < now() - make_interval(secs => $1) RETURNING commit_ts)
UPDATE weft.txn_forgotten f SET commit_ts = greatest(f.commit_ts, (SELECT max(commit_ts) FROM gone))
 WHERE EXISTS (SELECT FROM gone)`,
  },
  drop: {
    name: 'weft_drop',
    text: 'DELETE FROM weft.txn_log WHERE txn_id = ANY($1::text[]) AND version = 1',
  },
  list: {
    name: 'weft_list',
    text: 'SELECT record FROM weft.txn_log ORDER BY created_at LIMIT $1',
  },
  unreadable: {
    name: 'weft_unreadable',
    text: 'SELECT txn_id FROM weft.txn_log WHERE version <> 1 ORDER BY txn_id LIMIT 1000',
  },
  /** After a restart of the server everyone gets the whole time again: nobody could have told it anything before. */
  expire: {
    name: 'weft_expire',
    text: `DELETE FROM weft.txn_coordinator WHERE ${EXPIRED}`,
  },
  /** Asked first: even a DELETE of nothing waits for all that write records. */
  expired: {
    name: 'weft_expired',
    text: `SELECT FROM weft.txn_coordinator WHERE ${EXPIRED} LIMIT 1`,
  },
  sweep: {
    name: 'weft_sweep',
    text: `
DELETE FROM weft.txn_log l
 WHERE l.version = 1 AND l.decision = 'abort'
   AND NOT EXISTS (SELECT FROM weft.txn_coordinator c WHERE c.incarnation = l.incarnation)
RETURNING 1 AS ok`,
  },
} as const satisfies Record<string, LogStatement>
