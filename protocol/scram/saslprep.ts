/** SASLprep (RFC 4013) as Postgres applies it to passwords. */
import { inRanges, L_CAT, PROHIBITED, RAND_AL_CAT, type Ranges } from './saslprep-tables.ts'

const ASCII_ONLY = /^[\0-\x7f]*$/
/** Table C.1.2; looked at before B.1, in which U+200B also is. */
const NON_ASCII_SPACE: Ranges = [
  0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200b, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000,
]
/** Table B.1. */
const MAPPED_TO_NOTHING: Ranges = [
  0xad, 0xad, 0x34f, 0x34f, 0x1806, 0x1806, 0x180b, 0x180d, 0x200b, 0x200d, 0x2060, 0x2060, 0xfe00, 0xfe0f,
  0xfeff, 0xfeff,
]

/**
 * The password that both sides hash. One that SASLprep prohibits is used as it is: Postgres does the same, since a
 * password need not be text at all.
 */
export function saslprep(password: string): string {
  if (ASCII_ONLY.test(password)) return password
  const normalized = Array.from(password, mapped).join('').normalize('NFKC')
  return normalized === '' || isProhibited(normalized) ? password : normalized
}

function mapped(character: string): string {
  const codePoint = character.codePointAt(0)!
  if (inRanges(NON_ASCII_SPACE, codePoint)) return ' '
  return inRanges(MAPPED_TO_NOTHING, codePoint) ? '' : character
}

function isProhibited(text: string): boolean {
  const codePoints = Array.from(text, (c) => c.codePointAt(0)!)
  if (codePoints.some((c) => inRanges(PROHIBITED, c))) return true
  if (!codePoints.some((c) => inRanges(RAND_AL_CAT, c))) return false
  // Right-to-left text: nothing left-to-right in it, and right-to-left at both ends.
  const ends = [codePoints[0]!, codePoints[codePoints.length - 1]!]
  return codePoints.some((c) => inRanges(L_CAT, c)) || !ends.every((c) => inRanges(RAND_AL_CAT, c))
}
