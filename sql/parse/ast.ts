import type * as Pg from '@pgsql/types'

/**
 * Typed access to the syntax tree that libpg-query makes. A node is an object with one upper-case key, its kind
 * (`{ SelectStmt: {…} }`); fields that can hold one kind only hold the body without that wrapper.
 * Protobuf leaves out zeroes, `false` and empty strings: read `location` with `at()`.
 */
export type Node = Pg.Node
type UnionKeys<U> = U extends unknown ? keyof U : never
export type NodeKind = UnionKeys<Node>
export type Body<K extends NodeKind> = Extract<Node, Record<K, unknown>>[K]

export type SelectStmt = Pg.SelectStmt
export type InsertStmt = Pg.InsertStmt
export type UpdateStmt = Pg.UpdateStmt
export type DeleteStmt = Pg.DeleteStmt
export type MergeStmt = Pg.MergeStmt
export type MergeWhenClause = Pg.MergeWhenClause
export type RangeVar = Pg.RangeVar
export type FuncCall = Pg.FuncCall
export type ColumnRef = Pg.ColumnRef
export type TypeName = Pg.TypeName
export type A_Const = Pg.A_Const
export type A_Expr = Pg.A_Expr
export type JoinExpr = Pg.JoinExpr
export type ResTarget = Pg.ResTarget
export type WithClause = Pg.WithClause
export type CommonTableExpr = Pg.CommonTableExpr
export type SubLink = Pg.SubLink

/** What Postgres calls optimizable: EXPLAIN, cursors and the bodies of functions can have them. */
export const OPTIMIZABLE = ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'] as const

export function kindOf(node: Node): NodeKind {
  for (const key in node) return key as NodeKind
  return 'A_Star'
}

/** The node's body when it is of that kind. */
export function as<K extends NodeKind>(node: Node | undefined, kind: K): Body<K> | undefined {
  return node === undefined ? undefined : (node as unknown as Record<K, Body<K> | undefined>)[kind]
}

/** UTF-16 offset in the statement's text; -1 when the grammar gives none. */
export function at(body: { location?: number }): number {
  return body.location ?? 0
}

/** Strings of a list of String nodes (qualified names, column lists). */
export function strings(list: readonly Node[] | undefined): string[] {
  const out: string[] = []
  for (const node of list ?? []) {
    const s = as(node, 'String')
    if (s) out.push(s.sval ?? '')
  }
  return out
}

/** Last part of a possibly qualified name, and its schema. */
export function qualified(list: readonly Node[] | undefined): { schema: string | undefined; name: string } {
  const parts = strings(list)
  return {
    schema: parts.length > 1 ? parts[parts.length - 2] : undefined,
    name: parts[parts.length - 1] ?? '',
  }
}

/** Fields that hold a body without the wrapper, and the body's kind. */
const BARE: Readonly<Record<string, NodeKind>> = {
  relation: 'RangeVar',
  rel: 'RangeVar',
  sequence: 'RangeVar',
  view: 'RangeVar',
  larg: 'SelectStmt',
  rarg: 'SelectStmt',
  withClause: 'WithClause',
  over: 'WindowDef',
  intoClause: 'IntoClause',
  into: 'IntoClause',
  onConflictClause: 'OnConflictClause',
  infer: 'InferClause',
  returningClause: 'ReturningClause',
  typeName: 'TypeName',
  alias: 'Alias',
}

/** Return false to leave out what is below the node. */
export type Visit = (kind: NodeKind, body: object) => unknown

/**
 * Visits every node below (and including) `root`, in the order of the tree: expressions, sublinks, CTEs, window and
 * conflict clauses, utility statements; nothing is left out because of its kind.
 */
export function walk(root: unknown, visit: Visit): void {
  descend(root, undefined, visit)
}

function descend(value: unknown, field: string | undefined, visit: Visit): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) descend(item, undefined, visit)
    return
  }
  const kind = onlyKey(value)
  if (kind !== undefined && isUpper(kind)) {
    const body = (value as Record<string, unknown>)[kind]
    if (typeof body !== 'object' || body === null) return
    if (visit(kind as NodeKind, body) === false) return
    children(body, visit)
    return
  }
  const bare = field === undefined ? undefined : BARE[field]
  if (bare !== undefined && visit(bare, value) === false) return
  children(value, visit)
}

function onlyKey(value: object): string | undefined {
  let only: string | undefined
  for (const key in value) {
    if (only !== undefined) return undefined
    only = key
  }
  return only
}

function children(body: object, visit: Visit): void {
  for (const key in body) {
    const child = (body as Record<string, unknown>)[key]
    if (typeof child === 'object') descend(child, key, visit)
  }
}

function isUpper(key: string): boolean {
  const c = key.charCodeAt(0)
  return c >= 65 && c <= 90
}

/** Every relation the tree names, CTE references included. */
export function relationsOf(root: unknown): RangeVar[] {
  const found: RangeVar[] = []
  walk(root, (kind, body) => {
    if (kind === 'RangeVar') found.push(body as RangeVar)
  })
  return found
}

/** A relation's name as the statement says it, quoted. */
export function writtenName({ schemaname, relname = '' }: RangeVar): string {
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
  return schemaname === undefined ? quoted(relname) : `${quoted(schemaname)}.${quoted(relname)}`
}

export function functionsOf(root: unknown): FuncCall[] {
  const found: FuncCall[] = []
  walk(root, (kind, body) => {
    if (kind === 'FuncCall') found.push(body as FuncCall)
  })
  return found
}

export function hasSubqueries(part: unknown): boolean {
  let has = false
  walk(part, (kind) => {
    if (kind === 'SubLink') has = true
  })
  return has
}

/** How often each $n is used. */
export function paramsOf(root: unknown): Map<number, number> {
  const uses = new Map<number, number>()
  walk(root, (kind, body) => {
    if (kind !== 'ParamRef') return
    const n = (body as Pg.ParamRef).number ?? 0
    uses.set(n, (uses.get(n) ?? 0) + 1)
  })
  return uses
}

/** `a.b.c` as its parts; undefined when a part is a `*` or a subscript. */
export function columnName(node: Node | undefined): readonly string[] | undefined {
  const ref = as(node, 'ColumnRef')
  if (!ref) return undefined
  const parts = strings(ref.fields)
  return parts.length === (ref.fields?.length ?? 0) ? parts : undefined
}

/** The WHEN clauses of a MERGE, in order. */
export const whenClauses = ({ mergeWhenClauses = [] }: MergeStmt): MergeWhenClause[] =>
  mergeWhenClauses.map((node) => as(node, 'MergeWhenClause')!)

/** The column of that name, with what qualifies it. */
export const columnNode = (...names: readonly string[]): Node => ({
  ColumnRef: { fields: names.map((sval) => ({ String: { sval } })) },
})

/** What SET gives to one column: `(a, b) = (…, …)` is said of each. */
export function assignedItem(value: Node | undefined): Node | undefined {
  const multiple = as(value, 'MultiAssignRef')
  return multiple ? as(multiple.source, 'RowExpr')?.args?.[(multiple.colno ?? 1) - 1] : value
}

/** It keeps its query for good; said of its EXPLAIN too. */
export function makesMaterializedView(statement: Node): boolean {
  const explained = as(statement, 'ExplainStmt')?.query
  return as(explained ?? statement, 'CreateTableAsStmt')?.objtype === 'OBJECT_MATVIEW'
}

/** What a condition says by AND, or the condition itself. */
export function conjuncts(condition: Node | undefined): Node[] {
  const bool = as(condition, 'BoolExpr')
  if (bool?.boolop === 'AND_EXPR') return (bool.args ?? []).flatMap(conjuncts)
  return condition === undefined ? [] : [condition]
}

/** Text of a string constant, also under a cast (`'t'::regclass`); null for NULL, undefined for anything else. */
export function constantText(node: Node | undefined): string | null | undefined {
  const cast = as(node, 'TypeCast')
  if (cast) return constantText(cast.arg)
  const c = as(node, 'A_Const')
  if (!c) return undefined
  if (c.isnull) return null
  if (c.sval) return c.sval.sval ?? ''
  if (c.ival) return String(c.ival.ival ?? 0)
  if (c.fval) return c.fval.fval ?? '0'
  if (c.boolval) return c.boolval.boolval ? 'true' : 'false'
  return undefined
}
