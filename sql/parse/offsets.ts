/** Offsets in bytes of UTF-8 → offsets of the JavaScript string. */
export interface OffsetMap {
  /** UTF-16 offset of a byte offset. */
  toUtf16(bytes: number): number
}

const IDENTITY: OffsetMap = { toUtf16: (bytes) => bytes }

export function offsetMap(text: string): OffsetMap {
  if (isAscii(text)) return IDENTITY
  const table = byteTable(text)
  return { toUtf16: (bytes) => table[Math.min(bytes, table.length - 1)] ?? text.length }
}

export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}

/** UTF-16 offset for every byte of the text, and one more for its end. */
function byteTable(text: string): Int32Array {
  const table = new Int32Array(text.length * 3 + 1)
  let bytes = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // A surrogate pair is four bytes: two for each half are as good as any split.
    const width = code < 0x80 ? 1 : code < 0x800 ? 2 : isPaired(text, i, code) ? 2 : 3
    for (let b = 0; b < width; b++) table[bytes++] = i
  }
  table[bytes] = text.length
  return table.subarray(0, bytes + 1)
}

function isPaired(text: string, i: number, code: number): boolean {
  if (code >= 0xd800 && code < 0xdc00) {
    const next = text.charCodeAt(i + 1)
    return next >= 0xdc00 && next < 0xe000
  }
  if (code >= 0xdc00 && code < 0xe000) {
    const before = text.charCodeAt(i - 1)
    return before >= 0xd800 && before < 0xdc00
  }
  return false
}
