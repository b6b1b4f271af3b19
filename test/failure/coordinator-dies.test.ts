import { afterAll, beforeAll, describe, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { CrashMatrix, type Fate } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import { type ProcessCluster, startProcessCluster } from '../helpers/process-cluster.ts'

const cases: readonly { readonly at: FailpointName; readonly after: readonly Fate[] }[] = [
  { at: 'before-prepare', after: ['aborted'] },
  { at: 'during-prepare', after: ['aborted'] },
  { at: 'after-prepare', after: ['aborted'] },
  // The decision may be there or not: what the log says holds.
  { at: 'during-decision', after: ['committed', 'aborted'] },
  { at: 'after-decision', after: ['committed'] },
  { at: 'between-commits', after: ['committed'] },
  { at: 'before-conclude', after: ['committed'] },
]

describe.skipIf(!hasEtcd)('coordinator dies', () => {
  let cluster: ProcessCluster
  let matrix: CrashMatrix

  beforeAll(async () => {
    cluster = await startProcessCluster()
    matrix = await CrashMatrix.on(cluster, 'coordinator dies')
  }, 180_000)
  afterAll(async () => {
    matrix?.print()
    await cluster?.stop()
  })

  test.each(cases)(
    '$at: all shards agree: $after',
    async ({ at, after }) => {
      const { coordinator } = cluster
      await matrix.run({
        name: 'coordinator',
        at,
        strike: () => coordinator.kill(),
        mend: () => coordinator.start(),
        after,
        hears: ['unknown'],
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
