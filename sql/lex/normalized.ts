import type { Lexed } from './lexed.ts'

/** Statements beyond it are cut: who reads them knows them by their beginning. */
const BYTES_MAX = 4_000

/**
 * The statement without the comments at its end, and without its literals: each is a parameter, numbered after those that
 * it has.
 */
export function normalizedText(sql: Buffer, lexed: Lexed): string {
  const { starts, ends, params, paramUses } = lexed
  let number = params.subarray(0, paramUses).reduce((max, n) => Math.max(max, n), 0)
  let text = ''
  let at = Math.max(lexed.start, lexed.firstToken)
  const add = (to: number): void => {
    text += sql.toString('utf8', at, to).replaceAll(/\s+/g, ' ')
  }
  // What is cut need not be looked at: rows of an INSERT can be many.
  for (let i = 0; i < lexed.literalCount && text.length <= BYTES_MAX; i++) {
    add(starts[i]!)
    text += `$${++number}`
    at = ends[i]!
  }
  if (text.length <= BYTES_MAX) add(lexed.tail)
  text = text.replace(/[;\s]+$/, '')
  return text.length > BYTES_MAX ? `${text.slice(0, BYTES_MAX)}…` : text
}
