import type * as Pg from '@pgsql/types'
import { as, at, columnName, type Node, qualified, type SelectStmt, walk } from '../parse/ast.ts'
import type { Analysis } from '../place/analyze.ts'
import { lookUp, type Scope, type Shape } from '../tree/block.ts'
import { columnLabel } from '../tree/label.ts'
import { isAggregateCall } from '../tree/shape.ts'
import { renumberParams } from './edited-text.ts'
import { typeOf } from './expression-type.ts'
import type { AggregatePlan } from './plan.ts'
import { closing, endOfQuery, nextToken, quoteName } from './text-scan.ts'

/** The aggregates can be combined, or what stands in the way. */
export type Aggregated =
  | { readonly kind: 'plan'; readonly plan: AggregatePlan }
  | { readonly kind: 'obstacle'; readonly what: string }

interface Piece {
  readonly start: number
  readonly end: number
  /** What the shards compute, and what makes the aggregate of it; `$c0`, `$c1` stand for the partial columns. */
  readonly partials: readonly string[]
  readonly combine: string
}

/**
 * count, sum, min, max and avg without GROUP BY: every shard computes partial values, one shard's Postgres combines
 * them to the very type and value that a single Postgres gives.
 */
export function planAggregate(a: Analysis, text: string): Aggregated {
  const select = a.block.node as SelectStmt
  const { scope } = a.block
  const other = otherShape(a.block.shape, select)
  if (other !== undefined) return { kind: 'obstacle', what: other }
  if (!scope || a.block.ctes.length > 0) return { kind: 'obstacle', what: 'an aggregate with a WITH clause' }
  const targets = (select.targetList ?? []).map((node) => as(node, 'ResTarget')!)
  const pieces: Piece[][] = []
  for (const target of targets) {
    const found = piecesOf(target, scope, text)
    if (typeof found === 'string') return { kind: 'obstacle', what: found }
    pieces.push(found)
  }
  return { kind: 'plan', plan: assemble(select, targets, pieces, text) }
}

function otherShape(shape: Shape, select: SelectStmt): string | undefined {
  if (shape.group) return 'GROUP BY'
  if (shape.having) return 'HAVING'
  if (shape.distinct) return 'DISTINCT'
  if (shape.window) return 'a window function'
  if (shape.order) return 'ORDER BY with an aggregate'
  if (shape.limit && !limitsAlike(select)) return 'a LIMIT that is computed, with an aggregate'
  if (shape.setReturning !== undefined) return `${shape.setReturning}() in the select list`
  return shape.aggregate === undefined ? 'this statement' : undefined
}

/** The one row of every shard, and so the one of all of them, is there or is not. */
function limitsAlike({ limitCount, limitOffset }: SelectStmt): boolean {
  return [limitCount, limitOffset].every((n) => n === undefined || as(n, 'A_Const') || as(n, 'ParamRef'))
}

/** The aggregate calls of one output column, or what is not supported in it. */
function piecesOf(target: Pg.ResTarget, scope: Scope, text: string): Piece[] | string {
  const pieces: Piece[] = []
  let obstacle: string | undefined
  walk(target.val, (kind, body) => {
    if (kind === 'ParamRef') obstacle ??= 'a parameter outside of the aggregates'
    if (kind === 'SubLink') obstacle ??= 'a subquery beside an aggregate'
    if (kind === 'ColumnRef') obstacle ??= 'a column outside of the aggregates'
    if (kind === 'JsonObjectAgg' || kind === 'JsonArrayAgg') obstacle ??= 'a JSON aggregate'
    if (kind !== 'FuncCall' || !isAggregateCall(body as Pg.FuncCall)) return
    const piece = pieceOf(body as Pg.FuncCall, scope, text)
    if (typeof piece === 'string') obstacle ??= piece
    else pieces.push(piece)
    return false
  })
  return obstacle ?? pieces
}

function pieceOf(call: Pg.FuncCall, scope: Scope, text: string): Piece | string {
  const { name } = qualified(call.funcname)
  if (call.agg_distinct) return `${name}(DISTINCT …)`
  if (call.agg_order || call.agg_within_group || call.func_variadic)
    return `aggregate ${name}() with an order`
  const range = rangeOf(call, text)
  const argument = call.args?.[0]
  if ((call.args?.length ?? 0) > 1) return `aggregate ${name}()`
  const parts = partsOf(name, argument, scope, range)
  return typeof parts === 'string' ? parts : { start: range.start, end: range.end, ...parts }
}

interface CallRange {
  readonly start: number
  readonly end: number
  readonly argument: string
  readonly filter: string
}

function rangeOf(call: Pg.FuncCall, text: string): CallRange {
  const start = at(call)
  let open = nextToken(text, start)
  while (open && open.word !== '(') open = nextToken(text, open.end)
  const inner = open?.end ?? start
  const close = closing(text, open?.start ?? start)
  const after = nextToken(text, close)
  const parenthesis = after?.word === 'FILTER' ? nextToken(text, after.end) : undefined
  const end = parenthesis ? closing(text, parenthesis.start) : close
  return { start, end, argument: text.slice(inner, close - 1).trim(), filter: text.slice(close, end) }
}

type Parts = Pick<Piece, 'partials' | 'combine'>

function partsOf(name: string, argument: Node | undefined, scope: Scope, range: CallRange): Parts | string {
  const call = (fn: string, arg = range.argument) => `${fn}(${arg})${range.filter}`
  switch (name) {
    case 'count':
      return { partials: [call('count')], combine: 'coalesce(sum($c0), 0)::bigint' }
    case 'sum':
      return sumParts(typeOf(argument, scope), call)
    case 'avg':
      return avgParts(typeOf(argument, scope), range.argument, call)
    case 'min':
    case 'max': {
      const collated = collationOf(argument, scope)
      if (collated !== undefined) return `${name}() by ${collated}`
      return { partials: [call(name)], combine: `${name}($c0)` }
    }
    default:
      return `aggregate ${name}()`
  }
}

type Call = (fn: string, argument?: string) => string

const UNKNOWN_TYPE = 'of an expression whose type is not known before it runs'

function sumParts(type: string | undefined, call: Call): Parts | string {
  if (type === undefined) return `sum() ${UNKNOWN_TYPE}`
  // The sum of smallint and integer is bigint, and that of bigint numeric.
  const small = type === 'int2' || type === 'int4'
  return { partials: [call('sum')], combine: small ? 'sum($c0)::bigint' : 'sum($c0)' }
}

/** The sum divided by the count, in the type in which Postgres' own avg divides. */
function avgParts(type: string | undefined, argument: string, call: Call): Parts | string {
  if (type === undefined || type === 'money') return `avg() ${UNKNOWN_TYPE}`
  const isFloat = type === 'float4' || type === 'float8'
  // avg(real) adds up in double precision, sum(real) does not.
  const sum = isFloat ? call('sum', `(${argument})::float8`) : call('sum')
  const divisor = isFloat || type === 'interval' ? 'nullif(sum($c1), 0)::float8' : 'nullif(sum($c1), 0)'
  const dividend = isFloat || type === 'interval' ? 'sum($c0)' : 'sum($c0)::numeric'
  return { partials: [sum, call('count')], combine: `(${dividend} / ${divisor})` }
}

/** The partial values have lost a collation that is not the database's. */
function collationOf(argument: Node | undefined, scope: Scope): string | undefined {
  let found: string | undefined
  walk(argument, (kind, body) => {
    if (kind === 'CollateClause') found ??= 'another collation'
    if (kind !== 'ColumnRef') return
    const info = lookUp(scope, columnName({ ColumnRef: body as Pg.ColumnRef }) ?? [])
    if (info?.collation !== undefined) found ??= `collation ${info.collation}`
  })
  return found
}

function assemble(
  select: SelectStmt,
  targets: readonly Pg.ResTarget[],
  pieces: readonly (readonly Piece[])[],
  text: string,
): AggregatePlan {
  const from = fromKeyword(select, at(targets[0]!), text)
  const items = targetRanges(at(targets[0]!), from, text)
  const partials: string[] = []
  const outputs = targets.map((target, i) => {
    const { start, end } = expressionRange(items[i]!, target, text)
    const combined = combineText(text, start, end, pieces[i]!, partials)
    return `${combined} AS ${quoteName(columnLabel(target))}`
  })
  const rest = text.slice(from, endOfQuery(text, from))
  const { sql, params } = renumberParams(`SELECT ${partials.join(', ')} ${rest}`)
  const columns = partials.map((_, i) => `c${i}`)
  return {
    partialSql: sql,
    partialParams: params,
    combineSql: `SELECT ${outputs.join(', ')} FROM __WEFT_PARTIALS__ AS weft_p (${columns.join(', ')})`,
    partialColumns: partials.length,
  }
}

function combineText(
  text: string,
  start: number,
  end: number,
  pieces: readonly Piece[],
  partials: string[],
): string {
  let out = ''
  let from = start
  for (const piece of [...pieces].sort((a, b) => a.start - b.start)) {
    const first = partials.length
    partials.push(...piece.partials)
    out +=
      text.slice(from, piece.start) + piece.combine.replace(/\$c(\d)/g, (_, n) => `c${first + Number(n)}`)
    from = piece.end
  }
  return out + text.slice(from, end)
}

/** The keyword FROM: IS DISTINCT FROM has one too, so it is the last one before the first FROM item, but for ROWS FROM. */
function fromKeyword(select: SelectStmt, start: number, text: string): number {
  const item = firstLocation(select.fromClause)
  let found = start
  let depth = 0
  let before: readonly string[] = []
  for (let t = nextToken(text, start); t && t.start < item; t = nextToken(text, t.end)) {
    if (t.word === '(' || t.word === '[') depth++
    else if (t.word === ')' || t.word === ']') depth--
    else if (t.word === 'FROM' && depth === 0 && !/^(FROM|LATERAL) ROWS$/.test(before.join(' ')))
      found = t.start
    before = [...before.slice(-1), t.word]
  }
  return found
}

function firstLocation(root: unknown): number {
  let first = Number.POSITIVE_INFINITY
  walk(root, (_, body) => {
    const { location } = body as { location?: number }
    if (location !== undefined && location > 0) first = Math.min(first, location)
  })
  return first
}

interface Range {
  readonly start: number
  readonly end: number
}

function targetRanges(start: number, end: number, text: string): Range[] {
  const ranges: Range[] = []
  let depth = 0
  let from = start
  for (let t = nextToken(text, start); t && t.start < end; t = nextToken(text, t.end)) {
    if (t.word === '(' || t.word === '[') depth++
    else if (t.word === ')' || t.word === ']') depth--
    else if (t.word === ',' && depth === 0) {
      ranges.push({ start: from, end: t.start })
      from = t.end
    }
  }
  ranges.push({ start: from, end })
  return ranges
}

/** Without `AS name` or a bare name at the end. */
function expressionRange(item: Range, target: Pg.ResTarget, text: string): Range {
  const tokens: { readonly start: number; readonly end: number; readonly word: string }[] = []
  for (let t = nextToken(text, item.start); t && t.start < item.end; t = nextToken(text, t.end))
    tokens.push(t)
  const label = tokens.length - 1
  const named = tokens[label - 1]?.word === 'AS' ? label - 2 : label - 1
  const last = target.name === undefined ? label : named
  return { start: tokens[0]?.start ?? item.start, end: tokens[last]?.end ?? item.end }
}
