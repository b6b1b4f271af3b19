/**
 * libpg-query takes a JS string, parses its UTF-8 form and reports byte offsets (`location`, `stmt_location`,
 * `stmt_len`, the tokens of a scan; seen). Plans hold UTF-16 offsets of the JS string where they cut text.
 */
export interface OffsetMap {
  /** UTF-16 offset of the character that starts at a UTF-8 byte offset. */
  toUtf16(byteOffset: number): number
  /** UTF-8 byte offset of the character that starts at a UTF-16 offset. */
  toByte(utf16Offset: number): number
}

const IDENTITY: OffsetMap = { toUtf16: (offset) => offset, toByte: (offset) => offset }

/** Maps offsets of one text; costs nothing when it is plain ASCII. */
export function offsetMap(text: string): OffsetMap {
  const bytes = Buffer.byteLength(text)
  if (bytes === text.length) return IDENTITY
  const byteAt = byteOffsets(text)
  return {
    toUtf16: (byteOffset) => lastAtOrBelow(byteAt, byteOffset),
    toByte: (utf16Offset) => byteAt[utf16Offset] ?? bytes,
  }
}

/** Byte offset of every UTF-16 unit and of the end; both halves of a surrogate pair have their character's. */
function byteOffsets(text: string): Uint32Array {
  const offsets = new Uint32Array(text.length + 1)
  let byte = 0
  for (let i = 0; i < text.length; i++) {
    offsets[i] = byte
    const code = text.codePointAt(i)!
    if (code > 0xffff) {
      offsets[++i] = byte
      byte += 4
    } else {
      byte += code < 0x80 ? 1 : code < 0x800 ? 2 : 3
    }
  }
  offsets[text.length] = byte
  return offsets
}

/** First index with the greatest value at or below `byteOffset`. */
function lastAtOrBelow(byteAt: Uint32Array, byteOffset: number): number {
  let low = 0
  let high = byteAt.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (byteAt[middle]! <= byteOffset) low = middle
    else high = middle - 1
  }
  return low > 0 && byteAt[low - 1] === byteAt[low] ? low - 1 : low
}

/** A JS string of `buf[start, end)`; the texts that reach a parser are UTF-8. */
export function textOf(buf: Buffer, start: number, end: number): string {
  return buf.toString('utf8', start, end)
}
