/** `weft coordinator --workers 2`: two processes behind one port, which are one coordinator to clients. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { processesWith, runWeft, type WeftProcess } from '../helpers/weft-process.ts'

interface Up {
  readonly listen: string
  readonly adminUrls: readonly string[]
}

interface Status {
  readonly pid: number
  readonly sessions: number
  readonly memory: { readonly nodeBytes: number }
}

const root = mkdtempSync(join(tmpdir(), 'weft-workers-'))
const config = join(root, 'weft.yaml')
const servers: TestPostgres[] = []
const nodes: WeftProcess[] = []
let coordinator: WeftProcess
let up: Up

beforeAll(async () => {
  servers.push(...(await Promise.all([startPostgres(), startPostgres()])))
  const ports = [await freePort(), await freePort()]
  const shards = servers.map(
    ({ url }, id) => `  - { id: ${id}, postgres: "${url}", agent: "127.0.0.1:${ports[id]}" }`,
  )
  const lines = [
    'shards:',
    ...shards,
    'coordinator:',
    '  listen: 127.0.0.1:0',
    '  adminListen: 127.0.0.1:0',
    '  auth: [{ from: 127.0.0.1, method: trust }]',
    '  memory: { nodeMb: 300 }',
    'agent: { adminListen: 127.0.0.1:0 }',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  for (const shard of ['0', '1']) nodes.push(runWeft(['agent', '--config', config, '--shard', shard]))
  coordinator = runWeft(['coordinator', '--config', config, '--workers', '2'])
  nodes.push(coordinator)
  up = JSON.parse(await coordinator.line('{"event":"up"')) as Up
})

afterAll(async () => {
  for (const { child } of nodes) child.kill('SIGKILL')
  await Promise.all(nodes.map(({ finished }) => finished))
  await Promise.all(servers.map((server) => server.stop()))
  rmSync(root, { recursive: true, force: true })
})

const status = async (url: string): Promise<Status> =>
  (await (await fetch(`${url}/api/status`)).json()) as Status

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: `postgres://postgres@${up.listen}/postgres` })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function withClients<T>(count: number, work: (clients: pg.Client[]) => Promise<T>): Promise<T> {
  const clients = await Promise.all(Array.from({ length: count }, connect))
  try {
    return await work(clients)
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => {})))
  }
}

test('workers: both serve clients on one port, and see the same tables at once', async () => {
  await withClients(4, async ([a, b, c, d]) => {
    const told = await Promise.all(up.adminUrls.map(status))
    // Connections go to workers that wait for one: both have some, how many depends on how fast each takes them.
    const sessions = told.map((one) => one.sessions)
    expect([sessions.every((count) => count > 0), sessions[0]! + sessions[1]!]).toEqual([true, 4])
    expect(new Set(told.map(({ pid }) => pid)).size).toBe(2)
    // Together they keep what one coordinator may.
    expect(told.map(({ memory }) => memory.nodeBytes)).toEqual([150 << 20, 150 << 20])
    await a!.query("CREATE TABLE t (id int PRIMARY KEY, n int) WITH (shard_key = 'id')")
    await b!.query('INSERT INTO t SELECT g, g FROM generate_series(1, 20) g')
    for (const client of [c!, d!]) {
      expect((await client.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 20 }])
    }
  })
})

test('workers: a cancel request finds its session, whichever worker it comes to', async () => {
  await withClients(2, async (clients) => {
    for (const client of clients) {
      const ended = client.query('SELECT pg_sleep(600)').catch((error: { code: string }) => error.code)
      // A request that comes before its statement cancels nothing.
      await expect.poll(asleep).toBe(1)
      const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
      // Each comes over a connection of its own: in turn to both workers.
      for (let n = 0; n < 2; n++) await cancel(processID, secretKey)
      expect(await ended).toBe('57014')
    }
  })
})

/** How many sessions of the home shard sleep. */
async function asleep(): Promise<number> {
  const text = "SELECT FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'"
  return (await query(servers[0]!.url, text)).length
}

async function cancel(pid: number, secret: number): Promise<void> {
  const [host, port] = up.listen.split(':')
  const { connect: open } = await import('node:net')
  const request = Buffer.alloc(16)
  for (const [i, word] of [16, 80877102, pid, secret].entries()) request.writeInt32BE(word | 0, i * 4)
  await new Promise<void>((done, failed) => {
    const socket = open(Number(port), host)
    socket.on('error', failed).on('close', () => done())
    socket.end(request)
    socket.resume()
  })
}

test('workers: one that is killed is started again; the other goes on', async () => {
  const [first, second] = await Promise.all(up.adminUrls.map(status))
  await withClients(2, async (clients) => {
    const lost = clients.map(
      (client) => new Promise<string>((done) => client.once('end', () => done('lost'))),
    )
    process.kill(first!.pid, 'SIGKILL')
    await Promise.race(lost)
    await expect.poll(() => coordinator.errors(), { timeout: 60_000 }).toContain('the worker serves again')
  })
  await withClients(2, async (clients) => {
    for (const client of clients) expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
  expect((await status(up.adminUrls[1]!)).pid).toBe(second!.pid)
})

test('workers: stopped by a signal, all of them are gone', async () => {
  coordinator.child.kill('SIGTERM')
  expect((await coordinator.finished).code).toBe(0)
  expect(processesWith(`coordinator --config ${config}`)).toEqual([])
})

test('workers: when the process that started them is killed, none of them stays', async () => {
  const other = runWeft(['coordinator', '--config', config, '--workers', '2'])
  nodes.push(other)
  await other.line('{"event":"up"')
  expect(processesWith(`coordinator --config ${config}`)).toHaveLength(3)
  other.child.kill('SIGKILL')
  await expect.poll(() => processesWith(`coordinator --config ${config}`)).toEqual([])
})
