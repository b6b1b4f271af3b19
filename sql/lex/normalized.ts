import type { Lexed } from './lexed.ts'

/** Statements beyond it are cut: who reads them knows them by their beginning. */
const BYTES_MAX = 4_000

/** `$7`: the highest number is not among the literals. */
const PARAMETER = /\$(\d+)/g

/** The statement without its literals: each is a parameter, numbered after those that it has. */
export function normalizedText(sql: Buffer, lexed: Lexed): string {
  const parts: string[] = []
  const kept: string[] = []
  let at = Math.max(lexed.start, lexed.firstToken)
  for (let i = 0; i < lexed.literalCount; i++) {
    kept.push(sql.toString('utf8', at, lexed.starts[i]!))
    at = lexed.ends[i]!
  }
  kept.push(sql.toString('utf8', at, lexed.end))
  let number = 0
  for (const part of kept) for (const [, n] of part.matchAll(PARAMETER)) number = Math.max(number, Number(n))
  for (const [i, part] of kept.entries()) parts.push(part, i < kept.length - 1 ? `$${++number}` : '')
  const text = parts
    .join('')
    .replaceAll(/\s+/g, ' ')
    .replace(/[;\s]+$/, '')
  return text.length > BYTES_MAX ? `${text.slice(0, BYTES_MAX)}…` : text
}
