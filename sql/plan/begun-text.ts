/**
 * The text of a write or COPY TO that runs on several shards, with a condition that tells when it has begun.
 *
 * `(SELECT weft.begun())` (sql/install/schema.ts) refers to nothing around it, so Postgres evaluates it once, before it
 * looks for the first row: the statement has its snapshot then, and has waited for no row lock yet. The function says so
 * with an INFO message, which is sent at once and whatever `client_min_messages` is.
 */
import { nextToken, type TextToken } from './text-scan.ts'

/** SQLSTATE of the message. */
export const BEGUN_CODE = '01WFT'

/** The condition. */
export const BEGUN = '(SELECT weft.begun())'

/** Of the advisory lock that is a latch. */
export const LATCH_CLASS = 0x7765666c
/** The condition of a statement that waits, when it has begun, until a latch is open. */
export const begunBehind = (latch: number): string => `(SELECT weft.begun_behind(${latch}))`

interface Splice {
  /** UTF-16 offset in the text as it was. */
  readonly at: number
  readonly put: string
}

export interface BegunText {
  readonly text: string
  /** COPY only: its query, without the condition, where it stands in the text. */
  readonly query?: string
  /** Where in the text as it was an error's position (characters, from 1) is. */
  positionBefore(position: number): number
}

/**
 * `condition`: how it tells. Undefined: not an UPDATE, DELETE, INSERT … SELECT or COPY (query). Only for text that the
 * grammar has accepted.
 */
export function begunText(text: string, condition = BEGUN): BegunText | undefined {
  const tokens = outermost(text, 0)
  if (tokens[0]?.word === 'COPY') return begunCopy(text, tokens)
  const verb = tokens.findIndex((t, i) => VERBS.has(t.word) && !isName(tokens, i))
  if (verb < 0) return undefined
  const isInsert = tokens[verb]!.word === 'INSERT'
  const splices = isInsert ? insertSplices(text, tokens.slice(verb)) : whereSplices(tokens.slice(verb), TAILS)
  return (
    splices &&
    spliced(
      text,
      splices.map(({ at, put }) => ({ at, put: put.replace(BEGUN, condition) })),
    )
  )
}

function begunCopy(text: string, [, open, close]: readonly TextToken[]): BegunText | undefined {
  if (open?.word !== '(' || close === undefined) return undefined
  const splices = inner(text, open)
  const ahead = ' '.repeat([...text.slice(0, open.end)].length)
  return splices && { ...spliced(text, splices), query: ahead + text.slice(open.end, close.start) }
}

const VERBS: ReadonlySet<string> = new Set(['UPDATE', 'DELETE', 'INSERT'])
const TAILS: ReadonlySet<string> = new Set(['RETURNING'])
const SELECT_TAILS: ReadonlySet<string> = new Set([
  ...['GROUP', 'HAVING', 'WINDOW', 'ORDER', 'LIMIT', 'OFFSET', 'FETCH', 'FOR'],
])
const SET_OPERATIONS: ReadonlySet<string> = new Set(['UNION', 'INTERSECT', 'EXCEPT'])
const QUERY_STARTS: ReadonlySet<string> = new Set(['SELECT', 'WITH', 'VALUES', 'TABLE', '('])
/** What follows one of these is a name, whichever word it is; and GROUP in `WITHIN GROUP` begins no clause. */
const BEFORE_NAMES: ReadonlySet<string> = new Set(['.', 'AS', 'WITHIN'])
const BEFORE_CTE_NAMES: ReadonlySet<string> = new Set(['WITH', 'RECURSIVE', ',', 'BY', 'SET', 'USING', 'TO'])

/** The tokens outside of parentheses that are opened there; of those, only the opening and the closing one. */
function outermost(text: string, from: number): TextToken[] {
  const tokens: TextToken[] = []
  let depth = 0
  for (let t = nextToken(text, from); t; t = nextToken(text, t.end)) {
    const closes = t.word === ')' || t.word === ']'
    if (closes) depth--
    if (depth < 0 || (depth === 0 && t.word === ';')) break
    if (depth === 0) tokens.push(t)
    if (t.word === '(' || t.word === '[') depth++
  }
  return tokens
}

function isName(tokens: readonly TextToken[], i: number): boolean {
  const before = tokens[i - 1]?.word ?? ''
  return BEFORE_NAMES.has(before) || BEFORE_CTE_NAMES.has(before)
}

/** `tokens`: from the verb or SELECT on. */
function whereSplices(tokens: readonly TextToken[], tails: ReadonlySet<string>): Splice[] | undefined {
  const keyword = (i: number): boolean => !BEFORE_NAMES.has(tokens[i - 1]?.word ?? '')
  let end = tokens.findIndex((t, i) => i > 0 && tails.has(t.word) && keyword(i))
  if (end < 0) end = tokens.length
  const where = tokens.findIndex((t, i) => i < end && t.word === 'WHERE' && keyword(i))
  const last = tokens[end - 1]!
  if (where < 0) return [{ at: last.end, put: ` WHERE ${BEGUN}` }]
  // A cursor stands on one shard.
  if (tokens[where + 1]?.word === 'CURRENT' && tokens[where + 2]?.word === 'OF') return undefined
  return [
    { at: tokens[where]!.end, put: ` ${BEGUN} AND (` },
    { at: last.end, put: ')' },
  ]
}

/** `tokens`: from INSERT on. */
function insertSplices(text: string, tokens: readonly TextToken[]): Splice[] | undefined {
  const end = insertEnd(tokens)
  const start = tokens.findIndex((_, i) => i > 1 && i < end && startsQuery(text, tokens, i))
  if (start < 0) return undefined
  return querySplices(text, tokens.slice(start, end))
}

/** Where ON CONFLICT or RETURNING begins. */
function insertEnd(tokens: readonly TextToken[]): number {
  const end = tokens.findIndex((t, i) => {
    if (BEFORE_NAMES.has(tokens[i - 1]?.word ?? '')) return false
    if (t.word === 'RETURNING') return true
    const next = tokens[i + 2]?.word ?? ''
    return t.word === 'ON' && tokens[i + 1]?.word === 'CONFLICT' && ['(', 'ON', 'DO'].includes(next)
  })
  return end < 0 ? tokens.length : end
}

function startsQuery(text: string, tokens: readonly TextToken[], i: number): boolean {
  const { word, end } = tokens[i]!
  if (BEFORE_NAMES.has(tokens[i - 1]?.word ?? '')) return false
  // A column list is no query, but `(SELECT …)` is.
  return word === '(' ? QUERY_STARTS.has(nextToken(text, end)?.word ?? '') : QUERY_STARTS.has(word)
}

/** `tokens`: those of a query. */
function querySplices(text: string, tokens: readonly TextToken[]): Splice[] | undefined {
  const [first] = tokens
  if (first === undefined || first.word === 'VALUES') return undefined
  const isSetOperation = tokens.some((t, i) => SET_OPERATIONS.has(t.word) && !isName(tokens, i))
  if (first.word === 'TABLE' || isSetOperation) return wrapped(tokens)
  if (first.word === '(') return tokens.length > 2 ? wrapped(tokens) : inner(text, first)
  const select = tokens.findIndex((t) => t.word === 'SELECT')
  return select < 0 ? wrapped(tokens) : whereSplices(tokens.slice(select), SELECT_TAILS)
}

function inner(text: string, open: TextToken): Splice[] | undefined {
  return querySplices(text, outermost(text, open.end))
}

/** Only where it does not change types: literals of a plain SELECT would become text in it. */
function wrapped(tokens: readonly TextToken[]): Splice[] {
  return [
    { at: tokens[0]!.start, put: 'SELECT * FROM (' },
    { at: tokens.at(-1)!.end, put: `) AS weft_q WHERE ${BEGUN}` },
  ]
}

function spliced(text: string, splices: readonly Splice[]): BegunText {
  let out = ''
  let from = 0
  for (const { at, put } of splices) {
    out += text.slice(from, at) + put
    from = at
  }
  return {
    text: out + text.slice(from),
    positionBefore: (position) => positionBefore(text, splices, position),
  }
}

/** Postgres counts characters, not UTF-16 units. */
function positionBefore(text: string, splices: readonly Splice[], position: number): number {
  let before = position
  for (const { at, put } of splices) {
    const start = [...text.slice(0, at)].length
    if (before > start) before = Math.max(start + 1, before - put.length)
  }
  return before
}
