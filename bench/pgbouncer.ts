import { spawn, spawnSync } from 'node:child_process'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { EmbeddedPostgres } from '../embedded/embedded-postgres.ts'
import { identity } from '../embedded/postgres-binaries.ts'
import { chooseRunAs } from '../embedded/run-as.ts'
import { SetupError } from '../errors/setup-error.ts'
import { watched } from './child.ts'
import type { System } from './system.ts'
import { freePort } from './tools.ts'

/** From 1.21 on it follows named prepared statements over its pool. */
const preparedSince = [1, 21] as const
const startTimeoutMs = 10_000

/** PgBouncer in transaction mode before `server`, with as many connections as Weft has for a shard. */
export async function startPgbouncer(
  file: string,
  server: EmbeddedPostgres,
  poolSize: number,
  dir: string,
): Promise<System> {
  const version = versionOf(file)
  const prepared = atLeast(version, preparedSince)
  const port = await freePort()
  const config = join(dir, 'pgbouncer.ini')
  const logFile = join(dir, 'pgbouncer.log')
  writeFileSync(config, settings(server, port, poolSize, prepared))
  const output = openSync(logFile, 'w')
  const runAs = process.getuid?.() === 0 ? chooseRunAs(server.dataDir) : undefined
  const child = spawn(file, [config], {
    cwd: '/',
    stdio: ['ignore', output, output],
    // A session of its own: Ctrl-C in the terminal is for us, who stop it before the server behind it.
    detached: true,
    ...identity(runAs),
  })
  const { ended, stop } = watched(child)
  const system: System = {
    name: 'pgbouncer',
    title: `PgBouncer ${version}`,
    target: { host: '127.0.0.1', port, user: server.user, database: server.database },
    modes: prepared ? ['simple', 'prepared'] : ['simple'],
    pids: child.pid === undefined ? [] : [child.pid],
    stop,
  }
  if (await Promise.race([ended.then(() => false), answers(system)])) return system
  await stop()
  const said = readFileSync(logFile, 'utf8').trim().split('\n').at(-1)
  throw new SetupError(`pgbouncer did not start: ${said}`, `Leave it out: --systems plain,weft`)
}

function settings(server: EmbeddedPostgres, port: number, poolSize: number, prepared: boolean): string {
  return `[databases]
${server.database} = host=${server.socketDir} port=${server.port} user=${server.user} dbname=${server.database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
${prepared ? 'max_prepared_statements = 200\n' : ''}`
}

async function answers({ target }: System): Promise<boolean> {
  for (const end = Date.now() + startTimeoutMs; Date.now() < end; await sleep(50)) {
    const client = new pg.Client(target)
    try {
      await client.connect()
      await client.query('SELECT 1')
      return true
    } catch {
      // Not yet listening.
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  return false
}

function versionOf(file: string): string {
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' })
  return /(\d+\.\d+(\.\d+)?)/.exec(stdout ?? '')?.[1] ?? '0.0'
}

function atLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ours = 0, theirs = 0] = version.split('.').map(Number)
  return ours > major || (ours === major && theirs >= minor)
}
