import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { startTestCluster, type TestCluster } from '../helpers/cluster.ts'
import { type FaultProxy, startFaultProxy } from '../helpers/fault-proxy.ts'
import { query } from '../helpers/postgres.ts'

export const servers = ['plain Postgres', 'weft'] as const
export type Server = (typeof servers)[number]

export interface Servers {
  readonly current: TestCluster
  url(server: Server): string
  /** Creates a table: through Weft sharded by `key`. */
  create(server: Server, ddl: string, key: string, colocateWith?: string): Promise<void>
  /** Waits until a statement with these words runs. */
  expectBusy(server: Server, words: string): Promise<void>
  /** Waits until none does. */
  expectQuiet(server: Server, words: string): Promise<void>
  /** Ends what runs such a statement on the servers themselves. */
  endAll(server: Server, words: string): Promise<void>
  /** A way to the server that a test can cut, until its end. */
  proxied(server: Server): Promise<{ readonly url: string; readonly proxy: FaultProxy }>
}

/** A plain Postgres and a cluster, for the tests of a file. */
export function useServers(): Servers {
  let cluster: TestCluster | undefined
  beforeAll(async () => {
    cluster = await startTestCluster({ shards: 2 })
  })
  afterAll(() => cluster?.stop())
  const current = (): TestCluster => {
    if (cluster === undefined) throw new Error('the servers run in tests and hooks only')
    return cluster
  }
  const url = (server: Server): string => (server === 'weft' ? current().weftUrl : current().plainUrl)
  /** Of the servers themselves: `what` of the sessions that run such a statement. */
  const onServers = async (server: Server, what: string, words: string): Promise<number> => {
    const urls = server === 'weft' ? current().weft.shards.map((shard) => shard.url) : [current().plainUrl]
    const text = `SELECT count(${what})::int AS n FROM pg_stat_activity
      WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%${words}%'`
    const counts = await Promise.all(urls.map((one) => query<{ n: number }>(one, text)))
    return counts.reduce((sum, rows) => sum + rows[0]!.n, 0)
  }
  const proxies: FaultProxy[] = []
  afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.stop())))
  return {
    get current() {
      return current()
    },
    url,
    create: async (server, ddl, key, colocateWith) => {
      const other = colocateWith === undefined ? '' : `, colocate_with = '${colocateWith}'`
      await query(url(server), server === 'weft' ? `${ddl} WITH (shard_key = '${key}'${other})` : ddl)
    },
    expectBusy: (server, words) => expect.poll(() => onServers(server, '*', words)).toBeGreaterThan(0),
    expectQuiet: (server, words) => expect.poll(() => onServers(server, '*', words)).toBe(0),
    endAll: async (server, words) => void (await onServers(server, 'pg_terminate_backend(pid)', words)),
    proxied: async (server) => {
      const target = new URL(url(server))
      const port = Number(target.port)
      const proxy = await startFaultProxy(() => port)
      proxies.push(proxy)
      target.port = String(proxy.port)
      return { url: target.href, proxy }
    },
  }
}
