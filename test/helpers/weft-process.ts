import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface WeftProcess {
  readonly child: ChildProcess
  readonly finished: Promise<Finished>
  /** Resolves when standard output has a line that begins with `text`; rejects when the process ends before. */
  line(text: string): Promise<string>
  /** Standard error so far. */
  errors(): string
}

/** The `weft` command as a user runs it. */
export function runWeft(args: readonly string[], env: NodeJS.ProcessEnv = {}): WeftProcess {
  const child = spawn(process.execPath, ['bin/weft.js', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const finished = once(child, 'close').then(
    ([code, signal]): Finished => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout,
      stderr,
    }),
  )
  const line = (text: string): Promise<string> =>
    new Promise((done, fail) => {
      const look = (): void => {
        const found = stdout.split('\n').find((each) => each.startsWith(text))
        if (found !== undefined) done(found)
      }
      child.stdout.on('data', look)
      look()
      void finished.then((end) => fail(new Error(`weft ended with ${end.code ?? end.signal}: ${end.stderr}`)))
    })
  return { child, finished, line, errors: () => stderr }
}

/** Processes whose command line mentions `text`, for example a data directory. */
export function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return line.includes(text) ? [`${pid} ${line}`] : []
      } catch {
        return []
      }
    })
}
