import { PgError } from '../../errors/pg-error.ts'
import { encodingName } from '../../sql/encoding-names.ts'
import { refuseSetting } from '../../sql/plan/utility/refuse-setting.ts'

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
  for (const [name, value] of settings) {
    const refused = refuseSetting(name, value)
    if (refused !== undefined)
      throw new PgError({ ...refused.fields, ...atStart(name, refused), severity: 'FATAL' })
  }
  const encoding = settings.get('client_encoding')
  if (encoding !== undefined) settings.set('client_encoding', encodingName(encoding) ?? encoding)
  return settings
}

/** The server says it in its own words then. */
function atStart(name: string, { fields }: PgError): Partial<PgError['fields']> {
  const { detail } = fields
  if (name !== 'client_encoding' || detail === undefined) return {}
  return { message: `c${detail.slice(1, -1)}`, detail: undefined }
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
