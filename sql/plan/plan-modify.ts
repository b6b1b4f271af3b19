import type * as Pg from '@pgsql/types'
import type { PgError } from '../../errors/pg-error.ts'
import type { Analysis } from '../place/analyze.ts'
import type { WriteTarget } from '../tree/builder.ts'
import { unlikeBecause } from '../tree/traits.ts'
import { drawnInMerge, mergeError } from './gather/merge-draws.ts'
import { planMergeGathered } from './gather/plan-merge.ts'
import { planModifyGathered } from './gather/plan-modify-gathered.ts'
import { drawnInSet } from './gather/set-once.ts'
import { whyNotFound } from './gather/why-not.ts'
import type { ForwardPlan, KeyValue, Plan, PlanContext } from './plan.ts'
import {
  becauseOf,
  commonFields,
  forwardTo,
  isSingle,
  keysRoute,
  mixError,
  notYet,
  paramsToDescribe,
  placeError,
  refused,
  restrictionsOf,
  scatterError,
  TABLE_ITSELF,
  unsupported,
} from './routing.ts'
import { defaultError, keySetTo, keyUpdate, movesRows, nestedError, targetError } from './writes.ts'

/** UPDATE, DELETE and MERGE. */
export function planModify(a: Analysis, text: string, ctx: PlanContext): Plan {
  const target = a.targets.find((t) => !t.nested)!
  const tag = target.verb
  const moves = movesRows(target)
  const mixed = mixError(a)
  const drawn = drawnInSet(a, target) ?? drawnInMerge(a, target)
  const isSeen = moves || (drawn !== undefined && tag !== 'MERGE') || setsCopies(target)
  const misplaced = drawn === undefined ? placeError(a) : undefined
  const error = misplaced ?? targetError(a, target, isSeen) ?? nestedError(a)
  const wrongly = tag === 'MERGE' && moves ? defaultError(a.catalog, target) : undefined
  if (moves && (error ?? wrongly) === undefined) return planMoving(a, target, text, ctx, drawn)
  const isApart = (mixed ?? drawn) !== undefined && error === undefined
  const planned = isApart ? ofOneKey(apart(a, target, text, ctx), a, ctx) : undefined
  if (planned !== undefined) return planned
  const wrong = isApart ? (drawn ?? whyNotFound(a, target, ctx) ?? mixed) : (mixed ?? error ?? wrongly)
  if (wrong) return refused(a, tag, wrong)
  const { returningClause } = target.node
  const common = commonFields(a, tag, returningClause !== undefined)
  switch (target.relation?.kind) {
    case 'sharded':
      return planSharded(a, target, text, ctx)
    case 'reference': {
      const open = tag === 'MERGE' ? mergeError(a.catalog, target) : undefined
      const reason =
        open ??
        (setsCopies(target) ? defaultError(a.catalog, target) : undefined) ??
        referenceError(a, target)
      if (reason) return apart(a, target, text, ctx) ?? refused(a, tag, reason)
      // Another text might say 'now', which every copy would read at a time of its own.
      const generic = common.generic && !a.traits.stringLiteral
      return { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral: { kind: 'first' } }
    }
    default: {
      const sharded = a.occurrences[0]?.relation.name
      if (sharded !== undefined)
        return (
          apart(a, target, text, ctx) ??
          refused(a, tag, whyNotFound(a, target, ctx) ?? localWithSharded(target, sharded))
        )
      return forwardTo(common, { kind: 'home' })
    }
  }
}

/** Values that differ from copy to copy are computed once. */
const setsCopies = ({ verb, relation }: WriteTarget): boolean =>
  verb === 'UPDATE' && relation?.kind === 'reference'

/** Rows of several places are needed: no shard can run it as it is. */
function apart(a: Analysis, target: WriteTarget, text: string, ctx: PlanContext): Plan | undefined {
  const plan = target.verb === 'MERGE' ? planMergeGathered : planModifyGathered
  const onSeveral = plan(a, target, text, ctx)
  if (onSeveral === undefined) return undefined
  const common = commonFields(a, target.verb, target.node.returningClause !== undefined)
  const generic = common.generic && a.literalCount === 0
  const why = mixError(a) ?? scatterError(a, a.solved.rows)
  const because = why && becauseOf(why)
  return { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral, ...because }
}

function localWithSharded(target: WriteTarget, sharded: string): PgError {
  return unsupported(
    'local_with_sharded',
    `${target.verb} of a local table from sharded table "${sharded}" is not supported`,
  )
}

function planSharded(a: Analysis, target: WriteTarget, text: string, ctx: PlanContext): Plan {
  const tag = target.verb
  const asWritten = commonFields(a, tag, target.node.returningClause !== undefined)
  const restrictions = restrictionsOf(a.occurrences)
  if (tag === 'MERGE') {
    const open = mergeError(a.catalog, target)
    if (open !== undefined || !restrictions || !isSingle(restrictions))
      return (
        (open === undefined ? mergedApart : apart)(a, target, text, ctx) ??
        refused(a, tag, open ?? notYet('merge', 'MERGE', mergeHint(target)))
      )
  }
  if (restrictions && isSingle(restrictions)) {
    return { ...forwardTo(asWritten, keysRoute(a, restrictions)), paramsToDescribe: paramsToDescribe(a, ctx) }
  }
  const name = a.traits.currentOf
  // What else it reads is the same everywhere.
  if (name !== undefined && a.occurrences.length === 1 && a.targets.length === 1)
    return forwardTo(asWritten, { kind: 'cursor', name })
  const several = scatterError(a, a.solved.rows)
  const gathered = several && planModifyGathered(a, target, text, ctx)
  const onSeveral: ForwardPlan['onSeveral'] =
    gathered ??
    (several ? { kind: 'refuse', error: whyNotFound(a, target, ctx) ?? several } : { kind: 'sum' })
  // Its texts hold the statement's literals.
  const generic = asWritten.generic && (gathered === undefined || a.literalCount === 0)
  const common = { ...asWritten, generic }
  const why = several === undefined ? {} : becauseOf(several)
  if (!restrictions) {
    if (onSeveral.kind === 'refuse') return refused(a, tag, onSeveral.error)
    return { ...common, kind: 'forward', route: { kind: 'all' }, onSeveral, ...why }
  }
  const described = { ...common, ...why, paramsToDescribe: paramsToDescribe(a, ctx) }
  return { ...described, kind: 'forward', route: keysRoute(a, restrictions), onSeveral }
}

/** It sets the shard key: its rows are found where they are, and move where their new key belongs. */
function planMoving(
  a: Analysis,
  target: WriteTarget,
  text: string,
  ctx: PlanContext,
  drawn: PgError | undefined,
): Plan {
  const isKept = ctx.movesKey !== true && drawn === undefined
  const kept = isKept ? planKeySet(a, target, text, ctx) : undefined
  const plan = kept ?? ofOneKey(apart(a, target, text, ctx), a, ctx)
  return plan ?? refused(a, target.verb, drawn ?? keyUpdate(target))
}

/** It reads one shard, if it names one key; it is run in several steps, and may write on another. */
function ofOneKey(plan: Plan | undefined, a: Analysis, ctx: PlanContext): Plan | undefined {
  const restrictions = restrictionsOf(a.occurrences)
  if (plan?.kind !== 'forward' || restrictions === undefined || !isSingle(restrictions)) return plan
  const { sharded: _, ...own } = plan
  return { ...own, paramsToDescribe: paramsToDescribe(a, ctx) }
}

/** `SET k = 5 … WHERE k = 5`, as ORMs write it: the rows of one key, which most often is given to them again. */
function planKeySet(a: Analysis, target: WriteTarget, text: string, ctx: PlanContext): Plan | undefined {
  const value = keySetTo(a, target)
  const restrictions = restrictionsOf(a.occurrences) ?? []
  if (value === undefined || mixError(a) !== undefined) return undefined
  if (restrictions.length !== 1 || !isSingle(restrictions)) return undefined
  const plan = planSharded(a, target, text, ctx)
  if (plan.kind !== 'forward') return undefined
  const described = describedSet(a, ctx, value).filter((param) => !plan.paramsToDescribe.includes(param))
  const paramsToDescribe = [...plan.paramsToDescribe, ...described]
  return { ...plan, setsKey: { table: target.relation!, value }, paramsToDescribe }
}

/** A parameter has the column's type, unless it is used elsewhere too. */
function describedSet(a: Analysis, { paramTypes }: PlanContext, { source }: KeyValue): readonly number[] {
  if (source.kind !== 'param' || (paramTypes[source.number - 1] ?? 0) !== 0) return []
  return a.params.get(source.number) === 1 ? [] : [source.number]
}

/** From rows that are the same everywhere. */
function mergedApart(a: Analysis, target: WriteTarget, text: string, ctx: PlanContext): Plan | undefined {
  const plan = apart(a, target, text, ctx)
  const restrictions = restrictionsOf(a.occurrences)
  if (plan?.kind !== 'forward' || restrictions === undefined) return plan
  return { ...plan, route: { kind: 'keys', restrictions }, paramsToDescribe: paramsToDescribe(a, ctx) }
}

function mergeHint({ relation }: WriteTarget): string {
  if (relation?.through !== undefined) return TABLE_ITSELF
  const key = relation?.key?.column ?? 'key'
  return `Restrict "${key}" to one value in ON and in the source query, or use INSERT … ON CONFLICT.`
}

/** Every copy must come out the same. */
export function referenceError(a: Analysis, target: WriteTarget): PgError | undefined {
  const name = target.relation?.name ?? ''
  const sharded = a.occurrences[0]?.relation.name
  if (sharded !== undefined) {
    return unsupported(
      'reference_write_from',
      `${target.verb} of reference table "${name}" from sharded table "${sharded}" is not supported`,
    )
  }
  if (a.locals[0] !== undefined) {
    return unsupported(
      'reference_write_from',
      `${target.verb} of reference table "${name}" from local table "${a.locals[0]}" is not supported`,
      `The other copies cannot read it. Make it a reference table too: SELECT create_reference_table('${a.locals[0]}').`,
    )
  }
  const { traits } = a
  const unstable =
    unlikeBecause(traits) ??
    traits.timeLiteral ??
    (traits.currentOf === undefined ? undefined : 'WHERE CURRENT OF')
  if (unstable !== undefined) {
    return unsupported(
      'reference_write_unstable',
      `${unstable} in a write to reference table "${name}" is not supported: its copies would differ`,
      'Compute the value first and pass it as a parameter.',
    )
  }
  if (target.verb === 'MERGE')
    return unsupported('reference_merge', `MERGE into reference table "${name}" is not supported`)
  if (target.verb === 'UPDATE' && (target.node as Pg.UpdateStmt).fromClause) {
    return unsupported(
      'reference_write_from',
      `UPDATE … FROM of reference table "${name}" is not supported: which of several matching rows wins may differ from copy to copy`,
      'Use a subquery in SET that gives one row.',
    )
  }
  return undefined
}
