import { type Form, SEVERAL_BYTES, type Structure } from './several-bytes.ts'
import {
  ASCII_END,
  allRead,
  invalidSequence,
  isAscii,
  noEquivalent,
  type ReadText,
  type TextEncoding,
} from './text-encoding.ts'

/** Which characters an encoding and UTF8 have in common; both ways, as several of one may be one of the other. */
export interface EncodingTables {
  /** By the character's bytes, as one number: a code point, or two of them (`pairOf`). */
  readonly toUnicode: ReadonlyMap<number, number>
  /** By code point: the character's bytes, as one number. */
  readonly fromUnicode: ReadonlyMap<number, number>
}

/** Above every code point: from here on a number is a pair of them. */
export const PAIR = 0x200000
const PLANE_1 = 0x10000
const LAST_CODE_POINT = 0x10ffff
/** Of UTF8, for one byte of another encoding. */
const GROWS_TO_UTF8 = 3
/** Of another encoding, for one byte of UTF8. */
const GROWS_FROM_UTF8 = 2

/** Two code points that are one character of another encoding, as one number. */
export const pairOf = (first: number, second: number): number => first * PAIR + second

const numberOf = (bytes: Iterable<number>): number => {
  let number = 0
  for (const byte of bytes) number = number * 0x100 + byte
  return number
}

export class SeveralBytes implements TextEncoding {
  readonly name: string
  private readonly structure: Structure
  private readonly tables: EncodingTables
  /** By `pairOf` the two code points. */
  private readonly pairs: ReadonlyMap<number, number>

  constructor(name: string, tables: EncodingTables) {
    this.name = name
    this.structure = SEVERAL_BYTES[name]!
    this.tables = tables
    this.pairs = new Map(
      [...tables.toUnicode].filter(([, text]) => text >= PAIR).map(([code, text]) => [text, code]),
    )
  }

  read(bytes: Buffer): ReadText {
    if (isAscii(bytes)) return allRead(bytes, bytes.length)
    const out = Buffer.allocUnsafe(bytes.length * GROWS_TO_UTF8)
    let length = 0
    for (let at = 0; at < bytes.length; ) {
      const byte = bytes[at]!
      if (byte < ASCII_END) {
        out[length++] = byte
        at++
        continue
      }
      const end = at + this.structure.length(byte, bytes[at + 1] ?? 0)
      const character = bytes.subarray(at, end)
      const isCut = end > bytes.length
      const text = isCut ? undefined : this.toUnicode(character)
      if (text === undefined)
        return { text: out.subarray(0, length), end: at, error: this.unread(character), isCut }
      length = putCharacter(out, length, text)
      at = end
    }
    return allRead(out.subarray(0, length), bytes.length)
  }

  fromUtf8(bytes: Buffer, substitute?: number): Buffer {
    if (isAscii(bytes)) return bytes
    const out = Buffer.allocUnsafe(bytes.length * GROWS_FROM_UTF8)
    const codePoints = [...bytes.toString('utf8')].map((character) => character.codePointAt(0)!)
    let length = 0
    for (let i = 0; i < codePoints.length; i++) {
      const codePoint = codePoints[i]!
      const pair =
        this.pairs.size === 0 ? undefined : this.pairs.get(pairOf(codePoint, codePoints[i + 1] ?? 0))
      if (pair !== undefined) i++
      const code = pair ?? this.fromUnicode(codePoint) ?? substitute
      if (code === undefined)
        throw noEquivalent(Buffer.from(String.fromCodePoint(codePoint)), 'UTF8', this.name)
      length = putCode(out, length, code)
    }
    return out.subarray(0, length)
  }

  private toUnicode(character: Buffer): number | undefined {
    const known = this.tables.toUnicode.get(numberOf(character))
    const { counted } = this.structure
    if (known !== undefined || counted === undefined || !hasForm(character, counted.form)) return known
    const codePoint = PLANE_1 + place(character, counted.form) - place(counted.first, counted.form)
    return codePoint >= PLANE_1 && codePoint <= LAST_CODE_POINT ? codePoint : undefined
  }

  private fromUnicode(codePoint: number): number | undefined {
    if (codePoint < ASCII_END) return codePoint
    const { counted } = this.structure
    if (counted === undefined || codePoint < PLANE_1) return this.tables.fromUnicode.get(codePoint)
    return numberOf(atPlace(codePoint - PLANE_1 + place(counted.first, counted.form), counted.form))
  }

  /** It is no character of this encoding, or one that UTF8 has not. */
  private unread(character: Buffer) {
    const { forms, counted } = this.structure
    const isValid = [...forms, ...(counted === undefined ? [] : [counted.form])].some((form) =>
      hasForm(character, form),
    )
    return isValid ? noEquivalent(character, this.name, 'UTF8') : invalidSequence(character, this.name)
  }
}

function hasForm(character: Buffer, form: Form): boolean {
  return (
    character.length === form.length &&
    form.every(({ from, to }, i) => character[i]! >= from && character[i]! <= to)
  )
}

/** How many characters of the form come before it. */
function place(character: Buffer, form: Form): number {
  return form.reduce((sum, { from, to }, i) => sum * (to - from + 1) + character[i]! - from, 0)
}

function atPlace(number: number, form: Form): number[] {
  const bytes: number[] = []
  let rest = number
  for (const { from, to } of [...form].reverse()) {
    const count = to - from + 1
    bytes.unshift(from + (rest % count))
    rest = Math.floor(rest / count)
  }
  return bytes
}

function putCharacter(out: Buffer, at: number, text: number): number {
  if (text < PAIR) return putUtf8(out, at, text)
  return putUtf8(out, putUtf8(out, at, Math.floor(text / PAIR)), text % PAIR)
}

function putUtf8(out: Buffer, at: number, codePoint: number): number {
  if (codePoint < ASCII_END) {
    out[at++] = codePoint
    return at
  }
  if (codePoint < 0x800) {
    out[at++] = 0xc0 | (codePoint >> 6)
  } else {
    if (codePoint < PLANE_1) out[at++] = 0xe0 | (codePoint >> 12)
    else {
      out[at++] = 0xf0 | (codePoint >> 18)
      out[at++] = 0x80 | ((codePoint >> 12) & 0x3f)
    }
    out[at++] = 0x80 | ((codePoint >> 6) & 0x3f)
  }
  out[at++] = 0x80 | (codePoint & 0x3f)
  return at
}

/** The bytes of a character that was one number. */
function putCode(out: Buffer, at: number, code: number): number {
  const bytes = code > 0xffffff ? 4 : code > 0xffff ? 3 : code > 0xff ? 2 : 1
  return out.writeUIntBE(code, at, bytes)
}
