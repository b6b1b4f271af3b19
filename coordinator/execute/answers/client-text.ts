/**
 * Messages of a client whose `client_encoding` is not UTF8: what it sends becomes UTF8, what it is sent becomes its own.
 * Results come as text only, so that every byte of a row is known to be text. PURE.
 */
import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import { FrameReader, MSG } from '../../../protocol/wire/frames.ts'
import { paramFormat, parseBind } from '../../../protocol/wire/frontend-messages.ts'
import { isAscii, type TextEncoding, toUtf8 } from '../../settings/text-encoding.ts'
import { CopiedText } from './copied-text.ts'

const HEADER_BYTES = 5
const INT32_BYTES = 4
/** Of a field in RowDescription, after its name. */
const FIELD_BYTES = 18
const QUESTION_MARK = 0x3f
const NOT_SUPPORTED = '0A000'
const REPLY_BYTES_MAX = 0x3fffffff

/** Types whose binary form holds no text: bool, bytea, numbers, oid, dates and times, uuid, network, geometry, bits. */
const NO_TEXT: ReadonlySet<number> = new Set([
  16, 17, 20, 21, 23, 26, 28, 29, 600, 601, 602, 603, 604, 628, 650, 700, 701, 718, 774, 790, 829, 869, 1082,
  1083, 1114, 1184, 1186, 1266, 1560, 1562, 1700, 2950, 3220, 5069,
])
/** text, varchar, bpchar, name, "char", unknown, json, xml: the text itself. */
const ALL_TEXT: ReadonlySet<number> = new Set([25, 1043, 1042, 19, 18, 705, 114, 142])

/** What the client sends. */
export class InboundText {
  private readonly encoding: TextEncoding
  /** Types of a statement's parameters, as far as known. */
  private readonly typesOf: (statement: string) => readonly number[] | undefined
  /** Declared since the last Sync: such a Parse may not have run yet. */
  private readonly declared = new Map<string, readonly number[]>()
  private readonly copied: CopiedText

  constructor(encoding: TextEncoding, typesOf: (statement: string) => readonly number[] | undefined) {
    this.encoding = encoding
    this.typesOf = typesOf
    this.copied = new CopiedText(encoding)
  }

  /** The line of COPY data that was refused last. */
  get copyLine(): number {
    return this.copied.line
  }

  /** The message in UTF8; throws 22P05 when that cannot be, 0A000 for binary results and what may hold text in binary. */
  frame(type: number, frame: Buffer): Buffer {
    if (type === MSG.copyData) return framed(type, [this.copied.read(frame.subarray(HEADER_BYTES))])
    if (type !== MSG.sync && type !== MSG.flush) this.copied.end(type === MSG.copyDone)
    switch (type) {
      case MSG.sync:
        this.declared.clear()
        return frame
      case MSG.query:
      case MSG.copyFail:
        return this.whole(frame, HEADER_BYTES)
      case MSG.describe:
      case MSG.close:
        return this.whole(frame, HEADER_BYTES + 1)
      case MSG.execute:
        return this.leading(frame, 1)
      case MSG.parse:
        return this.parse(frame)
      case MSG.bind:
        return this.bind(frame)
      default:
        return frame
    }
  }

  private utf8(text: Buffer): Buffer {
    return toUtf8(this.encoding, text)
  }

  /** Of texts with a NUL after each, which is no byte of a character. */
  private strings(bytes: Buffer): Buffer {
    if (isAscii(bytes)) return bytes
    const parts: Buffer[] = []
    for (let at = 0; at < bytes.length; ) {
      const nul = bytes.indexOf(0, at)
      const end = nul < 0 ? bytes.length : nul
      parts.push(this.utf8(bytes.subarray(at, end)), bytes.subarray(end, end + 1))
      at = end + 1
    }
    return Buffer.concat(parts)
  }

  private whole(frame: Buffer, from: number): Buffer {
    return framed(frame[0]!, [frame.subarray(HEADER_BYTES, from), this.strings(frame.subarray(from))])
  }

  /** Only the first strings of the body are text. */
  private leading(frame: Buffer, strings: number): Buffer {
    let end = HEADER_BYTES
    for (let i = 0; i < strings; i++) end = frame.indexOf(0, end) + 1
    return framed(frame[0]!, [this.strings(frame.subarray(HEADER_BYTES, end)), frame.subarray(end)])
  }

  private parse(frame: Buffer): Buffer {
    const nameEnd = frame.indexOf(0, HEADER_BYTES)
    let at = frame.indexOf(0, nameEnd + 1) + 1
    const types: number[] = []
    for (at += 2; at + INT32_BYTES <= frame.length; at += INT32_BYTES) types.push(frame.readInt32BE(at))
    this.declared.set(frame.toString('latin1', HEADER_BYTES, nameEnd), types)
    return this.leading(frame, 2)
  }

  private bind(frame: Buffer): Buffer {
    const message = parseBind(frame, HEADER_BYTES, frame.length)
    if (message.resultFormats.includes(1)) throw binary('results in binary')
    if (isAscii(frame.subarray(HEADER_BYTES))) return frame
    const { restStart, paramLengths, paramStarts } = message
    const types = this.paramTypes(frame, frame.indexOf(0, HEADER_BYTES) + 1, restStart - 1)
    const countEnd = restStart + 2 + 2 * message.paramFormats.length + 2
    const parts = [this.strings(frame.subarray(HEADER_BYTES, restStart)), frame.subarray(restStart, countEnd)]
    let end = countEnd
    for (const [i, length] of paramLengths.entries()) {
      end = paramStarts[i]! + Math.max(length, 0)
      const value = frame.subarray(paramStarts[i]!, end)
      const read = () => this.value(value, paramFormat(message, i), types?.[i] ?? 0)
      parts.push(...sized(length, ofParameter(read, message.portal, i + 1)))
    }
    return framed(MSG.bind, [...parts, frame.subarray(end)])
  }

  private paramTypes(frame: Buffer, start: number, end: number): readonly number[] | undefined {
    const declared = this.declared.get(frame.toString('latin1', start, end))
    const known = this.typesOf(this.utf8(frame.subarray(start, end)).toString('utf8'))
    return declared?.map((type, i) => type || (known?.[i] ?? 0)) ?? known
  }

  private value(value: Buffer, format: number, type: number): Buffer {
    if (format === 0 || ALL_TEXT.has(type)) return this.utf8(value)
    if (NO_TEXT.has(type) || isAscii(value)) return value
    throw binary('this binary parameter')
  }
}

/** What goes wrong with it says so. */
function ofParameter(read: () => Buffer, portal: string, number: number): Buffer {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof PgError) || error.code === NOT_SUPPORTED) throw error
    const where = `${portal === '' ? 'unnamed portal' : `portal "${portal}"`} parameter $${number}`
    throw new PgError({ ...error.fields, where }, { cause: error })
  }
}

/** What the client is sent: any pieces of messages go in, whole ones come out. */
export class OutboundText {
  private readonly encoding: TextEncoding
  private readonly reader = new FrameReader({ frameBytesMax: REPLY_BYTES_MAX })
  /** A row could not be said: what else the statement says is left out. */
  failure: PgError | undefined

  constructor(encoding: TextEncoding) {
    this.encoding = encoding
  }

  convert(chunk: Buffer): Buffer {
    const out: Buffer[] = []
    this.reader.push(chunk)
    while (this.reader.next()) {
      if (this.failure !== undefined) continue
      const { type, buffer, start, end } = this.reader
      try {
        out.push(this.message(type, buffer.subarray(start, end)))
      } catch (error) {
        if (!(error instanceof PgError)) throw error
        this.failure = error
      }
    }
    return out.length === 1 ? out[0]! : Buffer.concat(out)
  }

  private message(type: number, frame: Buffer): Buffer {
    switch (type) {
      case MSG.dataRow:
        return isAscii(frame.subarray(HEADER_BYTES + 2)) ? frame : this.row(frame)
      case MSG.rowDescription:
        return this.fields(frame)
      case MSG.copyData:
        return framed(type, [this.encoding.fromUtf8(frame.subarray(HEADER_BYTES))])
      case MSG.parameterStatus:
      case MSG.errorResponse:
      case MSG.noticeResponse:
        return framed(type, [this.encoding.fromUtf8(frame.subarray(HEADER_BYTES), QUESTION_MARK)])
      case MSG.notificationResponse: {
        const from = HEADER_BYTES + INT32_BYTES
        const text = this.encoding.fromUtf8(frame.subarray(from), QUESTION_MARK)
        return framed(type, [frame.subarray(HEADER_BYTES, from), text])
      }
      default:
        return frame
    }
  }

  private row(frame: Buffer): Buffer {
    let at = HEADER_BYTES + 2
    const parts = [frame.subarray(HEADER_BYTES, at)]
    while (at < frame.length) {
      const length = frame.readInt32BE(at)
      at += INT32_BYTES
      const value = frame.subarray(at, at + Math.max(length, 0))
      parts.push(...sized(length, this.encoding.fromUtf8(value)))
      at += value.length
    }
    return framed(MSG.dataRow, parts)
  }

  private fields(frame: Buffer): Buffer {
    let at = HEADER_BYTES + 2
    const parts = [frame.subarray(HEADER_BYTES, at)]
    while (at < frame.length) {
      const nameEnd = frame.indexOf(0, at)
      const name = this.encoding.fromUtf8(frame.subarray(at, nameEnd))
      at = nameEnd + 1 + FIELD_BYTES
      parts.push(name, frame.subarray(nameEnd, at))
    }
    return framed(MSG.rowDescription, parts)
  }
}

/** A value with its length ahead of it; NULL stays NULL. */
function sized(length: number, value: Buffer): Buffer[] {
  const word = Buffer.allocUnsafe(INT32_BYTES)
  word.writeInt32BE(length < 0 ? -1 : value.length)
  return [word, value]
}

function framed(type: number, parts: readonly Buffer[]): Buffer {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0)
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header[0] = type
  header.writeInt32BE(bytes + INT32_BYTES, 1)
  return Buffer.concat([header, ...parts])
}

function binary(what: string): PgError {
  return weftError('not_supported', {
    id: 'client_encoding',
    what: `${what} under a client_encoding other than UTF8`,
    hint: 'Ask for text, or use client_encoding UTF8: the driver converts.',
  })
}
