/** What every conversion between a client's encoding and UTF8 is asked for. PURE. */
import { PgError } from '../../errors/pg-error.ts'

export const ASCII_END = 0x80

/** How far a text could be read, and what it says up to there. */
export interface ReadText {
  readonly text: Buffer
  /** The first byte that was not read. */
  readonly end: number
  /** Why not all of it. */
  readonly error: PgError | undefined
  /** The text ends within a character: more of it may come. */
  readonly isCut: boolean
}

export interface TextEncoding {
  /** Postgres' name of it. */
  readonly name: string
  /** To UTF8, up to what is no text or has no equivalent. The same buffer when it is all ASCII. */
  read(bytes: Buffer): ReadText
  /** Throws 22P05 for a character that this encoding lacks, unless a `substitute` is given. */
  fromUtf8(bytes: Buffer, substitute?: number): Buffer
}

/** Throws 22P05 for a character that UTF8 lacks, and 22021 for what is none. */
export function toUtf8(encoding: TextEncoding, bytes: Buffer): Buffer {
  const { text, error } = encoding.read(bytes)
  if (error !== undefined) throw error
  return text
}

export function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= ASCII_END) return false
  return true
}

export function allRead(text: Buffer, end: number): ReadText {
  return { text, end, error: undefined, isCut: false }
}

const hexOf = (bytes: Buffer): string =>
  [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ')

export function noEquivalent(bytes: Buffer, from: string, to: string): PgError {
  const what = `character with byte sequence ${hexOf(bytes)} in encoding "${from}"`
  return new PgError({ code: '22P05', message: `${what} has no equivalent in encoding "${to}"` })
}

export function invalidSequence(bytes: Buffer, encoding: string): PgError {
  const message = `invalid byte sequence for encoding "${encoding}": ${hexOf(bytes)}`
  return new PgError({ code: '22021', message })
}
