import type { PgError } from '../../../errors/pg-error.ts'
import type { Catalog, Column, Relation } from '../../catalog.ts'
import { as, conjuncts, kindOf, type Node, type RangeVar, type UpdateStmt } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { WriteTarget } from '../../tree/builder.ts'
import { traitsOf, unstableBecause } from '../../tree/traits.ts'
import { placeError } from '../routing.ts'
import { quoteName } from '../text-scan.ts'
import { defaultError, hasUnstableDefault } from '../writes.ts'
import { type ComputedPlan, ownName, PLACE_PARTS, placeName } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { selectNode } from './made-nodes.ts'
import { assignedValue, castNode, type Found, readIn } from './new-values.ts'
import { subqueriesOf } from './once-per-row.ts'
import { overGathered, withGathered } from './over-gathered.ts'
import { placeColumns, xminOf } from './places.ts'
import { ofTarget } from './plan-copies.ts'
import { allOf, unsafeArm } from './plan-gather.ts'
import { returnsNewOnly } from './plan-move.ts'
import { FORMAT, transportOf } from './transport.ts'

/**
 * What an UPDATE gives rows of a sharded table and cannot be computed where they are: sequences and what functions of users
 * see are home's, and a shard key that comes out anew each time has to be known before the row is written. It is computed on
 * home, once for each row that was found; where the rows are the statement takes it from one table more that it joins.
 */

interface Assigned {
  readonly column: Column
  /** Undefined: it stays as it is written. */
  readonly value: Node | undefined
  readonly node: Node
}

/** What the statement would be refused for, where that is in SET alone. */
export function drawnInSet(a: Analysis, { relation, verb, nested, node }: WriteTarget): PgError | undefined {
  if (verb !== 'UPDATE' || nested || relation?.kind !== 'sharded') return undefined
  const { targetList: _, ...rest } = node as UpdateStmt
  if (traitsOf(rest, a.catalog).home !== undefined) return undefined
  return placeError(a) ?? defaultError(a.catalog, { relation, verb, nested, node } as WriteTarget)
}

/** Some of it is to be computed on home. */
export function isSetOnce(
  { relation, verb }: WriteTarget,
  statement: UpdateStmt,
  catalog: Catalog,
  moves: boolean,
): boolean {
  if (verb !== 'UPDATE' || relation?.kind !== 'sharded') return false
  return (statement.targetList ?? []).some((node) => isHomes(node, relation, catalog, moves))
}

function isHomes(node: Node, relation: Relation, catalog: Catalog, moves: boolean): boolean {
  const { name, val, indirection } = as(node, 'ResTarget')!
  if (as(val, 'SetToDefault') !== undefined) {
    const column = relation.columns.find((one) => one.name === name)
    if (column === undefined) return false
    return column.usesSequence || (moves && hasUnstableDefault(column, catalog))
  }
  const { home, user, server, time, random } = traitsOf([val, indirection], catalog)
  return (home ?? user ?? server ?? (moves ? (time ?? random) : undefined)) !== undefined
}

/** The statement that takes what was computed, and how that is. */
export interface SetOnce {
  readonly found: Found
  readonly computed: ComputedPlan
}

/**
 * `placed`: the target as it is gathered, with places and what SET names. `all`: what is gathered, in order. Undefined: it
 * cannot be said in this way.
 */
export function setOnceOf(
  found: Found,
  placed: TableItem,
  all: readonly TableItem[],
  catalog: Catalog,
  moves: boolean,
): SetOnce | undefined {
  const { statement, meant } = found
  const set = assignmentsOf(statement, meant.relation, catalog, moves)
  const isExact = statement.fromClause === undefined
  if (set === undefined || !(isExact || returnsNewOnly(statement, meant.relation))) return undefined
  const values = set.filter((one): one is Required<Assigned> & { value: Node } => one.value !== undefined)
  const columns = values.map(({ column: { declared: _, ...column } }, i) => ({
    ...column,
    name: valueName(i),
  }))
  const computed = computedOf(found, placed, all, {
    columns,
    values: values.map(({ column, value }) => castNode(value, column.type)),
  })
  const own = ownItem(meant, [...placeColumns(PLACED).slice(0, 3), ...columns])
  const callsUsers = traitsOf(statement, catalog).user !== undefined && { callsUsers: true as const }
  return computed && { computed: { ...computed, ...callsUsers }, found: givenBy(found, set, own) }
}

const PLACED = 0
const valueName = (i: number): string => ownName(`set_${i}`)
const OWN = ownName('set')

/** Where others are joined, all is computed with them. */
function assignmentsOf(
  { targetList = [], fromClause }: UpdateStmt,
  relation: Relation,
  catalog: Catalog,
  moves: boolean,
): readonly Assigned[] | undefined {
  const set: Assigned[] = []
  for (const node of targetList) {
    const { name, val, indirection } = as(node, 'ResTarget')!
    const column = relation.columns.find((one) => one.name === name)
    if (val === undefined) return undefined
    // Postgres says that there is none, before anything runs.
    if (column === undefined) continue
    const isOpen = isHomes(node, relation, catalog, moves) || isOneForAll([val, indirection], catalog)
    const kind = kindOf(val)
    const isKept = kind === 'SetToDefault' || (fromClause === undefined && kind !== 'MultiAssignRef')
    if (!isOpen && isKept) {
      set.push({ column, value: undefined, node })
      continue
    }
    // A row of a subquery is computed once for all of its columns.
    const isRow = kind === 'MultiAssignRef' && as(as(val, 'MultiAssignRef')!.source, 'RowExpr') === undefined
    const value =
      indirection !== undefined || (isRow && isOpen) ? undefined : assignedValue(val, column, true)
    if (value === undefined) return undefined
    set.push({ column, value, node })
  }
  return set
}

/** A subquery that comes out anew each time: Postgres runs it once for all rows, each shard would for its own. */
function isOneForAll(part: unknown, catalog: Catalog): boolean {
  return unstableBecause(traitsOf(subqueriesOf(part), catalog), false) !== undefined
}

interface Values {
  readonly columns: readonly Column[]
  readonly values: readonly Node[]
}

/** Of several rows that join it Postgres takes the one that it finds first, too. */
function computedOf(
  { statement, whereClause, here }: Found,
  placed: TableItem,
  all: readonly TableItem[],
  { columns, values }: Values,
): ComputedPlan | undefined {
  const { relation, fromClause, withClause } = statement
  const places = PLACE_PARTS.map((part) => placeName(part, PLACED))
  const { targetList } = selectNode(`SELECT ${places.join(', ')}`)
  const outputs = values.map((val, i) => ({ ResTarget: { val, name: columns[i]!.name } }) as Node)
  const select = {
    targetList: [...targetList!, ...outputs],
    fromClause: [{ RangeVar: relation! } as Node, ...(fromClause ?? [])],
    whereClause,
    ...(withClause && { withClause }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  }
  const items = [
    ...readIn(
      select,
      all.filter((item) => item !== placed),
    ),
    placed,
  ]
  const over = overGathered(withGathered({ SelectStmt: select } as Node, items), items)
  if (over === undefined) return undefined
  const arrays = items.reduce((count, item) => count + item.columns.length, 0)
  const sql = over.sql.replace(here, () => isPlaced(over.params.length + arrays + 1))
  const sent = [...placeColumns(PLACED).slice(0, 3), ...columns]
  const transports = sent.map((column) => transportOf(column))
  const { binary } = FORMAT
  const names = sent.map(({ name }) => quoteName(name))
  const [shard] = places.slice(-1)
  const once = fromClause === undefined ? '' : `DISTINCT ON (${places.join(', ')}) `
  const unsafe = unsafeArm(sent, ['NULL'])
  return {
    compute: `SELECT 0, ${[...names, shard].join(', ')} FROM (SELECT ${once}* FROM (${sql}) AS q) AS r${unsafe}`,
    computeParams: over.params,
    computeInputs: items.map((item) => all.indexOf(item)),
    formats: [binary, ...transports.map(({ format }) => format), binary],
    input: {
      table: placed.relation.name,
      columns: transports,
      slots: sent.map((_, i) => i),
      names: columns.map(({ name }) => name),
    },
  }
}

/** Parameters from `param` on: places as arrays of their parts. */
function isPlaced(param: number): string {
  const arrays = ['oid[]', 'tid[]', 'int8[]', 'int4[]'].map(
    (type, i) => `pg_catalog.unnest(CAST($${param + i} AS ${type}))`,
  )
  const row = PLACE_PARTS.map((part) => placeName(part, PLACED)).join(', ')
  return `ROW(${row}) IN (SELECT * FROM ROWS FROM (${arrays.join(', ')}))`
}

/** What was computed, as a table. */
function ownItem(meant: TableItem, columns: readonly Column[]): TableItem {
  const range: RangeVar = { relname: OWN, inh: true, relpersistence: 'p', alias: { aliasname: OWN } }
  const { isRow: _, ...item } = meant
  return { ...item, range, alias: OWN, columns, isOwn: true }
}

function givenBy(found: Found, set: readonly Assigned[], own: TableItem): Found {
  const { statement, meant, others, here } = found
  const { relation, returningClause, withClause } = statement
  let next = 0
  const targetList = set.map(({ column: { name }, value, node }) => {
    if (value === undefined) return node
    const [val] = [selectNode(`SELECT ${OWN}.${valueName(next++)}`).targetList![0]]
    return { ResTarget: { name, val: as(val, 'ResTarget')!.val } } as Node
  })
  const name = quoteName(meant.alias)
  const target = [`${name}.tableoid`, `${name}.ctid`, xminOf(name)]
  const isSame = target.map((part, i) => `${OWN}.${placeName(PLACE_PARTS[i]!, PLACED)} = ${part}`)
  const conditions = selectNode(`SELECT WHERE ${isSame.join(' AND ')} AND ${here}`).whereClause
  const update: UpdateStmt = {
    relation: relation!,
    targetList,
    fromClause: [{ RangeVar: own.range } as Node],
    whereClause: allOf(conjuncts(conditions)),
    ...(returningClause && { returningClause: ofTarget(returningClause, meant.alias) }),
    ...(withClause && { withClause }),
  }
  return {
    ...found,
    statement: update,
    whereClause: update.whereClause!,
    others: [...others, own],
    isComputed: true,
  }
}
