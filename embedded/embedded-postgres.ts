import { type ChildProcess, execFile, spawn } from 'node:child_process'
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { SetupError } from '../errors/setup-error.ts'
import { findBinaries, identity, type PostgresBinaries } from './postgres-binaries.ts'
import { childrenOf, readPidFile, sendSignal, stopOrphans } from './postmaster.ts'
import { blockedAt, chooseRunAs, type RunAs } from './run-as.ts'
import { stopWhenWeDie } from './watchdog.ts'

export interface EmbeddedPostgresOptions {
  /** Created (initdb) when it does not exist. */
  readonly dataDir: string
  /** Default: a free one. */
  readonly port?: number
  /** Default: the data directory, or a directory below the system's temporary one when that path is too long. */
  readonly socketDir?: string
  /** Created together with the data directory. */
  readonly database?: string
  /** Data directory of a stopped server of the same binaries: a new one is a copy of it, which is quicker than initdb. */
  readonly template?: string | undefined
  readonly superuser?: string
  /** Server settings on top of, or instead of, ours. */
  readonly settings?: Readonly<Record<string, string>>
  /** Other binaries than the embedded ones. */
  readonly binDir?: string
  readonly startTimeoutMs?: number
  readonly log?: (message: string) => void
  /** Ends a start that takes long (initdb). */
  readonly signal?: AbortSignal | undefined
}

export interface EmbeddedPostgres {
  readonly host: string
  readonly port: number
  readonly socketDir: string
  readonly database: string
  readonly user: string
  readonly url: string
  /** The same over the unix socket: quicker. */
  readonly socketUrl: string
  readonly dataDir: string
  /** The postmaster. */
  readonly pid: number
  /** Resolves when the server has ended, whoever ended it. */
  readonly exited: Promise<void>
  /** `fast` (default) rolls open transactions back and checkpoints; `immediate` leaves a crash recovery to do. */
  stop(mode?: 'smart' | 'fast' | 'immediate'): Promise<void>
  /** SIGKILL for the postmaster and all its children, as a power cut would do it. */
  crash(): Promise<void>
}

const host = '127.0.0.1'
/** sun_path holds 108 bytes on Linux and 104 on macOS, with the closing zero. */
const socketPathBytesMax = 100

const ourSettings: Readonly<Record<string, string>> = {
  listen_addresses: host,
  max_connections: '100',
  max_prepared_transactions: '200',
  shared_buffers: '64MB',
  wal_level: 'replica',
  log_line_prefix: '%m [%p] ',
  logging_collector: 'off',
  log_destination: 'stderr',
}

/** Starts a Postgres server as a child process, on a data directory that it creates if need be. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  const setup: Setup = {
    ...options,
    dataDir,
    database: options.database ?? 'postgres',
    superuser: options.superuser ?? 'postgres',
    runAs: chooseRunAs(dataDir),
  }
  if (setup.runAs !== undefined) refuseClosedPath(dataDir, setup.runAs)
  const binaries =
    options.binDir === undefined
      ? findBinaries(setup.runAs)
      : { initdb: join(options.binDir, 'initdb'), postgres: join(options.binDir, 'postgres') }
  if (!existsSync(join(dataDir, 'PG_VERSION'))) await initialize(binaries, setup)
  if (await stopOrphans(dataDir)) options.log?.(`stopped the Postgres that an earlier run left in ${dataDir}`)
  return start(binaries, setup)
}

interface Setup extends EmbeddedPostgresOptions {
  readonly database: string
  readonly superuser: string
  readonly runAs: RunAs | undefined
}

function refuseClosedPath(dataDir: string, runAs: RunAs): void {
  const blocked = blockedAt(dirname(dataDir), runAs)
  if (blocked === undefined) return
  throw new SetupError(
    `Postgres runs as user "${runAs.name}" (it refuses root), who may not enter ${blocked}`,
    'Choose another data directory (--data-dir /var/lib/weft/data), or start Weft as an ordinary user.',
  )
}

/** Beside the final place and renamed at the end: a run that is killed half-way leaves no half-made data directory. */
async function initialize(binaries: PostgresBinaries, setup: Setup): Promise<void> {
  setup.log?.(`creating a Postgres data directory in ${setup.dataDir}`)
  const parent = dirname(setup.dataDir)
  mkdirSync(parent, { recursive: true })
  for (const name of readdirSync(parent)) {
    if (name.startsWith(`${basename(setup.dataDir)}.new-`)) rmSync(join(parent, name), { recursive: true })
  }
  const building = mkdtempSync(join(parent, `${basename(setup.dataDir)}.new-`))
  try {
    if (setup.runAs !== undefined) chownSync(building, setup.runAs.uid, setup.runAs.gid)
    if (setup.template === undefined) await initdb(binaries, setup, building)
    else await run('cp', ['-a', `${setup.template}/.`, building], { ...setup, runAs: undefined })
    if (setup.database !== 'postgres') {
      const create = `CREATE DATABASE "${setup.database.replaceAll('"', '""')}"\n`
      await run(binaries.postgres, ['--single', '-D', building, 'postgres'], setup, create)
    }
    renameSync(building, setup.dataDir)
  } finally {
    // An initdb that was stopped may still be writing.
    rmSync(building, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

async function initdb(binaries: PostgresBinaries, setup: Setup, dataDir: string): Promise<void> {
  const locale = setup.binDir === undefined ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : []
  const flags = ['--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions', ...locale]
  await run(binaries.initdb, ['-D', dataDir, '-U', setup.superuser, ...flags], setup)
}

async function run(file: string, args: string[], { runAs, signal }: Setup, input?: string): Promise<void> {
  const running = promisify(execFile)(file, args, {
    cwd: '/',
    env: environment(),
    ...identity(runAs),
    ...(signal === undefined ? {} : { signal }),
  })
  running.child.stdin?.end(input ?? '')
  try {
    await running
  } catch (cause) {
    const text = (cause as { stderr?: string }).stderr?.trim() || (cause as Error).message
    throw new SetupError(`${basename(file)} failed: ${text}`, undefined, { cause })
  }
}

/** Ours without PGDATA, PGPORT and the like, and with messages in English. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('PG') && name !== 'LC_MESSAGES',
  )
  return { ...Object.fromEntries(kept), LC_ALL: 'C' }
}

async function start(binaries: PostgresBinaries, setup: Setup): Promise<EmbeddedPostgres> {
  // Between finding a free port and Postgres' taking it somebody else may: try others.
  for (let attempt = 1; ; attempt++) {
    const port = setup.port ?? (await freePort())
    try {
      return await startOn(port, binaries, setup)
    } catch (error) {
      const taken = (error as Error).message.includes('Address already in use')
      if (!taken || setup.port !== undefined || attempt === 5) throw error
    }
  }
}

async function startOn(port: number, binaries: PostgresBinaries, setup: Setup): Promise<EmbeddedPostgres> {
  const socketDir = chooseSocketDir(setup)
  const settings = {
    ...ourSettings,
    port: String(port),
    unix_socket_directories: `"${socketDir.replaceAll('"', '""')}"`,
    ...setup.settings,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const logFile = join(setup.dataDir, 'server.log')
  const output = openSync(logFile, 'w')
  const child = spawn(binaries.postgres, ['-D', setup.dataDir, ...args], {
    cwd: '/',
    env: environment(),
    stdio: ['ignore', output, output],
    // A session of its own: Ctrl-C in the terminal is for Weft, which stops Postgres last.
    detached: true,
    ...identity(setup.runAs),
  })
  closeSync(output)
  const server = new Server(child, port, socketDir, setup)
  try {
    await server.untilReady(setup.startTimeoutMs ?? 60_000)
  } catch (error) {
    await server.stop('immediate')
    const lines = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n')
    const said = lines.filter((line) => /FATAL|PANIC|ERROR|LOG: {2}could not/.test(line))
    throw new SetupError(
      `Postgres in ${setup.dataDir} did not start: ${(said.length > 0 ? said : lines.slice(-3)).join(' | ')}`,
      `Its whole log is in ${logFile}.`,
      { cause: error },
    )
  }
  return server
}

function chooseSocketDir(setup: Setup): string {
  if (setup.socketDir !== undefined) return resolve(setup.socketDir)
  if (Buffer.byteLength(`${setup.dataDir}/.s.PGSQL.65535`) <= socketPathBytesMax) return setup.dataDir
  const dir = mkdtempSync(join(tmpdir(), 'weft-socket-'))
  if (setup.runAs !== undefined) chownSync(dir, setup.runAs.uid, setup.runAs.gid)
  return dir
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((done, fail) => probe.once('error', fail).listen(0, host, done))
  const address = probe.address()
  await new Promise<void>((done) => probe.close(() => done()))
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}

/** Servers to stop when this process ends without having done so. */
const running = new Set<Server>()
let exitHookInstalled = false

function stopAllAtExit(): void {
  if (exitHookInstalled) return
  exitHookInstalled = true
  process.on('exit', () => {
    // No time for a checkpoint: the next start recovers from the log of writes.
    for (const server of running) sendSignal(server.pid, 'SIGQUIT')
  })
}

const stopSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const

class Server implements EmbeddedPostgres {
  readonly host = host
  readonly port: number
  readonly socketDir: string
  readonly database: string
  readonly user: string
  readonly dataDir: string
  readonly pid: number
  readonly exited: Promise<void>
  #failure: string | undefined
  #callOffWatch: () => void = () => undefined

  constructor(child: ChildProcess, port: number, socketDir: string, setup: Setup) {
    this.port = port
    this.socketDir = socketDir
    this.database = setup.database
    this.user = setup.superuser
    this.dataDir = setup.dataDir
    this.pid = child.pid ?? 0
    if (child.pid !== undefined) this.#callOffWatch = stopWhenWeDie(child.pid)
    this.exited = new Promise((done) => {
      child.once('error', (error) => this.#ended(error.message, done))
      child.once('exit', (code, by) => this.#ended(`exited with ${code ?? by}`, done))
    })
    running.add(this)
    stopAllAtExit()
  }

  get url(): string {
    return `postgres://${encodeURIComponent(this.user)}@${this.host}:${this.port}/${encodeURIComponent(this.database)}`
  }

  get socketUrl(): string {
    return `${this.url}?host=${encodeURIComponent(this.socketDir)}`
  }

  async untilReady(timeoutMs: number): Promise<void> {
    const end = Date.now() + timeoutMs
    while (Date.now() < end) {
      if (this.#failure !== undefined) throw new Error(this.#failure)
      const file = readPidFile(this.dataDir)
      if (file?.pid === this.pid && file.ready) return
      await sleep(10)
    }
    throw new Error(`not ready within ${timeoutMs} ms`)
  }

  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast'): Promise<void> {
    if (this.#failure !== undefined) return this.exited
    sendSignal(this.pid, stopSignals[mode])
    if (await this.#endsWithin(20_000)) return
    sendSignal(this.pid, 'SIGQUIT')
    if (await this.#endsWithin(10_000)) return
    await this.crash()
  }

  async crash(): Promise<void> {
    if (this.#failure !== undefined) return this.exited
    // Stopped first, so that no child is born between the listing and the kill.
    sendSignal(this.pid, 'SIGSTOP')
    const children = childrenOf(this.pid)
    sendSignal(this.pid, 'SIGKILL')
    for (const child of children) sendSignal(child, 'SIGKILL')
    await this.exited
  }

  async #endsWithin(timeoutMs: number): Promise<boolean> {
    const timer = new AbortController()
    const late = sleep(timeoutMs, false, { signal: timer.signal }).catch(() => false)
    const ended = await Promise.race([this.exited.then(() => true), late])
    timer.abort()
    return ended
  }

  #ended(how: string, done: () => void): void {
    this.#failure ??= how
    running.delete(this)
    this.#callOffWatch()
    if (this.socketDir.includes('weft-socket-')) rmSync(this.socketDir, { recursive: true, force: true })
    done()
  }
}
