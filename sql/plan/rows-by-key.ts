import type { Catalog, Column, Relation } from '../catalog.ts'
import {
  type A_Expr,
  as,
  type ColumnRef,
  type CommonTableExpr,
  columnNode,
  type DeleteStmt,
  type JoinExpr,
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
import { expressionNode } from './gather/made-nodes.ts'
import type { PlanContext } from './plan.ts'
import { quoteName } from './text-scan.ts'
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
  /** Names of rows that may have such a column: as values they would show it. */
  private readonly rows = new Set<string>()
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
      else if (kind === 'CommonTableExpr') this.named(body as CommonTableExpr)
      else if (kind === 'RangeSubselect') this.handedOn((body as { subquery?: Node }).subquery)
    })
    let isSure = !this.renames(statement)
    walk(statement, (kind, body) => {
      if (isAlone && body === returningClause) return mayShow(body)
      if (kind === 'ResTarget' && (body as ResTarget).name === PLACE) isSure = false
      if (kind !== 'ColumnRef') return true
      const { fields = [] } = body as ColumnRef
      const names = strings(fields)
      const isStar = as(fields.at(-1), 'A_Star') !== undefined
      const isTargets = relation !== undefined && names.join() === aliasOf(relation)
      const isRow = names.length === 1 && this.rows.has(names[0]!)
      if (isStar ? !isTargets : isRow || (isPlace(body as ColumnRef) && !this.known.has(body))) isSure = false
      return true
    })
    return isSure && this.known.size > 0
  }

  private named({ ctename = '', ctequery }: CommonTableExpr): void {
    this.queries.add(ctename)
    this.handedOn(ctequery)
  }

  /** A column may have another name than it is looked for by; names the rows of queries, too. */
  private renames(statement: Node): boolean {
    let renames = false
    walk(statement, (kind, body) => {
      if (kind === 'CommonTableExpr') renames ||= (body as CommonTableExpr).aliascolnames !== undefined
      if (kind !== 'RangeVar' && kind !== 'RangeSubselect' && kind !== 'JoinExpr') return
      const { alias, usingClause, relname } = body as RangeVar & JoinExpr
      renames ||= alias?.colnames !== undefined || strings(usingClause).includes(PLACE)
      const isTable = kind === 'RangeVar' && !this.queries.has(relname ?? '')
      const name = alias?.aliasname ?? relname
      if (!isTable && name !== undefined) this.rows.add(name)
    })
    return renames
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
      // Which of the two is meant hangs on where it stands.
      if (isQuery && this.relationOf(range!) !== undefined) this.fails = true
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
    delete (node as { ColumnRef?: unknown }).ColumnRef
    Object.assign(node, key.length === 1 ? columnNode(alias, key[0]!) : severalAsOne(alias, key))
  }

  /** Partitions have rows of the same places. */
  private keyOf(range: RangeVar): readonly string[] {
    const relation = this.relationOf(range)
    const isOther = this.table !== undefined && this.table !== relation
    const { primaryKey = [], columns = [], root } = relation ?? {}
    const key = columns.filter(({ name }) => primaryKey.includes(name))
    const isTold = !key.some(isArray) && (primaryKey.length === 1 || !key.some(isRounded))
    if (primaryKey.length === 0 || root !== undefined || isOther || !isTold) this.fails = true
    this.table ??= relation
    return primaryKey
  }

  private relationOf(range: RangeVar): Relation | undefined {
    return resolve({ catalog: this.catalog, ctx: this.ctx }, nameOf(range))
  }
}

/**
 * One value, and not a row, which is none to IN, and has no input where it is handed on as text. NULL where an outer join
 * has found no row, as its `ctid` is.
 */
function severalAsOne(alias: string, key: readonly string[]): Node {
  const columns = key.map((name) => `${quoteName(alias)}.${quoteName(name)}`)
  return expressionNode(
    `CASE WHEN ${columns[0]} IS NOT NULL THEN pg_catalog.jsonb_build_array(${columns.join(', ')}) END`,
  )
}

/** Of arrays ARRAY(…) makes one of more dimensions, whose elements are compared. */
const isArray = ({ type, base = type }: Column): boolean => base.endsWith(']')

/** By `extra_float_digits` two of them may have one text. */
const isRounded = ({ type, base = type }: Column): boolean => base === 'real' || base === 'double precision'

const isPlace = ({ fields }: ColumnRef): boolean => strings(fields).at(-1) === PLACE

const isQuery = (fields: Fields): boolean =>
  'targetList' in fields || 'whereClause' in fields || 'fromClause' in fields

const onlyName = (scope: Scope | undefined): string | undefined =>
  scope?.size === 1 ? [...scope.keys()][0] : undefined

/** It names one, or reads queries that may have one. */
function mayShow(returning: object): boolean {
  let may = false
  walk(returning, (kind, body) => {
    if (kind === 'SubLink' || (kind === 'ColumnRef' && isPlace(body as ColumnRef))) may = true
  })
  return may
}
