import type { Catalog } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  columnName,
  columnNode,
  hasSubqueries,
  type Node,
  type ResTarget,
  type SelectStmt,
  walk,
} from '../../parse/ast.ts'
import { columnLabel } from '../../tree/label.ts'
import { traitsOf } from '../../tree/traits.ts'
import { selectNode } from '../gather/made-nodes.ts'

/**
 * `SELECT f(a), b FROM … FOR UPDATE` with functions of users, or of the home shard: rows are locked by a query of the
 * columns that are named, and what is computed of them is computed over its rows. Undefined: it is none, or names more
 * than columns.
 */
export function computedAfter(statement: Node, catalog: Catalog): Node | undefined {
  const select = as(statement, 'SelectStmt')
  if (select?.lockingClause === undefined || select.withClause !== undefined) return undefined
  const { targetList = [], ...rest } = select
  if (!callsAway(targetList, catalog) || callsAway(rest, catalog) || hasSubqueries(targetList))
    return undefined
  const columns = new InnerColumns()
  const outputs = targetList.map((node) => columns.over(as(node, 'ResTarget')!))
  const sortClause = select.sortClause?.map((node) => sortedBy(node, targetList))
  if (outputs.includes(undefined) || sortClause?.includes(undefined)) return undefined
  const inner = {
    ...rest,
    targetList: columns.targets,
    ...(sortClause && { sortClause: sortClause as Node[] }),
  } as SelectStmt
  const outer = selectNode('SELECT FROM t')
  const from = { RangeSubselect: { subquery: { SelectStmt: inner }, alias: { aliasname: ROWS } } } as Node
  return { SelectStmt: { ...outer, targetList: outputs as Node[], fromClause: [from] } } as Node
}

const ROWS = '__weft_locked'

function callsAway(part: unknown, catalog: Catalog): boolean {
  const { user, home } = traitsOf(part, catalog)
  return (user ?? home) !== undefined
}

/** Columns of the locked rows, each once. */
class InnerColumns {
  private readonly byName = new Map<string, string>()
  readonly targets: Node[] = []

  /** Undefined: it names something other than a column, or may do so. */
  over(target: ResTarget): Node | undefined {
    let isKnown = true
    const val = structuredClone(target.val)
    walk(val, (kind, body) => {
      if (kind !== 'ColumnRef') return
      const ref = body as ColumnRef
      const names = columnName({ ColumnRef: ref } as Node)
      if (names === undefined) isKnown = false
      else ref.fields = as(columnNode(ROWS, this.named(names)), 'ColumnRef')!.fields!
    })
    return isKnown ? ({ ResTarget: { name: columnLabel(target), val } } as Node) : undefined
  }

  private named(names: readonly string[]): string {
    const key = JSON.stringify(names)
    const known = this.byName.get(key)
    if (known !== undefined) return known
    const name = `__weft_c${this.targets.length}`
    this.byName.set(key, name)
    this.targets.push({ ResTarget: { name, val: columnNode(...names) } } as Node)
    return name
  }
}

/** By an output's name or number: by the column that this is. Undefined: by something that is computed. */
function sortedBy(node: Node, targetList: readonly Node[]): Node | undefined {
  const sort = as(node, 'SortBy')!
  const targets = targetList.map((target) => as(target, 'ResTarget')!)
  const number = as(sort.node, 'A_Const')?.ival?.ival
  const names = columnName(sort.node)
  const isName = names?.length === 1
  const meant =
    number !== undefined
      ? targets[number - 1]
      : targets.find((target) => isName && columnLabel(target) === names[0])
  if (meant === undefined) return number === undefined ? node : undefined
  return columnName(meant.val) === undefined ? undefined : ({ SortBy: { ...sort, node: meant.val } } as Node)
}
