/**
 * Literals that are read as a time of the transaction where they stand: 'now', 'today', 'tomorrow', 'yesterday'. Which ones
 * a statement has is told when it runs: plans are shared by texts that differ in their literals. PURE.
 */

import type * as Pg from '@pgsql/types'
import type { Catalog, Relation } from '../../catalog.ts'
import type { Lexed } from '../../lex/lexed.ts'
import { as, assignedItem, at, type Node, strings, type TypeName, walk } from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import { insertColumns } from '../../tree/modify.ts'
import { shortName } from '../../tree/value-types.ts'
import { writtenThrough } from '../../tree/written-view.ts'
import type { PlanContext, TimePlace, TimeWord } from '../plan.ts'
import { nameOf, resolve } from '../utility/scope.ts'
import { type TimePart, timeOf } from './text-place.ts'
import { timeOperands } from './time-operands.ts'

const TYPES: ReadonlySet<string> = new Set(['date', 'time', 'timetz', 'timestamp', 'timestamptz'])
const WORD = /^e?'\s*(now|today|tomorrow|yesterday)\s*'$/i
const SAYS = /^\s*(?:now|today|tomorrow|yesterday)\b/i
const ANY_WORD = /'\s*(?:now|today|tomorrow|yesterday)\s*'/i

/** Whether it can be that a text has such a literal. */
export const mayHaveTimeWords = (text: string): boolean => ANY_WORD.test(text)

const WRITES: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'MergeStmt'])

type Written = (range: Pg.RangeVar) => Relation | undefined

/** A literal, the type that it is read as, and where in the text that type stands. */
type Read = (literal: Node | undefined, type: string, from?: number) => void

/** Tells of literals whose type is known: under a cast, written into a column, or compared with what has one. */
function typedLiterals(root: Node, written: Written, read: Read): void {
  walk(root, (kind, body) => {
    if (kind === 'TypeCast') {
      const { arg, typeName } = body as Pg.TypeCast
      if (typeName !== undefined) read(arg, builtIn(typeName), at(typeName))
    } else if (WRITES.has(kind)) {
      const table = written((body as Pg.UpdateStmt).relation ?? {})
      if (table === undefined) return
      for (const [item, column] of assigned(kind, body, table)) read(item, typeOf(table, column))
    }
  })
  timeOperands(root, written, typeOf, read)
}

/** Literals that may be one. `byStart`: their numbers; `written`: the table that a write is to, if it is known. */
export function timeWordsOf(
  stmt: ParsedStatement,
  byStart: ReadonlyMap<number, number>,
  written: Written,
): readonly TimeWord[] {
  const found = new Map<number, TimeWord>()
  typedLiterals(stmt.node, written, (node, type, from) => {
    const constant = as(node, 'A_Const')
    const start = constant?.sval === undefined ? -1 : at(constant)
    const literal = byStart.get(start)
    if (literal === undefined || !TYPES.has(type) || found.has(literal)) return
    const isPrefixed = from !== undefined && from >= 0 && from < start
    const prefix = isPrefixed ? stmt.text.slice(from, start) : ''
    found.set(literal, {
      literal,
      type: isPrefixed ? prefix.trim() : type,
      before: Buffer.byteLength(prefix),
    })
  })
  return [...found.values()].sort((a, b) => a.literal - b.literal)
}

/** Whether there is such a word that is neither known for a time, and becomes one, nor known for something else. */
export function hasUnreadWords(root: Node, written: Written): boolean {
  const known = new Set<object>()
  typedLiterals(root, written, (node, type) => {
    const constant = as(node, 'A_Const')
    if (constant !== undefined && type !== '') known.add(constant)
  })
  let found = false
  walk(root, (kind, body) => {
    if (kind === 'A_Const' && !known.has(body)) found ||= SAYS.test((body as Pg.A_Const).sval?.sval ?? '')
  })
  return found
}

const typeOf = ({ columns }: Relation, name: string): string =>
  shortName(columns.find((column) => column.name === name)?.type ?? '')
    // What a view computes.
    .replace(/^unknown$/, '')
    .replace(/^time without time zone$/, 'time')
    .replace(/^time with time zone$/, 'timetz')

function builtIn({ names, arrayBounds }: TypeName): string {
  const parts = strings(names)
  return arrayBounds?.length || (parts.length === 2 && parts[0] !== 'pg_catalog') ? '' : (parts.at(-1) ?? '')
}

type Assigned = readonly [Node | undefined, string]

/** What goes into which column. */
function assigned(kind: string, body: object, table: Relation): Assigned[] {
  const ofClause = (node: Node) => {
    const { targetList = [], values } = as(node, 'MergeWhenClause') ?? {}
    if (values === undefined) return ofList(targetList)
    const names =
      targetList.length === 0
        ? table.columns.map(({ name }) => name)
        : targetList.map((target) => as(target, 'ResTarget')?.name ?? '')
    return values.map((item, i) => [item, names[i] ?? ''] as const)
  }
  if (kind === 'UpdateStmt') return ofList((body as Pg.UpdateStmt).targetList)
  if (kind === 'MergeStmt') return ((body as Pg.MergeStmt).mergeWhenClauses ?? []).flatMap(ofClause)
  const node = body as Pg.InsertStmt
  const source = as(node.selectStmt, 'SelectStmt')
  const rows = source?.valuesLists?.map((row) => as(row, 'List')?.items ?? []) ?? [
    (source?.targetList ?? []).map((target) => as(target, 'ResTarget')?.val),
  ]
  const given = insertColumns(table, node, rows[0]!.length) ?? []
  const values = rows.flatMap((row) => row.map((item, i) => [item, given[i] ?? ''] as const))
  return [...values, ...ofList(node.onConflictClause?.targetList)]
}

function ofList(list: readonly Node[] = []): Assigned[] {
  return list.map((node) => {
    const { name = '', val } = as(node, 'ResTarget') ?? {}
    return [assignedItem(val), name] as const
  })
}

/** Those of a text that say a time, and what comes there, among the places that tell one anyway. */
export function withTimeWords(
  places: readonly TimePlace[],
  words: readonly TimeWord[],
  sql: Buffer,
  lexed: Lexed,
): readonly TimePlace[] {
  const said = words.flatMap(({ literal, type, before }): TimePlace[] => {
    const [start, end] = [lexed.starts[literal]!, lexed.ends[literal]!]
    const word = WORD.exec(sql.toString('utf8', start, end))?.[1]?.toLowerCase()
    if (word === undefined) return []
    const from = literal === 0 ? 0 : lexed.ends[literal - 1]!
    const length = end - start + before
    return [{ literal: literal - 1, skip: start - before - from, length, parts: partsOf(word, type) }]
  })
  if (said.length === 0) return places
  return [...places, ...said].sort((a, b) => a.literal - b.literal || a.skip - b.skip)
}

const DAYS: Readonly<Record<string, string>> = { today: '', tomorrow: ' + 1', yesterday: ' - 1' }

function partsOf(word: string, type: string): readonly TimePart[] {
  const days = DAYS[word]
  const time = [timeOf('transaction'), days === undefined ? '' : `::pg_catalog.date${days}`]
  return [' (', ...time, `)::${type}`]
}

/** Of other tables the columns are not known. */
export function writtenTable(range: Pg.RangeVar, catalog: Catalog, ctx: PlanContext): Relation | undefined {
  const named = resolve({ catalog, ctx }, nameOf(range))
  const relation = named?.kind === 'view' ? writtenThrough(named, catalog) : named
  return relation?.kind === 'sharded' || relation?.kind === 'reference' ? relation : undefined
}
