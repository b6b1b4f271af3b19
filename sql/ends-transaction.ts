/**
 * Whether code that runs in Postgres may commit or roll back by itself, in its midst. Only what DO and CALL run may, if it
 * is no SQL, nor called by SQL: in PL/pgSQL the statements COMMIT, ROLLBACK, CALL and DO, as they are written there
 * (what EXECUTE runs may not). Texts are searched for words, so that none is overlooked. PURE.
 */
import { wordsOf } from './words.ts'

export interface Procedure {
  readonly name: string
  readonly language: string
  readonly body: string
}

/** By name, schemas aside: whether a procedure of that name may end a transaction. */
export type Procedures = ReadonlyMap<string, boolean>

/** A DO in PL/pgSQL: what follows the word is a string, or names its language. */
const INNER_DO = /\bdo\s*(?:['"$/-]|e'|u&|language\b)/i
/** Names whose letters are written as numbers. */
const ESCAPED = /u&['"]/i

/** Whether code in this language may, in DO or as a procedure's body. */
export function mayEndTransaction(language: string, body: string, procedures: Procedures): boolean {
  const folded = language.toLowerCase()
  if (folded === 'sql') return false
  if (folded !== 'plpgsql' || INNER_DO.test(body) || ESCAPED.test(body)) return true
  const words = wordsOf(body)
  if (words.has('commit') || words.has('rollback')) return true
  return words.has('call') && callsMayEnd(body, procedures)
}

const CALL = /(?<![\p{L}\p{N}_$])call(?![\p{L}\p{N}_$])/giu
/** After the word; anything else (a comment, no call at all) is not looked into. */
const CALLED = /\s+(?:(?:[\p{L}\p{N}_$]+|"[^"]+")\s*\.\s*)?(?:([\p{L}\p{N}_$]+)|"([^"]+)")\s*\(/uy

/** A procedure that is not known may do anything. */
function callsMayEnd(body: string, procedures: Procedures): boolean {
  for (const { index } of body.matchAll(CALL)) {
    CALLED.lastIndex = index + 'call'.length
    const called = CALLED.exec(body)
    const name = called?.[1]?.toLowerCase() ?? called?.[2]
    if (name === undefined || procedures.get(name) !== false) return true
  }
  return false
}

/** Of all procedures: some may only because others do that they call. */
export function endsOfProcedures(all: readonly Procedure[]): Procedures {
  const found = new Map(all.map(({ name }) => [name, false]))
  for (let isComplete = false; !isComplete; ) {
    isComplete = true
    for (const { name, language, body } of all) {
      if (found.get(name) === true || !mayEndTransaction(language, body, found)) continue
      found.set(name, true)
      isComplete = false
    }
  }
  return found
}
