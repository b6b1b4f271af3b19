import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { text as readAll } from 'node:stream/consumers'
import { Command } from 'commander'
import { SetupError } from '../errors/setup-error.ts'
import { printJson } from './print.ts'

/** Of every command that asks a node. */
export interface ApiFlags {
  readonly admin: string
  readonly token?: string
  readonly adminCa?: string
  readonly adminCert?: string
  readonly adminKey?: string
  readonly json?: boolean
}

const ANSWER_MS_MAX = 60_000

/** A command that asks a running node: where it is, with which token, for people or programs. */
export function asking(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option(
      '--admin <url>',
      'admin address of a coordinator (or WEFT_ADMIN)',
      process.env.WEFT_ADMIN ?? 'http://127.0.0.1:6480',
    )
    .option('--token <token>', 'of the configuration (or WEFT_ADMIN_TOKEN, which nobody sees in ps)')
    .option('--admin-ca <file>', 'of who signed the certificate of the admin port (or WEFT_ADMIN_CA)')
    .option('--admin-cert <file>', 'your certificate, in place of a token (or WEFT_ADMIN_CERT)')
    .option('--admin-key <file>', 'its key (or WEFT_ADMIN_KEY)')
    .option('--json', 'as JSON')
}

interface Failure {
  readonly error?: { readonly message: string; readonly hint?: string; readonly sqlstate?: string }
}

/** One request. Rejects with a line that says what to do. */
export function ask<T>(flags: ApiFlags, path: string, body?: object): Promise<T> {
  return send(flags, path, body, AbortSignal.timeout(ANSWER_MS_MAX))
}

/**
 * The same of a change that takes as long as it takes: nobody knows how long that is. Ctrl-C hangs up, and the node
 * cancels what nobody waits for.
 */
export async function askLong<T>(flags: ApiFlags, path: string, body: object): Promise<T> {
  const stopped = new AbortController()
  const stop = (): void => stopped.abort()
  process.once('SIGINT', stop)
  try {
    return await send<T>(flags, path, body, stopped.signal)
  } catch (cause) {
    if (!stopped.signal.aborted) throw cause
    throw new SetupError('stopped: nothing is changed, unless it was just done', 'See weft table show.', {
      cause,
    })
  } finally {
    process.off('SIGINT', stop)
  }
}

async function send<T>(
  flags: ApiFlags,
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<T> {
  const url = urlOf(flags, path)
  const options = {
    method: body === undefined ? 'GET' : 'POST',
    headers: headersOf(flags, body),
    signal,
  }
  try {
    const request =
      url.protocol === 'https:'
        ? https.request(url, { ...options, ...certificates(flags) })
        : http.request(url, options)
    request.end(body === undefined ? undefined : JSON.stringify(body))
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const answer = parsed(await readAll(response))
    const status = response.statusCode ?? 0
    if (status === 200 && answer !== undefined) return answer as T
    throw failure(url, status, answer as Failure | undefined)
  } catch (cause) {
    if (cause instanceof SetupError) throw cause
    if (signal.aborted) throw unanswered(url, `none within ${ANSWER_MS_MAX / 1000} s`, cause)
    const { message, code } = cause as NodeJS.ErrnoException
    throw unanswered(url, message || (code ?? ''), cause)
  }
}

/** Of whom to believe the node's certificate, and one's own. */
function certificates(flags: ApiFlags): https.RequestOptions {
  const { WEFT_ADMIN_CA, WEFT_ADMIN_CERT, WEFT_ADMIN_KEY } = process.env
  const files = {
    ca: flags.adminCa ?? WEFT_ADMIN_CA,
    cert: flags.adminCert ?? WEFT_ADMIN_CERT,
    key: flags.adminKey ?? WEFT_ADMIN_KEY,
  }
  const named = Object.entries(files).filter(([, file]) => file !== undefined && file !== '')
  return Object.fromEntries(named.map(([what, file]) => [what, fileText(what, file!)]))
}

function fileText(what: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new SetupError(`cannot read ${file}: ${(cause as Error).message}`, `See --admin-${what}.`, {
      cause,
    })
  }
}

function headersOf(flags: ApiFlags, body: object | undefined): Record<string, string> {
  const token = flags.token ?? process.env.WEFT_ADMIN_TOKEN
  return {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
}

function urlOf({ admin }: ApiFlags, path: string): URL {
  try {
    return new URL(path, admin)
  } catch (cause) {
    throw new SetupError(`--admin ${admin} is no address`, 'Write --admin http://host:port.', { cause })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function failure(url: URL, status: number, answer: Failure | undefined): SetupError {
  const told = answer?.error
  if (typeof told?.message !== 'string')
    return new SetupError(`${url.href} answered ${status}`, 'Is this the admin port of a Weft coordinator?')
  const state = told.sqlstate === undefined ? '' : ` (SQLSTATE ${told.sqlstate})`
  return new SetupError(`${told.message}${state}`, told.hint ?? '')
}

function unanswered(url: URL, why: string, cause: unknown): SetupError {
  const hint = 'Is Weft running? Give its admin address with --admin http://host:port.'
  return new SetupError(`no answer from ${url.origin}: ${why || 'connection failed'}`, hint, { cause })
}

/** Prints an answer: as it is for programs, as `show` makes it for people. */
export function print<T>(flags: ApiFlags, answer: T, show: (answer: T) => string): void {
  if (flags.json === true) printJson(answer)
  else console.log(show(answer))
}
