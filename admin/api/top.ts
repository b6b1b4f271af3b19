import type { ClusterAccess } from '../cluster-access.ts'
import type { Session, Statement, Top } from './schemas.ts'
import { sessions } from './sessions.ts'
import { transactions } from './transactions.ts'

const STATEMENTS = `
SELECT query, kind, route, calls::int8, total_exec_time AS total_ms, mean_exec_time AS mean_ms, rows::int8, shards::int8
  FROM weft.stat_statements ORDER BY total_exec_time DESC LIMIT $1`

const TOP_STATEMENTS = 20

/** Those that took most time, of all coordinators. */
export async function statements(cluster: ClusterAccess, limit: number): Promise<Statement[]> {
  const rows = await cluster.query(STATEMENTS, [limit])
  return rows.map(({ calls, rows: many, shards, ...one }) => ({
    ...{ ...one, calls: Number(calls), rows: Number(many), shards: Number(shards) },
  })) as Statement[]
}

/** A look at all coordinators. */
export async function top(cluster: ClusterAccess): Promise<Top> {
  const [all, prepared, longestRun] = await Promise.all([
    sessions(cluster),
    transactions(cluster),
    statements(cluster, TOP_STATEMENTS),
  ])
  const now = Date.now()
  const aged = (since: (one: Session) => string | null) => (one: Session) => {
    const at = since(one)
    return {
      ...one,
      seconds: at === null ? null : Math.max(0, Math.round((now - Date.parse(at)) / 10) / 100),
    }
  }
  const longest = (a: { seconds: number | null }, b: { seconds: number | null }): number =>
    (b.seconds ?? 0) - (a.seconds ?? 0)
  return {
    at: new Date(now).toISOString(),
    sessions: all.length,
    running: all
      .filter(({ state }) => state === 'active')
      .map(aged(({ since }) => since))
      .sort(longest),
    transactions: all
      .filter(({ state }) => state?.startsWith('idle in transaction') === true)
      .map(aged(({ transaction_since: since }) => since))
      .sort(longest),
    prepared: prepared.length,
    statements: longestRun,
  }
}
