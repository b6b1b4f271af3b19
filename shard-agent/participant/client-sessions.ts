/** The client sessions of this shard's coordinators, and what Postgres shows of the backends that they have right now. */
import { type ClientSessionInfo, CONNECTION_MARK } from '../../protocol/agent-link.ts'
import type { Admin } from './prepared-list.ts'

export type SessionView = 'pg_stat_activity' | 'pg_locks'

/** Every connection of the agent's has that lock: no client does. */
const NO_MARKS = ` AND NOT (v.locktype = 'advisory'
  AND v.classid = ${CONNECTION_MARK.classid} AND v.objid = ${CONNECTION_MARK.objid} AND v.objsubid = 2)`

export interface SeenSession {
  readonly coordinatorId: string
  readonly pid: number
  readonly user: string
  readonly backendPid: number | undefined
  /** What runs; between statements of a transaction nothing does. */
  readonly request: object | undefined
}

export interface SeenHost {
  readonly admin: Admin
  sessions(): readonly SeenSession[]
}

export async function clientSessions(
  host: SeenHost,
  view: SessionView | undefined,
): Promise<readonly ClientSessionInfo[]> {
  const before = host.sessions()
  const pids = before.flatMap(({ backendPid }) => backendPid ?? [])
  if (view === undefined || pids.length === 0) return before.map((session) => told(session, []))
  const found = await host.admin.query(
    `SELECT v.pid, to_jsonb(v)::text AS shown FROM pg_catalog.${view} v
     WHERE v.pid = ANY (ARRAY[${pids.join()}])${view === 'pg_locks' ? NO_MARKS : ''}`,
  )
  const now = new Map(host.sessions().map((session) => [session.pid, session]))
  return before.map((session) => {
    // Of a backend that has changed hands meanwhile nobody knows whose row it was.
    const later = now.get(session.pid)
    const isSame = later?.backendPid === session.backendPid && later?.request === session.request
    const rows = isSame ? found.filter((row) => Number(row.pid) === session.backendPid) : []
    return told(session, rows)
  })
}

function told(
  { coordinatorId, pid, user }: SeenSession,
  rows: readonly Readonly<Record<string, unknown>>[],
): ClientSessionInfo {
  return { coordinatorId, pid, user, rows: rows.map((row) => ({ ...JSON.parse(String(row.shown)), pid })) }
}
