import { afterAll, beforeAll, describe, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { CrashMatrix, type Fate } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import { type ProcessCluster, startProcessCluster } from '../helpers/process-cluster.ts'

interface Case {
  readonly at: FailpointName
  readonly shard: 0 | 1
  readonly after: readonly Fate[]
}

const both = (at: FailpointName, ...after: Fate[]): Case[] => [
  { at, shard: 0, after },
  { at, shard: 1, after },
]

const cases: readonly Case[] = [
  ...both('before-prepare', 'aborted'),
  // Shard 0 has prepared by then, and stays so.
  { at: 'during-prepare', shard: 0, after: ['committed', 'aborted'] },
  { at: 'during-prepare', shard: 1, after: ['aborted'] },
  ...both('after-prepare', 'committed'),
  ...both('during-decision', 'committed'),
  ...both('after-decision', 'committed'),
  ...both('between-commits', 'committed'),
  ...both('before-conclude', 'committed'),
]

describe.skipIf(!hasEtcd)('Postgres dies', () => {
  let cluster: ProcessCluster
  let matrix: CrashMatrix

  beforeAll(async () => {
    cluster = await startProcessCluster()
    matrix = await CrashMatrix.on(cluster, 'Postgres dies')
  }, 180_000)
  afterAll(async () => {
    matrix?.print()
    await cluster?.stop()
  })

  test.each(cases)(
    'shard $shard, $at: all shards agree: $after',
    async ({ at, shard, after }) => {
      const server = cluster.postgres[shard]
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

  test(
    'in the end: no money made or lost, nothing prepared, the log is empty',
    () => matrix.checkEnd(),
    180_000,
  )
})
