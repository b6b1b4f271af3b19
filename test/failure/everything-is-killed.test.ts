import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { query } from '../helpers/postgres.ts'
import { type ProcessCluster, startProcessCluster, type TestNode, until } from '../helpers/process-cluster.ts'

/** By so much; `ready` adds one at a time. */
const step = 100_000

const saysWhy = /^shard [01] is down: (shard [01] cannot be reached at|connect |the peer closed)/

/** With the `postgres` log: nothing is left running that could remember anything. */
describe('every process is killed: coordinators, agents, Postgres servers', () => {
  let cluster: ProcessCluster
  beforeAll(async () => {
    cluster = await startProcessCluster({ log: 'postgres', coordinators: 2 })
  }, 180_000)
  afterAll(() => cluster?.stop())

  type Part = 'coordinators' | 'agents' | 'servers'
  const nodes = (part: Part): readonly TestNode[] => (part === 'servers' ? [] : cluster[part])

  /** A commit over both shards stands at `at`, on each coordinator; then all is killed at once. */
  async function killAll(at: FailpointName): Promise<void> {
    for (const [i, coordinator] of cluster.coordinators.entries()) {
      const client = await cluster.connect(i)
      await coordinator.arm(at, 'hold')
      // On rows of its own; and no cut, which would wait for the commit that stands.
      await client.query('SET weft.consistent_reads = off')
      const sql = `BEGIN; UPDATE probe SET n = n + ${step} WHERE id % 2 = ${i}; COMMIT`
      client.query(sql).catch(() => {})
      await coordinator.held(at)
    }
    const all = [...cluster.coordinators, ...cluster.agents].map((node) => node.kill())
    await Promise.all([...all, ...cluster.postgres.map((server) => server.crash())])
  }

  /** Begun, not waited for. */
  function begin(part: Part): Promise<unknown> {
    if (part === 'servers') return Promise.all(cluster.postgres.map((server) => server.restart()))
    return Promise.all(nodes(part).map((node) => node.start()))
  }

  const prepared = async (): Promise<number> => {
    const sql = "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'weft:%'"
    const found = await Promise.all(cluster.postgres.map(({ url }) => query(url, sql)))
    return found.flat().length
  }
  const records = () => query(cluster.postgres[0]!.url, 'SELECT txn_id FROM weft.txn_log')
  /** How many rows were changed, in all. */
  const steps = async (): Promise<number> => {
    const client = await cluster.connect()
    const { rows } = await client.query<{ n: number }>('SELECT sum(n)::int AS n FROM probe')
    await client.end()
    return Math.floor((rows[0]?.n ?? 0) / step)
  }

  test.each<{ at: FailpointName; order: readonly Part[]; adds: number }>([
    { at: 'after-prepare', order: ['coordinators', 'agents', 'servers'], adds: 0 },
    { at: 'after-decision', order: ['agents', 'coordinators', 'servers'], adds: 50 },
    // Shard 0 has committed by then, the other has not.
    { at: 'after-decision', order: ['servers', 'coordinators', 'agents'], adds: 50 },
    { at: 'before-conclude', order: ['agents', 'servers', 'coordinators'], adds: 50 },
  ])(
    'a commit stood at $at; started again as $order: each waits and says what for; all is settled',
    async ({ at, order, adds }) => {
      const before = await steps()
      await killAll(at)
      const begun: Promise<unknown>[] = []
      for (const part of order) {
        const started = begin(part)
        started.catch(() => {})
        begun.push(started)
        if (part === 'servers') await started
        if (part === order.at(-1)) break
        for (const node of nodes(part)) {
          await node.answers()
          await until(`${node.name} says what it waits for`, async () =>
            saysWhy.test((await node.notReady()) ?? ''),
          )
        }
      }
      await Promise.all(begun)
      await cluster.ready()
      await until('nothing is prepared', async () => (await prepared()) === 0)
      expect(await steps()).toBe(before + adds)
      await until('the log is empty', async () => (await records()).length === 0)
    },
    180_000,
  )
})
