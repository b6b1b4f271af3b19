/** COPY FROM STDIN, one at a time: pgbench has none, so psql sends a file. */
import { spawn } from 'node:child_process'
import { createReadStream, existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cpuSeconds, type RunOptions, type RunResult, type Target } from './pgbench.ts'

export interface CopyIn {
  readonly table: string
  /** A line of COPY's text format, without its end. */
  readonly row: (n: number) => string
}

export interface CopyOptions extends Pick<RunOptions, 'pgbench' | 'target' | 'length' | 'pids' | 'signal'> {
  readonly dir: string
  readonly copyIn: CopyIn
  readonly rows: number
}

const rowsInChunk = 100_000

/** `perSecond` counts rows. */
export async function runCopyIn(options: CopyOptions): Promise<RunResult> {
  const { copyIn, rows, length, pids } = options
  const file = dataFile(options)
  const turn = async (): Promise<number | string> => {
    const why = await psql(options, `TRUNCATE ${copyIn.table}`)
    const from = performance.now()
    return why ?? (await psql(options, `COPY ${copyIn.table} FROM STDIN`, file)) ?? performance.now() - from
  }
  if (!('each' in length) && length.warmupSeconds > 0) await turn()
  const cpuBefore = cpuSeconds(pids)
  let ms = 0
  let copies = 0
  const isEnough = (): boolean =>
    'each' in length ? copies >= length.each : copies > 0 && ms >= length.seconds * 1000
  while (!isEnough()) {
    const took = await turn()
    if (typeof took === 'string') return { kind: 'failed', why: took }
    ms += took
    copies++
  }
  const cpu = cpuSeconds(pids)
  const cpuUs = cpu === undefined || cpuBefore === undefined ? undefined : ((cpu - cpuBefore) * 1e6) / copies
  const perSecond = (rows * copies * 1000) / ms
  return { kind: 'measured', perSecond, latencyMs: ms / copies, transactions: copies, cpuUs }
}

function dataFile({ dir, copyIn, rows }: CopyOptions): string {
  const file = join(dir, `${copyIn.table}.copy`)
  if (existsSync(file)) return file
  writeFileSync(file, '')
  for (let from = 1; from <= rows; from += rowsInChunk) {
    const count = Math.min(rowsInChunk, rows - from + 1)
    const text = Array.from({ length: count }, (_, i) => `${copyIn.row(from + i)}\n`).join('')
    writeFileSync(file, text, { flag: 'a' })
  }
  return file
}

/** Undefined, or what went wrong. */
function psql(
  { pgbench, target, signal }: CopyOptions,
  sql: string,
  stdin?: string,
): Promise<string | undefined> {
  const program = pgbench.includes('/') ? join(dirname(pgbench), 'psql') : 'psql'
  const child = spawn(program, ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...addressOf(target), '-c', sql], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    signal,
  })
  if (stdin === undefined) child.stdin.end()
  else createReadStream(stdin).pipe(child.stdin)
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  // It may end before it has read all.
  child.stdin.on('error', () => {})
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code === 0 ? undefined : `psql ended with ${code}: ${said.trim()}`))
  })
}

const addressOf = ({ host, port, user, database }: Target): string[] => [
  '-h',
  host,
  '-p',
  String(port),
  '-U',
  user,
  '-d',
  database,
]
