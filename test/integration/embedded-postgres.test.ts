import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import pg from 'pg'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../embedded/embedded-postgres.ts'
import { childrenOf, readPidFile } from '../../embedded/postmaster.ts'
import { hasPostgres15, query, startPostgres } from '../helpers/postgres.ts'

const root = mkdtempSync(join(tmpdir(), 'weft-embedded-'))
await chmod(root, 0o755)
const dataDir = join(root, 'data')
let servers: EmbeddedPostgres[] = []

/** A program of its own that uses our sources: Node 20 runs no TypeScript. */
async function bundle(source: string, outfile: string): Promise<void> {
  const stdin = { contents: source, resolveDir: process.cwd(), loader: 'ts' } as const
  const external = { packages: 'external', platform: 'node', format: 'esm' } as const
  const bundled = await build({ stdin, bundle: true, write: false, ...external })
  writeFileSync(
    outfile,
    bundled.outputFiles[0]!.text.replaceAll('import.meta.url', JSON.stringify(import.meta.url)),
  )
}

async function start(options: { dataDir?: string; port?: number; database?: string } = {}) {
  const server = await startEmbeddedPostgres({ dataDir, ...options })
  servers.push(server)
  return server
}

afterEach(async () => {
  for (const server of servers) await server.stop()
  servers = []
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('embedded Postgres', () => {
  test('embedded Postgres: started: serves TCP and the unix socket, can prepare, syncs', async () => {
    const server = await start()
    const [row] = await query(
      server.url,
      `SELECT current_setting('max_prepared_transactions') AS prepared, current_setting('fsync') AS fsync,
       current_setting('server_version_num')::int / 10000 AS version, pg_encoding_to_char(encoding) AS encoding
       FROM pg_database WHERE datname = current_database()`,
    )
    expect(row).toEqual({ prepared: '200', fsync: 'on', version: 18, encoding: 'UTF8' })
    const socket = new pg.Client({
      host: server.socketDir,
      port: server.port,
      user: server.user,
      database: 'postgres',
    })
    await socket.connect()
    expect((await socket.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await socket.end()
  })

  test('embedded Postgres: stopped and started again: data is there', async () => {
    const first = await start()
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS n')
    await first.stop()
    expect(() => process.kill(first.pid, 0)).toThrow()
    const second = await start()
    expect(await query(second.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }])
  })

  test('embedded Postgres: crashed with a prepared transaction: everything dies, the restart has it', async () => {
    const first = await start()
    const client = new pg.Client({ connectionString: first.url })
    client.on('error', () => undefined)
    await client.connect()
    await client.query('CREATE TABLE survives (n int)')
    await client.query('BEGIN')
    await client.query('INSERT INTO survives VALUES (1)')
    await client.query("PREPARE TRANSACTION 'g1'")
    const children = childrenOf(first.pid)
    expect(children.length).toBeGreaterThan(2)
    await first.crash()
    expect(existsSync(join(dataDir, 'postmaster.pid'))).toBe(true)
    const second = await start()
    expect(await query(second.url, 'SELECT gid FROM pg_prepared_xacts')).toEqual([{ gid: 'g1' }])
    await query(second.url, "COMMIT PREPARED 'g1'")
    expect(await query(second.url, 'SELECT n FROM survives')).toEqual([{ n: 1 }])
  })

  test('embedded Postgres: an earlier run left its server behind: it is stopped, not joined', async () => {
    const orphan = await start()
    const again = await start()
    await orphan.exited
    expect(again.pid).not.toBe(orphan.pid)
    expect(await query(again.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('embedded Postgres: the process that started it is killed: it stops by itself', async () => {
    const script = `
      import { startEmbeddedPostgres } from './embedded/embedded-postgres.ts'
      const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} })
      process.stdout.write(String(server.pid))`
    const file = join(root, 'starter.mjs')
    await bundle(script, file)
    const starter = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [pid] = (await once(starter.stdout, 'data')) as [Buffer]
    starter.kill('SIGKILL')
    await vi.waitFor(() => expect(() => process.kill(Number(pid), 0)).toThrow(), { timeout: 20_000 })
  })

  test('embedded Postgres: postmaster.pid names a stranger: ignored, and the stranger lives', async () => {
    const first = await start()
    await first.stop()
    const lines = [process.pid, dataDir, 1, 5432, dataDir, '127.0.0.1', '', 'ready']
    writeFileSync(join(dataDir, 'postmaster.pid'), `${lines.join('\n')}\n`)
    const second = await start()
    expect(readPidFile(dataDir)?.pid).toBe(second.pid)
  })

  test('embedded Postgres: port taken: the error says so and nothing is left running', async () => {
    const blocker = createServer()
    await new Promise<void>((done) => blocker.listen(0, '127.0.0.1', done))
    const { port } = blocker.address() as { port: number }
    await expect(start({ port })).rejects.toThrow(/Address already in use/)
    blocker.close()
    expect(readPidFile(dataDir)).toBeUndefined()
  })

  test('embedded Postgres: long path and another database: socket elsewhere, database made', async () => {
    const long = join(root, 'x'.repeat(90), 'data')
    const server = await start({ dataDir: long, database: 'it"s mine' })
    expect(server.socketDir.startsWith(tmpdir())).toBe(true)
    expect(await query(server.url, 'SELECT current_database() AS db')).toEqual([{ db: 'it"s mine' }])
    await server.stop()
    expect(existsSync(server.socketDir)).toBe(false)
  })
})

describe('test helper', () => {
  test.skipIf(!hasPostgres15)('test helper: version 15: the system server runs', async () => {
    const server = await startPostgres({ version: 15 })
    expect(await query(server.url, "SELECT current_setting('server_version_num')::int / 10000 AS v")).toEqual(
      [{ v: 15 }],
    )
    await server.stop()
    expect(existsSync(server.dataDir)).toBe(false)
  })

  test('test helper: crash and restart: same address', async () => {
    const server = await startPostgres()
    await server.crash()
    await server.restart()
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    await server.stop()
  })
})
