/** Literals that are compared with times, and so are read as one themselves. PURE. */
import type * as Pg from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { as, columnName, type Node, type NodeKind, OPTIMIZABLE, strings, walk } from '../../parse/ast.ts'

/** The table that a name means; undefined: what it has for columns is not known. */
export type TableOf = (range: Pg.RangeVar) => Relation | undefined
export type TypeOfColumn = (table: Relation, name: string) => string
type Found = (literal: Node | undefined, type: string) => void

/** One query's FROM: tables by the names that they have there. */
interface Scope {
  readonly tables: ReadonlyMap<string, Relation>
  /** Its columns may come from elsewhere, too. */
  readonly isPartial: boolean
}

const SCOPED: ReadonlySet<NodeKind> = new Set(OPTIMIZABLE)
const COMPARES: ReadonlySet<string> = new Set(['=', '<>', '!=', '<', '<=', '>', '>='])
const OTHER_COMPARISONS: ReadonlySet<string> = new Set([
  ...['AEXPR_IN', 'AEXPR_DISTINCT', 'AEXPR_NOT_DISTINCT', 'AEXPR_NULLIF', 'AEXPR_BETWEEN'],
  ...['AEXPR_NOT_BETWEEN', 'AEXPR_BETWEEN_SYM', 'AEXPR_NOT_BETWEEN_SYM'],
])
/** Functions of Postgres whose value is a time of the type of this argument. */
const OF_ARGUMENT: Readonly<Record<string, number>> = { min: 0, max: 0, date_trunc: 1 }

/** Tells of each literal that a time is compared with, and of which type that is. */
export function timeOperands(root: Node, tableOf: TableOf, typeOfColumn: TypeOfColumn, found: Found): void {
  const withQueries = new Set<string>()
  walk(root, (kind, body) => {
    if (kind === 'CommonTableExpr') withQueries.add((body as Pg.CommonTableExpr).ctename ?? '')
  })
  const known: TableOf = (range) =>
    range.schemaname === undefined && withQueries.has(range.relname ?? '') ? undefined : tableOf(range)
  new Operands(known, typeOfColumn, found).below(root, [])
}

class Operands {
  private readonly tableOf: TableOf
  private readonly typeOfColumn: TypeOfColumn
  private readonly found: Found

  constructor(tableOf: TableOf, typeOfColumn: TypeOfColumn, found: Found) {
    this.tableOf = tableOf
    this.typeOfColumn = typeOfColumn
    this.found = found
  }

  below(root: unknown, scopes: readonly Scope[]): void {
    walk(root, (kind, body) => {
      if (SCOPED.has(kind)) {
        const inner = [scopeOf(kind, body, this.tableOf), ...scopes]
        for (const child of Object.values(body)) this.below(child, inner)
        return false
      }
      const operands = comparedIn(kind, body)
      if (operands.length === 0) return true
      const types = new Set(operands.map((operand) => this.typeOf(operand, scopes)))
      types.delete(LITERAL)
      const [type] = types
      if (types.size === 1 && type !== undefined) for (const operand of operands) this.found(operand, type)
      return true
    })
  }

  /** `LITERAL` for one, undefined for what is not known. */
  private typeOf(node: Node, scopes: readonly Scope[]): string | undefined {
    if (as(node, 'A_Const')?.sval !== undefined) return LITERAL
    const cast = as(node, 'TypeCast')
    if (cast !== undefined) return cast.typeName?.arrayBounds?.length ? undefined : castTo(cast.typeName)
    const call = as(node, 'FuncCall')
    if (call !== undefined) return this.typeOfCall(call, scopes)
    const name = columnName(node)
    return name === undefined ? undefined : this.columnType(name, scopes)
  }

  private typeOfCall({ funcname, args = [] }: Pg.FuncCall, scopes: readonly Scope[]): string | undefined {
    const name = strings(funcname)
    const argument = args[OF_ARGUMENT[name.at(-1) ?? ''] ?? -1]
    if (argument === undefined || (name.length > 1 && name[0] !== 'pg_catalog')) return undefined
    const type = this.typeOf(argument, scopes)
    // Of a date it is that of a timestamptz.
    return name.at(-1) === 'date_trunc' && type === 'date' ? 'timestamptz' : type
  }

  private columnType(name: readonly string[], scopes: readonly Scope[]): string | undefined {
    const column = name.at(-1)!
    const table = name.at(-2)
    for (const { tables, isPartial } of scopes) {
      const of =
        table === undefined ? [...tables.values()] : [tables.get(table)].filter((one) => one !== undefined)
      const having = of.filter(({ columns }) => columns.some((known) => known.name === column))
      if (having.length > 0) return isPartial && table === undefined ? undefined : this.ofOne(having, column)
      if (isPartial || (of.length > 0 && table !== undefined)) return undefined
    }
    return undefined
  }

  /** Joined by USING it is that of both. */
  private ofOne(tables: readonly Relation[], column: string): string | undefined {
    const types = new Set(tables.map((table) => this.typeOfColumn(table, column)))
    return types.size === 1 ? [...types][0] : undefined
  }
}

const LITERAL = 'literal'

function castTo(type: Pg.TypeName | undefined): string | undefined {
  const parts = strings(type?.names)
  return parts.length === 2 && parts[0] !== 'pg_catalog' ? undefined : parts.at(-1)
}

/** What is brought to one type with each other. */
function comparedIn(kind: NodeKind, body: object): readonly Node[] {
  if (kind === 'CoalesceExpr' || kind === 'MinMaxExpr') return (body as Pg.CoalesceExpr).args ?? []
  if (kind !== 'A_Expr') return []
  const { kind: form = '', name, lexpr, rexpr } = body as Pg.A_Expr
  const operator = strings(name)
  const isPlain = form === 'AEXPR_OP' && operator.length === 1 && COMPARES.has(operator[0]!)
  if ((!isPlain && !OTHER_COMPARISONS.has(form)) || lexpr === undefined || rexpr === undefined) return []
  return [lexpr, ...(as(rexpr, 'List')?.items ?? [rexpr])]
}

function scopeOf(kind: NodeKind, body: object, tableOf: TableOf): Scope {
  const tables = new Map<string, Relation>()
  let isPartial = false
  const add = (range: Pg.RangeVar): void => {
    const table = tableOf(range)
    if (table === undefined || (range.alias?.colnames?.length ?? 0) > 0) isPartial = true
    else tables.set(range.alias?.aliasname ?? range.relname ?? '', table)
  }
  const from = (item: Node | undefined): void => {
    const join = as(item, 'JoinExpr')
    const range = as(item, 'RangeVar')
    if (join !== undefined && join.alias === undefined && join.join_using_alias === undefined) {
      from(join.larg)
      from(join.rarg)
    } else if (range !== undefined) add(range)
    else isPartial = true
  }
  const { relation } = body as Pg.UpdateStmt
  if (relation !== undefined) add(relation)
  for (const item of sourcesOf(kind, body)) from(item)
  return { tables, isPartial }
}

function sourcesOf(kind: NodeKind, body: object): readonly Node[] {
  if (kind === 'DeleteStmt') return (body as Pg.DeleteStmt).usingClause ?? []
  if (kind !== 'MergeStmt') return (body as Pg.SelectStmt).fromClause ?? []
  const { sourceRelation } = body as Pg.MergeStmt
  return sourceRelation === undefined ? [] : [sourceRelation]
}
