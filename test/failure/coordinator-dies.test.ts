import { describe, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { type Fate, testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'

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
  const matrix = useCrashMatrix('coordinator dies')

  test.each(cases)(
    '$at: all shards agree: $after',
    async ({ at, after }) => {
      const { coordinator } = matrix.cluster
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

  testTheEnd(matrix)
})
