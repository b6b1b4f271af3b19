import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Mode } from './lines.ts'
import type { CommitPhase, Quantiles } from './steps.ts'

export interface Target {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
}

export interface RunOptions {
  readonly pgbench: string
  readonly target: Target
  readonly scriptFile: string
  readonly mode: Mode
  readonly clients: number
  /** How long; or so many transactions of every client. */
  readonly length: { readonly warmupSeconds: number; readonly seconds: number } | { readonly each: number }
  /** So many instead of as many as can be. */
  readonly perSecond?: number
  /** With a log of each transaction, in files whose paths begin so. */
  readonly logPrefix?: string
  /** Options of the sessions, as PGOPTIONS has them. */
  readonly settings?: string
  /** Whose CPU time is to be told. */
  readonly pids: readonly number[]
  readonly signal: AbortSignal
}

export type RunResult =
  | {
      readonly kind: 'measured'
      /** Transactions per second, after the warm-up. */
      readonly perSecond: number
      readonly latencyMs: number
      readonly transactions: number
      /** CPU time of `pids` for each transaction. */
      readonly cpuUs: number | undefined
      /** Of single transactions, when there is one client. */
      readonly quantilesMs?: Quantiles
      /** Of Weft, when transactions committed on several shards. */
      readonly commitPhases?: readonly CommitPhase[]
    }
  | { readonly kind: 'failed'; readonly why: string }

/** Beyond the time that pgbench was given, before it counts as stuck. */
const overtimeMs = 30_000

export async function runPgbench(options: RunOptions): Promise<RunResult> {
  const cpuBefore = cpuSeconds(options.pids)
  const { code, output, stuck } = await execute(options)
  const cpu = cpuSeconds(options.pids)
  options.signal.throwIfAborted()
  if (stuck) return { kind: 'failed', why: `pgbench did not end; ${firstError(output) ?? 'it said nothing'}` }
  const warmupSeconds = 'each' in options.length ? 0 : options.length.warmupSeconds
  const result = readResult(code, output, warmupSeconds)
  if (result.kind === 'failed' || cpu === undefined || cpuBefore === undefined) return result
  return { ...result, cpuUs: ((cpu - cpuBefore) * 1e6) / result.transactions }
}

interface Ended {
  readonly code: number | null
  readonly output: string
  readonly stuck: boolean
}

function execute(options: RunOptions): Promise<Ended> {
  const { pgbench, target, scriptFile, mode, clients, length, perSecond, logPrefix, settings, signal } =
    options
  const total = 'each' in length ? 0 : length.warmupSeconds + length.seconds
  const args = [
    ...['-n', '-h', target.host, '-p', target.port, '-U', target.user],
    ...[
      '-M',
      mode,
      '-c',
      clients,
      '-j',
      perSecond === undefined ? Math.min(2, clients) : 1,
      '-f',
      scriptFile,
    ],
    ...('each' in length ? ['-t', length.each] : ['-T', total]),
    ...('each' in length || length.warmupSeconds === 0 ? [] : ['-P', length.warmupSeconds]),
    ...(perSecond === undefined ? [] : ['-R', perSecond]),
    ...(logPrefix === undefined ? [] : ['-l', `--log-prefix=${logPrefix}`]),
    target.database,
  ].map(String)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')))
  const sessionOptions = settings === undefined ? {} : { PGOPTIONS: settings }
  const child = spawn(pgbench, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...env, ...sessionOptions, LC_ALL: 'C' },
  })
  let output = ''
  const collect = (chunk: Buffer): void => {
    // 32 clients that fail alike say the same 32 times.
    if (output.length < 1_000_000) output += chunk.toString()
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  let stuck = false
  const timer = setTimeout(
    () => {
      stuck = true
      child.kill('SIGKILL')
    },
    total * 1000 + overtimeMs,
  )
  const abort = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', abort)
  const closed = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output, stuck }))
  })
  return closed.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  })
}

/** What pgbench printed. A run in which anything failed is never a number. */
export function readResult(code: number | null, output: string, warmupSeconds: number): RunResult {
  const error = firstError(output)
  if (error !== undefined) return { kind: 'failed', why: error }
  if (code !== 0) return { kind: 'failed', why: `pgbench ended with ${code}` }
  const transactions = number(/transactions actually processed: (\d+)/, output) ?? 0
  const failures = number(/number of failed transactions: (\d+)/, output) ?? 0
  if (failures > 0)
    return { kind: 'failed', why: `${failures} of ${transactions + failures} transactions failed` }
  const overall = number(/^tps = ([\d.]+) \(without initial connection time\)/m, output)
  if (transactions === 0 || overall === undefined)
    return { kind: 'failed', why: 'no transaction was finished' }
  // The first progress report is of the warm-up: what it counted and its time are taken away.
  const warm = warmupSeconds === 0 ? 0 : number(/^progress: [\d.]+ s, ([\d.]+) tps/m, output)
  if (warm === undefined) return { kind: 'failed', why: 'pgbench reported no progress' }
  const seconds = transactions / overall - warmupSeconds
  const perSecond = (transactions - warm * warmupSeconds) / seconds
  const latencyMs = number(/^latency average = ([\d.]+) ms/m, output) ?? 0
  return { kind: 'measured', perSecond, latencyMs, transactions, cpuUs: undefined }
}

function firstError(output: string): string | undefined {
  const line = output.split('\n').find((text) => /^pgbench: (error|fatal)|^pgbench:.* aborted/.test(text))
  return line?.replace(/^pgbench: (error: |fatal: )?/, '').replace(/\s+/g, ' ')
}

function number(pattern: RegExp, text: string): number | undefined {
  const found = pattern.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** User and system time that processes have used so far; undefined where there are none, or there is no /proc. */
export function cpuSeconds(pids: readonly number[]): number | undefined {
  if (pids.length === 0) return undefined
  try {
    return pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0)
  } catch {
    return undefined
  }
}

function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // Fields 14 and 15 of the whole line, in ticks; Linux has told programs 100 a second on every platform for ages.
  return (Number(fields[11]) + Number(fields[12])) / 100
}
