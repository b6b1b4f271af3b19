import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { query, reload, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { type Finished, processesWith, runWeft, type WeftProcess } from '../helpers/weft-process.ts'

const root = mkdtempSync(join(tmpdir(), 'weft-dev-'))
// As root, Postgres' own user has to get in.
chmodSync(root, 0o755)
let count = 0
const newDir = (): string => join(root, `data-${count++}`)
const started: WeftProcess[] = []
const servers: TestPostgres[] = []

afterEach(async () => {
  for (const { child } of started) child.kill('SIGKILL')
  await Promise.all(started.splice(0).map(({ finished }) => finished))
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})
afterAll(async () => {
  await vi.waitFor(() => expect(processesWith(root)).toEqual([]), { timeout: 30_000 })
  rmSync(root, { recursive: true, force: true })
})

interface Up {
  readonly port: number
  readonly adminUrl: string
  readonly shards: { id: number; url: string }[]
}

function dev(...args: string[]): WeftProcess {
  const weft = runWeft(['dev', '--json', '--port', '0', '--admin-port', '0', ...args])
  started.push(weft)
  return weft
}

async function up(weft: WeftProcess): Promise<Up & { url: string }> {
  const event = JSON.parse(await weft.line('{"event":"up"')) as Up
  return { ...event, url: `postgres://postgres@127.0.0.1:${event.port}/postgres` }
}

async function stop(weft: WeftProcess, signal: NodeJS.Signals): Promise<Finished> {
  weft.child.kill(signal)
  return weft.finished
}

/** The one line of a start that has to fail. */
async function refusal(...args: string[]): Promise<string> {
  const end = await dev('--data-dir', newDir(), ...args).finished
  const lines = end.stderr.split('\n').filter((line) => line.startsWith('weft: '))
  expect(lines, end.stderr).toHaveLength(1)
  expect(end.stderr).not.toMatch(/^\s+at /m)
  expect(end.code).toBe(1)
  return lines[0]!
}

async function server(settings: Record<string, string> = {}): Promise<TestPostgres> {
  const one = await startPostgres({ settings })
  servers.push(one)
  return one
}

test('weft dev: started, stopped by SIGTERM, started again: serves, leaves no process, keeps data', async () => {
  const dir = newDir()
  const first = dev('--data-dir', dir)
  const { url, adminUrl, shards } = await up(first)
  expect(shards).toHaveLength(3)
  expect(await query(url, 'SELECT 40 + 2 AS answer')).toEqual([{ answer: 42 }])
  await query(url, 'CREATE TABLE kept AS SELECT 42 AS n')
  expect((await fetch(`${adminUrl}/ready`)).status).toBe(200)
  expect(await (await fetch(`${adminUrl}/api/status`)).json()).toMatchObject({ role: 'dev', dataDir: dir })
  const status = await runWeft(['status', '--admin', adminUrl]).finished
  expect(status.stdout).toContain('shards')

  const end = await stop(first, 'SIGTERM')
  expect(end.code, end.stderr).toBe(0)
  expect(processesWith(dir)).toEqual([])

  const second = dev('--data-dir', dir)
  expect(await query((await up(second)).url, 'SELECT n FROM kept')).toEqual([{ n: 42 }])
  expect((await stop(second, 'SIGINT')).code).toBe(0)
  expect(processesWith(dir)).toEqual([])
})

test('weft dev: killed: its Postgres servers stop, and the next start has the data', async () => {
  const dir = newDir()
  const first = dev('--data-dir', dir, '--shards', '2')
  const before = await up(first)
  await query(before.url, 'CREATE TABLE kept AS SELECT 42 AS n')
  await query(before.url, "CREATE TABLE old (k bigint, v int) WITH (shard_key = 'k')")
  await query(before.url, 'INSERT INTO old VALUES (1, 1), (2, 2), (3, 3), (4, 4)')
  // As a cluster of a version before the guard of slots left it.
  for (const shard of before.shards) await query(shard.url, 'ALTER TABLE old DROP CONSTRAINT weft_owns_slot')
  first.child.kill('SIGKILL')
  await first.finished
  const second = dev('--data-dir', dir)
  const { url, shards } = await up(second)
  expect(shards).toHaveLength(2)
  expect(await query(url, 'SELECT n FROM kept')).toEqual([{ n: 42 }])
  for (const shard of shards) {
    expect(await query(shard.url, GUARD)).toEqual([{ convalidated: false }])
    await expect(
      query(shard.url, 'INSERT INTO old SELECT g, 0 FROM generate_series(1, 50) g'),
    ).rejects.toThrow('weft_owns_slot')
  }
  await query(url, 'UPDATE old SET v = v + 1')
  expect(await query(url, 'SELECT sum(v) FROM old')).toEqual([{ sum: '14' }])
  expect((await stop(second, 'SIGTERM')).code).toBe(0)
})

const GUARD =
  "SELECT convalidated FROM pg_constraint WHERE conname = 'weft_owns_slot' AND conrelid = 'old'::regclass"

test('weft dev: --host: beyond loopback only with a password, which clients have to know', async () => {
  expect(await refusal('--host', '0.0.0.0')).toContain('WEFT_DEV_PASSWORD')
  const args = ['dev', '--json', '--port', '0', '--admin-port', '0', '--shards', '1', '--data-dir', newDir()]
  const weft = runWeft([...args, '--host', '0.0.0.0'], { WEFT_DEV_PASSWORD: "it's" })
  started.push(weft)
  const { port, adminUrl } = await up(weft)
  const url = (password: string): string => `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  expect(await query(url("it's"), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  await expect(query(url('other'), 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
  expect(new URL(adminUrl).hostname).toBe('127.0.0.1')
  expect((await stop(weft, 'SIGTERM')).code).toBe(0)
})

test('weft dev: --fresh: the data is gone', async () => {
  const dir = newDir()
  const first = dev('--data-dir', dir, '--shards', '1')
  await query((await up(first)).url, 'CREATE TABLE kept AS SELECT 42 AS n')
  await stop(first, 'SIGTERM')
  const second = dev('--data-dir', dir, '--shards', '2', '--fresh')
  await expect(query((await up(second)).url, 'SELECT n FROM kept')).rejects.toMatchObject({ code: '42P01' })
  await stop(second, 'SIGTERM')
})

test('weft dev: a signal while it starts: ends without an error and leaves no process', async () => {
  const dir = newDir()
  const weft = dev('--data-dir', dir)
  await vi.waitFor(() => expect(processesWith(dir).length).toBeGreaterThan(1), { timeout: 20_000 })
  const end = await stop(weft, 'SIGTERM')
  expect(end.code, end.stderr).toBe(0)
  expect(end.stdout).toBe('')
  expect(processesWith(dir)).toEqual([])
})

test('weft dev: for people: the line to connect with, and where everything is', async () => {
  const dir = newDir()
  const weft = runWeft(['dev', '--shards', '1', '--port', '0', '--admin-port', '0', '--data-dir', dir])
  started.push(weft)
  await weft.line('  stop')
  const { stdout, code } = await stop(weft, 'SIGINT')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^ {2}connect +psql -h 127\.0\.0\.1 -p \d+ -U postgres$/m)
  expect(stdout).toMatch(/^ {2}admin +http:\/\/127\.0\.0\.1:\d+\/api\/status/m)
  expect(stdout).toMatch(/^ {2}shards +0 {2}postgres:\/\/postgres@127\.0\.0\.1:\d+\/postgres$/m)
  expect(stdout).toContain(dir)
})

test('weft dev: running servers as shards: used, and left running', async () => {
  const [a, b] = await Promise.all([server(), server()])
  const weft = dev('--data-dir', newDir(), '--shard', a.url, '--shard', b.url)
  const { url } = await up(weft)
  await query(url, 'CREATE TABLE here AS SELECT 1 AS one')
  expect((await stop(weft, 'SIGTERM')).code).toBe(0)
  expect(await query(a.url, 'SELECT one FROM here')).toEqual([{ one: 1 }])
})

test('weft dev: a server without prepared transactions: says how to allow them', async () => {
  const { url } = await server({ max_prepared_transactions: '0' })
  const line = await refusal('--shard', url)
  expect(line).toContain('max_prepared_transactions')
  expect(line).toContain('ALTER SYSTEM SET max_prepared_transactions = 200')
})

test('weft dev: a server that is not there: says which', async () => {
  const line = await refusal('--shard', 'postgres://postgres@127.0.0.1:1/postgres')
  expect(line).toContain('127.0.0.1:1')
  expect(line).toContain('ECONNREFUSED')
})

test('weft dev: a wrong password: says whose, and where to put the right one', async () => {
  const one = await server()
  await query(one.url, "CREATE ROLE weft SUPERUSER LOGIN PASSWORD 'right'")
  writeFileSync(join(one.dataDir, 'pg_hba.conf'), 'host all all all scram-sha-256\n')
  await reload(one.url)
  const place = `127.0.0.1:${one.port}`
  const line = await refusal('--shard', `postgres://weft:wrong@${place}/postgres`)
  expect(line).toContain('password authentication failed for user "weft"')
  expect(line).toContain('--shard postgres://user:password@host')
  expect(line).not.toContain('wrong@')
  const weft = dev('--data-dir', newDir(), '--shard', `postgres://weft:right@${place}/postgres`)
  const { shards } = await up(weft)
  expect(shards[0]?.url).not.toContain('right')
  expect((await stop(weft, 'SIGTERM')).code).toBe(0)
})

test('weft dev: one server given twice: refused', async () => {
  const { url } = await server()
  expect(await refusal('--shard', url, '--shard', url)).toMatch(/same (server|database)/)
})
