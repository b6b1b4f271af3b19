/** inet, cidr and macaddr as they are printed; all else is Postgres' to read. */

const MAC = /^(?:[0-9a-f]{2}:)+[0-9a-f]{2}$/i
const DECIMAL = /^(?:0|[1-9]\d{0,2})$/
const HEX = /^[0-9a-f]{1,4}$/i
/** Postgres' own numbers for the families. */
const V4 = 2
const V6 = 3

/** What `hashinetextended` hashes: family, bits of the network, address. Undefined: ask Postgres. */
export function parseInet(text: string): Buffer | undefined {
  const [address, prefix, ...more] = text.split('/')
  const bytes = address!.includes(':') ? v6(address!) : v4(address!)
  if (bytes === undefined || more.length > 0) return undefined
  const most = bytes.length * 8
  if (prefix !== undefined && !DECIMAL.test(prefix)) return undefined
  const length = prefix === undefined ? most : Number(prefix)
  return length > most ? undefined : Buffer.from([bytes.length === 4 ? V4 : V6, length, ...bytes])
}

function v4(text: string): number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => DECIMAL.test(part))) return undefined
  const bytes = parts.map(Number)
  return bytes.every((byte) => byte < 256) ? bytes : undefined
}

/** The last two groups may be written as an address of the other family. */
const QUAD = /:((?:\d+\.){3}\d+)$/

function v6(written: string): number[] | undefined {
  const quad = QUAD.exec(written)?.[1]
  const low = quad === undefined ? undefined : v4(quad)
  if (quad !== undefined && low === undefined) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = low ?? []
  const text =
    quad === undefined
      ? written
      : `${written.slice(0, -quad.length)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  const [left, right, ...more] = text.split('::')
  if (more.length > 0) return undefined
  const head = groups(left!)
  const tail = right === undefined ? [] : groups(right)
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (right === undefined ? missing !== 0 : missing < 1) return undefined
  const all = [...head, ...Array<number>(missing).fill(0), ...tail]
  return all.flatMap((group) => [group >> 8, group & 0xff])
}

function groups(text: string): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  return parts.every((part) => HEX.test(part)) ? parts.map((part) => Number.parseInt(part, 16)) : undefined
}

/** The same of a cidr, which has no bits beside those of the network. */
export function parseCidr(text: string): Buffer | undefined {
  const bytes = parseInet(text)
  return bytes === undefined || hasHostBits(bytes) ? undefined : bytes
}

function hasHostBits(bytes: Buffer): boolean {
  const length = bytes[1]!
  const address = bytes.subarray(2)
  const within = 0xff >> (length & 7)
  return address.some((byte, i) =>
    i > length >> 3 ? byte !== 0 : i === length >> 3 && (byte & within) !== 0,
  )
}

/** The same of inet_send: family, bits, whether it is a cidr, length of the address, address. */
export function readInet(buf: Buffer, start: number, length: number): Buffer | undefined {
  const size = buf[start] === V4 ? 4 : 16
  if (length !== 4 + size || (buf[start] !== V4 && buf[start] !== V6)) return undefined
  return Buffer.concat([buf.subarray(start, start + 2), buf.subarray(start + 4, start + length)])
}

/** Of six or eight bytes with colons between. */
export function parseMac(text: string, bytes: number): Buffer | undefined {
  return text.length === bytes * 3 - 1 && MAC.test(text)
    ? Buffer.from(text.replaceAll(':', ''), 'hex')
    : undefined
}
