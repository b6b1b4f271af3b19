import { type Column, FIRST_USER_OID } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  columnName,
  type Node,
  type RangeVar,
  relationsOf,
  type SelectStmt,
  strings,
  type TypeName,
  walk,
} from '../../parse/ast.ts'
import { OFFSET_FIELDS } from '../../parse/parse.ts'
import { lookUp, type Scope } from '../../tree/block.ts'
import type { TableItem } from './inputs.ts'

/** What names and expressions of one level of a query mean, as far as that is certain. */
export class LevelNames {
  readonly level: SelectStmt
  readonly scope: Scope
  /** Relations among its FROM items, and all below. */
  private readonly own: readonly TableItem[]
  readonly all: readonly TableItem[]
  /** Those of the whole statement. */
  readonly items: readonly TableItem[]

  constructor(level: SelectStmt, scope: Scope, items: readonly TableItem[]) {
    this.level = level
    this.items = items
    // Names of a level further up would not be there.
    this.scope = { ...scope, parent: undefined }
    const ranges = relationsOf(level.fromClause)
    this.all = items.filter(({ range }) => ranges.includes(range))
    const top = topRanges(level.fromClause ?? [])
    this.own = this.all.filter(({ range }) => top.includes(range))
  }

  /** Undefined: it is not a column of this level, or not certainly. */
  resolve(ref: ColumnRef): { readonly column: Column | undefined } | undefined {
    const parts = columnName({ ColumnRef: ref })
    if (parts === undefined || parts.length > 2 || lookUp(this.scope, parts) === undefined) return undefined
    const name = parts.at(-1)!
    const owners = this.ownersOf(parts)
    const renames = this.own.some(({ range }) => range.alias?.colnames !== undefined)
    if (renames || hasAliasedJoin(this.level.fromClause ?? [])) return undefined
    if (owners.length === 1 && !this.isMerged(name))
      return { column: owners[0]!.relation.columns.find((column) => column.name === name) }
    return owners.every((item) => isPlain(item, name)) ? { column: undefined } : undefined
  }

  /** The one table whose column it is; undefined: it is not certainly one's. */
  ownerOf(ref: ColumnRef): TableItem | undefined {
    if (this.resolve(ref)?.column === undefined) return undefined
    return this.ownersOf(columnName({ ColumnRef: ref })!)[0]
  }

  private ownersOf(parts: readonly string[]): readonly TableItem[] {
    return this.own.filter(({ alias, relation }) => {
      const isMeant = parts.length === 1 || alias === parts[0]
      return isMeant && relation.columns.some(({ name }) => name === parts.at(-1))
    })
  }

  /** One of USING may be any side's. */
  private isMerged(name: string): boolean {
    let found = false
    walk(this.level.fromClause, (kind, body) => {
      const { isNatural, usingClause } = body as { isNatural?: boolean; usingClause?: Node[] }
      if (kind === 'JoinExpr' && (isNatural || strings(usingClause).includes(name))) found = true
      return kind !== 'SelectStmt'
    })
    return found
  }

  /** A value that can be told and moved by its type, as a shard describes it: no domain, no collation of its own. */
  isPlainValue(expression: Node | undefined): boolean {
    let isFine = true
    walk(expression, (kind, body) => {
      if (kind === 'SubLink' || kind === 'CollateClause' || kind === 'RowExpr') isFine = false
      if (kind === 'TypeName' && !isOwnType(body as TypeName)) isFine = false
      if (kind !== 'ColumnRef') return
      const found = this.resolve(body as ColumnRef)
      if (found === undefined || (found.column !== undefined && !isPlainColumn(found.column))) isFine = false
    })
    return isFine
  }

  /** What subqueries in FROM give may have a domain's type, or a collation, without a word of it at this level. */
  get hidesTypes(): boolean {
    const below = this.all.filter((item) => !this.own.includes(item))
    let hides = below.some((item) => item.columns.some((column) => !isPlainColumn(column)))
    walk(this.level.fromClause, (kind, body) => {
      if (kind === 'CollateClause' || (kind === 'TypeName' && !isOwnType(body as TypeName))) hides = true
    })
    return hides
  }

  /** Equal for expressions that mean the same. */
  print(expression: Node | undefined): string {
    return JSON.stringify(this.canonical(expression))
  }

  private canonical(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.canonical(item))
    if (typeof value !== 'object' || value === null) return value
    const ref = as(value as Node, 'ColumnRef')
    const key = ref && lookUp(this.scope, columnName(value as Node) ?? [])?.key
    if (key !== undefined) return { key }
    const entries = Object.entries(value).filter(([field]) => !OFFSET_FIELDS.has(field))
    return Object.fromEntries(entries.map(([field, inner]) => [field, this.canonical(inner)]))
  }
}

const isPlain = ({ relation }: TableItem, name: string): boolean =>
  relation.columns.every((column) => column.name !== name || isPlainColumn(column))

export const isPlainColumn = ({ typeOid, collation }: Column): boolean =>
  typeOid < FIRST_USER_OID && collation === undefined

/** Relations that are FROM items of the level itself. */
function topRanges(from: readonly Node[]): RangeVar[] {
  return from.flatMap((node) => {
    const join = as(node, 'JoinExpr')
    if (join !== undefined) return topRanges([join.larg!, join.rarg!])
    return as(node, 'RangeVar') ?? []
  })
}

function hasAliasedJoin(from: readonly Node[]): boolean {
  return from.some((node) => {
    const join = as(node, 'JoinExpr')
    return join !== undefined && (join.alias !== undefined || hasAliasedJoin([join.larg!, join.rarg!]))
  })
}

const OWN_TYPES: ReadonlySet<string> = new Set(
  `int2 int4 int8 numeric float4 float8 text varchar bpchar date timestamp timestamptz time timetz interval bool uuid
  json jsonb bytea inet cidr name oid money bit varbit`.split(/\s+/),
)

/** Of Postgres, and no domain. */
function isOwnType({ names }: TypeName): boolean {
  const parts = strings(names)
  return OWN_TYPES.has(parts.at(-1) ?? '') && (parts.length === 1 || parts[0] === 'pg_catalog')
}
