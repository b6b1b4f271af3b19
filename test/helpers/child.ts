import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface TestChild {
  readonly process: ChildProcess
  /** Everything it has printed. */
  readonly output: () => string
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

/** Builds a TypeScript program of the tests so that plain Node runs it as a process of its own. */
export async function buildChild(entry: string): Promise<string> {
  // Inside the tree, so that it finds the packages.
  const directory = join(root, 'node_modules', '.cache', 'weft-test')
  await mkdir(directory, { recursive: true })
  const outfile = join(directory, `${basename(entry, '.ts')}.${process.pid}.mjs`)
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  })
  return outfile
}

export function startChild(program: string, env: Readonly<Record<string, string>>): TestChild {
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }))
  return { process: child, output: () => output, ended }
}
