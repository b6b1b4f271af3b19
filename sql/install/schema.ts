import { ASKED_SETTING } from '../code/custom-settings.ts'
import { BEGUN_CODE, LATCH_CLASS } from '../plan/begun-text.ts'
import { AT_ROW, ROW } from '../tree/row-numbers.ts'
import { auditTable } from './audit-table.ts'
import { mapFunctions } from './map-functions.ts'
import { notificationFunctions } from './notification-functions.ts'
import { outcomeFunctions } from './outcome-functions.ts'
import { sequenceFunctions } from './sequence-functions.ts'
import { sessionFunctions, sessionPid } from './session-functions.ts'
import { statementStats } from './statement-stats.ts'
import { sumsFunctions } from './sums-functions.ts'
import { timeFunctions } from './time-functions.ts'
import { homeViews } from './views.ts'

/** Rises with every change of what is installed; a node refuses a shard that a newer one has installed. */
export const INSTALL_VERSION = 16

export interface InstallOptions {
  readonly shard: number
  /** Home shard only: the slot ranges of a new cluster. Ranges that are there already are left alone. */
  readonly slots: readonly { readonly from: number; readonly to: number; readonly shard: number }[]
}

/** What the home shard (shard 0) has beyond the others: the shard map and who may change it. */
const isHome = (options: InstallOptions): boolean => options.shard === 0

/**
 * One simple Query, run as the administrator at every start: an implicit transaction that creates or brings up to
 * date schema `weft` in a shard. Running it twice, or twice at once, changes nothing.
 */
export function installSql(options: InstallOptions): string {
  const parts = [
    opening,
    everyShard,
    sessionPid,
    timeFunctions,
    sequenceFunctions,
    notificationFunctions,
    agentRow(options.shard),
  ]
  if (isHome(options))
    parts.push(
      homeTables,
      slotRows(options.slots),
      mapFunctions,
      homeViews,
      sessionFunctions,
      sumsFunctions,
      outcomeFunctions,
      auditTable,
      statementStats,
      homeGrants,
    )
  parts.push(
    grants,
    `INSERT INTO weft.installed (version) VALUES (${INSTALL_VERSION}) ON CONFLICT DO NOTHING;`,
  )
  return parts.join('\n')
}

// The advisory lock makes two agents that start at once wait for each other: CREATE IF NOT EXISTS alone can fail.
const opening = `
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog;
SELECT pg_advisory_xact_lock(x'77656674'::bigint);
CREATE SCHEMA IF NOT EXISTS weft;
CREATE TABLE IF NOT EXISTS weft.installed (
  version int PRIMARY KEY,
  installed_at timestamptz NOT NULL DEFAULT now()
);
DO $weft$
DECLARE newest int := (SELECT max(version) FROM weft.installed);
BEGIN
  IF newest > ${INSTALL_VERSION} THEN
    RAISE EXCEPTION 'this shard was set up by a newer Weft (schema version %, this one knows ${INSTALL_VERSION})',
      newest USING ERRCODE = '0A000', HINT = 'Upgrade this node.';
  END IF;
END $weft$;`

const everyShard = `
CREATE TABLE IF NOT EXISTS weft.agent (
  shard int PRIMARY KEY,
  map_version bigint NOT NULL DEFAULT 0,
  generation bigint NOT NULL DEFAULT 0,
  hlc_upper bigint NOT NULL DEFAULT 0
);
DO $weft$
BEGIN
  -- Rows without columns: everybody may insert them, and nobody can keep anything in them.
  IF to_regclass('weft.ssi_probe') IS NULL THEN
    CREATE TABLE weft.ssi_probe ();
    -- Where somebody publishes all tables a DELETE would fail without.
    ALTER TABLE weft.ssi_probe REPLICA IDENTITY FULL;
  END IF;
END $weft$;
-- A statement that has this in its condition says when it has its snapshot (sql/plan/begun-text.ts). INFO: it reaches
-- the agent whatever client_min_messages is, and the server's log by no usual setting.
CREATE OR REPLACE FUNCTION weft.begun() RETURNS bool
LANGUAGE plpgsql VOLATILE PARALLEL SAFE COST 1 AS $weft$
BEGIN
  RAISE INFO USING MESSAGE = 'begun', ERRCODE = '${BEGUN_CODE}';
  RETURN true;
END $weft$;
-- The same, and then it waits until the agent opens the latch. What the block has locked goes with it, however it ends.
CREATE OR REPLACE FUNCTION weft.begun_behind(latch int) RETURNS bool
LANGUAGE plpgsql VOLATILE COST 1 SET lock_timeout = 0 AS $weft$
BEGIN
  RAISE INFO USING MESSAGE = 'begun', ERRCODE = '${BEGUN_CODE}';
  BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock_shared(${LATCH_CLASS}, latch);
    RAISE EXCEPTION USING ERRCODE = '${BEGUN_CODE}';
  EXCEPTION WHEN SQLSTATE '${BEGUN_CODE}' THEN
    RETURN true;
  END;
END $weft$;
-- The name of a custom setting that is asked for, or where it reads as '' and is none of those one that nobody has
-- (sql/plan/asked-settings.ts).
CREATE OR REPLACE FUNCTION weft.${ASKED_SETTING}(name text, had text[], unset text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $weft$
  SELECT CASE WHEN pg_catalog.current_setting(name, true) OPERATOR(pg_catalog.=) ''
    AND pg_catalog.strpos(name, '.') OPERATOR(pg_catalog.>) 0
    AND pg_catalog.lower(name) OPERATOR(pg_catalog.<>) ALL (had)
    THEN pg_catalog.concat(unset, name) ELSE name END $weft$;
-- The number of the row that an INSERT is at (sql/plan/first/drawn-tail.ts): of its values the first that is computed
-- tells it, and ON CONFLICT and RETURNING ask for it.
CREATE OR REPLACE FUNCTION weft.${AT_ROW}(n int) RETURNS bool
LANGUAGE sql VOLATILE AS $weft$ SELECT pg_catalog.set_config('weft.row', n::pg_catalog.text, true) IS NOT NULL $weft$;
CREATE OR REPLACE FUNCTION weft.${ROW}() RETURNS int
LANGUAGE sql VOLATILE AS $weft$ SELECT pg_catalog.current_setting('weft.row')::pg_catalog.int4 $weft$;`

/** A database that was another shard before is refused: serving it under a new number would misplace every row. */
const agentRow = (shard: number): string => `
DO $weft$
DECLARE other int := (SELECT min(a.shard) FROM weft.agent a WHERE a.shard <> ${shard});
BEGIN
  IF other IS NOT NULL THEN
    RAISE EXCEPTION 'this database is shard % of a Weft cluster, not shard ${shard}', other
      USING ERRCODE = '55000', HINT = 'Check the order of the shards in the configuration.';
  END IF;
END $weft$;
INSERT INTO weft.agent (shard) VALUES (${shard}) ON CONFLICT DO NOTHING;`

const homeTables = `
CREATE TABLE IF NOT EXISTS weft.meta (
  only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
  version bigint NOT NULL
);
INSERT INTO weft.meta (version) VALUES (1) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS weft.slots (
  slot_from int PRIMARY KEY,
  slot_to int NOT NULL,
  shard int NOT NULL CHECK (shard >= 0),
  CHECK (slot_from BETWEEN 0 AND slot_to AND slot_to < 4096)
);
CREATE TABLE IF NOT EXISTS weft.relation (
  relid oid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('sharded', 'reference')),
  key_attnum smallint,
  key_type text,
  colocation int,
  CHECK ((kind = 'sharded') = (key_attnum IS NOT NULL AND key_type IS NOT NULL AND colocation IS NOT NULL))
);
-- Local tables that are to be distributed as soon as the tables are that foreign keys tie them to: with a key sharded,
-- without a reference table.
CREATE TABLE IF NOT EXISTS weft.waiting (
  relid oid PRIMARY KEY,
  key_attnum smallint,
  colocation int,
  CHECK ((key_attnum IS NULL) = (colocation IS NULL))
);
-- Functions with a shard key: which of all their arguments, from 1.
CREATE TABLE IF NOT EXISTS weft.function (
  funcid oid PRIMARY KEY,
  argument int NOT NULL,
  type_oid oid NOT NULL,
  key_type text NOT NULL,
  colocation int NOT NULL
);`

function slotRows(ranges: InstallOptions['slots']): string {
  const values = ranges.map((r) => `(${r.from}, ${r.to}, ${r.shard})`).join(', ')
  return `
INSERT INTO weft.slots (slot_from, slot_to, shard)
SELECT v.* FROM (VALUES ${values}) v WHERE NOT EXISTS (SELECT FROM weft.slots);`
}

// Everybody may read what the cluster looks like; only the functions above (as their owner) write it.
const grants = `
GRANT USAGE ON SCHEMA weft TO PUBLIC;
GRANT SELECT ON weft.installed, weft.agent TO PUBLIC;
GRANT INSERT ON weft.ssi_probe TO PUBLIC;
GRANT EXECUTE ON FUNCTION weft.begun(), weft.begun_behind(int), weft.asked_setting(text, text[], text) TO PUBLIC;`

const homeGrants = `
GRANT SELECT ON weft.meta, weft.slots, weft.relation, weft.waiting, weft.function, weft.shards, weft.tables,
  weft.transactions TO PUBLIC;`
