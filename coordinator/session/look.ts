import { CONNECTION_MARK } from '../../protocol/agent-link.ts'
import { queryShard } from '../execute/shards/send.ts'
import type { ShardLine } from '../execute/shards/shard-line.ts'
import type { Found } from '../settings/found.ts'
import { IDLE_SESSION_TIMEOUT, IDLE_TIMEOUT } from '../settings/time-limits.ts'
import type { ClientSession } from './client-session.ts'
import { temporaryCodeSql } from './temporary-code.ts'

/** What a session has on a backend of its own. */
export interface Seen {
  /** Channels, cursors, locks and so on, temporary relations apart: the session needs this very backend. */
  readonly keeps: boolean
  readonly temporary: readonly string[]
  /** Names by which statements may run code that is temporary, or behind what is (temporary-code.ts). */
  readonly running: readonly string[]
  /** It listens to these. */
  readonly channels: readonly string[]
  readonly settings: Found
}

const KEEPS = `EXISTS (SELECT FROM pg_catalog.pg_listening_channels())
  OR EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)
  OR EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name NOT LIKE E'weft\\\\_%')
  OR EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()
    AND NOT (classid = ${CONNECTION_MARK.classid} AND objid = ${CONNECTION_MARK.objid} AND objsubid = 2))
  OR EXISTS (SELECT FROM pg_catalog.pg_depend
    WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid = pg_catalog.pg_my_temp_schema())`

const TEMPORARY = `(SELECT pg_catalog.json_agg(relname) FROM pg_catalog.pg_class
  WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'v', 'S', 'p'))`

const CHANNELS = '(SELECT pg_catalog.json_agg(c ORDER BY c) FROM pg_catalog.pg_listening_channels() AS l(c))'

/** Not the session's, but the transaction's. */
const NOT_OWN = ['transaction_isolation', 'transaction_read_only', 'transaction_deferrable', 'seed']
  .map((name) => `'${name}'`)
  .join(', ')

/**
 * Custom settings and roles are listed nowhere: those of the names given. What others than the session name (`$2`) may be
 * a library's, which is the session's only if it is listed.
 */
const settingsSql = (isInTransaction: boolean): string => `
  (SELECT pg_catalog.json_object_agg(name, pg_catalog.current_setting(name)) FROM pg_catalog.pg_settings
    WHERE source = 'session' AND name NOT IN (${NOT_OWN}${isInTransaction ? `, '${IDLE_TIMEOUT}'` : ''})),
  (SELECT pg_catalog.json_object_agg(name, pg_catalog.current_setting(name, true))
    FROM (SELECT pg_catalog.unnest($1::pg_catalog.text[]) UNION SELECT o FROM pg_catalog.unnest($2::pg_catalog.text[]) AS o
      WHERE 'NO_SHOW_ALL' OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_settings_get_flags(o))) AS n(name)
    WHERE pg_catalog.current_setting(name, true) IS NOT NULL),
  pg_catalog.set_config('${IDLE_SESSION_TIMEOUT}', '0', false)`

const sqlOf = (isInTransaction: boolean): string =>
  `SELECT ${KEEPS}, ${TEMPORARY}, ${temporaryCodeSql}, ${CHANNELS}, ${settingsSql(isInTransaction)}`

const INSIDE = sqlOf(true)
const OUTSIDE = sqlOf(false)

/** Looks at the backend of a line as the session's statements have left it: at its own settings, and at others named. */
export async function lookAt(
  session: ClientSession,
  line: ShardLine,
  others: Iterable<string>,
): Promise<Seen> {
  const { isOpen } = session.tx
  const own = ['session_authorization', 'role', ...session.settings.names()].filter(
    (name) => name !== IDLE_SESSION_TIMEOUT && (!isOpen || name !== IDLE_TIMEOUT),
  )
  const options = { writes: false, looks: false, asItIs: true }
  const { rows } = await queryShard(
    session,
    line,
    isOpen ? INSIDE : OUTSIDE,
    [listOf(own), listOf(others)],
    options,
  )
  const [keeps, temporary, running, channels, listed, named] = rows[0]!.map(
    (value) => value?.toString('utf8') ?? null,
  )
  const settings = { ...parsed(listed), ...parsed(named) }
  return {
    keeps: keeps === 't',
    temporary: namesIn(temporary),
    running: namesIn(running),
    channels: namesIn(channels),
    settings: new Map(Object.entries(settings).map(([name, value]) => [name.toLowerCase(), value])),
  }
}

function listOf(names: Iterable<string>): string {
  return `{${[...names].map((name) => JSON.stringify(name)).join(',')}}`
}

function namesIn(json: string | null | undefined): readonly string[] {
  return json == null ? [] : (JSON.parse(json) as string[])
}

function parsed(json: string | null | undefined): Readonly<Record<string, string>> {
  return json == null ? {} : (JSON.parse(json) as Record<string, string>)
}
