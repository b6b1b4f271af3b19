const simple: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 }

const octal = (c: number | undefined): boolean => c !== undefined && c >= 0x30 && c <= 0x37

function hexValue(c: number | undefined): number {
  if (c === undefined) return -1
  const value = Number.parseInt(String.fromCharCode(c), 16)
  return Number.isNaN(value) ? -1 : value
}

/** Undoes the escapes of COPY's text format: `\n` and its kin, `\101`, `\x41`; any other character is itself. */
export function unescapeText(raw: Buffer): Buffer {
  const out = Buffer.allocUnsafe(raw.length)
  let length = 0
  for (let at = 0; at < raw.length; ) {
    const c = raw[at++]!
    if (c !== 0x5c || at === raw.length) {
      out[length++] = c
      continue
    }
    const { value, next } = readEscape(raw, at)
    out[length++] = value
    at = next
  }
  return out.subarray(0, length)
}

/** What stands behind a backslash: its byte, and where to go on. */
function readEscape(raw: Buffer, at: number): { value: number; next: number } {
  const c = raw[at]!
  if (octal(c)) {
    let value = 0
    const end = at + 3
    while (at < end && octal(raw[at])) value = value * 8 + raw[at++]! - 0x30
    return { value: value & 0xff, next: at }
  }
  const hex = c === 0x78 ? hexValue(raw[at + 1]) : -1
  if (hex >= 0) {
    const low = hexValue(raw[at + 2])
    return low < 0 ? { value: hex, next: at + 2 } : { value: hex * 16 + low, next: at + 3 }
  }
  return { value: simple[String.fromCharCode(c)] ?? c, next: at + 1 }
}
