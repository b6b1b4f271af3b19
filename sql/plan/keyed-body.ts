import { type Catalog, type KeyedFunction, type Relation, underlying } from '../catalog.ts'
import { as, columnName, type InsertStmt, type Node, OPTIMIZABLE, walk } from '../parse/ast.ts'
import { type ParsedStatement, parseStatements } from '../parse/parse.ts'
import { type Analysis, analyze } from '../place/analyze.ts'
import { keyedCalls } from '../tree/keyed-calls.ts'
import { MISREAD } from '../words.ts'
import type { KeyValue } from './plan.ts'
import { fragmentsOf, partsOfBody } from './plpgsql-parts.ts'
import { DYNAMIC, namesAny } from './row-code.ts'

/**
 * What the body of a function with a shard key says: whether each of its statements reads and changes sharded tables by the
 * key that is its argument only. Whatever is not understood is not proven. PURE.
 */

/** Why it could not be proven, as the end of `function f() …`. */
export class Unproven extends Error {}

export interface BodyReach {
  /** Tables of several shards that it reads and writes. */
  readonly relations: readonly Relation[]
  /** Other functions with the same key that it calls with it. */
  readonly calls: readonly KeyedFunction[]
}

export function reachOfBody(catalog: Catalog, keyed: KeyedFunction): BodyReach {
  const relations: Relation[] = []
  const calls: KeyedFunction[] = []
  for (const stmt of statementsOf(catalog, keyed)) {
    const reach = reachOfStatement(catalog, keyed, stmt)
    relations.push(...reach.relations)
    calls.push(...reach.calls)
  }
  return { relations, calls }
}

// The statements of a body

/** Names written in numbers are no words that could be found. */
const ESCAPED = /u&['"]/i
/** A label gives names to blocks, an alias another one to an argument. */
const RENAMES = /<<\s*["\w]|\balias\b|#\s*variable_conflict/i
const ROW_TYPE = /[\w$."]+\s*%\s*(?:row)?type\b/gi

function statementsOf(catalog: Catalog, keyed: KeyedFunction): ParsedStatement[] {
  const { body, language, settings } = keyed
  // How names are understood is a setting, too.
  if (settings.some((name) => name.startsWith('plpgsql.'))) throw new Unproven('has settings of PL/pgSQL')
  if (DYNAMIC.test(body)) throw new Unproven('executes SQL that it puts together')
  if (MISREAD.test(body) || ESCAPED.test(body)) throw new Unproven('has backslashes or escaped names')
  if (language === 'sql') return sqlStatements(plainBody(body))
  if (language !== 'plpgsql') throw new Unproven(`is written in ${language}`)
  if (RENAMES.test(body)) throw new Unproven('has labels, aliases or #variable_conflict')
  const text = body.replace(ROW_TYPE, 'record')
  checkArgumentStays(text, keyed)
  return partsOfBody(text).flatMap(({ sql, sets }) => {
    if (sets.some((name) => namesOf(keyed).includes(name))) throw setsArgument(keyed)
    return /^end\b/i.test(sql) ? [] : (parsedPart(catalog, sql) ?? [])
  })
}

/** Arguments without a name, beside some with one, Postgres prints as no SQL. */
function sqlStatements(body: string): ParsedStatement[] {
  try {
    return parseStatements(body)
  } catch {
    throw new Unproven('has a body that cannot be read as SQL')
  }
}

/** Postgres prints what stands in BEGIN ATOMIC … END, and RETURN. */
function plainBody(body: string): string {
  const atomic = /^\s*BEGIN ATOMIC\b([\s\S]*)\bEND;?\s*$/i.exec(body)
  if (atomic !== null) return atomic[1]!
  return body.replace(/^\s*RETURN\b/i, 'SELECT')
}

/** What is no SQL is PL/pgSQL's own, as long as no table is named in it. */
function parsedPart(catalog: Catalog, sql: string): ParsedStatement | undefined {
  try {
    const [stmt, more] = parseStatements(sql)
    if (more === undefined) return stmt
  } catch {
    if (!namesAny(catalog, { sql })) return undefined
  }
  throw new Unproven(`has a part that is not understood: ${excerpt(sql)}`)
}

const excerpt = (sql: string): string => {
  const line = sql.replace(/\s+/g, ' ').trim()
  return line.length > 80 ? `${line.slice(0, 80)}…` : line
}

// Its argument keeps its value

const namesOf = ({ name, argument, number }: KeyedFunction): string[] => [
  `$${number}`,
  ...(argument === undefined ? [] : [argument, `${name}.${argument}`]),
]

/** What ends the list after INTO. */
const AFTER_INTO =
  /^(from|where|group|having|window|union|intersect|except|order|limit|offset|fetch|for|using)$/
const SETTERS = new Set(['get', 'fetch', 'call', 'move', 'open'])

/** Assignments are told by the parts; here what else may set it, or declare another of its name. */
function checkArgumentStays(body: string, keyed: KeyedFunction): void {
  const names = namesOf(keyed)
  for (const tokens of fragmentsOf(body)) {
    const words = tokens.map(({ word }) => word)
    const has = (list: readonly string[]) => list.some((word) => names.includes(word))
    const loops = /^for(each)?$/.test(words[0] ?? '')
    const into = words.findIndex((word, i) => word === 'into' && !/^(insert|merge)$/.test(words[i - 1] ?? ''))
    const targets = into < 0 ? [] : words.slice(into)
    const last = targets.findIndex((word) => AFTER_INTO.test(word))
    const isSet =
      has(last < 0 ? targets : targets.slice(0, last)) ||
      (words.length > 1 && has(words.slice(0, 1))) ||
      (SETTERS.has(words[0] ?? '') && has(words)) ||
      (loops && has(words.slice(0, words.indexOf('in')))) ||
      words.some((word, i) => names.includes(word) && words[i + 1] === ':' && words[i + 2] === '=')
    if (isSet) throw setsArgument(keyed)
  }
}

const setsArgument = (keyed: KeyedFunction) =>
  new Unproven(
    `may set its argument ${keyed.argument ?? `$${keyed.number}`}, or has another variable of that name`,
  )

// What one statement reaches

const KINDS: ReadonlySet<string> = new Set(OPTIMIZABLE)

function reachOfStatement(catalog: Catalog, keyed: KeyedFunction, written: ParsedStatement): BodyReach {
  if (!KINDS.has(written.kind))
    throw new Unproven(`has more than queries and writes: ${excerpt(written.text)}`)
  const { stmt, isBare } = withArgument(written, keyed)
  const a = analyzed(catalog, keyed, stmt)
  checkTables(a)
  const found = keyedCalls(stmt.node, a.literals)
  if (found.other !== undefined) throw new Unproven(`calls ${found.other}, which reaches sharded tables`)
  const unkeyed = found.unkeyed[0]
  if (unkeyed !== undefined) throw new Unproven(`calls ${unkeyed.name}() with another key`)
  if (a.traits.partial !== undefined && a.readsViews) throw new Unproven('reads a view that calls functions')
  const isOwn = ({ source, castTo }: KeyValue) =>
    source.kind === 'param' && source.number === keyed.number && castTo === undefined
  for (const call of found.calls) {
    if (isOwn(call.value) && call.function.colocation === keyed.colocation) continue
    throw new Unproven(`calls ${call.function.name}() with another key`)
  }
  for (const { relation, set, column } of a.occurrences) {
    const [value, more] = set?.values ?? []
    const isKey = value !== undefined && more === undefined && isOwn(value.value)
    if (column === undefined || (isKey && relation.colocation === keyed.colocation)) continue
    throw new Unproven(
      `reads or changes "${relation.name}" otherwise than by its key: ${excerpt(written.text)}`,
    )
  }
  const relations = [...a.occurrences.map(({ relation }) => underlying(relation)), ...a.references]
  checkNotCaptured(stmt.node, keyed, relations, isBare, a)
  return { relations, calls: found.calls.map((call) => call.function) }
}

function analyzed(catalog: Catalog, keyed: KeyedFunction, stmt: ParsedStatement): Analysis {
  const searchPath = [...new Set(catalog.distributed.map(({ schema }) => schema))]
  const paramTypes = Array.from({ length: keyed.number }, (_, i) =>
    i + 1 === keyed.number ? keyed.typeOid : 0,
  )
  try {
    return analyze(stmt, [], catalog, { searchPath, tempTables: new Set<string>(), paramTypes })
  } catch {
    throw new Unproven(`has a statement that is not understood: ${excerpt(stmt.text)}`)
  }
}

function checkTables({ traits, locals, targets, lockedReferences }: Analysis): void {
  const outside = traits.home ?? traits.queryText
  if (outside !== undefined)
    throw new Unproven(`calls ${outside}, which means something on the home shard only`)
  if (locals.length > 0) throw new Unproven(`names "${locals[0]}", which is local`)
  const locked = lockedReferences[0]?.name
  if (locked !== undefined) throw new Unproven(`locks rows of reference table "${locked}"`)
  for (const { relation: named, verb, node } of targets) {
    const relation = named && underlying(named)
    if (relation?.kind !== 'sharded') throw new Unproven(`writes "${relation?.name}", which is not sharded`)
    const drawn = verb === 'INSERT' ? drawnColumn(relation, node as InsertStmt) : undefined
    if (drawn !== undefined) throw new Unproven(`draws from the sequence of "${relation.name}"."${drawn}"`)
  }
}

/** Sequences are home's. */
function drawnColumn({ columns }: Relation, { cols }: InsertStmt): string | undefined {
  if (cols === undefined) return undefined
  const given = cols.map((node) => as(node, 'ResTarget')?.name)
  return columns.find(({ name, usesSequence }) => usesSequence && !given.includes(name))?.name
}

// The argument in a statement

/** With `$n` in the place of its name. `isBare`: somewhere it stands without the function's. */
function withArgument(written: ParsedStatement, keyed: KeyedFunction) {
  const { name, argument, number } = keyed
  let isBare = false
  const replaced = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(replaced)
    if (typeof value !== 'object' || value === null) return value
    const [first, second, more] = columnName(value as Node) ?? []
    const isName = argument !== undefined && more === undefined
    const bare = isName && first === argument && second === undefined
    isBare ||= bare
    if (bare || (isName && first === name && second === argument)) return { ParamRef: { number } }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaced(inner)]))
  }
  const stmt: ParsedStatement = { ...written, node: replaced(written.node) as Node }
  return { stmt, isBare }
}

const NAMING = ['sval', 'name', 'aliasname', 'ctename', 'colname', 'relname']

/** Anything in the statement has the name, or says it. */
function names(node: Node, name: string): boolean {
  const tree = JSON.stringify(node)
  return NAMING.some((field) => tree.includes(`"${field}":${JSON.stringify(name)}`))
}

/** A column of the name would be meant, or one of a table that is called as the function is. */
function checkNotCaptured(
  node: Node,
  { argument = '', name }: KeyedFunction,
  relations: readonly Relation[],
  isBare: boolean,
  { readsViews }: Analysis,
): void {
  let mayBe = isBare && (readsViews || names(node, argument))
  walk(node, (kind, body) => {
    const { relname, aliasname } = body as { relname?: string; aliasname?: string }
    if (relname === name || aliasname === name) mayBe = true
    if (isBare && /^(RangeFunction|RangeTableFunc|JsonTable)$/.test(kind)) mayBe = true
  })
  const isColumn = relations.some(({ columns }) => columns.some((column) => column.name === argument))
  if (mayBe || (isBare && isColumn))
    throw new Unproven(
      `says ${argument} where a column may be meant: say ${name}.${argument}, of no table called ${name}`,
    )
}
