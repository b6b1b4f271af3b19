import type * as Pg from '@pgsql/types'
import { type Catalog, rowKey } from '../../catalog.ts'
import { EFFECT } from '../../code/effects.ts'
import {
  as,
  conjuncts,
  type DeleteStmt,
  type Node,
  type RangeVar,
  relationsOf,
  type SelectStmt,
  type UpdateStmt,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { WriteTarget } from '../../tree/builder.ts'
import { analyzeAlone } from '../analyze-alone.ts'
import { ofStatement } from '../of-statement.ts'
import type { PlanContext } from '../plan.ts'
import { movesRows } from '../writes.ts'
import { conditionsByItem } from './conditions.ts'
import {
  type GatherPlan,
  isGatheredName,
  type ModifyPlan,
  type ModifyStep,
  type OutsideStep,
  type ViewsStep,
} from './gather-plan.ts'
import { isHomes, mentioned, type TableItem, tableItems } from './inputs.ts'
import { selectNode } from './made-nodes.ts'
import { type Found, numbersOf, readIn, subscriptsOf } from './new-values.ts'
import { isKnownBeside, isOnceForCopies, isOncePerRow, joinsOthers } from './once-per-row.ts'
import { finishAlone, overGathered, withGathered } from './over-gathered.ts'
import { hasPlaces, isAt, keyOrderOf, lookOf, placesOf, wholeOf, withPlaces } from './places.ts'
import { deleteOfCopies, updateOfCopies } from './plan-copies.ts'
import { allOf, gathering, isGatherable, rowsOf, stepBefore } from './plan-gather.ts'
import { moveOf, setsUnstableDefault } from './plan-move.ts'
import { isSetOnce, setOnceOf } from './set-once.ts'
import { hasTwins, namesSchemas } from './twins.ts'
import { readsTimes } from './unread-times.ts'

/**
 * UPDATE and DELETE whose rows no shard can find by itself: by subqueries or joins that are not on the shard key, or with
 * local tables. All that it reads is gathered, its target's rows with their places; the query of its rows is run over that
 * and tells their places; where they are, the statement itself is run on those rows, with gathered rows in the place of
 * other tables. Undefined: it has no exact meaning this way, or is not known well enough.
 */
export function planModifyGathered(
  a: Analysis,
  target: WriteTarget,
  text: string,
  ctx: PlanContext,
): ModifyStep | OutsideStep | ViewsStep | undefined {
  if (a.targets.length > 1 || isGatheredName(text) || target.verb === 'MERGE') return undefined
  // A view's rows have no places.
  if (target.relation?.through !== undefined) return undefined
  const statement = withOneSource(target.node as UpdateStmt & DeleteStmt)
  const moves = movesRows(target)
  const setsOnce = isSetOnce(target, statement, a.catalog, moves)
  const wide = analyzeAlone(a, text, everythingOf(statement), ctx)
  if (!isGatherable(wide, { server: setsOnce }) || readsTimes(wide, target, ctx)) return undefined
  const found = tableItems(wide, wide.block.node as SelectStmt, ctx)
  if (found?.kind !== 'items') return found && stepBefore(found, text)
  const isTarget = ({ range }: TableItem) => range === statement.relation
  const meant = found.items.find(isTarget)
  if (meant === undefined || !hasPlaces(meant, ctx.outside)) return undefined
  const onCopies = meant.place === 'any'
  if (onCopies && rowKey(meant.relation) === undefined) return undefined
  const isKnown = setsOnce
    ? isKnownBeside(wide, text, statement)
    : (onCopies ? isOnceForCopies : isOncePerRow)(wide, statement, moves)
  if (!isKnown) return undefined
  if (hasTwins(found.items) && namesSchemas(statement as SelectStmt)) return undefined
  const isByCommand = meant.relation.rowSecurity === 'by command'
  if (isByCommand && !readsTarget(wide, statement, ctx)) return undefined
  const deletes = target.verb === 'DELETE'
  if (onCopies && isByCommand && deletes) return undefined
  if (choosesAgain(statement)) return undefined
  if (moves && !setsOnce && setsUnstableDefault(statement, meant.relation, a.catalog)) return undefined
  const locking = deletes ? { locksByUpdate: meant.relation.oid } : {}
  const unlocked = isByCommand && deletes ? { unlocked: true as const } : {}
  const locks = { ...locking, ...unlocked }
  const modify = { verb: target.verb, statement, moves, text, setsOnce, locks }
  const [finds, writes] = [
    selectOf(statement, []),
    written(target.verb, { statement, whereClause: atPlaces(statement) }),
  ].map(rangesIn) as [Ranges, Ranges]
  const others = found.items.filter((item) => !isTarget(item))
  const items = {
    written: others.filter(({ range }) => !finds.has(range)),
    both: others.filter(({ range }) => finds.has(range) && writes.has(range)),
    found: others.filter(({ range }) => finds.has(range) && !writes.has(range)),
    meant,
  }
  return stepOf(wide, modify, items, ctx)
}

/** Rows are found under the policies of SELECT. Postgres asks those only where a column of the target is read. */
function readsTarget(a: Analysis, statement: UpdateStmt & DeleteStmt, ctx: PlanContext): boolean {
  const { columns } = mentioned(a.block.node as SelectStmt)
  const table = a.catalog.resolve(
    statement.relation?.schemaname,
    statement.relation?.relname ?? '',
    ctx.searchPath,
  )
  return table?.columns.some(({ name }) => columns.has(name)) === true
}

/** Which rows LIMIT leaves where nothing orders them is chosen for finding and for writing, if both read it. */
function choosesAgain({ fromClause, usingClause, withClause }: UpdateStmt & DeleteStmt): boolean {
  return JSON.stringify([fromClause, usingClause, withClause]).includes('"limitCount"')
}

type Ranges = ReadonlySet<RangeVar>
const rangesIn = (part: unknown): Ranges => new Set(relationsOf(part))

/** What the statement reads, by whether it takes it to find its rows, or to write, or both. */
interface Items {
  readonly written: readonly TableItem[]
  readonly both: readonly TableItem[]
  readonly found: readonly TableItem[]
  readonly meant: TableItem
}

interface Modify {
  readonly verb: WriteTarget['verb']
  /** It sets the shard key. */
  readonly moves: boolean
  /** What it sets is computed on home. */
  readonly setsOnce: boolean
  readonly text: string
  readonly statement: UpdateStmt & DeleteStmt
  readonly locks: Pick<ModifyPlan, 'locksByUpdate' | 'unlocked'>
}

/**
 * `SET (a, b) = (SELECT …)` has its subquery once for each column: all of them are to be the first one. Of `SET (a, b) =
 * (x, DEFAULT)` each column has its own.
 */
export function withOneSource<T extends { targetList?: Node[] }>(written: T): T {
  const statement = structuredClone(written)
  let source: Node | undefined
  for (const node of statement.targetList ?? []) {
    const item = as(node, 'ResTarget')
    const assigned = as(item?.val, 'MultiAssignRef')
    if (assigned?.source === undefined) continue
    if (assigned.colno === 1) source = assigned.source
    else if (source !== undefined) assigned.source = source
    const own = itemOfRow(assigned)
    if (own !== undefined) item!.val = own
  }
  return statement
}

/** Undefined: it is no list of as many values as columns. */
function itemOfRow({ source, colno = 1, ncolumns }: Pg.MultiAssignRef): Node | undefined {
  const args = as(source, 'RowExpr')?.args
  if (args?.length !== ncolumns || JSON.stringify(args).includes('"A_Star"')) return undefined
  return args?.[colno - 1]
}

/** The tables of the statement as a SELECT has them, and all that it computes. */
function everythingOf(statement: UpdateStmt & DeleteStmt): SelectStmt {
  const { targetList = [] } = statement
  const assigned = [...targetList.map((node) => as(node, 'ResTarget')?.val), ...subscriptsOf(targetList)]
  const values = assigned.filter((val) => val !== undefined && as(val, 'SetToDefault') === undefined)
  const returned = (statement.returningClause?.exprs ?? []).map((node) => as(node, 'ResTarget')?.val)
  const outputs = [...values, ...returned].filter((val) => val !== undefined)
  return selectOf(
    statement,
    outputs.map((val) => ({ ResTarget: { val } }) as Node),
  )
}

function selectOf(statement: UpdateStmt & DeleteStmt, targetList: Node[]): SelectStmt {
  const { relation, fromClause, usingClause, whereClause, withClause } = statement
  return {
    targetList,
    fromClause: [{ RangeVar: relation! }, ...(fromClause ?? usingClause ?? [])],
    ...(whereClause && { whereClause }),
    ...(withClause && { withClause }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  }
}

/** Of the only item that has them. */
const PLACED = 0

function stepOf(a: Analysis, modify: Modify, items: Items, ctx: PlanContext): ModifyStep | undefined {
  const { written: early, both, found, meant } = items
  const placed = placedTarget(a, modify, meant, ctx)
  if (placed === undefined) return undefined
  const all = [...early, ...both, ...found, placed]
  const asked = conditionsByItem(a, a.block.node as SelectStmt, [...early, ...both, ...found, meant], ctx)
  const rows = all.map((item) => rowsOf(item, asked.get(item === placed ? meant : item) ?? [], undefined))
  const find = findOf(modify.statement, [...both, ...found, placed])
  const onCopies = meant.place === 'any'
  const asWritten = foundBy(modify, [...early, ...both], meant)
  const once = modify.setsOnce ? setOnceOf(asWritten, placed, all, a.catalog, modify.moves) : undefined
  if (modify.setsOnce && once === undefined) return undefined
  const meaning = once?.found ?? asWritten
  const write = onCopies ? copiesOf(modify.verb, meaning, a.catalog) : writeOf(modify.verb, meaning)
  if (rows.includes(undefined) || find === undefined || write === undefined) return undefined
  const move = modify.moves ? moveOf(meaning) : undefined
  if (modify.moves && move === undefined) return undefined
  const atHome = onCopies || all.some(isHomes)
  // Shards do not have its type.
  if ([...early, ...both].some(({ place, isRow }) => place === 'home' && isRow)) return undefined
  const finishing = { ...find, finishFrom: early.length, atHome, isInline: false }
  const { route, ...everywhere } = gathering(a, all, rows as string[], finishing)
  const gather = route === undefined || onCopies ? everywhere : { ...everywhere, route }
  const isKept = modify.verb !== 'DELETE' && !modify.moves
  const lock = `${wholeOf(meant)}${keyOrderOf(meant)} FOR ${isKept ? 'NO KEY UPDATE' : 'UPDATE'}`
  const look = lookOf(meant)
  const codeReads = onCopies && readsInCode(a.catalog, modify.text)
  return {
    kind: 'gather-modify',
    gather,
    modify: {
      ...write,
      ...modify.locks,
      look,
      lock,
      ...(move && { move }),
      ...(codeReads && { codeReads }),
      ...(once && { computed: once.computed }),
    },
  }
}

/** With the columns by which its rows are found, and what is computed with them, and their places. */
function placedTarget(
  a: Analysis,
  { statement, setsOnce }: Modify,
  meant: TableItem,
  ctx: PlanContext,
): TableItem | undefined {
  const { returningClause: _, ...set } = statement
  const found = tableItems(a, setsOnce ? everythingOf(set) : selectOf(statement, []), ctx)
  const narrow = found?.kind === 'items' ? found.items.find(({ range }) => range === meant.range) : undefined
  return narrow && withPlaces(narrow, PLACED)
}

/** The places of the rows that are meant. */
function findOf(
  statement: UpdateStmt & DeleteStmt,
  items: readonly TableItem[],
): Pick<GatherPlan, 'finish' | 'paramCount' | 'finishParams'> | undefined {
  const places = placesOf(PLACED).join(', ')
  const { targetList, distinctClause } = selectNode(`SELECT DISTINCT ${places}`)
  const select = { ...selectOf(statement, targetList!), distinctClause: distinctClause! }
  return finishAlone(withGathered({ SelectStmt: select } as Node, items), items)
}

/** The statement with a mark where it says which rows; conditions that join nothing have done their work. */
function written(
  verb: Modify['verb'],
  { statement, whereClause }: Pick<Found, 'statement' | 'whereClause'>,
): Node {
  return {
    [verb === 'UPDATE' ? 'UpdateStmt' : 'DeleteStmt']: { ...statement, whereClause },
  } as unknown as Node
}

function atPlaces(statement: UpdateStmt & DeleteStmt): Node {
  const conditions = joinsOthers(statement) ? conjuncts(statement.whereClause) : []
  return allOf([...conditions, selectNode(`SELECT WHERE ${HERE}`).whereClause!])
}

/** Triggers and the like of its target, which the statement does not name. */
export function readsInCode(catalog: Catalog, text: string): true | undefined {
  return (ofStatement(catalog, text) & (EFFECT.reaches | EFFECT.dynamic)) !== 0 ? true : undefined
}

/** On home's copy it is found, on all copies it is written. */
function copiesOf(
  verb: Modify['verb'],
  found: Found,
  catalog: Catalog,
): Pick<ModifyPlan, 'write' | 'writeParams' | 'writeInputs' | 'copies'> | undefined {
  return verb === 'UPDATE' ? updateOfCopies(found, catalog) : deleteOfCopies(found)
}

const foundBy = ({ statement }: Modify, others: readonly TableItem[], meant: TableItem): Found => ({
  statement,
  whereClause: atPlaces(statement),
  here: HERE,
  others,
  meant,
})

/** As the names of gathered rows: a text that has it is not planned this way. */
const HERE = '__weft_gathered_here()'

/** The statement on the rows whose places are said. */
function writeOf(
  verb: Modify['verb'],
  found: Found,
): Pick<ModifyPlan, 'write' | 'writeParams' | 'writeInputs'> | undefined {
  const { others, meant } = found
  const statement = written(verb, found)
  const read = readIn(statement, others)
  const over = overGathered(withGathered(statement, read), read)
  if (over === undefined) return undefined
  const { sql, params } = over
  const arrays = read.reduce((count, { columns }) => count + columns.length, 0)
  const here = isAt(meant, params.length + arrays + 1)
  const writeInputs = numbersOf(read, others)
  return { write: sql.replace(HERE, () => here), writeParams: params, writeInputs }
}
