/**
 * Texts of a client whose `client_encoding` has one byte per character, to and from UTF8. The shards only ever see UTF8: so
 * statements can be split into tokens, and key values hash as they are stored. PURE.
 */
import iconv from 'iconv-lite'
import { PgError } from '../../errors/pg-error.ts'

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
const ASCII_END = 0x80

export const isSingleByte = (name: string): boolean => Object.hasOwn(TABLES, name)

const known = new Map<string, ClientEncoding>()

/** By Postgres' own name (`encodingName`); undefined for those that need no conversion, or have none here. */
export function clientEncoding(name: string | undefined): ClientEncoding | undefined {
  if (name === undefined || !isSingleByte(name)) return undefined
  const found = known.get(name) ?? new ClientEncoding(name, TABLES[name]!)
  known.set(name, found)
  return found
}

export class ClientEncoding {
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

  /** Throws 22P05 for a byte without a character. The same buffer when it is all ASCII. */
  toUtf8(bytes: Buffer): Buffer {
    if (isAscii(bytes)) return bytes
    const out = Buffer.allocUnsafe(bytes.length * 4)
    let at = 0
    for (const byte of bytes) {
      if (byte < ASCII_END) {
        out[at++] = byte
        continue
      }
      const character = this.characters[byte - ASCII_END]
      if (character === undefined) throw noEquivalent(Buffer.from([byte]), this.name, 'UTF8')
      at += character.copy(out, at)
    }
    return out.subarray(0, at)
  }

  /** Throws 22P05 for a character that this encoding lacks, unless a `substitute` is given. */
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

export function isAscii(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= ASCII_END) return false
  return true
}

function noEquivalent(bytes: Buffer, from: string, to: string): PgError {
  const hex = [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ')
  const message = `character with byte sequence ${hex} in encoding "${from}" has no equivalent in encoding "${to}"`
  return new PgError({ code: '22P05', message })
}
