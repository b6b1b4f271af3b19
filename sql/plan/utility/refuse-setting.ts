import { PgError } from '../../../errors/pg-error.ts'
import { unsupported } from './plans.ts'

/**
 * The error for a setting's value that Weft cannot carry, whichever way it is set; undefined for every other, valid or
 * not. The name is in lower case.
 */
export function refuseSetting(name: string, value: string): PgError | undefined {
  if (name === 'standard_conforming_strings' && isOff(value)) {
    return unsupported(
      'standard_conforming_strings = off is not supported',
      "Write strings with escapes as E'…'.",
    )
  }
  if (name === 'weft.consistent_reads' && !isOn(value) && !isOff(value)) {
    return new PgError({ code: '22023', message: `parameter "${name}" requires a Boolean value` })
  }
  if (name !== 'client_encoding') return undefined
  const plain = value.replace(/[^A-Za-z0-9]/g, '').toLowerCase()
  const encoding = UNSAFE_ENCODINGS.get(plain) ?? (SINGLE_BYTE.test(plain) ? value.toUpperCase() : undefined)
  if (encoding === undefined) return undefined
  return unsupported(
    `client_encoding ${encoding} is not supported`,
    'Use UTF8: the driver, or the program, converts.',
  )
}

/** ASCII-safe, but a key's bytes would hash to another slot than those that the server stores. */
const SINGLE_BYTE = /^(latin|win|koi8|iso8859|euc|mule|abc|alt|tcvn|vscii)/

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

/** Prefixes count, as in Postgres' parse_bool. */
export function isOn(value: string): boolean {
  return /^(on|1|t|tr|tru|true|y|ye|yes)$/i.test(value.trim())
}

export function isOff(value: string): boolean {
  return /^(of|off|0|f|fa|fal|fals|false|n|no)$/i.test(value.trim())
}
