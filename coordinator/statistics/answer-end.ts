/** What the end of an answer says, read from its bytes: frames are not looked at one by one. */

export const READY_BYTES = 6
const NUL = 0
const [ZERO, NINE, SPACE] = [0x30, 0x39, 0x20]

/**
 * Rows that the CommandComplete at the end of what a shard sent tells (`UPDATE 5`); 0: it tells none. -1: an error
 * stands there. `after`: bytes that follow it, those of a ReadyForQuery.
 */
export function rowsTold(answer: Buffer, after = READY_BYTES): number {
  let at = answer.length - after - 1
  if (at < 1 || answer[at] !== NUL) return 0
  if (answer[at - 1] === NUL) return -1
  let [rows, scale] = [0, 1]
  for (at--; at > 0; at--) {
    const digit = answer[at]!
    if (digit < ZERO || digit > NINE) return digit === SPACE ? rows : 0
    rows += (digit - ZERO) * scale
    scale *= 10
  }
  return 0
}

const CODE = Buffer.from('\0C')
const CODE_BYTES = 5

export interface ErrorTold {
  readonly code: string
  readonly detail: string
  readonly message: string
}

/** SQLSTATE, detail and message of the last ErrorResponse in what a shard sent. */
export function errorTold(answer: Buffer): ErrorTold | undefined {
  const at = answer.lastIndexOf(CODE)
  const end = at + CODE.length + CODE_BYTES
  if (at < 0 || answer[end] !== NUL) return undefined
  const code = answer.toString('latin1', at + CODE.length, end)
  if (!/^[0-9A-Z]{5}$/.test(code)) return undefined
  const rest = answer.toString('utf8', end)
  const field = (letter: string): string => new RegExp(`\\0${letter}([^\\0]*)\\0`).exec(rest)?.[1] ?? ''
  return { code, detail: field('D'), message: field('M') }
}
