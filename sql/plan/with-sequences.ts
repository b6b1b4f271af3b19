import { ANY_EFFECTS, EFFECT, type Effects, effectsOfText, NO_EFFECTS } from '../code/effects.ts'
import type { Plan } from './plan.ts'

/** What a plan may do with sequences, as shard agents are told (SEQUENCES of protocol/agent-link.ts). */
const SEQUENCE = { draws: 1, reads: 2, readsInCode: 16, sets: 64, setsAsSaid: 128 } as const

/** The plan with what it may draw, and ask for. `named`: effects of the code that its text names. */
export function withSequences(plan: Plan, text: string, named: Effects): Plan {
  const block = plan.tag === 'DO' ? effectsOfText('plpgsql', text) : NO_EFFECTS
  const isKnown = (plan.effects.leaves & EFFECT.dynamic) === 0
  const inCode = isKnown ? named | block : ANY_EFFECTS
  const all = inCode | effectsOfText('query', text)
  let sequences = 0
  if ((all & EFFECT.advances) !== 0 || mayUseDefaults(plan, text)) sequences |= SEQUENCE.draws
  if ((all & EFFECT.readsSequences) !== 0) sequences |= SEQUENCE.reads
  if ((inCode & EFFECT.readsSequences) !== 0 || ASKS_POSTGRES.test(text)) sequences |= SEQUENCE.readsInCode
  if ((all & EFFECT.sets) !== 0) sequences |= SEQUENCE.sets | (isKnown ? SEQUENCE.setsAsSaid : 0)
  return sequences === 0 ? plan : { ...plan, effects: { ...plan.effects, sequences } }
}

/** Not the functions of schema weft that take their place where they can (session-pids.ts). */
const ASKS_POSTGRES = /(?<!weft\s*\.\s*)\b(?:currval|lastval)\s*\(/i

/**
 * DDL that runs a query, or gives rows new columns. No other: what would go ahead of LOCK TABLE on behalf of sequences takes
 * the snapshot, which is to come after the lock.
 */
const COMPUTES = /\b(?:AS|INTO|MATERIALIZED)\b|^ALTER (?:FOREIGN )?TABLE$/

const FROM_DEFAULTS: ReadonlySet<string> = new Set(['INSERT', 'MERGE', 'COPY'])

/** Of a local table: nobody keeps account of its defaults. Those of others are drawn by the coordinator, or by an UPDATE. */
function mayUseDefaults(plan: Plan, text: string): boolean {
  if (plan.kind === 'forward' && plan.onSeveral.kind === 'gather-modify') {
    const { computed, copies } = plan.onSeveral.modify
    if (/nextval/i.test((computed ?? copies)?.compute ?? '')) return true
  }
  if (plan.kind === 'ddl') return COMPUTES.test(plan.tag)
  if (plan.kind === 'copy' || plan.kind === 'insert-select')
    return plan.fill.some(({ expression }) => /nextval/i.test(expression))
  const isHome = plan.kind === 'forward' && plan.route.kind === 'home'
  return isHome && (FROM_DEFAULTS.has(plan.tag) || /\bdefault\b|\b(insert|merge)\s+into\b/i.test(text))
}
