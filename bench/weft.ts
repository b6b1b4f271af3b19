import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SetupError } from '../errors/setup-error.ts'
import { type BenchChild, watched } from './child.ts'
import { type Locate, sourceLocator } from './profile.ts'
import type { System } from './system.ts'

export interface WeftOptions {
  readonly shards: number
  readonly poolSize: number
  /** Processes of the coordinator; undefined: all is one process. */
  readonly workers: number | undefined
  readonly dir: string
  /** Its log is there; undefined: in Postgres. */
  readonly etcd: readonly string[] | undefined
  /** Loads what `profile` needs into the process. */
  readonly profiling: boolean
  readonly signal: AbortSignal
}

export interface WeftSystem extends System {
  readonly adminUrls: readonly string[]
  /** The Postgres servers themselves: only to look at. */
  readonly shardUrls: readonly string[]
  /** Where a place in the running program comes from. */
  readonly locate: Locate
  /** Takes a CPU profile of the process while `work` runs, and writes it to `file`. */
  profile<T>(file: string, work: () => Promise<T>): Promise<T>
}

interface Up {
  readonly event: 'up'
  readonly host: string
  readonly port: number
  readonly adminUrl: string
  readonly shards: readonly { readonly id: number; readonly url: string }[]
}

/** Both where this file is bundled (dist/) and where it is not (bench/). */
const root = new URL('..', import.meta.url)
export const program = fileURLToPath(new URL('bin/weft.js', root))
const bundle = fileURLToPath(new URL('dist/weft.js', root))
const preload = new URL('bench/preload.js', root).href
/** Reads the map of the bundle, which is there once Weft runs. */
export const locator = (): Locate => sourceLocator(fileURLToPath(root), [bundle])
const profileIntervalUs = 200
const lastLinesMax = 30

/** `weft dev` as a process of its own, on free ports and a new data directory. */
export async function startWeft(options: WeftOptions): Promise<WeftSystem> {
  const { shards, poolSize, dir, etcd, profiling, signal } = options
  const node = profiling ? ['--import', preload] : []
  const ports = ['--port', '0', '--admin-port', '0']
  const where = ['--data-dir', join(dir, 'weft'), '--fresh', '--shards', shards, '--pool-size', poolSize].map(
    String,
  )
  const log = etcd === undefined ? [] : ['--log', `etcd:${etcd.join(',')}`]
  const child = spawn(process.execPath, [...node, program, 'dev', ...ports, ...where, ...log, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe', ...(profiling ? (['ipc'] as const) : [])],
    // A session of its own: Ctrl-C in the terminal is for us, who stop it in its turn.
    detached: true,
  })
  const kept = watched(child)
  const { ended, stop } = kept
  const up = await untilUp<Up>('dev', child, kept, signal)
  return {
    name: 'weft',
    title: `Weft, ${shards} shards${etcd === undefined ? '' : ', etcd log'}`,
    target: { host: up.host, port: up.port, user: 'postgres', database: databaseOf(up.shards[0]!.url) },
    modes: ['simple', 'prepared'],
    pids: child.pid === undefined ? [] : [child.pid],
    adminUrls: [up.adminUrl],
    locate: locator(),
    shardUrls: up.shards.map(({ url }) => url),
    profile: async (file, work) => {
      await tell(child, ended, { command: 'start', intervalUs: profileIntervalUs })
      try {
        return await work()
      } finally {
        await tell(child, ended, { command: 'stop', file })
      }
    },
    stop,
  }
}

/** What `weft WHAT` says when it is up; called off by `signal`. */
export async function untilUp<U>(
  what: string,
  child: ChildProcess,
  { ended, stop }: BenchChild,
  signal: AbortSignal,
): Promise<U> {
  const abort = (): void => void child.kill('SIGTERM')
  signal.addEventListener('abort', abort)
  const lastLines: string[] = []
  const up = await new Promise<U | undefined>((resolve) => {
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface(stream).on('line', (line) => {
        lastLines.push(line)
        if (lastLines.length > lastLinesMax) lastLines.shift()
        if (line.includes('"event":"up"')) resolve(JSON.parse(line) as U)
      })
    }
    void ended.then(() => resolve(undefined))
  })
  signal.removeEventListener('abort', abort)
  signal.throwIfAborted()
  if (up !== undefined) return up
  await stop()
  throw new SetupError(`weft ${what} did not start: ${lastLines.join(' | ')}`, 'Try npm start.')
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1))
}

async function tell(child: ChildProcess, ended: Promise<void>, message: object): Promise<void> {
  const answer = once(child, 'message') as Promise<[{ failed?: string }]>
  child.send(message)
  const reply = await Promise.race([answer, ended])
  if (reply === undefined) throw new Error('Weft ended while it was profiled')
  if (reply[0].failed !== undefined) throw new Error(`the profiler failed: ${reply[0].failed}`)
}
