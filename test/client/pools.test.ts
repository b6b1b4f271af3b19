/** Pools over several servers: balance, failover, and causal tokens. Two proxies stand for two coordinators. */
import { afterEach, describe, expect, test } from 'vitest'
import { type Db, type Queries, sql, Unreachable, weft } from '../../client/index.ts'
import type { FaultProxy } from '../helpers/fault-proxy.ts'
import { freePort } from '../helpers/free-port.ts'
import { type Server, servers, useServers } from './servers.ts'

const cluster = useServers()
const dbs: Db[] = []
afterEach(() => Promise.all(dbs.splice(0).map((db) => db.close())))

const ping = (db: Queries): Promise<unknown> => db.one(sql`SELECT 1 AS n`)

async function two(server: Server): Promise<{ db: Db; proxies: FaultProxy[] }> {
  const nodes = [await cluster.proxied(server), await cluster.proxied(server)]
  const urls = nodes.map(({ url }) => url)
  const db = weft({ urls, poolMax: 2, connectTimeoutMs: 2_000, idleTimeoutMs: 0 })
  dbs.push(db)
  return { db, proxies: nodes.map(({ proxy }) => proxy) }
}

describe.each(servers)('on %s', (server) => {
  test('four connections over two servers serve four at a time, the fifth waits for its turn', async () => {
    const { db } = await two(server)
    const stop = new AbortController()
    const held = [1, 2, 3, 4].map(() => db.query(sql`SELECT pg_sleep(60)`, { signal: stop.signal }))
    const ended = Promise.allSettled(held)
    await expect.poll(() => db.load).toEqual({ used: 4, waiting: 0 })
    const fifth = ping(db)
    expect(db.load).toEqual({ used: 4, waiting: 1 })
    stop.abort()
    expect(await fifth).toEqual({ n: 1 })
    expect((await ended).map(({ status }) => status)).toEqual(new Array(4).fill('rejected'))
  })

  test('a server that dies, silently or not: the others go on, and it serves again when it is back', async () => {
    const { db, proxies } = await two(server)
    await Promise.all([ping(db), ping(db), ping(db)])
    for (const dead of proxies) {
      dead.block('to-server', 'to-client')
      dead.cut()
      const served = await Promise.all(Array.from({ length: 6 }, () => db.transaction(ping)))
      expect(served).toEqual(new Array(6).fill({ n: 1 }))
      dead.heal()
    }
  })

  test('transactions go over to another server when theirs is lost', async () => {
    const { db, proxies } = await two(server)
    let tries = 0
    const n = await db.transaction(async (tx) => {
      tries += 1
      await tx.query(sql`SELECT 1`)
      // Whichever serves it.
      if (tries === 1) for (const proxy of proxies) proxy.cut()
      return (await tx.one(sql<{ n: number }>`SELECT 2 AS n`)).n
    })
    expect([tries, n]).toEqual([2, 2])
  })

  test('connections that nobody uses are closed after a while', async () => {
    const db = weft({ urls: cluster.url(server), idleTimeoutMs: 50, applicationName: 'short-lived' })
    dbs.push(db)
    const { pid } = await db.one(sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`)
    const own = weft(cluster.url(server))
    dbs.push(own)
    const count = sql<{ n: number }>`SELECT count(*)::int AS n FROM pg_stat_activity WHERE pid = ${pid}::int`
    await expect.poll(async () => (await own.one(count)).n).toBe(0)
  })
})

test('all are dead: each is asked once, and what they said is told', async () => {
  const urls = [await freePort(), await freePort()].map(
    (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
  )
  const db = weft(urls)
  dbs.push(db)
  const error = await ping(db).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(Unreachable)
  expect([...(error as Unreachable).errors.keys()].sort()).toEqual(
    urls.map((url) => new URL(url).host).sort(),
  )
})

describe('causal tokens', () => {
  test('what one has seen is handed on to another, by way of a text', async () => {
    await cluster.create('weft', 'CREATE TABLE seen (id int PRIMARY KEY, n int)', 'id')
    const db = weft({ urls: cluster.url('weft'), causal: true })
    const other = weft(cluster.url('weft'))
    dbs.push(db, other)
    expect(db.token()).toBe('')
    const write = (n: number): Promise<unknown> =>
      db.query(
        sql`INSERT INTO seen SELECT i, ${n}::int FROM generate_series(1, 20) i ON CONFLICT (id) DO UPDATE SET n = ${n}::int`,
      )
    await write(1)
    const first = db.token()
    expect(first).toMatch(/^\d+$/)
    await write(2)
    expect(BigInt(db.token())).toBeGreaterThan(BigInt(first))
    const after = other.after(db.token())
    const shown = await after.transaction((tx) => tx.one(sql<Record<string, string>>`SHOW weft.causal_token`))
    expect(BigInt(Object.values(shown)[0]!)).toBeGreaterThanOrEqual(BigInt(db.token()))
    expect(await after.one(sql`SELECT min(n) AS n FROM seen`)).toEqual({ n: 2 })
    expect(BigInt(after.token())).toBeGreaterThanOrEqual(BigInt(db.token()))
  })

  test('a plain Postgres has none, and takes those of others', async () => {
    const db = weft(cluster.url('plain Postgres'))
    dbs.push(db)
    const view = db.after('12345')
    expect(await view.one(sql`SELECT 1 AS n`)).toEqual({ n: 1 })
    expect(view.token()).toBe('12345')
    const fresh = db.after()
    await fresh.query(sql`SELECT 1`)
    expect(fresh.token()).toMatch(/^(12345)?$/)
    expect(() => db.token()).toThrow('only a Db of after()')
    expect(() => db.after("1'; DROP TABLE t; --")).toThrow(TypeError)
  })
})
