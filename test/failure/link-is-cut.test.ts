import { describe, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { type Fate, testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import type { FaultProxy } from '../helpers/fault-proxy.ts'

interface Fault {
  readonly fault: string
  readonly strike: (proxy: FaultProxy) => void
}

/** Of the link between the coordinator and the agent of shard 1. */
const faults: readonly Fault[] = [
  { fault: 'cut', strike: (proxy) => proxy.cut() },
  { fault: 'silent to the agent', strike: (proxy) => proxy.block('to-server') },
  { fault: 'silent to the coordinator', strike: (proxy) => proxy.block('to-client') },
  { fault: 'silent both ways', strike: (proxy) => proxy.block('to-server', 'to-client') },
]

/** Either: what the coordinator still hears, and what its agent does by itself, decide it. */
const points: readonly { readonly at: FailpointName; readonly after: readonly Fate[] }[] = [
  { at: 'before-prepare', after: ['aborted'] },
  { at: 'during-prepare', after: ['aborted'] },
  { at: 'after-prepare', after: ['committed', 'aborted'] },
  { at: 'during-decision', after: ['committed', 'aborted'] },
  { at: 'after-decision', after: ['committed'] },
  { at: 'between-commits', after: ['committed'] },
  { at: 'before-conclude', after: ['committed'] },
]

describe.skipIf(!hasEtcd)('the link between coordinator and agent breaks', () => {
  const matrix = useCrashMatrix('the link breaks')

  describe.each(faults)('$fault', ({ fault, strike }) => {
    test.each(points)(
      '$at: all shards agree: $after',
      async ({ at, after }) => {
        const proxy = matrix.cluster.proxies[1]
        await matrix.run({
          name: fault,
          at,
          strike: async () => {
            if (proxy !== undefined) strike(proxy)
          },
          // The client hears the truth while the link is still broken.
          mend: async (answer) => {
            await answer
            proxy?.heal()
          },
          after,
          hears: ['committed', 'aborted'],
        })
      },
      180_000,
    )
  })

  testTheEnd(matrix)
})
