import type { Histogram, Labels, Metrics } from '../admin/metrics.ts'
import type { Coordinator } from '../coordinator/main.ts'
import type { AgentStatus } from '../protocol/agent-link.ts'
import type { Agent } from '../shard-agent/main.ts'
import type { ShardSlot } from './shard-slot.ts'
import { statementMetrics } from './statement-metrics.ts'

export function coordinatorGauges(metrics: Metrics, coordinator: Coordinator): void {
  commitHistograms(metrics, coordinator)
  cutMetrics(metrics, coordinator)
  statementMetrics(metrics, coordinator)
  metrics.gauge('weft_sessions', 'Client sessions.', () => coordinator.sessions)
  metrics.gauge('weft_map_version', 'Version of the shard map in use.', () => coordinator.info().mapVersion)
  metrics.gauge('weft_transactions', 'Transactions, by state.', () => {
    const { openTransactions, waitingTransactions } = coordinator.info()
    return [
      [{ state: 'open' }, openTransactions],
      [{ state: 'waiting' }, waitingTransactions],
    ]
  })
}

const COMMIT_PHASES = ['preparing', 'deciding', 'committing', 'aborting'] as const

/** Where the time of cross-shard commits goes: each phase is one durable step, done on all shards in parallel. */
export function commitHistograms(metrics: Metrics, coordinator: Coordinator): void {
  const help = 'Time of each phase of cross-shard commits.'
  const phases = new Map<string, Histogram>(
    COMMIT_PHASES.map((phase) => [phase, metrics.histogram('weft_commit_phase_seconds', help, { phase })]),
  )
  coordinator.onCommitPhase((phase, tookMs) => phases.get(phase)?.observe(tookMs / 1000))
}

/** Milliseconds are what matters here: finer than for statements. */
export const holdBuckets: readonly number[] = [
  0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25,
  0.5, 1, 2.5, 5,
]

/** What consistent reads over several shards wait for. */
function cutMetrics(metrics: Metrics, coordinator: Coordinator): void {
  const help = 'Time that statements over several shards waited for their cut.'
  const waits = metrics.histogram('weft_cut_wait_seconds', help, {}, holdBuckets)
  coordinator.onCut((waitedMs) => waits.observe(waitedMs / 1000))
  metrics.counted('weft_cuts_total', 'Cuts, by what became of them.', () => {
    const { taken, failed } = coordinator.info().cuts
    return [
      [{ result: 'taken' }, taken],
      [{ result: 'failed' }, failed],
    ]
  })
  metrics.counted(
    'weft_cut_raises_total',
    'Times that a cut had to go on with a higher timestamp.',
    () => coordinator.info().cuts.raised,
  )
}

const COMMIT_KINDS = ['local', 'statement', 'decided'] as const

/** What cuts cost writers. Commits that find the gate open are not in it. */
export function holdHistograms(metrics: Metrics, agent: Agent): void {
  const help = 'Time that commits were held at the gate for a cut; only those that were.'
  const { shard } = agent
  const histograms = COMMIT_KINDS.map((kind) =>
    metrics.histogram('weft_commit_held_seconds', help, { shard, kind }, holdBuckets),
  )
  const [local, statement, decided] = histograms as [Histogram, Histogram, Histogram]
  const held = { local, statement, decided }
  agent.onHeld((kind, heldMs) => held[kind].observe(heldMs / 1000))
}

export function shardGauges(metrics: Metrics, slots: readonly ShardSlot[]): void {
  const each = (read: (status: AgentStatus) => number) => (): (readonly [Labels, number])[] =>
    slots.map((slot) => [{ shard: slot.shard }, read(slot.status())])
  const up = each((status) => (status.up ? 1 : 0))
  metrics.gauge('weft_shard_up', 'Whether the shard answers.', up)
  metrics.gauge(
    'weft_shard_connections_busy',
    'Postgres connections in use.',
    each((status) => status.busy),
  )
  metrics.gauge(
    'weft_shard_connections_idle',
    'Postgres connections at rest.',
    each((status) => status.idle),
  )
  metrics.gauge(
    'weft_shard_sessions_waiting',
    'Sessions that wait for a connection.',
    each((status) => status.waiting),
  )
  metrics.gauge(
    'weft_shard_prepared',
    'Prepared transactions not carried out.',
    each((status) => status.prepared),
  )
  metrics.gauge(
    'weft_shard_txn_problems',
    'Transactions that cannot be settled without a person; their names are in the status.',
    each((status) => status.problems?.length ?? 0),
  )
}
