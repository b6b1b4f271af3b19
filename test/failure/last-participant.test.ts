import { describe, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { type Fate, testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'

/** With the log on shard 0 that shard's own commit is the decision (docs/decisions/0033). */
interface Struck {
  readonly who: 'coordinator' | 'agent' | 'Postgres'
  readonly shard?: 0 | 1
  readonly at: FailpointName
  readonly after: readonly Fate[]
}

const cases: readonly Struck[] = [
  { who: 'coordinator', at: 'before-prepare', after: ['aborted'] },
  { who: 'coordinator', at: 'during-prepare', after: ['aborted'] },
  { who: 'coordinator', at: 'after-prepare', after: ['aborted'] },
  { who: 'coordinator', at: 'during-decision', after: ['committed', 'aborted'] },
  { who: 'coordinator', at: 'after-decision', after: ['committed'] },
  { who: 'coordinator', at: 'before-conclude', after: ['committed'] },
  // Nothing of the last is durable before its commit.
  { who: 'agent', shard: 0, at: 'during-prepare', after: ['aborted'] },
  { who: 'agent', shard: 0, at: 'after-prepare', after: ['aborted'] },
  { who: 'agent', shard: 0, at: 'during-decision', after: ['committed', 'aborted'] },
  { who: 'agent', shard: 0, at: 'after-decision', after: ['committed'] },
  { who: 'agent', shard: 0, at: 'before-conclude', after: ['committed'] },
  { who: 'agent', shard: 1, at: 'during-prepare', after: ['aborted'] },
  // The agent may come back, and abort, before it is decided.
  { who: 'agent', shard: 1, at: 'after-prepare', after: ['committed', 'aborted'] },
  { who: 'agent', shard: 1, at: 'during-decision', after: ['committed', 'aborted'] },
  { who: 'agent', shard: 1, at: 'after-decision', after: ['committed'] },
  { who: 'Postgres', shard: 0, at: 'during-prepare', after: ['aborted'] },
  { who: 'Postgres', shard: 0, at: 'after-prepare', after: ['aborted'] },
  { who: 'Postgres', shard: 0, at: 'during-decision', after: ['committed', 'aborted'] },
  { who: 'Postgres', shard: 0, at: 'after-decision', after: ['committed'] },
  { who: 'Postgres', shard: 1, at: 'after-prepare', after: ['committed'] },
  { who: 'Postgres', shard: 1, at: 'after-decision', after: ['committed'] },
]

/** Shard 0's agent stands there meanwhile. */
const inItsAgent: readonly Struck[] = [
  { who: 'agent', shard: 0, at: 'agent-before-commit-last', after: ['aborted'] },
  { who: 'agent', shard: 0, at: 'agent-after-commit-last', after: ['committed'] },
  { who: 'Postgres', shard: 0, at: 'agent-before-commit-last', after: ['aborted'] },
  { who: 'Postgres', shard: 0, at: 'agent-after-commit-last', after: ['committed'] },
  // Its agent goes on, and the others' recovery may be first.
  { who: 'coordinator', at: 'agent-before-commit-last', after: ['committed', 'aborted'] },
  { who: 'coordinator', at: 'agent-after-commit-last', after: ['committed'] },
  // Aborted meanwhile, or not: the log says which.
  { who: 'agent', shard: 1, at: 'agent-before-commit-last', after: ['committed', 'aborted'] },
  { who: 'agent', shard: 1, at: 'agent-after-commit-last', after: ['committed'] },
]

describe('the last participant decides', () => {
  const matrix = useCrashMatrix('the last participant decides', { log: 'postgres' })

  const strike = async ({ who, shard = 0 }: Struck): Promise<void> => {
    const { coordinator, agents, postgres } = matrix.cluster
    if (who === 'Postgres') await postgres[shard]?.crash()
    else await (who === 'agent' ? agents[shard] : coordinator)?.kill()
  }
  const mend = async ({ who, shard = 0 }: Struck): Promise<void> => {
    const { coordinator, agents, postgres } = matrix.cluster
    if (who === 'Postgres') await postgres[shard]?.restart()
    else await (who === 'agent' ? agents[shard] : coordinator)?.start()
  }
  const nameOf = ({ who, shard }: Struck): string => (shard === undefined ? who : `${who} ${shard}`)

  test.each(cases)(
    '$who $shard, $at: all shards agree: $after',
    async (one) => {
      const { at, after } = one
      await matrix.run({ name: nameOf(one), at, strike: () => strike(one), mend: () => mend(one), after })
    },
    180_000,
  )

  test.each(inItsAgent)(
    '$at, then $who $shard: all shards agree: $after',
    async (one) => {
      const { at, after } = one
      const on = matrix.cluster.agents[0]
      if (on === undefined) throw new Error('no agent')
      await matrix.run({ name: nameOf(one), at, on, strike: () => strike(one), mend: () => mend(one), after })
    },
    180_000,
  )

  testTheEnd(matrix)
})
