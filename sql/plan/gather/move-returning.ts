import type * as Pg from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  columnNode,
  hasSubqueries,
  type Node,
  type RangeVar,
  strings,
} from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import { columnLabel } from '../../tree/label.ts'
import { itemAlias, leaves } from './from-items.ts'
import { ownName } from './gather-plan.ts'
import { expressionNode } from './made-nodes.ts'

/** RETURNING of rows that were moved: their INSERT knows the new row, all else comes with its source. */

export interface Returned {
  readonly relation: RangeVar
  readonly table: Relation
  /** FROM items beside the target. */
  readonly from: readonly Node[]
}

export interface CarriedReturning {
  readonly exprs: readonly Node[]
  /** What they name of the old row and of FROM, over these: outputs of the source, by `carriedName`. */
  readonly carried: readonly Node[]
}

/** How the source of the INSERT is named, and what it gives. */
export const CARRIED = ownName('carried')
export const carriedName = (i: number): string => ownName(`returned_${i}`)

/** Undefined: it is not known well enough what its names mean. */
export function carriedReturning(
  clause: Pg.ReturningClause,
  returned: Returned,
): CarriedReturning | undefined {
  if (hasSubqueries(clause.exprs as unknown as Node)) return undefined
  const rewriter = new Rewriter(clause, returned)
  const exprs = (clause.exprs ?? []).flatMap((node) => rewriter.output(as(node, 'ResTarget')!))
  return rewriter.isKnown ? { exprs, carried: rewriter.carried } : undefined
}

class Rewriter {
  readonly carried: Node[] = []
  isKnown = true
  private readonly returned: Returned
  private readonly own: string
  private readonly old: string | undefined
  private readonly new: string | undefined

  constructor({ options = [] }: Pg.ReturningClause, returned: Returned) {
    this.returned = returned
    const { relation, from } = returned
    this.own = relation.alias?.aliasname ?? relation.relname ?? ''
    const taken = new Set([this.own, ...from.flatMap(leaves).map(itemName)])
    const named = new Map(
      options.map((node) => {
        const { option, value } = as(node, 'ReturningOption')!
        return [option, value] as const
      }),
    )
    const nameOf = (option: 'OLD' | 'NEW', name: string): string | undefined =>
      named.get(`RETURNING_OPTION_${option}`) ?? (taken.has(name) ? undefined : name)
    this.old = nameOf('OLD', 'old')
    this.new = nameOf('NEW', 'new')
  }

  output(target: Pg.ResTarget): Node[] {
    const fields = as(target.val, 'ColumnRef')?.fields ?? []
    if (as(fields.at(-1), 'A_Star') !== undefined) return this.star(strings(fields).at(-1), fields.at(-1)!)
    const val = this.expression(target.val!)
    return [{ ResTarget: { name: columnLabel(target), val } } as Node]
  }

  private star(owner: string | undefined, star: Node): Node[] {
    const { table, from } = this.returned
    const row = { ResTarget: { val: { ColumnRef: { fields: [named(this.own), star] } } } } as Node
    if (owner === undefined) return [row, ...from.flatMap((item) => this.itemStars(item, star))]
    if (owner === this.own || owner === this.new) return [row]
    if (owner !== this.old) {
      const item = from.flatMap(leaves).find((leaf) => itemName(leaf) === owner)
      return item === undefined ? this.unknown() : this.itemStars(item, star)
    }
    return table.columns.map(
      ({ name }) => ({ ResTarget: { name, val: this.carry(columnNode(this.own, name)) } }) as Node,
    )
  }

  /** In a join by names its columns are others. */
  private itemStars(item: Node, star: Node): Node[] {
    const join = as(item, 'JoinExpr')
    if (join !== undefined) {
      if (join.isNatural || join.usingClause !== undefined || join.alias !== undefined) return this.unknown()
      return [join.larg!, join.rarg!].flatMap((side) => this.itemStars(side, star))
    }
    const name = itemName(item)
    const isColumn = this.returned.table.columns.some((column) => column.name === name)
    if (name === '' || isColumn || as(item, 'RangeFunction') !== undefined) return this.unknown()
    const indirection = { arg: this.carry(columnNode(name)), indirection: [star] }
    return [{ ResTarget: { val: { A_Indirection: indirection } } } as Node]
  }

  private expression(val: Node): Node {
    const copy = structuredClone({ val })
    replaceNodes(copy, (node) => this.other(node))
    return copy.val
  }

  /** What stands in the place of a node; undefined: itself. */
  private other(node: Node): Node | undefined {
    if (as(node, 'MergeSupportFunc') !== undefined) return expressionNode("CAST('UPDATE' AS text)")
    const ref = as(node, 'ColumnRef')
    return ref && this.column(ref)
  }

  private column(ref: ColumnRef): Node {
    const { table } = this.returned
    const self = { ColumnRef: ref } as Node
    const fields = ref.fields ?? []
    const names = strings(fields)
    const isStar = as(fields.at(-1), 'A_Star') !== undefined
    const [owner, name] = isStar ? [names.at(-1), undefined] : [names.at(-2), names.at(-1)]
    if (owner === undefined) return this.alone(name!, self)
    if (owner === this.new) return { ColumnRef: { fields: [named(this.own), ...fields.slice(-1)] } } as Node
    if (owner === this.own) return self
    if (name === undefined) return this.unknownNode(self)
    if (owner === this.old) {
      const isColumn = table.columns.some((column) => column.name === name)
      return isColumn ? this.carry(columnNode(this.own, name)) : this.unknownNode(self)
    }
    return this.carry(self)
  }

  /** A name without a table: of the new row, if that has it; the name of a row; or FROM's. */
  private alone(name: string, self: Node): Node {
    if (this.returned.table.columns.some((column) => column.name === name)) return self
    if (name === this.own) return self
    if (name === this.new) return columnNode(this.own)
    return name === this.old ? this.unknownNode(self) : this.carry(self)
  }

  private carry(inner: Node): Node {
    this.carried.push(inner)
    return columnNode(CARRIED, carriedName(this.carried.length - 1))
  }

  private unknown(): Node[] {
    this.isKnown = false
    return []
  }

  private unknownNode(self: Node): Node {
    this.isKnown = false
    return self
  }
}

const named = (sval: string): Node => ({ String: { sval } }) as Node

function itemName(item: Node): string {
  const called = as(item, 'RangeFunction')
  return called === undefined ? itemAlias(item) : (called.alias?.aliasname ?? '')
}
