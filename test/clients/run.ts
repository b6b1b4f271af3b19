/** Runs a client's program against both servers, and compares what it said of each step. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type Client, languageOf, type Step, steps } from './clients.ts'
import { type ClientServer, type ClientServers, clear } from './servers.ts'

const timeoutMs = 300_000
export const room = join(process.cwd(), 'test/clients')

/** What a program said: `ok`, `error` or `none` (the client has no such thing), and its detail. */
interface Said {
  readonly word: string
  readonly detail: string
}

interface Output {
  readonly version: string
  readonly said: ReadonlyMap<string, Said>
  /** What it printed besides, to its end. */
  readonly rest: string
}

/** `same`: as on a plain Postgres; `none`: the client has no such thing. */
export interface Verdict {
  readonly verdict: 'same' | 'none' | 'differs'
  /** Why, for all but `same`. */
  readonly why?: string
}

export interface Result {
  readonly name: string
  readonly version: string
  readonly steps: Record<Step, Verdict>
}

/** `told` is given what the client said through Weft. */
export async function runClient(
  client: Client,
  servers: ClientServers,
  told?: (line: string) => void,
): Promise<Result> {
  const plain = await runOn(client, servers.plain)
  const weft = await runOn(client, servers.weft)
  for (const [step, { word, detail }] of weft.said) told?.(`  ${word} ${step} ${detail.slice(0, 300)}`)
  const verdicts = steps.map((step) => [step, compare(step, plain, weft)] as const)
  return {
    name: client.name,
    version: client.versionOf === undefined ? weft.version : debianVersion(client.versionOf),
    steps: Object.fromEntries(verdicts) as Record<Step, Verdict>,
  }
}

/** `1.10.7`, of `1.10.7-2`. */
function debianVersion(name: string): string {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', `\${Version}`, name], { encoding: 'utf8' })
  return stdout.replace(/^\d+:|-.*$/g, '')
}

function compare(step: Step, plain: Output, weft: Output): Verdict {
  const [expected, got] = [plain.said.get(step), weft.said.get(step)]
  if (expected === undefined || expected.word === 'error') {
    return { verdict: 'differs', why: `on plain Postgres: ${expected?.detail ?? plain.rest}` }
  }
  if (got === undefined) return { verdict: 'differs', why: `nothing was said: ${weft.rest}` }
  if (got.word === 'none') return { verdict: 'none', why: got.detail }
  // Plain Postgres refuses nothing here; Weft shall, and the client shall see the SQLSTATE.
  const wanted = step === 'refusal' ? '0A000' : expected.detail
  if (got.word === 'ok' && got.detail === wanted) return { verdict: 'same' }
  return { verdict: 'differs', why: `${got.word} ${got.detail}, not ${wanted}` }
}

async function runOn(client: Client, server: ClientServer): Promise<Output> {
  await clear(server)
  const { command } = languageOf(client)
  const program = join(room, 'programs', client.program)
  const text = await output([...command, program], server.env)
  const said = new Map<string, Said>()
  const rest: string[] = []
  let version = ''
  for (const line of text.split('\n')) {
    const [, word, name, detail] = /^(ok|error|none|version) (\S+) ?(.*?)\s*$/.exec(line) ?? []
    if (word === 'version') version = name!
    else if (word === undefined) rest.push(line)
    else said.set(name!, { word, detail: detail! })
  }
  return { version, said, rest: rest.join(' ').slice(-500).trim() }
}

function output([command, ...args]: string[], env: Readonly<Record<string, string>>): Promise<string> {
  const go = { GOPATH: '/usr/share/gocode', GO111MODULE: 'off', GOFLAGS: '' }
  const child = spawn(command!, args, {
    cwd: room,
    env: { ...process.env, ...go, ...env, TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  })
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((done) => {
    child.on('error', (error) => chunks.push(Buffer.from(error.message)))
    child.on('close', () => done(Buffer.concat(chunks).toString()))
  })
}
