import type { Relation } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  type Node,
  type RangeVar,
  type SelectStmt,
  strings,
  walk,
} from '../../parse/ast.ts'
import { aliasOf, itemAlias, leavesOf, rangeOf } from './from-items.ts'
import type { TableItem } from './inputs.ts'

/** Two of one name are told apart by their schemas, which the gathered rows do not have. */
export const hasTwins = (items: readonly TableItem[]): boolean => twinsAmong(items).size > 0

export function namesSchemas(select: SelectStmt): boolean {
  let found = false
  walk(select, (kind, body) => {
    if (kind === 'ColumnRef' && isQualified(body as ColumnRef)) found = true
  })
  return found
}

const isQualified = ({ fields = [] }: ColumnRef): boolean => fields.length >= 3

/** A name alone may be that of a row of one of them. */
export function namesRows(select: SelectStmt, items: readonly TableItem[]): boolean {
  const twins = twinsAmong(items)
  let found = false
  walk(select, (kind, body) => {
    const [name, ...more] = kind === 'ColumnRef' ? ((body as ColumnRef).fields ?? []) : []
    if (more.length === 0 && twins.has(as(name, 'String')?.sval ?? '')) found = true
  })
  return found
}

/** The same table, named at two levels, needs nothing: the inner one hides the outer one, as before. */
function twinsAmong(items: readonly TableItem[]): ReadonlySet<string> {
  const tables = new Map<string, Relation>()
  const twins = new Set<string>()
  for (const { alias, relation } of items) {
    const { schema, name } = tables.get(alias) ?? relation
    if (schema !== relation.schema || name !== relation.name) twins.add(alias)
    tables.set(alias, relation)
  }
  return twins
}

/** In place, on a query's tree with its own FROM items: tables of one name get names of their own, as do their columns. */
export function tellApart(tree: Node, items: ReadonlyMap<RangeVar, TableItem>): void {
  const twins = twinsAmong([...items.values()])
  const renamed = new Map<RangeVar, string>()
  for (const [range, { relation, alias }] of items)
    if (range.alias === undefined && twins.has(alias)) renamed.set(range, `${relation.schema}.${alias}`)
  walk(tree, (kind, body) => {
    if (kind === 'SelectStmt') level(body as SelectStmt, [])
    return kind !== 'SelectStmt'
  })
  for (const [range, aliasname] of renamed) range.alias = { aliasname }

  function level(select: SelectStmt, around: readonly (readonly Node[])[]): void {
    const levels = [leavesOf(select), ...around]
    walk({ SelectStmt: select }, (kind, body) => {
      if (kind === 'SelectStmt' && body !== select) {
        level(body as SelectStmt, levels)
        return false
      }
      if (kind === 'ColumnRef') rename(body as ColumnRef, levels)
      return true
    })
  }

  function rename(ref: ColumnRef, levels: readonly (readonly Node[])[]): void {
    const { fields = [] } = ref
    const [table, schema] = strings(fields.slice(0, -1)).reverse()
    if (table === undefined) return
    for (const item of levels.flatMap((from) => from.filter((node) => nameOf(node) === table))) {
      const range = rangeOf(item)
      const known = range && items.get(range)
      if (schema !== undefined && (range?.alias !== undefined || known?.relation.schema !== schema)) continue
      const name = range && renamed.get(range)
      if (name !== undefined) ref.fields = [{ String: { sval: name } } as Node, fields.at(-1)!]
      return
    }
  }
}

const nameOf = (item: Node): string => {
  const range = rangeOf(item)
  return range === undefined ? itemAlias(item) : aliasOf(range)
}
