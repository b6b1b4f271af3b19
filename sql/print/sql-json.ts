import type {
  JsonArgument,
  JsonBehavior,
  JsonFormat,
  JsonFuncExpr,
  JsonOutput,
  JsonTable,
  JsonTableColumn,
  JsonTablePathSpec,
  JsonValueExpr,
} from '@pgsql/types'
import { QuoteUtils } from 'pgsql-deparser'
import type { Node } from '../parse/ast.ts'

/** The text of a node. */
export type Visit = (node: Node) => string

/** JSON_VALUE, JSON_QUERY and JSON_EXISTS as they are written. */
export function jsonFunction(node: JsonFuncExpr, visit: Visit): string {
  const path = `(${visit(node.pathspec as Node)})`
  return `${functionName(node.op)}(${words(
    `${jsonValue(node.context_item!, visit)}, ${path}`,
    passing(node.passing, visit),
    returning(node.output, visit),
    wrapperOf(node.wrapper),
    quotesOf(node.quotes),
    behavior(node.on_empty, 'EMPTY', visit),
    behavior(node.on_error, 'ERROR', visit),
  )})`
}

/** JSON_TABLE as an item of FROM. */
export function jsonTable(node: JsonTable, visit: Visit): string {
  const table = `JSON_TABLE(${words(
    `${jsonValue(node.context_item!, visit)}, ${pathSpec(node.pathspec!, visit)}`,
    passing(node.passing, visit),
    columnsOf(node.columns, visit),
    behavior(node.on_error, 'ERROR', visit),
  )})`
  return words(node.lateral && 'LATERAL', table, node.alias && visit({ Alias: node.alias } as Node))
}

function columnsOf(columns: readonly unknown[] | undefined, visit: Visit): string {
  const texts = (columns as { JsonTableColumn: JsonTableColumn }[]).map((c) =>
    column(c.JsonTableColumn, visit),
  )
  return `COLUMNS (${texts.join(', ')})`
}

function column(node: JsonTableColumn, visit: Visit): string {
  const path = node.pathspec && pathSpec(node.pathspec, visit)
  if (node.coltype === 'JTC_NESTED') return words('NESTED PATH', path, columnsOf(node.columns, visit))
  const name = QuoteUtils.quoteIdentifier(node.name!)
  if (node.coltype === 'JTC_FOR_ORDINALITY') return `${name} FOR ORDINALITY`
  return words(
    name,
    visit({ TypeName: node.typeName } as Node),
    formatOf(node.format),
    node.coltype === 'JTC_EXISTS' && 'EXISTS',
    path && `PATH ${path}`,
    // EXISTS has no wrapper, and its tree says so.
    node.coltype !== 'JTC_EXISTS' && wrapperOf(node.wrapper),
    quotesOf(node.quotes),
    behavior(node.on_empty, 'EMPTY', visit),
    behavior(node.on_error, 'ERROR', visit),
  )
}

function pathSpec(path: JsonTablePathSpec, visit: Visit): string {
  return words(
    visit(path.string as Node),
    path.name !== undefined && `AS ${QuoteUtils.quoteIdentifier(path.name)}`,
  )
}

function jsonValue(value: JsonValueExpr, visit: Visit): string {
  return words(`(${visit(value.raw_expr as Node)})`, formatOf(value.format))
}

function passing(args: readonly unknown[] | undefined, visit: Visit): string | undefined {
  const texts = (args as { JsonArgument: JsonArgument }[] | undefined)?.map(
    ({ JsonArgument: { val, name } }) => `${jsonValue(val!, visit)} AS ${QuoteUtils.quoteIdentifier(name!)}`,
  )
  return texts && `PASSING ${texts.join(', ')}`
}

function returning(output: JsonOutput | undefined, visit: Visit): string | undefined {
  if (output?.typeName === undefined) return undefined
  return words('RETURNING', visit({ TypeName: output.typeName } as Node), formatOf(output.returning?.format))
}

const ENCODINGS: Readonly<Record<string, string>> = {
  JS_ENC_UTF8: 'ENCODING UTF8',
  JS_ENC_UTF16: 'ENCODING UTF16',
  JS_ENC_UTF32: 'ENCODING UTF32',
}

function formatOf(format: JsonFormat | undefined): string | undefined {
  const isJson = format?.format_type === 'JS_FORMAT_JSON' || format?.format_type === 'JS_FORMAT_JSONB'
  return isJson ? words('FORMAT JSON', ENCODINGS[format.encoding ?? '']) : undefined
}

function functionName(op: JsonFuncExpr['op']): string {
  if (op === 'JSON_VALUE_OP') return 'JSON_VALUE'
  return op === 'JSON_QUERY_OP' ? 'JSON_QUERY' : 'JSON_EXISTS'
}

const WRAPPERS: Readonly<Record<string, string>> = {
  JSW_NONE: 'WITHOUT WRAPPER',
  JSW_CONDITIONAL: 'WITH CONDITIONAL WRAPPER',
  JSW_UNCONDITIONAL: 'WITH UNCONDITIONAL WRAPPER',
}
const wrapperOf = (wrapper: string | undefined): string | undefined => WRAPPERS[wrapper ?? '']

const QUOTES: Readonly<Record<string, string>> = {
  JS_QUOTES_KEEP: 'KEEP QUOTES',
  JS_QUOTES_OMIT: 'OMIT QUOTES',
}
const quotesOf = (quotes: string | undefined): string | undefined => QUOTES[quotes ?? '']

const BEHAVIORS: Readonly<Record<string, string>> = {
  JSON_BEHAVIOR_NULL: 'NULL',
  JSON_BEHAVIOR_ERROR: 'ERROR',
  JSON_BEHAVIOR_EMPTY: 'EMPTY',
  JSON_BEHAVIOR_TRUE: 'TRUE',
  JSON_BEHAVIOR_FALSE: 'FALSE',
  JSON_BEHAVIOR_UNKNOWN: 'UNKNOWN',
  JSON_BEHAVIOR_EMPTY_ARRAY: 'EMPTY ARRAY',
  JSON_BEHAVIOR_EMPTY_OBJECT: 'EMPTY OBJECT',
}

function behavior(node: JsonBehavior | undefined, on: 'EMPTY' | 'ERROR', visit: Visit): string | undefined {
  if (node === undefined) return undefined
  const what =
    node.btype === 'JSON_BEHAVIOR_DEFAULT'
      ? `DEFAULT ${visit(node.expr as Node)}`
      : BEHAVIORS[node.btype ?? '']
  return `${what} ON ${on}`
}

/** Those that there are, one after the other. */
export const words = (...parts: readonly (string | false | undefined)[]): string =>
  parts.filter((part) => part !== undefined && part !== false).join(' ')
