/**
 * Texts of a client whose `client_encoding` has one byte per character, to and from UTF8. The shards only ever see UTF8: so
 * statements can be split into tokens, and key values hash as they are stored. PURE.
 */
import iconv from 'iconv-lite'
import {
  ASCII_END,
  allRead,
  isAscii,
  noEquivalent,
  type ReadText,
  type TextEncoding,
} from './text-encoding.ts'

/** Postgres' names, and iconv's; that their characters are the same ones is tested against Postgres. */
const TABLES: Readonly<Record<string, string>> = {
  ...{ LATIN1: 'iso-8859-1', LATIN2: 'iso-8859-2', LATIN3: 'iso-8859-3', LATIN4: 'iso-8859-4' },
  ...{ LATIN5: 'iso-8859-9', LATIN6: 'iso-8859-10', LATIN7: 'iso-8859-13', LATIN8: 'iso-8859-14' },
  ...{ LATIN9: 'iso-8859-15', LATIN10: 'iso-8859-16', ISO_8859_5: 'iso-8859-5', ISO_8859_6: 'iso-8859-6' },
  ...{ ISO_8859_7: 'iso-8859-7', ISO_8859_8: 'iso-8859-8', WIN1250: 'windows-1250', WIN1251: 'windows-1251' },
  ...{ WIN1252: 'windows-1252', WIN1253: 'windows-1253', WIN1254: 'windows-1254', WIN1255: 'windows-1255' },
  ...{ WIN1256: 'windows-1256', WIN1257: 'windows-1257', WIN1258: 'windows-1258', WIN866: 'cp866' },
  ...{ WIN874: 'windows-874', KOI8R: 'koi8-r', KOI8U: 'koi8-u' },
}
/** What iconv knows and Postgres does not. */
const UNKNOWN_TO_POSTGRES: Readonly<Record<string, readonly number[]>> = { WIN1255: [0xca] }

const NO_CHARACTER = '\ufffd'

export const isSingleByte = (name: string): boolean => Object.hasOwn(TABLES, name)

const known = new Map<string, TextEncoding>()

/** By Postgres' own name (`encodingName`); undefined for those of another kind. */
export function clientEncoding(name: string | undefined): TextEncoding | undefined {
  if (name === undefined || !isSingleByte(name)) return undefined
  const found = known.get(name) ?? new SingleByte(name, TABLES[name]!)
  known.set(name, found)
  return found
}

class SingleByte implements TextEncoding {
  readonly name: string
  /** By byte, from 0x80 on: the character's UTF8; undefined: it has none. */
  private readonly characters: readonly (Buffer | undefined)[]
  private readonly bytes = new Map<string, number>()

  constructor(name: string, table: string) {
    this.name = name
    const missing = UNKNOWN_TO_POSTGRES[name] ?? []
    this.characters = Array.from({ length: ASCII_END }, (_, i) => {
      const byte = ASCII_END + i
      const text = iconv.decode(Buffer.from([byte]), table)
      if (text === NO_CHARACTER || missing.includes(byte)) return undefined
      this.bytes.set(text, byte)
      return Buffer.from(text)
    })
  }

  read(bytes: Buffer): ReadText {
    if (isAscii(bytes)) return allRead(bytes, bytes.length)
    const out = Buffer.allocUnsafe(bytes.length * 4)
    let length = 0
    for (const [at, byte] of bytes.entries()) {
      if (byte < ASCII_END) {
        out[length++] = byte
        continue
      }
      const character = this.characters[byte - ASCII_END]
      if (character === undefined) {
        const error = noEquivalent(Buffer.from([byte]), this.name, 'UTF8')
        return { text: out.subarray(0, length), end: at, error, isCut: false }
      }
      length += character.copy(out, length)
    }
    return allRead(out.subarray(0, length), bytes.length)
  }

  fromUtf8(bytes: Buffer, substitute?: number): Buffer {
    if (isAscii(bytes)) return bytes
    const out = Buffer.allocUnsafe(bytes.length)
    let at = 0
    for (const character of bytes.toString('utf8')) {
      const code = character.codePointAt(0)!
      const byte = code < ASCII_END ? code : (this.bytes.get(character) ?? substitute)
      if (byte === undefined) throw noEquivalent(Buffer.from(character), 'UTF8', this.name)
      out[at++] = byte
    }
    return out.subarray(0, at)
  }
}
