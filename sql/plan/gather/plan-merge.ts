import type * as Pg from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { slotExpression } from '../../hash/slot-expression.ts'
import {
  as,
  hasSubqueries,
  type MergeStmt,
  type Node,
  relationsOf,
  type SelectStmt,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printedExpression } from '../../print/printed.ts'
import type { WriteTarget } from '../../tree/builder.ts'
import { insertColumns } from '../../tree/modify.ts'
import { unstableBecause } from '../../tree/traits.ts'
import { analyzeAlone } from '../analyze-alone.ts'
import type { PlanContext } from '../plan.ts'
import { type GatherPlan, isGatheredName, type ModifyPlan, type ModifyStep, ownName } from './gather-plan.ts'
import { mentioned, type TableItem, tableItems } from './inputs.ts'
import { expressionNode, selectNode } from './made-nodes.ts'
import { type Drawing, drawingOf, drawsOf, openColumns } from './merge-draws.ts'
import { withParams, withValues } from './merge-source.ts'
import { finishAlone, overGathered, withGathered } from './over-gathered.ts'
import {
  hasPlaces,
  isAt,
  isKeyed,
  keyColumns,
  keyOrderOf,
  lookOf,
  placesOf,
  wholeOf,
  withPlaces,
} from './places.ts'
import { keysOfCopies } from './plan-copies.ts'
import { allOf, gathering, isGatherable, rowsOf } from './plan-gather.ts'
import { readsInCode, withOneSource } from './plan-modify-gathered.ts'
import { readsTimes } from './unread-times.ts'

/**
 * MERGE into a sharded or reference table from rows that are the same everywhere. Rows of the target that join them are
 * gathered, with their places; those that a clause changes are locked; then every shard runs the statement over its own
 * part: of the target the rows that were found, of the source for INSERT those that join nothing anywhere and belong there.
 * Copies of a reference table are found on home, and told by their keys. Undefined: it has no exact meaning this way, or is
 * not known well enough.
 */
export function planMergeGathered(
  a: Analysis,
  target: WriteTarget,
  text: string,
  ctx: PlanContext,
): ModifyStep | undefined {
  const merge = withSources(target.node as MergeStmt)
  if (a.targets.length > 1 || isGatheredName(text) || merge.withClause !== undefined) return undefined
  if (target.relation?.through !== undefined) return undefined
  if (target.relation?.rowSecurity || relationsOf(merge.sourceRelation).length > 0) return undefined
  const open = target.relation && openColumns(merge, target.relation, a.catalog)
  const wide = analyzeAlone(a, text, everythingOf(merge), ctx)
  if (!isGatherable(wide) || wide.traits.writes || readsTimes(wide, target, ctx)) return undefined
  if (unstableBecause(wide.traits) !== undefined) return undefined
  const found = tableItems(wide, wide.block.node as SelectStmt, ctx)
  // Other tables would be read in subqueries.
  const [item, ...others] = found?.kind === 'items' ? found.items : []
  if (item === undefined || others.length > 0 || item.range !== merge.relation) return undefined
  if (item.place === 'home' || !hasPlaces(item, ctx.outside)) return undefined
  const onCopies = item.place === 'any'
  if (onCopies && (item.relation.primaryKey === undefined || wide.traits.unlike !== undefined))
    return undefined
  const drawing = open && drawingOf(merge, item.relation, open, wide.block.scope?.space)
  if (open !== undefined && drawing === undefined) return undefined
  const step = stepOf(wide, drawing?.merge ?? merge, item, drawing)
  if (step === undefined || !onCopies || readsInCode(a.catalog, text) === undefined) return step
  return { ...step, modify: { ...step.modify, codeReads: true } }
}

type Clause = Pg.MergeWhenClause

function clausesOf(merge: MergeStmt, kind: string): Clause[] {
  const all = (merge.mergeWhenClauses ?? []).map((node) => as(node, 'MergeWhenClause')!)
  return all.filter(({ matchKind }) => matchKind === `MERGE_WHEN_${kind}`)
}

/** The target is told by its identity, which it keeps. */
function withSources(written: MergeStmt): MergeStmt {
  const { relation, ...rest } = written
  const merge = structuredClone(rest)
  const mergeWhenClauses = (merge.mergeWhenClauses ?? []).map(
    (node) => ({ MergeWhenClause: withOneSource(as(node, 'MergeWhenClause')!) }) as Node,
  )
  return { ...merge, mergeWhenClauses, ...(relation && { relation }) }
}

const fromOf = (merge: MergeStmt): Node[] => [{ RangeVar: merge.relation! } as Node, merge.sourceRelation!]

/** The statement's tables as a SELECT has them, and all that it computes. */
function everythingOf(merge: MergeStmt): SelectStmt {
  const outputs: Node[] = (merge.returningClause?.exprs ?? []).flatMap(
    (node) => as(node, 'ResTarget')?.val ?? [],
  )
  for (const node of merge.mergeWhenClauses ?? []) {
    const clause = as(node, 'MergeWhenClause')!
    const values = (clause.targetList ?? []).flatMap((target) => as(target, 'ResTarget')?.val ?? [])
    outputs.push(...[clause.condition ?? [], values, clause.values ?? []].flat())
  }
  const targetList = outputs
    .filter((val) => as(val, 'SetToDefault') === undefined)
    .map((val) => ({ ResTarget: { val } }) as Node)
  return selectOf(targetList, fromOf(merge), [merge.joinCondition!])
}

function selectOf(targetList: Node[], fromClause: Node[], conditions: Node[]): SelectStmt {
  const whereClause = allOf(conditions)
  const base = { fromClause, whereClause, limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' } as const
  return targetList.length === 0 ? base : { targetList, ...base }
}

function exists(from: Node, condition: Node): Node {
  const subselect = { SelectStmt: selectOf([], [from], [condition]) } as Node
  return { SubLink: { subLinkType: 'EXISTS_SUBLINK', subselect } } as Node
}

/** Of the only item. */
const PLACED = 0

function stepOf(
  a: Analysis,
  merge: MergeStmt,
  item: TableItem,
  drawing: Drawing | undefined,
): ModifyStep | undefined {
  const condition = merge.joinCondition!
  const bySource = clausesOf(merge, 'NOT_MATCHED_BY_SOURCE').length > 0
  const inserts = clausesOf(merge, 'NOT_MATCHED_BY_TARGET').some(
    (clause) => clause.commandType === 'CMD_INSERT',
  )
  const placed = withPlaces(narrowed(item, merge), PLACED)
  const rows = hasSubqueries(condition)
    ? undefined
    : rowsOf(placed, [exists(merge.sourceRelation!, condition)], undefined)
  const find = findOf(merge, placed)
  const write = writeOf(merge, item.relation, placed, { inserts, bySource, drawing })
  const onCopies = item.place === 'any'
  const copies = onCopies ? keysOfCopies(item, HERE) : undefined
  if (rows === undefined || find === undefined || write === undefined) return undefined
  if (onCopies && copies === undefined) return undefined
  const gather = gathering(a, [placed], [rows], { ...find, atHome: onCopies, isInline: false })
  const deletes = (merge.mergeWhenClauses ?? []).some(
    (node) => as(node, 'MergeWhenClause')?.commandType === 'CMD_DELETE',
  )
  const modify: ModifyPlan = {
    ...write,
    look: lookOf(item),
    lock: `${wholeOf(item)}${keyOrderOf(item)} FOR ${deletes ? 'UPDATE' : 'NO KEY UPDATE'}`,
    ...(copies && { copies }),
    ...(inserts || bySource ? { isEverywhere: true } : {}),
    ...(inserts && !onCopies ? { ownsKeys: true } : {}),
    ...(bySource ? { needsSnapshot: true } : {}),
  }
  return { kind: 'gather-modify', gather, modify }
}

/** With the columns that say whether a row joins, and which clause it is about. */
function narrowed(item: TableItem, merge: MergeStmt): TableItem {
  const conditions = clausesOf(merge, 'MATCHED').flatMap((clause) => clause.condition ?? [])
  const parts = [merge.joinCondition!, ...conditions]
  const { columns, all } = mentioned(selectOf([], fromOf(merge), parts))
  const named = item.relation.columns.filter(({ name }) => all || item.isRow === true || columns.has(name))
  return { ...item, columns: named.length > 0 ? named : item.relation.columns.slice(0, 1) }
}

/** The places of rows that a clause changes. */
function findOf(
  merge: MergeStmt,
  placed: TableItem,
): Pick<GatherPlan, 'finish' | 'paramCount' | 'finishParams'> | undefined {
  const places = placesOf(PLACED).join(', ')
  const { targetList, distinctClause } = selectNode(`SELECT DISTINCT ${places}`)
  const changes = changesOf(clausesOf(merge, 'MATCHED'))
  const select = {
    ...selectOf(targetList!, fromOf(merge), [merge.joinCondition!, changes]),
    distinctClause: distinctClause!,
  }
  return finishAlone(withGathered({ SelectStmt: select } as Node, [placed]), [placed])
}

/** The first clause whose condition holds is the one that counts. */
function changesOf(clauses: readonly Clause[]): Node {
  const args = clauses.map(({ condition, commandType }) => ({
    CaseWhen: {
      expr: condition ?? expressionNode('true'),
      result: expressionNode(commandType === 'CMD_NOTHING' ? 'false' : 'true'),
    },
  }))
  const defresult = expressionNode('false')
  return args.length === 0 ? defresult : ({ CaseExpr: { args, defresult } } as unknown as Node)
}

/** Marks in the text, which become conditions with parameters. */
const HERE = `${ownName('here')}()`
const OWN_SLOTS = `${ownName('slots')}()`
const IS_FIRST = `${ownName('first')}()`

interface Inserting {
  readonly inserts: boolean
  readonly bySource: boolean
  readonly drawing: Drawing | undefined
}

function writeOf(
  merge: MergeStmt,
  relation: Relation,
  placed: TableItem,
  { inserts, bySource, drawing }: Inserting,
): Pick<ModifyPlan, 'write' | 'writeParams' | 'writeInputs' | 'draws'> | undefined {
  const clauses = (merge.mergeWhenClauses ?? []).map((node) => as(node, 'MergeWhenClause')!)
  // It is another one than the target, which stays.
  const gathered = structuredClone(merge.relation!)
  const joins = { ...placed, range: gathered }
  const known = exists({ RangeVar: gathered } as Node, merge.joinCondition!)
  const onCopies = placed.place === 'any'
  const parts = clauses.map((clause) => (onCopies ? [clause] : ownClauses(clause, relation)))
  if (parts.includes(undefined)) return undefined
  const nothing: Clause = {
    matchKind: 'MERGE_WHEN_NOT_MATCHED_BY_TARGET',
    commandType: 'CMD_NOTHING',
    override: 'OVERRIDING_NOT_SET',
  }
  const all = [...(inserts ? [{ ...nothing, condition: known }] : []), ...(parts as Clause[][]).flat()]
  const made = {
    ...merge,
    joinCondition: allOf(bySource ? [merge.joinCondition!] : [merge.joinCondition!, expressionNode(HERE)]),
    mergeWhenClauses: all.map((clause) => ({ MergeWhenClause: clause }) as Node),
  }
  const items = inserts ? [joins] : []
  const { columns = [] } = drawing?.open ?? {}
  const statement =
    columns.length === 0
      ? made
      : { ...made, sourceRelation: withValues(merge.sourceRelation!, columns.length) }
  const over = overGathered(withGathered({ MergeStmt: statement } as Node, items), items)
  const draws = drawing && drawsOf(merge, drawing, known, joins)
  if (over === undefined || (drawing !== undefined && draws === undefined)) return undefined
  const { sql, params } = over
  const at = params.length + items.flatMap(({ columns }) => columns).length + 1
  const owned = bySource ? at : at + 3
  const keyed = onCopies ? keyColumns(placed).length : 3
  const drawn = at + (bySource ? 0 : keyed) + (inserts && !onCopies ? 2 : 0)
  const write = withParams(sql, drawn)
    .replace(HERE, () => (onCopies ? isKeyed : isAt)(placed, at))
    .replaceAll(OWN_SLOTS, () => `CAST($${owned} AS bigint[])`)
    .replaceAll(IS_FIRST, () => `CAST($${owned + 1} AS boolean)`)
  return { write, writeParams: params, writeInputs: items.map((_, i) => i), ...(draws && { draws }) }
}

/** An INSERT where its row belongs, and nothing elsewhere; undefined: where that is cannot be told. */
function ownClauses(clause: Clause, relation: Relation): Clause[] | undefined {
  if (clause.commandType !== 'CMD_INSERT') return [clause]
  const cols = clause.targetList
  const columns = insertColumns(relation, cols ? { cols } : {}, clause.values?.length)
  const given = clause.values?.[columns?.indexOf(relation.key!.column) ?? -1]
  // What is left to a default has one in its place, if there is one.
  const value = given === undefined || as(given, 'SetToDefault') ? expressionNode('NULL') : given
  if (hasSubqueries(value)) return undefined
  const text = printedExpression(value)
  if (text === undefined) return undefined
  const { declared, type } = relation.columns[relation.key!.index]!
  const key = `CAST(${text} AS ${declared ?? type})`
  const slot = slotExpression(relation.key!.type, key)
  // One shard says that there has to be a key.
  const isOwn = expressionNode(`${slot} = ANY (${OWN_SLOTS}) OR (${IS_FIRST} AND ${key} IS NULL)`)
  const { condition } = clause
  const { targetList: _, values: __, ...rest } = clause
  const nothing: Clause = { ...rest, commandType: 'CMD_NOTHING', override: 'OVERRIDING_NOT_SET' }
  return [{ ...clause, condition: condition === undefined ? isOwn : allOf([condition, isOwn]) }, nothing]
}
