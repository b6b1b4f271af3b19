import type { Catalog, Column, Relation } from '../catalog.ts'
import {
  type A_Expr,
  as,
  type ColumnRef,
  type CommonTableExpr,
  columnNode,
  type DeleteStmt,
  kindOf,
  type Node,
  type RangeVar,
  type ResTarget,
  type SubLink,
  strings,
  type UpdateStmt,
  walk,
} from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { aliasOf, itemAlias, leaves } from './gather/from-items.ts'
import type { PlanContext } from './plan.ts'
import { nameOf, resolve } from './utility/scope.ts'

const PLACE = 'ctid'
/** What a query names the key of a row that it told by its `ctid`. */
const ROW = '__weft_row'

/**
 * `DELETE FROM t WHERE ctid IN (SELECT ctid FROM t … LIMIT 1000)`, and its kin: where a row's `ctid` is only compared with
 * those of the same table, its primary key says the same, on whatever shard it is. The statement as it was, where it is told
 * otherwise what a `ctid` is.
 */
export function withRowsByKey(stmt: ParsedStatement, catalog: Catalog, ctx: PlanContext): ParsedStatement {
  if (!/ctid/i.test(stmt.text) || stmt.text.includes(ROW)) return stmt
  const node = structuredClone(stmt.node)
  const told = new Told(catalog, ctx)
  return told.mayReplace(node) && told.replace(node) ? { ...stmt, node } : stmt
}

type Fields = Record<string, unknown>
/** Of a FROM: undefined is what is no table. */
type Scope = ReadonlyMap<string, RangeVar | undefined>

class Told {
  private readonly catalog: Catalog
  private readonly ctx: PlanContext
  private readonly known = new Set<object>()
  private readonly queries = new Set<string>()
  private table: Relation | undefined
  private fails = false

  constructor(catalog: Catalog, ctx: PlanContext) {
    this.catalog = catalog
    this.ctx = ctx
  }

  /** All that is named `ctid` is compared with such, or handed on to where it is. */
  mayReplace(statement: Node): boolean {
    const written = Object.values(statement)[0] as DeleteStmt & UpdateStmt
    const { returningClause, relation } = written
    const isAlone = (written.usingClause ?? written.fromClause) === undefined
    walk(statement, (kind, body) => {
      if (kind === 'A_Expr') this.compared(body as A_Expr)
      else if (kind === 'SubLink') this.chosen(body as SubLink)
      else if (kind === 'CommonTableExpr') this.handedOn((body as CommonTableExpr).ctequery)
      else if (kind === 'RangeSubselect') this.handedOn((body as { subquery?: Node }).subquery)
    })
    let isSure = true
    walk(statement, (kind, body) => {
      if (isAlone && body === returningClause) return hasPlace(body)
      if (kind === 'CommonTableExpr') this.queries.add((body as CommonTableExpr).ctename ?? '')
      if (kind === 'ResTarget' && (body as ResTarget).name === PLACE) isSure = false
      if (kind !== 'ColumnRef') return true
      const { fields = [] } = body as ColumnRef
      const isStar = as(fields.at(-1), 'A_Star') !== undefined
      const isTargets = relation !== undefined && strings(fields).join() === aliasOf(relation)
      if (isStar ? !isTargets : isPlace(body as ColumnRef) && !this.known.has(body)) isSure = false
      return true
    })
    return isSure && this.known.size > 0
  }

  /** In place; false: it is not known of which table they are, or no key tells its rows. */
  replace(statement: Node): boolean {
    this.below(statement, [])
    return !this.fails && this.table !== undefined
  }

  private compared({ kind, name, lexpr, rexpr }: A_Expr): void {
    if (strings(name).join() !== '=') return
    if (kind === 'AEXPR_OP') this.both(this.placeOf(lexpr), this.placeOf(rexpr))
    const list = as(rexpr, 'SubLink')
    if (kind === 'AEXPR_OP_ANY' && list?.subLinkType === 'ARRAY_SUBLINK')
      this.both(this.placeOf(lexpr), this.onlyOf(list.subselect))
  }

  private chosen({ subLinkType, testexpr, operName, subselect }: SubLink): void {
    const isIn = subLinkType === 'ANY_SUBLINK' && [undefined, '='].includes(strings(operName)[0])
    if (isIn) this.both(this.placeOf(testexpr), this.onlyOf(subselect))
  }

  private both(one: object | undefined, other: object | undefined): void {
    if (one === undefined || other === undefined) return
    this.known.add(one)
    this.known.add(other)
  }

  private handedOn(query: Node | undefined): void {
    for (const node of as(query, 'SelectStmt')?.targetList ?? []) {
      const target = as(node, 'ResTarget')
      const place = target?.name === undefined ? this.placeOf(target?.val) : undefined
      if (place !== undefined) this.known.add(place)
    }
  }

  private placeOf(node: Node | undefined): object | undefined {
    const ref = as(node, 'ColumnRef')
    if (ref !== undefined) return isPlace(ref) ? ref : undefined
    const link = as(node, 'SubLink')
    return link?.subLinkType === 'EXPR_SUBLINK' ? this.onlyOf(link.subselect) : undefined
  }

  /** The only column of a query. */
  private onlyOf(query: Node | undefined): object | undefined {
    const { targetList = [] } = as(query, 'SelectStmt') ?? {}
    const ref = targetList.length === 1 ? as(as(targetList[0], 'ResTarget')?.val, 'ColumnRef') : undefined
    return ref && isPlace(ref) ? ref : undefined
  }

  private below(value: unknown, scopes: readonly Scope[]): void {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value) this.below(item, scopes)
      return
    }
    const node = value as Node
    const ref = kindOf(node) === 'ColumnRef' ? as(node, 'ColumnRef') : undefined
    if (ref !== undefined) {
      if (isPlace(ref)) this.put(node, ref, scopes)
      return
    }
    const fields = value as Fields
    const target = as(node, 'ResTarget')
    const isHandedOn = target !== undefined && this.placeOf(target.val) !== undefined
    const inner = isQuery(fields) ? [this.scopeOf(fields), ...scopes] : scopes
    for (const key in fields) this.below(fields[key], inner)
    if (isHandedOn) target.name = ROW
  }

  private scopeOf({ fromClause, usingClause, relation }: Fields): Scope {
    const items = [...((fromClause ?? []) as Node[]), ...((usingClause ?? []) as Node[])].flatMap(leaves)
    const target = relation === undefined ? [] : [{ RangeVar: relation } as Node]
    const scope = new Map<string, RangeVar | undefined>()
    for (const item of [...target, ...items]) {
      const range = as(item, 'RangeVar')
      const isQuery = range?.schemaname === undefined && this.queries.has(range?.relname ?? '')
      const isOther = range === undefined || (isQuery && !target.includes(item))
      scope.set(range === undefined ? itemAlias(item) : aliasOf(range), isOther ? undefined : range)
    }
    return scope
  }

  private put(node: Node, ref: ColumnRef, scopes: readonly Scope[]): void {
    const names = strings(ref.fields)
    const alias = names.length > 1 ? names.at(-2)! : onlyName(scopes[0])
    const scope = scopes.find((known) => known.has(alias ?? ''))
    if (alias === undefined || scope === undefined || names.length > 2) {
      this.fails = true
      return
    }
    const range = scope.get(alias)
    const key = range === undefined ? [ROW] : this.keyOf(range)
    const columns = key.map((name) => columnNode(alias, name))
    // One value, and not a row, which is none to IN, and has no input where it is handed on as text.
    const row = {
      FuncCall: { funcname: ARRAY_OF, args: columns, funcformat: 'COERCE_EXPLICIT_CALL' },
    } as Node
    delete (node as { ColumnRef?: unknown }).ColumnRef
    Object.assign(node, columns.length === 1 ? columns[0] : row)
  }

  /** Partitions have rows of the same places. */
  private keyOf(range: RangeVar): readonly string[] {
    const relation = resolve({ catalog: this.catalog, ctx: this.ctx }, nameOf(range))
    const isOther = this.table !== undefined && this.table !== relation
    const { primaryKey = [], columns = [], root } = relation ?? {}
    const isTold =
      primaryKey.length === 1 || !columns.some((c) => primaryKey.includes(c.name) && isRounded(c))
    if (primaryKey.length === 0 || root !== undefined || isOther || !isTold) this.fails = true
    this.table ??= relation
    return primaryKey
  }
}

/** By `extra_float_digits` two of them may have one text. */
const isRounded = ({ type, base = type }: Column): boolean => base === 'real' || base === 'double precision'

const ARRAY_OF = ['pg_catalog', 'jsonb_build_array'].map((sval): Node => ({ String: { sval } }))

const isPlace = ({ fields }: ColumnRef): boolean => strings(fields).at(-1) === PLACE

const isQuery = (fields: Fields): boolean =>
  'targetList' in fields || 'whereClause' in fields || 'fromClause' in fields

const onlyName = (scope: Scope | undefined): string | undefined =>
  scope?.size === 1 ? [...scope.keys()][0] : undefined

function hasPlace(part: object): boolean {
  let has = false
  walk(part, (kind, body) => {
    if (kind === 'ColumnRef' && isPlace(body as ColumnRef)) has = true
  })
  return has
}
