/**
 * What a client writes while its `standard_conforming_strings` is off becomes a text that means the same under either
 * setting, before anybody else reads it: it can be kept, planned and run under any.
 */
import { PgError, type PgErrorFields } from '../../errors/pg-error.ts'
import { noticeResponse } from '../../protocol/wire/backend-messages.ts'
import {
  type BackslashString,
  backslashesSpeltIn,
  backslashStrings,
  byteAt,
  charactersIn,
  escapesSpelt,
  type FoundStrings,
  positionBefore,
  type Stop,
} from '../../sql/lex/backslashes.ts'
import { isOff } from '../../sql/plan/utility/refuse-setting.ts'
import type { ClientOutput } from '../execute/answers/client-output.ts'
import type { SessionSettings } from '../settings/settings.ts'

export interface ReadText {
  readonly sql: Buffer
  /** An error of what became of the text, as one of the text. */
  back(error: PgError): PgError
}

/** A text that runs later than it was read. */
export interface Respelt {
  respell(): void
}

/** Levels of messages that warnings are below. */
const ABOVE_WARNINGS: ReadonlySet<string> = new Set(['error', 'fatal', 'panic'])
/** Of one text, which may be long: the client need not have read any of them yet. */
const WARNINGS_MAX = 10_000
const ESCAPED_QUOTE = /^'(?:[^\\]|\\[^'])*?\\'/
const QUOTE = 0x27
/** The first version of Postgres whose messages have settings' names in quotes. */
const QUOTES_NAMES = 17
const BACKSLASH = 0x5c

export class WrittenStrings {
  private readonly settings: SessionSettings
  private readonly out: ClientOutput
  private readonly parse: (sql: string) => unknown
  /** Backslashes escape in plain quotes. */
  areEscaped = false

  /** `parse` throws what is wrong with a text in which they do not. */
  constructor(settings: SessionSettings, out: ClientOutput, parse: (sql: string) => unknown) {
    this.settings = settings
    this.out = out
    this.parse = parse
  }

  /** From the next text on. `kept`: what was read before, and is going to run. */
  use(conforming: string | undefined, kept: Iterable<Respelt>): void {
    const are = conforming !== undefined && isOff(conforming)
    if (are && !this.areEscaped) for (const each of kept) each.respell()
    this.areEscaped = are
  }

  /** Of a Query or a Parse; undefined: it is as it is. Throws what Postgres does not read so. */
  read(sql: Buffer): ReadText | undefined {
    if (!this.areEscaped) return undefined
    const { strings, stop } = backslashStrings(sql, true)
    if (strings.length === 0 && stop === undefined) return undefined
    const wrongAt =
      this.warns || stop !== undefined ? this.syntaxErrorIn(sql.subarray(0, stop?.at), strings) : undefined
    // Postgres reads no further than to that, be it a string or an escape in one.
    const isRead = ({ quote, backslash }: BackslashString) =>
      wrongAt === undefined || quote === wrongAt || backslash < wrongAt
    this.warn(sql, strings.filter(isRead))
    if (stop !== undefined && wrongAt === undefined) this.refuse(sql, stop)
    const written = escapesSpelt(sql, strings)
    return { sql: written.sql, back: (error) => placedBefore(error, sql, written.changes) }
  }

  /** Where it is; at the end of a text of which there is more there may be none. */
  private syntaxErrorIn(sql: Buffer, strings: readonly BackslashString[]): number | undefined {
    const written = escapesSpelt(sql, strings)
    try {
      this.parse(written.sql.toString('utf8'))
    } catch (error) {
      const position = error instanceof PgError ? error.fields.position : undefined
      if (position === undefined) return undefined
      const at = byteAt(sql, positionBefore(sql, written.changes, position))
      return at < sql.length ? at : undefined
    }
    return undefined
  }

  private refuse(sql: Buffer, { at, why }: NonNullable<FoundStrings['stop']>): never {
    const backslash = sql.indexOf(BACKSLASH, at)
    if (why === 'unterminated' && backslash >= 0 && backslash + 1 < sql.length)
      this.warn(sql, [{ start: at, quote: at, end: sql.length, backslash }])
    throw refusal(sql, at, why, Number.parseInt(this.out.parameters.told('server_version') ?? '', 10))
  }

  /** Of a text that was read when they did not escape, and runs now. */
  again(text: string): ReadText | undefined {
    return this.areEscaped ? conformingText(Buffer.from(text)) : undefined
  }

  private get warns(): boolean {
    const { settings } = this
    if (isOff(settings.get('escape_string_warning') ?? 'on')) return false
    return !ABOVE_WARNINGS.has(settings.get('client_min_messages')?.toLowerCase() ?? '')
  }

  private warn(sql: Buffer, strings: readonly BackslashString[]): void {
    if (!this.warns) return
    const refusesQuotes = isOff(this.settings.get('backslash_quote') ?? 'on')
    let at = 0
    let position = 1
    for (const { quote, end, backslash } of strings.slice(0, WARNINGS_MAX)) {
      const ends = refusesQuotes && ESCAPED_QUOTE.test(sql.toString('latin1', quote, end))
      // Postgres reads no further than to that.
      if (ends && sql[backslash + 1] === QUOTE) return
      position += charactersIn(sql, at, quote)
      at = quote
      this.out.push(noticeResponse({ ...WARNING, ...warningOf(sql[backslash + 1]), position }))
      if (ends) return
    }
  }
}

const WARNING = { severity: 'WARNING', severityRaw: 'WARNING', code: '22P06' }

function warningOf(escaped: number | undefined): Pick<PgErrorFields, 'message' | 'hint'> {
  if (escaped === QUOTE)
    return {
      message: "nonstandard use of \\' in a string literal",
      hint: "Use '' to write quotes in strings, or use the escape string syntax (E'...').",
    }
  if (escaped === BACKSLASH)
    return {
      message: 'nonstandard use of \\\\ in a string literal',
      hint: "Use the escape string syntax for backslashes, e.g., E'\\\\'.",
    }
  return {
    message: 'nonstandard use of escape in a string literal',
    hint: "Use the escape string syntax for escapes, e.g., E'\\r\\n'.",
  }
}

function refusal(sql: Buffer, at: number, why: Stop, serverVersion: number): PgError {
  const position = charactersIn(sql, 0, at) + 1
  switch (why) {
    case 'unicode':
      return new PgError({
        code: '0A000',
        message: 'unsafe use of string constant with Unicode escapes',
        detail: `String constants with Unicode escapes cannot be used when ${settingName(serverVersion)} is off.`,
        position,
      })
    case 'unterminated': {
      const rest = sql.toString('utf8', at)
      return new PgError({
        code: '42601',
        message: `unterminated quoted string at or near "${rest}"`,
        position,
      })
    }
  }
}

function settingName(serverVersion: number): string {
  const name = 'standard_conforming_strings'
  return serverVersion < QUOTES_NAMES ? name : `"${name}"`
}

/** Of a text in which backslashes do not escape, for where they do; undefined: it means the same there. */
export function conformingText(sql: Buffer): ReadText | undefined {
  const { sql: written, changes } = backslashesSpeltIn(sql)
  if (changes.length === 0) return undefined
  return { sql: written, back: (error) => placedBefore(error, sql, changes) }
}

type Changes = Parameters<typeof positionBefore>[1]

function placedBefore(error: PgError, sql: Buffer, changes: Changes): PgError {
  if (error.fields.position === undefined) return error
  const position = positionBefore(sql, changes, error.fields.position)
  const at = byteAt(sql, position)
  const isString = changes.some(({ end }) => end === at)
  const message = isString ? error.message.replace(SAID, ' at or near "\'') : error.message
  return new PgError({ ...error.fields, message, position }, { cause: error })
}

/** Of a string that got its E here. */
const SAID = / at or near "E'/
