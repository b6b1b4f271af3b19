import type { Histogram, Labels, Metrics } from '../admin/metrics.ts'
import type { Coordinator } from '../coordinator/main.ts'
import type { AgentStatus } from '../protocol/agent-link.ts'
import type { RunningAgent } from './parts.ts'

export function coordinatorGauges(metrics: Metrics, coordinator: Coordinator): void {
  commitHistograms(metrics, coordinator)
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

export function agentGauges(metrics: Metrics, agents: readonly RunningAgent[]): void {
  const each = (read: (status: AgentStatus) => number) => (): (readonly [Labels, number])[] =>
    agents.map(({ agent }) => {
      const status = agent.status()
      return [{ shard: status.shard }, read(status)]
    })
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
