import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SettledTestCluster, StartedCluster } from './settled.ts'

const STOP_TIMEOUT_MS = 30_000
const SAID_BYTES_MAX = 8_192

/** Has `weft dev` stop in order when we are gone, however we went: the channel between us closes then. */
const stopWithParent = `data:text/javascript,${encodeURIComponent(
  "process.on('disconnect', () => process.kill(process.pid, 'SIGTERM')); process.channel.unref()",
)}`

/** `weft dev` as a child process, on ports that are free, with a data directory of its own. */
export async function startProcess(options: SettledTestCluster): Promise<StartedCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'weft-test-'))
  // As root its Postgres runs as somebody else, who must be able to get in.
  await chmod(dir, 0o755)
  const flags = [
    '--json',
    '--log-level',
    'warn',
    '--port',
    '0',
    '--admin-port',
    '0',
    '--data-dir',
    join(dir, 'data'),
  ]
  const child = spawn(
    process.execPath,
    ['--import', stopWithParent, findProgram(), 'dev', '--shards', String(options.shards), ...flags],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  )
  const stop = async (): Promise<void> => {
    await end(child)
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const { host, port } = await untilUp(child, options.startTimeoutMs)
    return { url: `postgres://postgres@${host}:${port}/postgres`, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** `bin/weft.js` of the package that this file is in, as built or as source. */
function findProgram(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const program = join(dir, 'bin/weft.js')
    if (existsSync(program)) return program
    if (dir === dirname(dir)) throw new Error('the package "weft" is not whole: there is no bin/weft.js')
  }
}

interface Up {
  readonly event: string
  readonly host: string
  readonly port: number
}

function untilUp(child: ChildProcess, timeoutMs: number): Promise<Up> {
  let said = ''
  return new Promise((done, fail) => {
    const giveUp = (why: string): void =>
      fail(new Error(`weft dev ${why}${said === '' ? '' : `: ${said.trim()}`}`))
    const timer = setTimeout(() => giveUp(`did not serve within ${timeoutMs} ms`), timeoutMs)
    child.on('error', (error) => giveUp(error.message))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      giveUp(`ended with ${code ?? signal}`)
    })
    const hear = (chunk: Buffer): void => {
      said = `${said}${chunk}`.slice(-SAID_BYTES_MAX)
      const line = said.split('\n').find((each) => each.startsWith('{"event":"up"') && each.endsWith('}'))
      if (line === undefined) return
      clearTimeout(timer)
      done(JSON.parse(line) as Up)
    }
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', hear)
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await closed
  clearTimeout(timer)
}
