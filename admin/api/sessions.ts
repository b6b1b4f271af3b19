import { AdminError } from '../admin-error.ts'
import type { ClusterAccess } from '../cluster-access.ts'
import type { Change, Session, Wait } from './schemas.ts'

/** Client sessions of all coordinators; the one that asks is none. */
export async function sessions(cluster: ClusterAccess): Promise<Session[]> {
  const rows = await cluster.query(`
    SELECT pid, usename::text AS user, application_name AS application, state, wait_event_type AS waits_for,
           coalesce(CASE state WHEN 'active' THEN query_start END, state_change)::text AS since,
           xact_start::text AS transaction_since, query
      FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND pid >= 4194304 ORDER BY pid`)
  return rows as unknown as Session[]
}

/** Sessions that wait for locks which others hold, on whichever shard. */
export async function waits(cluster: ClusterAccess): Promise<Wait[]> {
  const rows = await cluster.query(`
    SELECT pid, pg_blocking_pids(pid) AS blocked_by
      FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND pid >= 4194304 ORDER BY pid`)
  return (rows as unknown as Wait[]).filter(({ blocked_by }) => blocked_by.length > 0)
}

/** Both go to the session's coordinator, whichever it is. */
export async function signal(cluster: ClusterAccess, pid: number, what: 'cancel' | 'kill'): Promise<Change> {
  const name = what === 'cancel' ? 'pg_cancel_backend' : 'pg_terminate_backend'
  const found = (await sessions(cluster)).some((one) => one.pid === pid)
  if (!found) throw new AdminError(404, `there is no session ${pid}`, 'See weft session list.')
  const [row] = await cluster.query(`SELECT ${name}(${pid}) AS done`)
  const done = row?.done === true
  return {
    done,
    what: done ? `session ${pid}: ${what === 'cancel' ? 'canceled' : 'ended'}` : `session ${pid} is gone`,
  }
}
