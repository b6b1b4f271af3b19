/** Who waits for whom on this shard, told in sessions: what coordinators look for deadlocks over shards with. */
import type { WaitEdge, WaitParty } from '../../protocol/agent-link.ts'
import type { Admin } from './prepared-list.ts'

/** A session of some coordinator, with a backend or a transaction that it has prepared. */
export interface WaitingSession {
  readonly coordinatorId: string
  readonly sessionId: number
  /** Of its backend; without one, of the backend that prepared, and may serve another session now. */
  readonly pid: number
  readonly hasBackend: boolean
  readonly isInBlock: boolean
  /** Of the transaction that it has prepared. */
  readonly preparedGid: string | undefined
}

export interface WaitsHost {
  readonly admin: Admin
  sessions(): Iterable<WaitingSession>
}

type Row = Readonly<Record<string, unknown>>

/** Shorter waits are none: looking for blockers stops all locking on the server for a moment. */
const WAIT_MS_MIN = 100

/** Looks once. Sessions that wait for something which is not Weft's, or is nobody's session, are left out. */
export async function findWaits(host: WaitsHost, now = false): Promise<readonly WaitEdge[]> {
  const sessions = [...host.sessions()]
  const pids = sessions.filter(({ hasBackend }) => hasBackend).map(({ pid }) => pid)
  if (pids.length === 0 || sessions.length < 2) return []
  const rows = await host.admin.query(waitsSql(pids, now ? 0 : WAIT_MS_MIN))
  if (rows.length === 0) return []
  const found = new Map<unknown, WaitingSession>()
  // Of this moment, not of the one in which Postgres looked: a session that has changed its backend since shows with
  // another wait, or another transaction, when the coordinator looks again.
  for (const session of host.sessions()) {
    if (session.hasBackend) found.set(String(session.pid), session)
    if (session.preparedGid !== undefined) found.set(session.preparedGid, session)
  }
  return rows.flatMap((row) => edgeOf(row, found) ?? [])
}

function edgeOf(row: Row, found: ReadonlyMap<unknown, WaitingSession>): WaitEdge | undefined {
  const waiter = found.get(row.pid)
  const blocker = found.get(row.gid ?? row.blocker)
  if (waiter === undefined || blocker === undefined) return undefined
  const mode = String(row.mode)
  if (row.gid !== null && !conflict(mode, String(row.held))) return undefined
  return {
    waiter: party(waiter, row.started, row.usename, row.query),
    blocker: party(blocker, row.b_started ?? 0, row.b_usename, row.b_query),
    mode,
    lock: String(row.lock),
    since: String(row.since),
  }
}

function party(session: WaitingSession, started: unknown, user: unknown, query: unknown): WaitParty {
  const { coordinatorId, sessionId, pid, isInBlock } = session
  const startedMs = Number(started ?? 0)
  return { coordinatorId, sessionId, pid, startedMs, isInBlock, user: text(user), query: text(query) }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Lock modes of tables, weakest first; the conflict table of Postgres' manual, a bit for each mode. */
const MODES = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
]
const CONFLICTS = [
  0b10000000, 0b11000000, 0b11110000, 0b11111000, 0b11101100, 0b11111100, 0b11111110, 0b11111111,
]

/** `pg_blocking_pids` says only *that* prepared transactions block, so which of the holders do is worked out here. */
export function conflict(wanted: string, held: string): boolean {
  const at = MODES.indexOf(held)
  const mask = CONFLICTS[MODES.indexOf(wanted)]
  return at < 0 || mask === undefined || (mask & (1 << at)) !== 0
}

const SAME_LOCK = [
  'locktype',
  'database',
  'relation',
  'page',
  'tuple',
  'virtualxid',
  'transactionid',
  'classid',
  'objid',
  'objsubid',
]
  .map((column) => `h.${column} IS NOT DISTINCT FROM w.${column}`)
  .join(' AND ')

/** A lock, in the words of Postgres' own deadlock report. */
const LOCK_NAME = `CASE w.locktype
  WHEN 'transactionid' THEN format('transaction %s', w.transactionid)
  WHEN 'virtualxid' THEN format('virtual transaction %s', w.virtualxid)
  WHEN 'relation' THEN format('relation %s of database %s', w.relation, w.database)
  WHEN 'extend' THEN format('extension of relation %s of database %s', w.relation, w.database)
  WHEN 'page' THEN format('page %s of relation %s of database %s', w.page, w.relation, w.database)
  WHEN 'tuple' THEN format('tuple (%s,%s) of relation %s of database %s', w.page, w.tuple, w.relation, w.database)
  WHEN 'advisory' THEN format('advisory lock [%s,%s,%s,%s]', w.database, w.classid, w.objid, w.objsubid)
  ELSE format('%s %s of class %s of database %s', w.locktype, w.objid, w.classid, w.database) END`

/**
 * A parallel worker's wait is its leader's. A prepared transaction is known among the locks' holders by the lock on its
 * own id.
 */
function waitsSql(pids: readonly number[], waitMsMin: number): string {
  const activity = (alias: string) => `(extract(epoch FROM ${alias}.xact_start) * 1000)::text`
  return `WITH w AS MATERIALIZED (
    SELECT l.*, coalesce(member.leader_pid, l.pid) AS session, pg_catalog.pg_blocking_pids(l.pid) AS blockers
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity member ON member.pid = l.pid
    WHERE NOT granted AND coalesce(member.leader_pid, l.pid) = ANY (ARRAY[${pids.join()}])
      AND waitstart < pg_catalog.clock_timestamp() - interval '${waitMsMin} ms'),
  edges AS (
    SELECT w.*, b.pid AS blocker, NULL AS gid, NULL AS held
    FROM w CROSS JOIN LATERAL (SELECT DISTINCT pid FROM unnest(w.blockers) AS u(pid) WHERE pid <> 0) AS b
    UNION ALL
    SELECT w.*, 0, p.gid, h.mode
    FROM w JOIN pg_catalog.pg_locks h ON 0 = ANY (w.blockers) AND h.pid IS NULL AND h.granted AND ${SAME_LOCK}
    JOIN pg_catalog.pg_locks own ON own.pid IS NULL AND own.virtualtransaction = h.virtualtransaction
    JOIN pg_catalog.pg_prepared_xacts p ON own.locktype = 'transactionid' AND own.transactionid = p.transaction)
  SELECT w.session::text AS pid, w.mode, ${LOCK_NAME} AS lock, w.waitstart::text AS since,
    w.blocker::text AS blocker, w.gid, w.held,
    ${activity('a')} AS started, a.usename::text AS usename, a.query,
    ${activity('b')} AS b_started, b.usename::text AS b_usename, b.query AS b_query
  FROM edges w JOIN pg_catalog.pg_stat_activity a ON a.pid = w.session
  LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = w.blocker`
}
