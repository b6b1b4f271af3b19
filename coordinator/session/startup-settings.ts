import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'

/** Keys of a startup packet that are not settings. */
const NOT_SETTINGS = new Set(['user', 'database', 'replication', 'options'])

/**
 * The settings that a client's startup packet asks for, by lower-case name: those of `options` first, then the packet's
 * own keys, which win, as in Postgres. Throws a FATAL PgError for what Postgres would not start with.
 */
export function startupSettings(packet: ReadonlyMap<string, string>): Map<string, string> {
  const settings = optionsSettings(packet.get('options') ?? '')
  for (const [key, value] of packet) {
    if (NOT_SETTINGS.has(key) || key.startsWith('_pq_.')) continue
    settings.set(key.toLowerCase(), value)
  }
  const refused = refuseEncoding(settings.get('client_encoding') ?? '')
  if (refused !== undefined) throw refused
  return settings
}

/** Words of an `options` value: split at white space; a backslash keeps the next character (pg_split_opts). */
export function splitOptions(options: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  for (let at = 0; at < options.length; at++) {
    const c = options.charAt(at)
    if (/[ \t\n\r\f\v]/.test(c)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (c !== '\\') word = (word ?? '') + c
    // A backslash at the very end stands for nothing.
    else word = (word ?? '') + options.charAt(++at)
  }
  if (word !== undefined) words.push(word)
  return words
}

function optionsSettings(options: string): Map<string, string> {
  const settings = new Map<string, string>()
  const words = splitOptions(options)
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    let assignment: string
    if (word.startsWith('--')) assignment = word.slice(2)
    else if (word === '-c') assignment = words[++at] ?? ''
    else if (word.startsWith('-c')) assignment = word.slice(2)
    else throw fatal(`invalid command-line argument for server process: ${word}`)
    const equals = assignment.indexOf('=')
    if (equals <= 0) {
      const switchName = word.startsWith('--') ? `--${assignment}` : `-c ${assignment}`
      throw fatal(`${switchName} requires a value`)
    }
    settings.set(longOptionName(assignment.slice(0, equals)), assignment.slice(equals + 1))
  }
  return settings
}

/** `--work-mem` means work_mem (ParseLongOption). */
function longOptionName(name: string): string {
  return name.replaceAll('-', '_').toLowerCase()
}

function fatal(message: string): PgError {
  return new PgError({ severity: 'FATAL', code: '42601', message })
}

/**
 * Encodings in which a byte of a multi-byte character can look like ASCII, a quote or a backslash among them: text in
 * them cannot be split into tokens, nor forwarded, without converting it first. Names as Postgres compares them.
 */
const UNSAFE_ENCODINGS: ReadonlyMap<string, string> = new Map([
  ...['sjis', 'mskanji', 'shiftjis', 'win932', 'windows932'].map((n): [string, string] => [n, 'SJIS']),
  ...['big5', 'win950', 'windows950'].map((n): [string, string] => [n, 'BIG5']),
  ...['gbk', 'win936', 'windows936'].map((n): [string, string] => [n, 'GBK']),
  ...['uhc', 'win949', 'windows949'].map((n): [string, string] => [n, 'UHC']),
  ['gb18030', 'GB18030'],
  ['johab', 'JOHAB'],
  ['shiftjis2004', 'SHIFT_JIS_2004'],
])

/** The error for a `client_encoding` that Weft cannot carry; undefined for every other value, valid or not. */
export function refuseEncoding(encoding: string): PgError | undefined {
  const name = UNSAFE_ENCODINGS.get(encoding.replace(/[^A-Za-z0-9]/g, '').toLowerCase())
  if (name === undefined) return undefined
  return weftError('not_supported', {
    what: `client_encoding ${name} is not supported`,
    hint: 'Use UTF8, or another encoding in which no byte of a multi-byte character is ASCII.',
  })
}
