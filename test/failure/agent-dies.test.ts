import { describe, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { bothShards, type Fate, type ShardCase, testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import type { TestNode } from '../helpers/process-cluster.ts'

const cases: readonly ShardCase[] = [
  ...bothShards('before-prepare', 'aborted'),
  // Shard 0 has prepared by then; what is durable there needs no agent to be decided.
  { at: 'during-prepare', shard: 0, after: ['committed', 'aborted'] },
  { at: 'during-prepare', shard: 1, after: ['aborted'] },
  // All have prepared, so the coordinator decides; the agent may come back, and abort, before it does.
  ...bothShards('after-prepare', 'committed', 'aborted'),
  ...bothShards('during-decision', 'committed', 'aborted'),
  ...bothShards('after-decision', 'committed'),
  ...bothShards('between-commits', 'committed'),
  ...bothShards('before-conclude', 'committed'),
]

const inTheAgent: readonly { readonly at: FailpointName; readonly after: readonly Fate[] }[] = [
  { at: 'agent-before-prepare', after: ['aborted'] },
  { at: 'agent-after-prepare', after: ['aborted'] },
  { at: 'agent-before-commit-prepared', after: ['committed'] },
  { at: 'agent-after-commit-prepared', after: ['committed'] },
]

const inRecovery: readonly {
  readonly at: FailpointName
  readonly coordinatorAt: FailpointName
  readonly after: readonly Fate[]
}[] = [
  { at: 'recovery-after-tombstone', coordinatorAt: 'after-prepare', after: ['aborted'] },
  { at: 'recovery-before-apply', coordinatorAt: 'after-prepare', after: ['aborted'] },
  { at: 'recovery-before-apply', coordinatorAt: 'after-decision', after: ['committed'] },
  { at: 'recovery-before-confirm', coordinatorAt: 'after-decision', after: ['committed'] },
]

describe.skipIf(!hasEtcd)('agent dies', () => {
  const matrix = useCrashMatrix('agent dies')
  const agentOf = (shard: number): TestNode => matrix.cluster.agents[shard] as TestNode

  test.each(cases)(
    'shard $shard, $at: all shards agree: $after',
    async ({ at, shard, after }) => {
      const agent = agentOf(shard)
      await matrix.run({
        name: agent.name,
        at,
        strike: () => agent.kill(),
        mend: () => agent.start(),
        after,
        hears: ['committed', 'aborted'],
      })
    },
    180_000,
  )

  test.each(inTheAgent)(
    '$at: all shards agree: $after',
    async ({ at, after }) => {
      const agent = agentOf(1)
      await matrix.run({
        name: agent.name,
        at,
        on: agent,
        strike: () => agent.kill(),
        mend: () => agent.start(),
        after,
        hears: ['committed', 'aborted'],
      })
    },
    180_000,
  )

  test.each(inRecovery)(
    'coordinator dies at $coordinatorAt, then the agents at $at: all shards agree: $after',
    async ({ at, coordinatorAt, after }) => {
      const { coordinator, agents } = matrix.cluster
      for (const agent of agents) await agent.arm(at, 'kill')
      await matrix.run({
        name: `coordinator, agents ${at}`,
        at: coordinatorAt,
        strike: async () => {
          await coordinator.kill()
          // The tombstone is created by one of them, who dies of it.
          await Promise.race(agents.map((agent) => agent.ended()))
        },
        mend: async () => {
          await Promise.all(agents.map((agent) => agent.kill()))
          await Promise.all([coordinator, ...agents].map((node) => node.start()))
        },
        after,
        hears: ['unknown'],
      })
    },
    180_000,
  )

  testTheEnd(matrix)
})
