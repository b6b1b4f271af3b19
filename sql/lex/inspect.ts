import { isSpace } from './chars.ts'
import type { Lexed } from './lexed.ts'

export interface ParamCounts {
  /** Number of the highest `$n`, 0 when there is none. */
  readonly highest: number
  /** How often `$n` occurs, at index n; index 0 is unused. */
  readonly uses: readonly number[]
}

/** How often each `$n` of a text that was lexed occurs. */
export function countParams(lexed: Lexed): ParamCounts {
  let highest = 0
  for (let i = 0; i < lexed.paramUses; i++) highest = Math.max(highest, lexed.params[i]!)
  const uses = new Array<number>(highest + 1).fill(0)
  for (let i = 0; i < lexed.paramUses; i++) uses[lexed.params[i]!]!++
  return { highest, uses }
}

/**
 * How many statements a text that was lexed holds. `maybe`: only the real parser knows (bodies of functions with
 * BEGIN ATOMIC … END and rules hold semicolons of their own). `none`: white space, comments and semicolons only.
 */
export function statementCount(buf: Uint8Array, lexed: Lexed): 'none' | 'one' | 'several' | 'maybe' {
  if (!lexed.ok) return 'maybe'
  if (lexed.lastToken < 0) return 'none'
  if (lexed.nestedSemicolon) return 'maybe'
  if (lexed.firstSemicolon < 0 || lexed.firstSemicolon > lexed.lastToken) return 'one'
  if (lexed.firstSemicolon < lexed.firstToken) return 'maybe'
  return holdsAtomic(buf, lexed.start, lexed.end) ? 'maybe' : 'several'
}

/** Also true for `atomic` in a literal or comment: the answer `maybe` is always allowed. */
function holdsAtomic(buf: Uint8Array, start: number, end: number): boolean {
  for (let p = start; p + 6 <= end; p++) if (wordEnd(buf, p, end, 'atomic') > 0) return true
  return false
}

export type QuickVerb = 'begin' | 'commit' | 'rollback' | 'none'

const VERBS: readonly (readonly [word: string, verb: QuickVerb])[] = [
  ['begin', 'begin'],
  ['commit', 'commit'],
  ['end', 'commit'],
  ['rollback', 'rollback'],
  ['abort', 'rollback'],
]

/**
 * The transaction statement that the whole text is: one of the verbs, perhaps TRANSACTION or WORK, perhaps one `;`,
 * white space. Everything else, comments included, is `none` and takes the ordinary way.
 */
export function quickVerb(buf: Uint8Array, start: number, end: number): QuickVerb {
  let p = skipSpace(buf, start, end)
  if (p >= end || !mayStartVerb(buf[p]! | 0x20)) return 'none'
  for (const [word, verb] of VERBS) {
    const after = wordEnd(buf, p, end, word)
    if (after < 0) continue
    p = skipSpace(buf, after, end)
    if (p > after) p = skipSpace(buf, skipNoiseWord(buf, p, end), end)
    if (p < end && buf[p] === 0x3b) p = skipSpace(buf, p + 1, end)
    return p === end ? verb : 'none'
  }
  return 'none'
}

function mayStartVerb(letter: number): boolean {
  return letter === 0x62 || letter === 0x63 || letter === 0x65 || letter === 0x72 || letter === 0x61
}

function skipNoiseWord(buf: Uint8Array, p: number, end: number): number {
  const work = wordEnd(buf, p, end, 'work')
  if (work > 0) return work
  const transaction = wordEnd(buf, p, end, 'transaction')
  return transaction > 0 ? transaction : p
}

function skipSpace(buf: Uint8Array, p: number, end: number): number {
  while (p < end && isSpace(buf[p]!)) p++
  return p
}

/** The place after `word` (lower case letters) when it stands at p in any case, or -1. */
function wordEnd(buf: Uint8Array, p: number, end: number, word: string): number {
  if (p + word.length > end) return -1
  for (let i = 0; i < word.length; i++) if ((buf[p + i]! | 0x20) !== word.charCodeAt(i)) return -1
  return p + word.length
}
