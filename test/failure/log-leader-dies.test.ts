import { describe, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { etcdCall, testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { type EtcdMember, hasEtcd } from '../helpers/etcd.ts'
import { until } from '../helpers/process-cluster.ts'

const points: readonly FailpointName[] = [
  'before-prepare',
  'during-prepare',
  'after-prepare',
  'during-decision',
  'after-decision',
  'between-commits',
  'before-conclude',
]

describe.skipIf(!hasEtcd)('the leader of the log dies', () => {
  // The coordinator lives, so its transactions are in doubt to nobody. An agent that asks after a second may, while the
  // log chooses its next leader, come before the coordinator, and then the transaction is rightly aborted.
  const matrix = useCrashMatrix('the leader of the log dies', { inDoubtAfterMs: 60_000 })

  async function leader(): Promise<EtcdMember> {
    let found: EtcdMember | undefined
    await until('etcd has a leader', async () => {
      for (const member of matrix.cluster.etcd?.members ?? []) {
        const status = await etcdCall([member.clientUrl], '/v3/maintenance/status', {}).catch(() => undefined)
        const { leader: leads, header } = (status ?? {}) as {
          leader?: string
          header?: { member_id: string }
        }
        if (leads !== undefined && leads === header?.member_id) found = member
      }
      return found !== undefined
    })
    return found as EtcdMember
  }

  test.each(points)(
    '%s: a minority lost changes nothing: committed',
    async (at) => {
      let dead: EtcdMember | undefined
      await matrix.run({
        name: 'etcd leader',
        at,
        strike: async () => {
          dead = await leader()
          await dead.kill()
        },
        mend: async (answer) => {
          await answer
          await dead?.restart()
        },
        after: ['committed'],
        hears: ['committed'],
      })
    },
    180_000,
  )

  test('paused while the decision is on its way to it: asked about until it is known: committed', async () => {
    let paused: EtcdMember | undefined
    await matrix.run({
      name: 'etcd leader paused',
      at: 'after-prepare',
      strike: async () => {
        paused = await leader()
        paused.pause()
      },
      mend: async (answer) => {
        await answer
        paused?.resume()
      },
      after: ['committed'],
      hears: ['committed'],
    })
  }, 180_000)

  testTheEnd(matrix)
})
