import type { Relation } from '../catalog.ts'
import { comparedAs, type JoinType, type NamedColumn, type Space, type SpaceTable } from './block.ts'
import { columnKey, type Fact } from './facts.ts'
import { comparable } from './value-types.ts'

/** Namespaces of FROM items and how joins merge them. */

export function relationColumns(
  leaf: number,
  relation: (Pick<Relation, 'columns'> & Partial<Pick<Relation, 'key' | 'through'>>) | undefined,
): NamedColumn[] {
  const key = relation?.key?.column
  return (relation?.columns ?? []).map((c) => {
    const column = key !== undefined && relation?.through?.keys.includes(c.name) ? key : c.name
    const info = {
      key: columnKey(leaf, column),
      type: c.type,
      ...(c.base === undefined ? {} : { base: c.base }),
    }
    if (c.collation === undefined) return { name: c.name, info }
    // Equality by another collation may not be that of the bytes; declaring a table refuses such keys.
    const followed = column === key ? info : { type: c.type }
    return { name: c.name, info: { ...followed, collation: c.collation } }
  })
}

/** `AS t (a, b)`: the first columns get these names. */
export function renamed(columns: readonly NamedColumn[], names: readonly string[]): NamedColumn[] {
  return columns.map((c, i) => (names[i] === undefined ? c : { ...c, name: names[i] }))
}

export function tableSpace(
  alias: string,
  schema: string | undefined,
  columns: readonly NamedColumn[],
  open: boolean,
): Space {
  const table: SpaceTable = { alias, columns, open, ...(schema === undefined ? {} : { schema }) }
  return { tables: [table], columns, open }
}

export function beside(left: Space, right: Space): Space {
  if (left.tables.length === 0 && !left.open) return right
  return {
    tables: [...left.tables, ...right.tables],
    columns: [...left.columns, ...right.columns],
    open: left.open || right.open,
  }
}

export interface UsingJoin {
  readonly space: Space
  readonly on: readonly Fact[]
  /** The merged columns, for `USING (…) AS alias`. */
  readonly merged: readonly NamedColumn[]
}

/** JOIN … USING (names): the columns are merged into one; where `equals`, they are equal in rows that have both sides. */
export function joinUsing(
  left: Space,
  right: Space,
  names: readonly string[],
  type: JoinType,
  equals: boolean,
): UsingJoin {
  const on: Fact[] = []
  const merged: NamedColumn[] = []
  for (const name of names) {
    const l = only(left, name)
    const r = only(right, name)
    if (equals && l?.info.key && r?.info.key && comparable(comparedAs(l.info), comparedAs(r.info))) {
      on.push({ kind: 'eq', a: l.info.key, b: r.info.key, strict: true })
    }
    const side = type === 'right' ? r : type === 'full' ? undefined : l
    merged.push({ name, info: side?.info ?? {} })
  }
  const rest = (space: Space) => space.columns.filter((c) => !names.includes(c.name))
  const both = beside(left, right)
  return { space: { ...both, columns: [...merged, ...rest(left), ...rest(right)] }, on, merged }
}

function only(space: Space, name: string): NamedColumn | undefined {
  const found = space.columns.filter((c) => c.name === name)
  return found.length === 1 ? found[0] : undefined
}

/** Names that NATURAL joins on; undefined when a side has columns that Weft does not know. */
export function commonNames(left: Space, right: Space): string[] | undefined {
  if (left.open || right.open) return undefined
  const names = new Set(right.columns.map((c) => c.name))
  return [...new Set(left.columns.map((c) => c.name))].filter((name) => names.has(name))
}
