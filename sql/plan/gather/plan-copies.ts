import type { Catalog, Column } from '../../catalog.ts'
import { as, columnNode, type Node, type RangeVar, type UpdateStmt } from '../../parse/ast.ts'
import { hasUnstableDefault } from '../writes.ts'
import { gatheredName, type ModifyPlan, ownName } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { expressionNode, selectNode } from './made-nodes.ts'
import { assignedValue, castNode, type Found, ofPlaces, readIn } from './new-values.ts'
import { overGathered, withGathered } from './over-gathered.ts'
import { isKeyed, keyColumns } from './places.ts'
import { allOf, unsafeArm } from './plan-gather.ts'
import { returnsNewOnly } from './plan-move.ts'
import { FORMAT, transportOf } from './transport.ts'

/**
 * UPDATE and DELETE of a reference table by what is gathered. Its rows are found and locked on home's copy; on the others
 * they lie at other places, and are told by their primary keys. What they are set to is computed on home, once, and given
 * to all copies: so it may be volatile, and it does not matter which of several rows that join it a row is given.
 */
type Write = Pick<ModifyPlan, 'write' | 'writeParams' | 'writeInputs' | 'copies'>

/** Undefined: not exactly what the statement does. */
export function updateOfCopies(found: Found, catalog: Catalog): Write | undefined {
  const { statement, meant, others } = found
  const set = assignments(statement, meant, catalog)
  const isExact = statement.fromClause === undefined || returnsNewOnly(statement, meant.relation)
  if (set === undefined || !isExact) return undefined
  const copies = copiesOf(found, set)
  const read = readIn([statement.returningClause, statement.withClause], others)
  const own = arriving(meant, set, read.length)
  const over = overGathered(withGathered(updateFrom(found, set, own.range), read), [...read, own])
  if (copies === undefined || over === undefined) return undefined
  const writeInputs = read.map((item) => others.indexOf(item))
  return { write: over.sql, writeParams: over.params, writeInputs, copies }
}

/** `found`: its statement deletes what is at the mark. Who joins its rows matters only to RETURNING. */
export function deleteOfCopies(found: Found): Write | undefined {
  const { statement, meant, others, here } = found
  const { usingClause: _, withClause: __, ...plain } = statement as UpdateStmt & { usingClause?: Node[] }
  const isPlain = statement.returningClause === undefined
  const kept = isPlain ? plain : statement
  const whereClause = isPlain ? markOf(here) : found.whereClause
  const read = isPlain ? [] : readIn(kept, others)
  const node = { DeleteStmt: { ...kept, whereClause } } as unknown as Node
  const over = overGathered(withGathered(node, read), read)
  const copies = keysOfCopies(meant, here)
  if (over === undefined || copies === undefined) return undefined
  const arrays = read.reduce((count, { columns }) => count + columns.length, 0)
  return {
    write: over.sql.replace(here, () => isKeyed(meant, over.params.length + arrays + 1)),
    writeParams: over.params,
    writeInputs: read.map((item) => others.indexOf(item)),
    copies,
  }
}

/** Nothing but the keys of rows at places. */
export function keysOfCopies(meant: TableItem, here: string): ModifyPlan['copies'] {
  const statement = { relation: meant.range }
  return copiesOf({ statement, whereClause: markOf(here), here, others: [], meant }, [])
}

const markOf = (here: string): Node => selectNode(`SELECT WHERE ${here}`).whereClause!

/** What a column is set to; no value: its DEFAULT, which is the same on all copies. */
interface Assignment {
  readonly column: Column
  readonly value?: Node
}

function assignments(
  { targetList = [] }: UpdateStmt,
  { relation }: TableItem,
  catalog: Catalog,
): readonly Assignment[] | undefined {
  const set: Assignment[] = []
  for (const node of targetList) {
    const { name, val, indirection } = as(node, 'ResTarget')!
    const column = relation.columns.find((one) => one.name === name)
    if (column === undefined || indirection !== undefined) return undefined
    if (as(val, 'SetToDefault') !== undefined && !hasUnstableDefault(column, catalog)) {
      set.push({ column })
      continue
    }
    const value = assignedValue(val!, column, true)
    if (value === undefined) return undefined
    set.push({ column, value: castNode(value, column.type) })
  }
  return set
}

const keyName = (i: number): string => ownName(`key_${i}`)
const newName = (i: number): string => ownName(`new_${i}`)

const computed = (set: readonly Assignment[]) =>
  set.filter((one): one is Required<Assignment> => one.value !== undefined)

/** Their lengths are looked at when they are assigned. */
function columnsOf(meant: TableItem, set: readonly Assignment[]): Column[] {
  const named = [
    ...keyColumns(meant).map((column, i) => ({ ...column, name: keyName(i) })),
    ...computed(set).map(({ column }, i) => ({ ...column, name: newName(i) })),
  ]
  return named.map(({ declared: _, ...column }) => column)
}

/** Of several rows that join it Postgres takes the one that it finds first, too. */
function copiesOf(found: Found, set: readonly Assignment[]): ModifyPlan['copies'] {
  const { statement, meant } = found
  const columns = columnsOf(meant, set)
  const keys = keyColumns(meant)
  const values = [
    ...keys.map(({ name }) => columnNode(meant.alias, name)),
    ...computed(set).map(({ value }) => value),
  ]
  const targetList = values.map((val, i) => ({ ResTarget: { val, name: columns[i]!.name } }) as Node)
  const over = ofPlaces(found, targetList)
  if (over === undefined) return undefined
  const once =
    statement.fromClause === undefined ? '' : `DISTINCT ON (${keys.map((_, i) => keyName(i)).join(', ')}) `
  const transports = columns.map((column) => transportOf(column))
  const unsafe = unsafeArm(columns)
  return {
    compute: `SELECT 0, r.* FROM (SELECT ${once}* FROM (${over.sql}) AS q) AS r${unsafe}`,
    computeParams: over.params,
    computeInputs: over.inputs,
    formats: [FORMAT.binary, ...transports.map(({ format }) => format)],
    input: {
      table: meant.relation.name,
      columns: transports,
      slots: columns.map((_, i) => i),
      names: columns.map(({ name }) => name),
    },
  }
}

/** Keys and values that come as arrays. */
function arriving(meant: TableItem, set: readonly Assignment[], input: number): TableItem {
  const alias = ownName('values')
  const range: RangeVar = {
    relname: gatheredName(input),
    inh: true,
    relpersistence: 'p',
    alias: { aliasname: alias },
  }
  const { isRow: _, ...item } = meant
  return { ...item, range, alias, columns: columnsOf(meant, set) }
}

/** The statement with what was computed in the place of all that it is computed from. */
function updateFrom({ statement, meant }: Found, set: readonly Assignment[], range: RangeVar): Node {
  const { relation, returningClause, withClause } = statement
  const alias = ownName('values')
  let next = 0
  const targetList = set.map(({ column: { name }, value }) => {
    const val = value === undefined ? ({ SetToDefault: {} } as Node) : columnNode(alias, newName(next++))
    return { ResTarget: { name, val } } as Node
  })
  const isSame = keyColumns(meant).map((column, i) => {
    const condition = as(expressionNode('1 = 1'), 'A_Expr')!
    const [lexpr, rexpr] = [columnNode(meant.alias, column.name), columnNode(alias, keyName(i))]
    return { A_Expr: { ...condition, lexpr, rexpr } } as Node
  })
  const update = {
    relation: relation!,
    targetList,
    fromClause: [{ RangeVar: range } as Node],
    whereClause: allOf(isSame),
    ...(returningClause && { returningClause: ofTarget(returningClause, meant.alias) }),
    ...(withClause && { withClause }),
  }
  return { UpdateStmt: update } as Node
}

/** `*` is its row: what has come in FROM is none of the client's. */
export function ofTarget<T extends { exprs?: Node[] }>(returning: T, alias: string): T {
  const exprs = (returning.exprs ?? []).map((node) => {
    const fields = as(as(node, 'ResTarget')?.val, 'ColumnRef')?.fields ?? []
    if (fields.length !== 1 || as(fields[0], 'A_Star') === undefined) return node
    return {
      ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: alias } }, fields[0]!] } } },
    } as Node
  })
  return { ...returning, exprs }
}
