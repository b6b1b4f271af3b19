import { describe, expect, test } from 'vitest'
import { codeOf } from '../helpers/accounts.ts'
import { testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import { until } from '../helpers/process-cluster.ts'

describe.skipIf(!hasEtcd)('the whole log is down', () => {
  const matrix = useCrashMatrix('the whole log is down')

  const members = () => matrix.cluster.etcd?.members ?? []
  const stopLog = async (count = 3): Promise<void> => {
    await Promise.all(
      members()
        .slice(0, count)
        .map((member) => member.kill()),
    )
  }
  const startLog = async (): Promise<void> => {
    await Promise.all(members().map((member) => (member.isRunning ? undefined : member.restart())))
  }

  /**
   * What needs no log: statements and transactions on one shard, and reads over all; those of one state only as long as
   * nothing is in doubt that may be part of it.
   */
  async function singleShardWork(id: number): Promise<void> {
    const client = await matrix.cluster.connect()
    try {
      await client.query('UPDATE account SET balance = balance + 5 WHERE id = $1', [id])
      await client.query('BEGIN')
      await client.query('UPDATE account SET balance = balance - 5 WHERE id = $1', [id])
      await client.query('COMMIT')
    } finally {
      await client.end()
    }
    await readAll()
  }

  async function readAll(): Promise<void> {
    const isInDoubt = (await matrix.prepared()) > 0
    const client = await matrix.cluster.connect()
    try {
      const read = client.query('SELECT count(*)::int AS n FROM account')
      if (isInDoubt) expect(await codeOf(read)).toBe('40001')
      else expect((await read).rows).toEqual([{ n: 400 }])
    } finally {
      await client.end()
    }
  }

  describe.each([2, 3])('%d of three members', (count) => {
    test('cross-shard commits fail cleanly, single-shard work goes on, and all is well when it is back', async () => {
      await matrix.cluster.ready()
      const [first, second] = [matrix.newPair(), matrix.newPair()]
      await stopLog(count)
      // The first to notice may have prepared, and be in doubt; the others are refused before that.
      const noticed = await matrix.transfer(first)
      expect(noticed.kind).not.toBe('committed')
      const refused = await matrix.transfer(second)
      expect(refused).toEqual({ kind: 'aborted', code: '08006' })
      await singleShardWork(second.from)
      await singleShardWork(second.to)
      await startLog()
      await until('nothing is prepared', async () => (await matrix.prepared()) === 0)
      await matrix.cluster.ready()
      expect(await matrix.fateOf(second)).toBe('aborted')
      const fate = await matrix.fateOf(first)
      if (noticed.kind === 'aborted') expect(fate).toBe('aborted')
    }, 180_000)
  })

  test.each([
    { at: 'after-prepare', after: 'aborted' },
    { at: 'after-decision', after: 'committed' },
  ] as const)(
    'coordinator dies at $at, and the log with it: coordinator and agents come up without, and $after when it is back',
    async ({ at, after }) => {
      const { coordinator, agents } = matrix.cluster
      const free = matrix.newPair()
      await matrix.run({
        name: 'coordinator, log, agents',
        at,
        strike: async () => {
          await stopLog()
          await Promise.all([coordinator, ...agents].map((node) => node.kill()))
        },
        mend: async () => {
          await Promise.all([coordinator, ...agents].map((node) => node.start()))
          expect(await matrix.prepared()).toBe(2)
          await singleShardWork(free.from)
          await singleShardWork(free.to)
          // Refused by the log, or earlier: what is in doubt may be what a second shard has to show.
          expect(await matrix.transfer(free)).toMatchObject({ kind: 'aborted' })
          expect(await matrix.prepared()).toBe(2)
          await startLog()
        },
        after: [after],
        hears: ['unknown'],
      })
    },
    180_000,
  )

  testTheEnd(matrix)
})
