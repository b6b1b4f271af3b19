import type { Relation } from '../catalog.ts'
import type { SubLink } from '../parse/ast.ts'
import type { ColumnKey, Fact, ValueSet } from './facts.ts'

/** What a name stands for; no key: an expression, or something that Weft cannot follow. */
export interface ColumnInfo {
  readonly key?: ColumnKey
  readonly type?: string
  /** Of a domain: the type under it. */
  readonly base?: string
  readonly collation?: string
}

/** The type as which its values are compared. */
export const comparedAs = ({ base, type }: Pick<ColumnInfo, 'base' | 'type'>): string | undefined =>
  base ?? type

export interface NamedColumn {
  readonly name: string
  readonly info: ColumnInfo
}

/** A FROM item as its alias shows it. */
export interface SpaceTable {
  readonly alias: string
  /** Schema, when the relation has no alias and can be named with it. */
  readonly schema?: string
  readonly columns: readonly NamedColumn[]
  /** It may have columns that Weft does not know. */
  readonly open: boolean
}

/** What the names of a FROM clause mean. */
export interface Space {
  readonly tables: readonly SpaceTable[]
  /** Columns as `*` lists them and as they can be named without a table. */
  readonly columns: readonly NamedColumn[]
  readonly open: boolean
}

export interface Scope {
  readonly space: Space
  readonly parent: Scope | undefined
  /** `self`: the WITH query being built; `forward`: one that comes later in a WITH RECURSIVE. */
  readonly ctes: ReadonlyMap<string, Cte | 'self' | 'forward'>
  /** Inside a view's definition, whose constants are not the statement's. */
  readonly inView: boolean
}

export interface Cte {
  readonly name: string
  readonly block: Block
  readonly modifies: boolean
  readonly recursive: boolean
  references: number
}

interface LeafBase {
  readonly id: number
  readonly columns: readonly NamedColumn[]
}
export type Leaf =
  | (LeafBase & { readonly kind: 'sharded'; readonly relation: Relation })
  /** Reference and local tables, VALUES, functions: `unstable` names what may differ from run to run. */
  | (LeafBase & { readonly kind: 'plain'; readonly unstable: string | undefined })
  | (LeafBase & {
      readonly kind: 'query'
      readonly block: Block
      readonly lateral: boolean
      readonly cte?: Cte
    })

export type JoinType = 'inner' | 'left' | 'right' | 'full'

export type Tree =
  | { readonly kind: 'leaf'; readonly leaf: Leaf; readonly leaves: ReadonlySet<number> }
  | {
      readonly kind: 'join'
      readonly type: JoinType
      readonly left: Tree
      readonly right: Tree
      readonly on: readonly Fact[]
      readonly leaves: ReadonlySet<number>
    }

export interface Output {
  readonly name: string
  readonly info: ColumnInfo
  /** The output is a constant, or one of some. */
  readonly set?: ValueSet
}

/** A subquery in an expression. */
export interface Sub {
  readonly node: SubLink
  readonly block: Block
  /** In an ON clause: what WHERE says does not hold there yet. */
  readonly inJoin: boolean
  /** A conjunct of WHERE: a row only counts when the subquery gives a row, with the columns equal pairwise. */
  readonly link?: readonly { readonly outer: ColumnKey; readonly output: number }[]
}

/** What of a SELECT needs more than the rows one by one. */
export interface Shape {
  readonly distinct?: boolean
  readonly distinctOn?: boolean
  readonly group?: boolean
  readonly groupingSets?: boolean
  readonly having?: boolean
  /** Name of the first aggregate. */
  readonly aggregate?: string
  readonly window?: boolean
  readonly order?: boolean
  readonly limit?: boolean
  /** Number of the parameter that OFFSET names, when there is no LIMIT: with 0 for it nothing is limited. */
  readonly skips?: number
  readonly setReturning?: string
  /** UNION, INTERSECT or EXCEPT. */
  readonly setOperation?: string
}

/** One query level. */
export interface Block {
  readonly id: number
  readonly node: object
  readonly tree: Tree | undefined
  /** What the names in the select list mean; plain SELECTs only. */
  readonly scope?: Scope
  readonly where: readonly Fact[]
  readonly subs: readonly Sub[]
  /** Undefined when the columns cannot be told (`*` of a function). */
  readonly outputs: readonly Output[] | undefined
  readonly shape: Shape
  readonly arms: readonly Block[]
  /** WITH queries of this level. */
  readonly ctes: readonly Cte[]
  /** Columns that GROUP BY and every window's PARTITION BY have in common; undefined when neither is there. */
  readonly partitionedBy: ReadonlySet<ColumnKey> | undefined
  /** INSERT, UPDATE, DELETE and MERGE only. */
  readonly modify?: Modify
}

export interface Modify {
  /** The FROM item that UPDATE, DELETE and MERGE change. */
  readonly target: Leaf | undefined
  readonly inserts: readonly InsertTarget[]
}

/** Rows that go into a sharded table, with what is known of their shard key. */
export interface InsertTarget {
  readonly relation: Relation
  readonly set?: ValueSet
  readonly column?: ColumnInfo & { readonly key: ColumnKey }
}

export const EMPTY_SPACE: Space = { tables: [], columns: [], open: false }

/** What a (possibly qualified) column name means. */
export function lookUp(scope: Scope, parts: readonly string[]): ColumnInfo | undefined {
  const name = parts.at(-1) ?? ''
  for (let s: Scope | undefined = scope; s; s = s.parent) {
    if (parts.length === 1) {
      const found = s.space.columns.filter((c) => c.name === name)
      if (found.length > 0) return found.length === 1 ? found[0]?.info : undefined
      if (s.space.open) return undefined
    } else {
      const table = findTable(s.space, parts)
      if (table) return table.columns.find((c) => c.name === name)?.info
    }
  }
  return undefined
}

export function findTable(space: Space, parts: readonly string[]): SpaceTable | undefined {
  const alias = parts.at(-2)
  const schema = parts.at(-3)
  return space.tables.find((t) => t.alias === alias && (schema === undefined || t.schema === schema))
}
