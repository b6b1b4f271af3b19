import type { Catalog } from '../../catalog.ts'
import {
  as,
  columnName,
  columnNode,
  type FuncCall,
  kindOf,
  type Node,
  qualified,
  type ResTarget,
  type SelectStmt,
} from '../../parse/ast.ts'
import { columnLabel } from '../../tree/label.ts'
import { isAggregateCall } from '../../tree/shape.ts'
import { isOpaque } from '../../tree/traits.ts'
import { isClosed } from './closed.ts'
import { ASKED, columnNameOf, type KnownColumn, ROWS } from './island.ts'
import type { LevelNames } from './level-names.ts'
import { expressionNode } from './made-nodes.ts'
import { type PartialForm, partialForm } from './partials.ts'

/** What shards compute in the place of a level, in the order of the gathered columns. */
export interface Moved {
  readonly node: Node
  readonly column: KnownColumn
  /** Of a group it is one value: the shards group by it. */
  readonly isKey: boolean
}

/** Something in the level cannot be told from what shards would give. */
export class NotMovable extends Error {}

/** What a rewriter takes for one value, and gives to the shards to compute. */
export type Unit = 'columns' | 'groups'

/**
 * The part of a level above its FROM and WHERE, made again of columns that the shards give. What is moved is noted while the
 * level is gone through once; when the columns' types are known it is gone through again, for its tree.
 */
export class LevelRewriter {
  readonly moved: Moved[] = []
  private readonly names: LevelNames
  private readonly catalog: Catalog
  private readonly unit: Unit
  private readonly places = new Map<string, number>()
  /** Of these expressions a group has one value. */
  private readonly keys = new Set<string>()
  private readonly forms = new Map<string, { readonly first: number; readonly form: PartialForm }>()
  private types: readonly string[] = []

  private readonly isComplete: boolean

  /** `columns`: shards give every row; `groups`: one row for each group; `isComplete`: of all there is of it. */
  constructor(names: LevelNames, catalog: Catalog, unit: Unit, isComplete = false) {
    this.isComplete = isComplete
    this.names = names
    this.catalog = catalog
    this.unit = unit
  }

  /** Types of the moved columns, as `format_type` prints them. */
  withTypes(types: readonly string[]): this {
    this.types = types
    return this
  }

  /** An expression that is one of what the level groups by. */
  key(node: Node): Node {
    this.keys.add(this.names.print(node))
    return rowColumn(this.move(node))
  }

  /** Number of the column that has an expression's value; it is one from now on. */
  move(node: Node): number {
    const print = this.names.print(node)
    const known = this.places.get(print)
    if (known !== undefined) return known
    const column = this.columnOf(node)
    if (column === undefined) throw new NotMovable()
    this.places.set(print, this.moved.length)
    return this.moved.push({ node, column, isKey: true }) - 1
  }

  private columnOf(node: Node): KnownColumn | undefined {
    const ref = as(node, 'ColumnRef')
    if (ref === undefined) return this.names.isPlainValue(node) ? ASKED : undefined
    const found = this.names.resolve(ref)
    return found && (found.column ?? ASKED)
  }

  /** An expression over the gathered columns. */
  expression<T>(value: T): T {
    if (Array.isArray(value)) return value.map((item) => this.expression(item)) as T
    if (typeof value !== 'object' || value === null) return value
    const made = this.node(value as unknown as Node)
    if (made !== undefined) return made as T
    const entries = Object.entries(value).map(([field, inner]) => [field, this.expression(inner)])
    return Object.fromEntries(entries) as T
  }

  private node(node: Node): Node | undefined {
    const kind = kindOf(node)
    if (kind === 'SubLink') return this.sublink(node)
    const call = as(node, 'FuncCall')
    const isWhole = this.isComplete && call !== undefined && (call.over ?? isAggregateCall(call))
    if (isWhole) return rowColumn(this.move(node))
    if (this.unit === 'columns') return kind === 'ColumnRef' ? rowColumn(this.move(node)) : undefined
    if (this.keys.size > 0 && this.keys.has(this.names.print(node))) return rowColumn(this.move(node))
    // What is not grouped by has no value of a group.
    if (kind === 'ColumnRef' || kind === 'JsonObjectAgg' || kind === 'JsonArrayAgg') throw new NotMovable()
    if (call === undefined) return undefined
    if (isAggregateCall(call)) return this.aggregate(call)
    const { schema, name } = qualified(call.funcname)
    // It may be an aggregate.
    if (isOpaque(schema, name, this.catalog)) throw new NotMovable()
    return undefined
  }

  private sublink(node: Node): Node {
    const sublink = as(node, 'SubLink')!
    if (!isClosed(sublink.subselect, this.names.items)) throw new NotMovable()
    const { testexpr } = sublink
    return { SubLink: { ...sublink, ...(testexpr && { testexpr: this.expression(testexpr) }) } } as Node
  }

  private aggregate(call: FuncCall): Node {
    if (call.agg_distinct) return this.distinct(call)
    const { first, form } = this.formOf(call)
    const refs = form.values.map((_, i) => ({
      ref: `${ROWS}.${columnNameOf(first + i)}`,
      type: this.types[first + i] ?? '',
    }))
    return expressionNode(form.combine(refs))
  }

  private formOf(call: FuncCall): { readonly first: number; readonly form: PartialForm } {
    const print = this.names.print({ FuncCall: call })
    const known = this.forms.get(print)
    if (known !== undefined) return known
    const { schema, name } = qualified(call.funcname)
    const form = isOpaque(schema, name, this.catalog) ? undefined : partialForm(call, this.names)
    if (form === undefined) throw new NotMovable()
    const made = { first: this.moved.length, form }
    this.forms.set(print, made)
    this.moved.push(...form.values.map((value) => ({ ...value, isKey: false })))
    return made
  }

  /** Over groups that are made smaller by its arguments: of those every value is there once for each shard. */
  private distinct(call: FuncCall): Node {
    if (call.agg_order || call.agg_within_group || call.func_variadic) throw new NotMovable()
    // No column tells whether there was a row at all: shards without any give one of the other aggregates.
    if (call.args?.every((arg) => as(arg, 'A_Const') !== undefined)) throw new NotMovable()
    const args = (call.args ?? []).map((arg) => (as(arg, 'A_Const') ? arg : rowColumn(this.move(arg))))
    const filter = call.agg_filter && { agg_filter: rowColumn(this.move(call.agg_filter)) }
    return { FuncCall: { ...call, ...filter, args } } as Node
  }

  /** The select list, every output with the name that it has. */
  targets(select: SelectStmt): Node[] {
    return (select.targetList ?? []).map((node) => {
      const target = as(node, 'ResTarget')!
      return {
        ResTarget: { ...target, name: columnLabel(target), val: this.expression(target.val!) },
      } as Node
    })
  }

  /** ORDER BY and DISTINCT ON: an output's name or place, or an expression. */
  byOutput(node: Node, labels: ReadonlySet<string>): Node {
    const sort = as(node, 'SortBy')
    if (sort !== undefined) return { SortBy: { ...sort, node: this.byOutput(sort.node!, labels) } } as Node
    const name = columnName(node)
    const isOutput = as(node, 'A_Const') !== undefined || (name?.length === 1 && labels.has(name[0]!))
    return isOutput ? node : this.expression(node)
  }
}

export const labelsOf = (select: SelectStmt): ReadonlySet<string> =>
  new Set((select.targetList ?? []).map((node) => columnLabel(as(node, 'ResTarget') as ResTarget)))

export const rowColumn = (n: number): Node => columnNode(ROWS, columnNameOf(n))
