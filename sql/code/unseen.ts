/** Code that no catalog that others read has: of one session. PURE. */
import type { Catalog } from '../catalog.ts'
import { mayName, wordsOf } from '../words.ts'
import type { Code } from './code-graph.ts'
import { EFFECT, type Effects, NO_EFFECTS } from './effects.ts'

/** It may reach anything: what it has done is looked at. */
export const UNSEEN: Effects = EFFECT.reaches | EFFECT.dynamic | EFFECT.defines

/** The catalog where statements that name any of these may run such code. */
export function withUnseen(catalog: Catalog, code: Code, names: readonly string[]): Catalog {
  if (names.length === 0) return catalog
  const namesAny = (text: string): boolean => {
    const words = wordsOf(text)
    return names.some((name) => mayName(text, words, name))
  }
  // What is said where it is called means what it means to the session: a function may come to such a table, too.
  const behind = (text: string): Effects =>
    namesAny(text) || code.piecesOf(text).some((piece) => namesAny(piece.text ?? '')) ? UNSEEN : NO_EFFECTS
  const known: Code = {
    ...code,
    ofText: (language, text) => code.ofText(language, text) | behind(text),
    ofStatement: (text) => code.ofStatement(text) | behind(text),
    ofDefinition: (text) => code.ofDefinition(text) | behind(text),
    ofUpkeep: (text, isWhole) => code.ofUpkeep(text, isWhole) | behind(text),
  }
  return { ...catalog, code: known }
}
