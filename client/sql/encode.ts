import { Buffer } from 'node:buffer'

/** A parameter on the wire: text, bytes, or NULL. */
export type Encoded = string | Buffer | null

/** A value of JavaScript as Postgres reads it. The same forms as node-postgres', which refuses less. */
export function encodeValue(value: unknown): Encoded {
  if (value === null) return null
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (Array.isArray(value)) return encodeArray(value)
  return encodeText(value)
}

function encodeText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      if (value.includes('\0')) throw new TypeError('a text with a NUL, which Postgres cannot keep')
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      return encodeObject(value as object)
    default:
      throw new TypeError(`a parameter is ${typeof value}, which has no meaning in SQL`)
  }
}

function encodeObject(value: object): string {
  if (value instanceof Date) return encodeDate(value)
  if (typeof (value as { then?: unknown }).then === 'function') {
    throw new TypeError('a parameter is a promise: await it first')
  }
  return JSON.stringify(value)
}

function encodeArray(items: readonly unknown[]): string {
  return `{${Array.from(items, encodeElement).join(',')}}`
}

function encodeElement(item: unknown): string {
  if (item === null) return 'NULL'
  if (Array.isArray(item)) return encodeArray(item)
  const text = item instanceof Uint8Array ? `\\x${Buffer.from(item).toString('hex')}` : encodeText(item)
  return `"${text.replace(/[\\"]/g, '\\$&')}"`
}

/** In the process' time zone with its offset: a `date` or `timestamp` that was read goes back as the same one. */
function encodeDate(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new TypeError('a parameter is an invalid Date')
  const pad = (n: number, width = 2): string => String(n).padStart(width, '0')
  const year = date.getFullYear()
  const day = `${pad(year < 1 ? 1 - year : year, 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => pad(n)).join(':')
  const offset = -date.getTimezoneOffset()
  const minutes = Math.abs(offset)
  const zone = `${offset < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`
  return `${day}T${clock}.${pad(date.getMilliseconds(), 3)}${zone}${year < 1 ? ' BC' : ''}`
}
