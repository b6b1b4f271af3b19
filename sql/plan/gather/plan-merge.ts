import { type Relation, rowKey } from '../../catalog.ts'
import {
  as,
  hasSubqueries,
  type MergeStmt,
  type MergeWhenClause,
  type Node,
  relationsOf,
  type SelectStmt,
  whenClauses,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { WriteTarget } from '../../tree/builder.ts'
import { analyzeAlone } from '../analyze-alone.ts'
import type { PlanContext } from '../plan.ts'
import { movesRows, movesUnjoined } from '../writes.ts'
import {
  isGatheredName,
  type ModifyPlan,
  type ModifyStep,
  type OutsideStep,
  ownName,
  type ViewsStep,
} from './gather-plan.ts'
import { isHomes, mentioned, type TableItem, tableItems } from './inputs.ts'
import { expressionNode, selectNode } from './made-nodes.ts'
import { changesOf, clausesOf, IS_FIRST, isOncePerRow, OWN_SLOTS, ownClauses } from './merge-clauses.ts'
import { type Drawing, drawingOf, drawsOf, openColumns } from './merge-draws.ts'
import { moveOfMerge, withListed } from './merge-moves.ts'
import { withParams, withValues } from './merge-source.ts'
import { readIn, subscriptsOf } from './new-values.ts'
import { finishAlone, overGathered, unqualified, withGathered } from './over-gathered.ts'
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
import { allOf, gathering, isGatherable, rowsOf, stepBefore } from './plan-gather.ts'
import { readsInCode, withOneSource } from './plan-modify-gathered.ts'
import { hasTwins, namesSchemas } from './twins.ts'
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
): ModifyStep | OutsideStep | ViewsStep | undefined {
  const merge = withSources(target.node as MergeStmt)
  const { relation } = target
  if (a.targets.length > 1 || isGatheredName(text) || merge.withClause !== undefined) return undefined
  if (relation?.key === undefined && relation?.kind !== 'reference') return undefined
  if (relation.through !== undefined || relationsOf(merge.sourceRelation).length > 0) return undefined
  const wide = analyzeAlone(a, text, everythingOf(merge), ctx)
  if (!isGatherable(wide) || readsTimes(wide, target, ctx)) return undefined
  const open = openColumns(merge, relation, a.catalog)
  const drawing =
    open && drawingOf(merge, relation, open, { space: wide.block.scope?.space, catalog: a.catalog })
  if (open !== undefined && drawing === undefined) return undefined
  const drawn = drawing?.merge ?? merge
  if (!isOncePerRow(wide, drawn, relation)) return undefined
  const found = tableItems(wide, wide.block.node as SelectStmt, ctx)
  if (found?.kind !== 'items') return found && stepBefore(found, text)
  const item = found.items.find(({ range }) => range === merge.relation)
  if (item === undefined) return undefined
  const others = found.items.filter((one) => one !== item)
  if (item.place === 'home' || !hasPlaces(item, ctx.outside)) return undefined
  if (hasTwins(found.items) && namesSchemas(wide.block.node as SelectStmt)) return undefined
  const onCopies = item.place === 'any'
  if (onCopies && (rowKey(item.relation) === undefined || item.relation.rowSecurity)) return undefined
  // Shards do not have its type.
  if (others.some(({ place, isRow }) => place === 'home' && isRow)) return undefined
  const moves = movesRows(target)
  if (moves && (movesUnjoined(target) || item.relation.rowSecurity)) return undefined
  const moved = moves ? withListed(merge, wide.block.scope?.space) : undefined
  if (moves && moved === undefined) return undefined
  const step = stepOf(wide, drawn, { item, others, drawing, ...(moved && { moved }) })
  if (step === undefined || !onCopies || readsInCode(a.catalog, text) === undefined) return step
  return { ...step, modify: { ...step.modify, codeReads: true } }
}

/** The target is told by its identity, which it keeps. */
function withSources(written: MergeStmt): MergeStmt {
  const { relation, ...rest } = written
  const merge = structuredClone(rest)
  const mergeWhenClauses = whenClauses(merge).map(
    (clause) => ({ MergeWhenClause: withOneSource(clause) }) as Node,
  )
  return { ...merge, mergeWhenClauses, ...(relation && { relation }) }
}

const fromOf = (merge: MergeStmt): Node[] => [{ RangeVar: merge.relation! } as Node, merge.sourceRelation!]

/** The statement's tables as a SELECT has them, and all that it computes. */
function everythingOf(merge: MergeStmt): SelectStmt {
  const outputs: Node[] = (merge.returningClause?.exprs ?? []).flatMap(
    (node) => as(node, 'ResTarget')?.val ?? [],
  )
  for (const clause of whenClauses(merge)) {
    const values = (clause.targetList ?? []).flatMap((target) => as(target, 'ResTarget')?.val ?? [])
    const subscripts = subscriptsOf(clause.targetList)
    outputs.push(...[clause.condition ?? [], values, subscripts, clause.values ?? []].flat())
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

/** Of the only item that has them. */
const PLACED = 0

interface Reading {
  readonly item: TableItem
  /** What its subqueries read. */
  readonly others: readonly TableItem[]
  readonly drawing: Drawing | undefined
  /** It sets the shard key: the statement as it was written. */
  readonly moved?: MergeStmt
}

function stepOf(a: Analysis, merge: MergeStmt, reading: Reading): ModifyStep | undefined {
  const { item, others, drawing, moved } = reading
  const condition = merge.joinCondition!
  const bySource = clausesOf(merge, 'NOT_MATCHED_BY_SOURCE').length > 0
  const inserts = clausesOf(merge, 'NOT_MATCHED_BY_TARGET').some(
    (clause) => clause.commandType === 'CMD_INSERT',
  )
  const placed = withPlaces(narrowed(item, merge), PLACED)
  const joined = hasSubqueries(condition) ? [] : [exists(merge.sourceRelation!, unqualified(condition))]
  const select = placesFound(merge)
  const late = readIn(select, others)
  const before = [...others.filter((other) => !late.includes(other)), ...late]
  const rows = [...before.map((other) => rowsOf(other, [], undefined)), rowsOf(placed, joined, undefined)]
  const found = [...late, placed]
  const find = finishAlone(withGathered({ SelectStmt: select } as Node, found), found)
  const write = writeOf(merge, item.relation, placed, { inserts, bySource, drawing, others: before })
  const onCopies = item.place === 'any'
  const copies = onCopies ? keysOfCopies(item, HERE) : undefined
  if (rows.includes(undefined) || find === undefined || write === undefined) return undefined
  if (onCopies && copies === undefined) return undefined
  const move = moved && moveOfMerge(moved, item, before, HERE)
  if (moved !== undefined && move === undefined) return undefined
  const atHome = onCopies || others.some(isHomes) || drawing?.atHome === true
  const finishing = { ...find, finishFrom: before.length - late.length, atHome, isInline: false }
  const { route: _, ...gather } = gathering(a, [...before, placed], rows as string[], finishing)
  const does = (command: MergeWhenClause['commandType']): boolean =>
    whenClauses(merge).some(({ commandType }) => commandType === command)
  const deletes = does('CMD_DELETE')
  const modify: ModifyPlan = {
    ...write,
    look: lookOf(item),
    lock: `${wholeOf(item)}${keyOrderOf(item)} FOR ${deletes || move ? 'UPDATE' : 'NO KEY UPDATE'}`,
    ...(deletes && !does('CMD_UPDATE') && { locksByUpdate: item.relation.oid }),
    ...(move && { move }),
    ...(copies && { copies }),
    ...(inserts || bySource ? { isEverywhere: true } : {}),
    ...(inserts && !onCopies ? { ownsKeys: true } : {}),
    ...(bySource ? { needsSnapshot: true } : {}),
    ...(item.relation.rowSecurity ? { keepsHidden: true } : {}),
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
function placesFound(merge: MergeStmt): SelectStmt {
  const places = placesOf(PLACED).join(', ')
  const { targetList, distinctClause } = selectNode(`SELECT DISTINCT ${places}`)
  const changes = changesOf(clausesOf(merge, 'MATCHED'))
  return {
    ...selectOf(targetList!, fromOf(merge), [merge.joinCondition!, changes]),
    distinctClause: distinctClause!,
  }
}

/** A mark in the text, which becomes a condition with parameters. */
const HERE = `${ownName('here')}()`

interface Inserting {
  readonly inserts: boolean
  readonly bySource: boolean
  readonly drawing: Drawing | undefined
  readonly others: readonly TableItem[]
}

function writeOf(
  merge: MergeStmt,
  relation: Relation,
  placed: TableItem,
  { inserts, bySource, drawing, others }: Inserting,
): Pick<ModifyPlan, 'write' | 'writeParams' | 'writeInputs' | 'draws'> | undefined {
  // It is another one than the target, which stays.
  const gathered = structuredClone(merge.relation!)
  const joins = { ...placed, range: gathered }
  const known = exists({ RangeVar: gathered } as Node, merge.joinCondition!)
  const onCopies = placed.place === 'any'
  const parts = whenClauses(merge).map((clause) => (onCopies ? [clause] : ownClauses(clause, relation)))
  if (parts.includes(undefined)) return undefined
  const nothing: MergeWhenClause = {
    matchKind: 'MERGE_WHEN_NOT_MATCHED_BY_TARGET',
    commandType: 'CMD_NOTHING',
    override: 'OVERRIDING_NOT_SET',
  }
  const whens = [
    ...(inserts ? [{ ...nothing, condition: known }] : []),
    ...(parts as MergeWhenClause[][]).flat(),
  ]
  const made = {
    ...merge,
    joinCondition: allOf(bySource ? [merge.joinCondition!] : [merge.joinCondition!, expressionNode(HERE)]),
    mergeWhenClauses: whens.map((clause) => ({ MergeWhenClause: clause }) as Node),
  }
  const all = [...others, joins]
  const { columns = [] } = drawing?.open ?? {}
  const statement =
    columns.length === 0
      ? made
      : { ...made, sourceRelation: withValues(merge.sourceRelation!, columns.length) }
  const items = readIn(statement, all)
  const over = overGathered(withGathered({ MergeStmt: statement } as Node, items), items)
  const draws = drawing && drawsOf(merge, drawing, known, all)
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
  return {
    write,
    writeParams: params,
    writeInputs: items.map((one) => all.indexOf(one)),
    ...(draws && { draws }),
  }
}
