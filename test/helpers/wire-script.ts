import { expect } from 'vitest'
import { query } from '../../protocol/wire/frontend-messages.ts'
import { WireClient } from './wire-client.ts'
import type { BackendMessage } from './wire-decode.ts'

/** What to wait for after a step, in place of one ReadyForQuery for each Query and Sync in it. */
export interface Until {
  readonly until: string
  readonly count: number
}

/** A text is a Query. A list is sent in one write. */
type Sent = string | Buffer | readonly (Buffer | string | Until)[]
/** `on('b', …)`: in a second session; those without a name are of session `a`. */
export type Step = Sent | { readonly session: string; readonly step: Sent }

export function until(name: string, count = 1): Until {
  return { until: name, count }
}

export function on(session: string, step: Sent): Step {
  return { session, step }
}

export interface Server {
  readonly host: string
  readonly port: number
}

export interface ScriptOptions {
  /** Rows that follow each other are compared as a set: their order is not defined. */
  readonly unordered?: boolean
  /** Writes are cut into pieces of this many bytes. */
  readonly pieces?: number
  /** Messages of these names are left out of the comparison. */
  readonly without?: readonly string[]
  readonly user?: string
  readonly parameters?: Readonly<Record<string, string>>
  /** Applied to each line before the comparison, for what may differ. */
  readonly mask?: (line: string) => string
}

/** Runs a script and lists what came back, step by step. */
export async function transcript(server: Server, script: readonly Step[], options: ScriptOptions = {}) {
  const sessions = new Map<string, WireClient>()
  const { user, parameters } = options
  const lines: string[] = []
  const open = async (name: string): Promise<WireClient> => {
    const known = sessions.get(name)
    if (known !== undefined) return known
    const client = await WireClient.connect({
      host: server.host,
      port: server.port,
      ...(user === undefined ? {} : { user }),
      ...(parameters === undefined ? {} : { parameters }),
    })
    sessions.set(name, client)
    return client
  }
  try {
    for (const each of script) {
      const { session, step } = named(each)
      const client = await open(session)
      lines.push(`${session}> ${shown(step)}`)
      const messages = await runStep(client, step, options.pieces)
      lines.push(...listed(messages, options))
    }
  } finally {
    for (const client of sessions.values()) client.end()
  }
  return lines
}

/** The same script on plain Postgres and on Weft gives the same messages. Returns them. */
export async function compare(
  servers: { readonly plain: Server; readonly weft: Server },
  script: readonly Step[],
  options: ScriptOptions = {},
): Promise<string[]> {
  const plain = await transcript(servers.plain, script, options)
  const weft = await transcript(servers.weft, script, options)
  expect(weft).toEqual(plain)
  return weft
}

function named(step: Step): { session: string; step: Sent } {
  return typeof step === 'object' && 'session' in step ? step : { session: 'a', step }
}

function parts(step: Sent): readonly (Buffer | Until)[] {
  const list = typeof step === 'string' || Buffer.isBuffer(step) ? [step] : step
  return list.map((part) => (typeof part === 'string' ? query(part) : part))
}

const isMessage = (part: Buffer | Until): part is Buffer => Buffer.isBuffer(part)
const isUntil = (part: Buffer | Until): part is Until => !Buffer.isBuffer(part)

async function runStep(
  client: WireClient,
  step: Sent,
  pieces: number | undefined,
): Promise<BackendMessage[]> {
  const all = parts(step)
  const messages = all.filter(isMessage)
  const bytes = Buffer.concat(messages)
  if (pieces === undefined) client.write(bytes)
  else await client.writePieces(bytes, pieces)
  const wanted = all.find(isUntil)
  if (wanted !== undefined) return client.until(wanted.until, wanted.count)
  const readies = messages.filter((message) => message[0] === 0x51 || message[0] === 0x53).length
  return readies === 0 ? [] : client.until('ReadyForQuery', readies)
}

function shown(step: Sent): string {
  return parts(step)
    .map((part) => (isUntil(part) ? `until ${part.until}` : shownMessage(part)))
    .join(', ')
}

const letters: Readonly<Record<string, string>> = {
  Q: 'Query',
  P: 'Parse',
  B: 'Bind',
  D: 'Describe',
  E: 'Execute',
  C: 'Close',
  H: 'Flush',
  S: 'Sync',
  d: 'CopyData',
  c: 'CopyDone',
  f: 'CopyFail',
}

function shownMessage(message: Buffer): string {
  const letter = String.fromCharCode(message[0]!)
  const text = message
    .toString('utf8', 5)
    .replace(/[^ -~]+/g, ' ')
    .trim()
  return `${letters[letter] ?? letter} ${text.slice(0, 120)}`.trim()
}

/** Rows (when `unordered`) and changed parameters that follow each other are put in one order. */
function listed(messages: readonly BackendMessage[], options: ScriptOptions): string[] {
  const mask = options.mask ?? ((line: string) => line)
  const isSorted = (name: string): boolean =>
    name === 'ParameterStatus' || (options.unordered === true && (name === 'DataRow' || name === 'CopyData'))
  const lines: string[] = []
  let run: string[] = []
  let runOf = ''
  for (const { name, text } of messages) {
    if (options.without?.includes(name) === true) continue
    if (name !== runOf) lines.push(...run.sort())
    if (name !== runOf) run = []
    runOf = name
    if (isSorted(name)) run.push(`  ${mask(text)}`)
    else lines.push(`  ${mask(text)}`)
  }
  return [...lines, ...run.sort()]
}
