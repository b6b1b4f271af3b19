import type { Analysis } from '../analyze/analyze.ts'
import type { Catalog, Relation } from '../catalog.ts'
import { EFFECT, type Effects, NO_EFFECTS } from '../code/effects.ts'
import { mayName, wordsOf } from '../words.ts'
import type { Plan, Reach } from './plan.ts'

/** Of a statement on local tables, or none: its code runs on the home shard, which has a part of every sharded table. */
export const REACHES_NOTHING: Reach = { tables: [], onCopies: false }

/** Whether code may do what the statement does not say, where that can go wrong. */
export function mayReach(catalog: Catalog, effects: Effects): boolean {
  return (effects & EFFECT.reaches) !== 0 && catalog.shardCount > 1 && catalog.distributed.length > 0
}

export function ofStatement(catalog: Catalog, text: string): Effects {
  return catalog.code?.ofStatement(text) ?? NO_EFFECTS
}

/** The plan with what is to be looked at after it has run. */
export function withReach<P extends Plan>(plan: P, a: Analysis, text: string): P {
  if (plan.kind === 'refused' || !mayReach(a.catalog, ofStatement(a.catalog, text))) return plan
  return { ...plan, reach: reachOf(a, text) }
}

function reachOf(a: Analysis, text: string): Reach {
  const relations = [
    ...a.occurrences.map(({ relation }) => relation),
    ...a.targets.flatMap(({ relation }) => (relation?.kind === 'sharded' ? [relation] : [])),
  ]
  const onCopies = a.targets.some(({ relation, nested }) => !nested && relation?.kind === 'reference')
  return reachFrom(a.catalog, text, relations, onCopies)
}

/** `own`: the sharded tables that the statement names. Code that runs with their rows may name others. */
export function reachFrom(
  catalog: Catalog,
  text: string,
  own: readonly Relation[],
  onCopies: boolean,
): Reach {
  const named = own.length === 0 ? [] : namedInCode(catalog, text)
  return { tables: [...new Set([...own, ...named].map(tableName))], onCopies }
}

export const tableName = ({ schema, name }: Relation): string => `${schema}.${name}`

function namedInCode(catalog: Catalog, text: string): readonly Relation[] {
  const functions = (catalog.code?.piecesOf(text) ?? []).filter(({ kind }) => kind === 'function')
  const bodies = functions.map((piece) => piece.text ?? '')
  const texts = bodies.map((body) => ({ body, words: wordsOf(body) }))
  const isNamed = (name: string) => texts.some(({ body, words }) => mayName(body, words, name))
  return catalog.distributed.filter(({ kind, name }) => kind === 'sharded' && isNamed(name))
}
