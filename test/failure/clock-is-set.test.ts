import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { query } from '../helpers/postgres.ts'
import { type ProcessCluster, startProcessCluster, type TestNode, until } from '../helpers/process-cluster.ts'

const HOUR = 3_600_000
/** Far below an hour: nobody waits for a wall clock to come round. */
const SOON_MS = 30_000

describe('wall clocks that are an hour off', () => {
  let cluster: ProcessCluster
  let all: readonly TestNode[]

  beforeAll(async () => {
    cluster = await startProcessCluster({ log: 'postgres' })
    all = [...cluster.agents, cluster.coordinator]
  }, 180_000)
  afterAll(() => cluster?.stop())
  afterEach(async () => {
    await restart(all, 0)
    await serves()
  }, 180_000)

  async function restart(nodes: readonly TestNode[], shiftMs: number): Promise<void> {
    await Promise.all(nodes.map((node) => node.kill()))
    for (const node of nodes) node.setWall(shiftMs)
    await cluster.startAll()
  }

  /** Some commits over both shards, both shards with the same rows, and nothing left. */
  async function serves(): Promise<void> {
    await until('the cluster is ready', () => cluster.coordinator.isReady(), SOON_MS)
    for (let i = 0; i < 3; i++) await until('a commit over both shards', commits, SOON_MS)
    const sums = await Promise.all(
      cluster.postgres.map(({ url }) =>
        query<{ low: number; high: number }>(url, 'SELECT min(n) AS low, max(n) AS high FROM probe'),
      ),
    )
    const [{ low } = { low: -1 }] = sums.flat()
    expect(sums.flat()).toEqual(sums.map(() => ({ low, high: low })))
    await until('nothing is prepared', async () => (await prepared()) === 0, SOON_MS)
  }

  async function commits(): Promise<boolean> {
    const client = await cluster.connect().catch(() => undefined)
    const done = await client?.query('BEGIN; UPDATE probe SET n = n + 1; COMMIT').catch(() => undefined)
    await client?.end().catch(() => {})
    return done !== undefined
  }

  async function prepared(): Promise<number> {
    const counts = await Promise.all(
      cluster.postgres.map(({ url }) => query(url, 'SELECT FROM pg_prepared_xacts')),
    )
    return counts.flat().length
  }

  describe.each([
    ['back', -HOUR],
    ['ahead', HOUR],
  ] as const)('an hour %s', (_, shiftMs) => {
    it('an agent starts again', async () => {
      await restart([cluster.agents[0]!], shiftMs)
      await serves()
    }, 180_000)

    it('the coordinator starts again', async () => {
      await restart([cluster.coordinator], shiftMs)
      await serves()
    }, 180_000)

    it('everything starts again', async () => {
      await restart(all, shiftMs)
      await serves()
    }, 180_000)

    it('everything starts again, one agent off', async () => {
      await Promise.all(all.map((node) => node.kill()))
      await restart([cluster.agents[1]!], shiftMs)
      await serves()
    }, 180_000)

    it('set while they run: an agent, the coordinator, and back', async () => {
      for (const node of [cluster.agents[0]!, cluster.coordinator]) {
        node.setWall(shiftMs)
        await serves()
        node.setWall(0)
        await serves()
      }
    }, 180_000)
  })
})
