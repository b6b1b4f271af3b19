import { describe, test } from 'vitest'
import { bothShards, type ShardCase, testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'

const cases: readonly ShardCase[] = [
  ...bothShards('before-prepare', 'aborted'),
  // Shard 0 has prepared by then, and stays so.
  { at: 'during-prepare', shard: 0, after: ['committed', 'aborted'] },
  { at: 'during-prepare', shard: 1, after: ['aborted'] },
  ...bothShards('after-prepare', 'committed'),
  ...bothShards('during-decision', 'committed'),
  ...bothShards('after-decision', 'committed'),
  ...bothShards('between-commits', 'committed'),
  ...bothShards('before-conclude', 'committed'),
]

describe.skipIf(!hasEtcd)('Postgres dies', () => {
  const matrix = useCrashMatrix('Postgres dies')

  test.each(cases)(
    'shard $shard, $at: all shards agree: $after',
    async ({ at, shard, after }) => {
      const server = matrix.cluster.postgres[shard]
      await matrix.run({
        name: `Postgres ${shard}`,
        at,
        strike: async () => server?.crash(),
        mend: async () => server?.restart(),
        after,
        hears: ['committed', 'aborted'],
      })
    },
    180_000,
  )

  testTheEnd(matrix)
})
