import type { Counter, Histogram, Labels, Metrics } from '../admin/metrics.ts'
import type { Coordinator } from '../coordinator/main.ts'
import type { AgentStatus } from '../protocol/agent-link.ts'
import type { Agent } from '../shard-agent/main.ts'
import type { OnLogRequest } from '../txn/log/timed-txn-log.ts'
import type { LogHealth } from './parts.ts'
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
  coordinator.events.on('commitPhase', ({ phase, tookMs }) => phases.get(phase)?.observe(tookMs / 1000))
  metrics.gauge(
    'weft_commits_in_flight',
    'Commits over several shards whose clients wait.',
    () => coordinator.info().commits.inFlight,
  )
  metrics.counted(
    'weft_commits_left_to_recovery_total',
    'Commits that were answered while a shard had not carried them out.',
    () => coordinator.info().commits.leftToRecovery,
  )
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
  coordinator.events.on('cutTaken', ({ waitedMs }) => waits.observe(waitedMs / 1000))
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

const LOG_REQUESTS = ['create', 'lookup', 'outcome', 'confirm', 'drop'] as const

/** How the transaction log does, as this node sees it: give what is answered to `startLog`. */
export function logMetrics(metrics: Metrics, health: LogHealth): OnLogRequest {
  const help = 'Time of requests to the transaction log that were answered; create: decisions, durably.'
  const took = new Map(
    LOG_REQUESTS.map((request) => [
      request,
      metrics.histogram('weft_log_request_seconds', help, { request }, holdBuckets),
    ]),
  )
  const failedHelp = 'Requests to the transaction log that failed, or of which it is not known.'
  const failed = new Map(
    LOG_REQUESTS.map((request) => [
      request,
      metrics.counter('weft_log_requests_failed_total', failedHelp, { request }),
    ]),
  )
  metrics.gauge('weft_log_up', 'Whether the transaction log is in reach.', () =>
    health.why === undefined ? 1 : 0,
  )
  return (request, result, tookMs) => {
    if (result === 'ok') took.get(request)!.observe(tookMs / 1000)
    else failed.get(request)!.inc()
  }
}

/** Of one agent: what cuts cost writers, what sessions wait for connections, what recovery has settled. */
export function agentMetrics(metrics: Metrics, agent: Agent): void {
  holdHistograms(metrics, agent)
  const { shard } = agent
  const help = 'Time that sessions waited for a connection; only those that did.'
  const [served, refused] = (['served', 'refused'] as const).map((result) =>
    metrics.histogram('weft_shard_pool_wait_seconds', help, { shard, result }),
  ) as [Histogram, Histogram]
  const waits = { served, refused }
  agent.events.on('poolWaited', ({ waitedMs, result }) => waits[result].observe(waitedMs / 1000))
  const settled = 'Transactions that recovery has settled, by how.'
  const [commit, abort] = (['commit', 'abort'] as const).map((how) =>
    metrics.counter('weft_shard_recovered_total', settled, { shard, how }),
  ) as [Counter, Counter]
  const recovered = { commit, abort }
  agent.events.on('recovered', ({ how }) => recovered[how].inc())
}

/** Commits that find the gate open are not in it. */
function holdHistograms(metrics: Metrics, agent: Agent): void {
  const help = 'Time that commits were held at the gate for a cut; only those that were.'
  const { shard } = agent
  const histograms = COMMIT_KINDS.map((kind) =>
    metrics.histogram('weft_commit_held_seconds', help, { shard, kind }, holdBuckets),
  )
  const [local, statement, decided] = histograms as [Histogram, Histogram, Histogram]
  const held = { local, statement, decided }
  agent.events.on('commitHeld', ({ kind, heldMs }) => held[kind].observe(heldMs / 1000))
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
    'weft_shard_prepared_oldest_seconds',
    'Since when the oldest of them is prepared; 0: there is none.',
    each((status) => status.oldestPreparedSeconds),
  )
  metrics.gauge(
    'weft_shard_connections_max',
    'Postgres connections that the pool may have.',
    each((status) => status.poolSize),
  )
  metrics.gauge(
    'weft_shard_txn_problems',
    'Transactions that cannot be settled without a person; their names are in the status.',
    each((status) => status.problems?.length ?? 0),
  )
}
