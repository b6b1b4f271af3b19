/** A message of the server: its name, and one line that says all that two servers must agree on. */
export interface BackendMessage {
  readonly name: string
  readonly text: string
}

const names: Readonly<Record<string, string>> = {
  R: 'Authentication',
  K: 'BackendKeyData',
  2: 'BindComplete',
  3: 'CloseComplete',
  C: 'CommandComplete',
  d: 'CopyData',
  c: 'CopyDone',
  G: 'CopyInResponse',
  H: 'CopyOutResponse',
  W: 'CopyBothResponse',
  D: 'DataRow',
  I: 'EmptyQueryResponse',
  E: 'ErrorResponse',
  v: 'NegotiateProtocolVersion',
  n: 'NoData',
  N: 'NoticeResponse',
  A: 'NotificationResponse',
  t: 'ParameterDescription',
  S: 'ParameterStatus',
  1: 'ParseComplete',
  s: 'PortalSuspended',
  Z: 'ReadyForQuery',
  T: 'RowDescription',
}

/** Where in Postgres' own source an error was raised: not part of what a server promises. */
const UNPROMISED = new Set(['F', 'L', 'R'])
const FIRST_USER_OID = 16384

export function decodeMessage(type: number, body: Buffer): BackendMessage {
  const letter = String.fromCharCode(type)
  const name = names[letter] ?? `unknown '${letter}'`
  const details = detailsOf(letter, body)
  return { name, text: details === '' ? name : `${name} ${details}` }
}

function detailsOf(letter: string, body: Buffer): string {
  switch (letter) {
    case 'T':
      return columns(body)
    case 'D':
      return values(body)
    case 'C':
      return cstrings(body)[0] ?? ''
    case 'E':
    case 'N':
      return fields(body)
    case 'S':
      return cstrings(body).slice(0, 2).join('=')
    case 'A':
      return cstrings(body.subarray(4)).slice(0, 2).join(': ')
    case 'Z':
      return body.toString('latin1')
    case 't':
      return Array.from({ length: body.readInt16BE(0) }, (_, i) => oid(body.readUInt32BE(2 + 4 * i))).join(
        ' ',
      )
    case 'd':
      return bytes(body)
    case 'G':
    case 'H':
      return `${body[0]} [${[...body.subarray(3)].filter((_, i) => i % 2 === 1).join(' ')}]`
    default:
      return ''
  }
}

function cstrings(body: Buffer): string[] {
  return textOf(body).split('\0')
}

function oid(value: number): string {
  return value >= FIRST_USER_OID ? 'user' : String(value)
}

/** `name:type/typlen/typmod/format`, with `@attnum` for a column of a table. */
function columns(body: Buffer): string {
  const shown: string[] = []
  let at = 2
  for (let i = 0; i < body.readInt16BE(0); i++) {
    const end = body.indexOf(0, at)
    const name = textOf(body.subarray(at, end))
    const table = body.readUInt32BE(end + 1)
    const attnum = body.readInt16BE(end + 5)
    const type = oid(body.readUInt32BE(end + 7))
    const rest = [body.readInt16BE(end + 11), body.readInt32BE(end + 13), body.readInt16BE(end + 17)]
    shown.push(`${name}:${type}/${rest.join('/')}${table === 0 ? '' : `@${attnum}`}`)
    at = end + 19
  }
  return shown.join(' ')
}

function values(body: Buffer): string {
  const shown: string[] = []
  let at = 2
  for (let i = 0; i < body.readInt16BE(0); i++) {
    const length = body.readInt32BE(at)
    at += 4
    shown.push(length < 0 ? 'NULL' : bytes(body.subarray(at, at + length)))
    at += Math.max(0, length)
  }
  return shown.join(' | ')
}

/** Of a client that reads another encoding than UTF8 each byte is told apart. */
function textOf(data: Buffer): string {
  const text = data.toString('utf8')
  return Buffer.from(text).equals(data) ? text : data.toString('latin1')
}

/** Text as it is, anything else in hexadecimal. */
function bytes(data: Buffer): string {
  const text = data.toString('utf8')
  const control = [...text].some((c) => c < ' ' && c !== '\n' && c !== '\t')
  return control || !Buffer.from(text).equals(data) ? `0x${data.toString('hex')}` : JSON.stringify(text)
}

function fields(body: Buffer): string {
  return cstrings(body)
    .filter((field) => field !== '' && !UNPROMISED.has(field[0]!))
    .map((field) => `${field[0]}=${field.slice(1)}`)
    .join(' ')
}
