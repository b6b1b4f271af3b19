import type { Lexed } from './lexed.ts'
import { skipBlockComment, skipLineComment, skipQuotedIdentifier } from './skip.ts'

/** Statements beyond it are cut: who reads them knows them by their beginning. */
const BYTES_MAX = 4_000

/**
 * The statement without its literals, each of which is a parameter, numbered after those that it has, and without
 * comments. Of one that is no query (`isUtility`) what it sets settings to is taken out, too, which needs no quotes.
 */
export function normalizedText(sql: Buffer, lexed: Lexed, isUtility = false): string {
  const { starts, ends, params, paramUses } = lexed
  let number = params.subarray(0, paramUses).reduce((max, n) => Math.max(max, n), 0)
  let text = ''
  let at = Math.max(lexed.start, lexed.firstToken)
  const add = (to: number): void => {
    text += withoutComments(sql, at, to)
  }
  // What is cut need not be looked at: rows of an INSERT can be many.
  for (let i = 0; i < lexed.literalCount && text.length <= BYTES_MAX; i++) {
    add(starts[i]!)
    text += `$${++number}`
    at = ends[i]!
  }
  if (text.length <= BYTES_MAX) add(lexed.tail)
  text = text.replaceAll(/\s+/g, ' ').replace(/[;\s]+$/, '')
  if (isUtility) text = text.replaceAll(SETS, (_, ahead: string) => `${ahead}$${++number}`)
  return text.length > BYTES_MAX ? `${text.slice(0, BYTES_MAX)}…` : text
}

/**
 * `SET [LOCAL] name TO value, value`, also of roles, databases and functions; what is left is no parameter yet. No part can
 * be read in two ways, so what fits nowhere is given up in linear time.
 */
const SETS =
  /(?<![\w$".])(set\s+(?:local\s+|session\s+)?(?:[\p{L}\p{N}_$.]|"[^"]*")+\s*(?:=|\bto\b)\s*)(?!\$\d+\s*$)(?:"[^"]*"?|[^\s,;"])+(?:\s*,\s*(?:"[^"]*"?|[^\s,;"])+)*/giu

const DOUBLE_QUOTE = 0x22
const DASH = 0x2d
const SLASH = 0x2f
const STAR = 0x2a

/** A part of a statement that has no literals in it. */
function withoutComments(sql: Buffer, from: number, to: number): string {
  let text = ''
  let at = from
  for (let p = from; p < to; ) {
    const after = afterComment(sql, p, to)
    if (after === p) {
      p = sql[p] === DOUBLE_QUOTE ? skipQuotedIdentifier(sql, p, to) : p + 1
      if (p < from) p = to
      continue
    }
    text += `${sql.toString('utf8', at, p)} `
    at = after
    p = after
  }
  return text + sql.toString('utf8', at, to)
}

function afterComment(sql: Buffer, p: number, to: number): number {
  const next = p + 1 < to ? sql[p + 1] : 0
  if (sql[p] === DASH && next === DASH) return skipLineComment(sql, p, to)
  if (sql[p] !== SLASH || next !== STAR) return p
  const after = skipBlockComment(sql, p, to)
  return after < 0 ? to : after
}
