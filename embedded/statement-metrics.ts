import type { Metrics } from '../admin/metrics.ts'
import type { Coordinator } from '../coordinator/main.ts'
import { statementBuckets } from '../coordinator/statistics/statement-stats.ts'

/** What clients ran: read from what the node counts anyway. */
export function statementMetrics(metrics: Metrics, coordinator: Coordinator): void {
  const { statistics } = coordinator
  metrics.counted('weft_statements_total', 'Statements that ran, by kind and by how far they reached.', () =>
    statistics.calls(),
  )
  metrics.observed(
    'weft_statement_seconds',
    'Time of statements that ran, by how far they reached.',
    statementBuckets,
    () => [...statistics.durations()].map(([route, observed]) => [{ route }, observed] as const),
  )
  metrics.counted('weft_errors_total', 'Errors that clients were told, by SQLSTATE.', () =>
    [...statistics.errors].map(([sqlstate, count]) => [{ sqlstate }, count] as const),
  )
  metrics.counted('weft_refusals_total', 'Of these, what Weft does not do, by the id in docs/sql.md.', () =>
    [...statistics.refusals].map(([id, count]) => [{ id }, count] as const),
  )
  planCacheMetrics(metrics, coordinator)
}

function planCacheMetrics(metrics: Metrics, coordinator: Coordinator): void {
  const cache = () => coordinator.info().planCache
  metrics.counted('weft_plan_cache_lookups_total', 'Plans looked for in the plan cache.', () => {
    const { hits, misses } = cache()
    return [
      [{ result: 'hit' }, hits],
      [{ result: 'miss' }, misses],
    ]
  })
  metrics.counted(
    'weft_plan_cache_evictions_total',
    'Plans dropped from the plan cache to make room.',
    () => cache().evictions,
  )
  metrics.gauge('weft_plan_cache_plans', 'Plans in the plan cache.', () => cache().size)
  metrics.counted('weft_commits_total', 'Commits over several shards, by what became of them.', () => {
    const { committed, aborted, unknown } = coordinator.info().commits
    return [
      [{ result: 'committed' }, committed],
      [{ result: 'aborted' }, aborted],
      [{ result: 'unknown' }, unknown],
    ]
  })
  metrics.counted(
    'weft_deadlock_victims_total',
    'Transactions ended to break deadlocks over shards.',
    () => coordinator.info().deadlockVictims,
  )
  metrics.gauge(
    'weft_memory_used_bytes',
    'What this node keeps for its sessions.',
    () => coordinator.info().memory.usedBytes,
  )
  metrics.counted(
    'weft_memory_refusals_total',
    'Statements refused for lack of this memory.',
    () => coordinator.info().memory.refusals,
  )
}
