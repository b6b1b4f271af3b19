import { type Catalog, type Relation, underlying } from '../catalog.ts'
import type { CodePiece } from '../code/code-graph.ts'
import { parseStatements } from '../parse/parse.ts'
import { analyze } from '../place/analyze.ts'
import type { WriteTarget } from '../tree/builder.ts'
import { MISREAD, mayName, withoutStrings, wordsOf } from '../words.ts'
import { type BodyPart, partsOfBody } from './plpgsql-parts.ts'
import { isPolicy, readByPolicy } from './policy-code.ts'
import { unsupported } from './routing.ts'
import { nextToken } from './text-scan.ts'

/**
 * Trigger functions of sharded tables that read and change sharded tables by the key of their own row only, as in
 * `WHERE k = NEW.k`: the rows are on the shard where the function runs, all of them.
 */

export type Sharded = readonly Relation[]

/** What runs a query that a string says. */
export const DYNAMIC =
  /\b(?:execute|(?:query|cursor|table|schema|database)_to_xml(?:schema|_and_xmlschema)?|ts_stat|ts_rewrite)\b/i

/** Sharded tables that the code a text names can reach in this way only. */
export function keptTables(catalog: Catalog, text: string): Sharded {
  const pieces = catalog.code?.piecesOf(text) ?? []
  const kept = new Set<Relation>()
  const unproven: CodePiece[] = []
  for (const piece of pieces) {
    if (!mayReadTables(catalog, piece)) continue
    const reached = reachedIn(catalog, pieces, piece)
    if (reached === undefined) unproven.push(piece)
    else for (const relation of reached) kept.add(relation)
  }
  const sharded = shardedOf(catalog)
  for (const piece of unproven) {
    const named = sharded.filter((table) => names(piece.text ?? '', table))
    // It names a view, or what calls others.
    const unsure = named.length === 0 ? sharded : named.flatMap((table) => familyOf(catalog, table))
    for (const table of unsure) kept.delete(table)
  }
  return [...kept]
}

function mayReadTables(catalog: Catalog, piece: CodePiece): boolean {
  if (isPolicy(piece)) return namesAny(catalog, { sql: piece.text ?? '' })
  return piece.kind === 'function' && catalog.tableInFunction?.(piece.name) !== undefined
}

/** A trigger of the table reads or changes the table itself otherwise: which rows were the statement's nobody could tell. */
export function ownTableError(catalog: Catalog, targets: readonly Pick<WriteTarget, 'relation' | 'verb'>[]) {
  for (const { relation: named, verb } of targets) {
    const relation = named && underlying(named)
    if (relation?.kind !== 'sharded') continue
    for (const piece of triggerFunctions(catalog, relation, verb)) {
      const speaks = familyOf(catalog, relation).some((table) => speaksOf(piece.text ?? '', table))
      if (!speaks || reachedByKey(catalog, piece, [relation]) !== undefined) continue
      return unsupported(
        'trigger_reads_table',
        `trigger function ${piece.name}() of sharded table "${relation.name}" names the table itself ` +
          'otherwise than by the shard key of its row: that is not supported',
        `It would see one shard only. Compare the key with that of the row, as in WHERE ${relation.key?.column} = NEW.${relation.key?.column}.`,
      )
    }
  }
  return undefined
}

/**
 * A statement whose rows are moved between its parts, and code that runs beside one of them (a trigger of the target, a
 * policy's function) and names a table which another part reads: what each of them has read nobody could tell.
 */
export function movedTableError(catalog: Catalog, text: string, sources: Sharded) {
  if (sources.length === 0) return undefined
  const kept = keptTables(catalog, text)
  const pieces = catalog.code?.piecesOf(text) ?? []
  const code = pieces.filter((piece) => !isTrigger(piece) && !isProven(catalog, pieces, piece))
  for (const table of sources.flatMap((source) => familyOf(catalog, source))) {
    if (kept.includes(table)) continue
    const meant = [table, ...viewsOver(pieces, table)]
    if (!code.some((piece) => mayRead(piece, meant))) continue
    return unsupported(
      'trigger_reads_table',
      `code that runs with this statement may read sharded table "${table.name}", whose rows the statement moves: that is not supported`,
      'It would see one shard only. Keep the rows of the query in a temporary table first, by CREATE TEMP TABLE … AS.',
    )
  }
  return undefined
}

/** Operators that the statement says, or code that runs with it, and whose functions read a table of the statement. */
export function operatorError(catalog: Catalog, text: string, sources: Sharded) {
  if (sources.length === 0) return undefined
  const pieces = catalog.code?.piecesOf(text) ?? []
  for (const operator of pieces.filter(({ kind }) => kind === 'operator')) {
    const code = catalog.code?.piecesOf(operator.text ?? '') ?? []
    for (const table of sources.flatMap((source) => familyOf(catalog, source))) {
      const meant = [table, ...viewsOver(pieces, table)]
      if (!code.some((piece) => mayRead(piece, meant))) continue
      return unsupported(
        'function_names_table',
        `operator ${operator.name}, whose function may read sharded table "${table.name}", in a statement on that table is not supported`,
        'It would see one shard only. Run its statements from the client, in one transaction.',
      )
    }
  }
  return undefined
}

type Named = Pick<Relation, 'name'>

/** Expressions (defaults, checks, indexes) name columns, and read tables by functions only; foreign keys lead to the key. */
function mayRead({ kind, language, text = '' }: CodePiece, meant: readonly Named[]): boolean {
  if (DYNAMIC.test(text)) return true
  return (kind === 'function' || language !== 'query') && meant.some((table) => speaksOf(text, table))
}

/** The statement reads by them what it says itself; code that names one reads the table. */
function viewsOver(pieces: readonly CodePiece[], table: Named): readonly Named[] {
  const views = pieces.filter(({ kind, language, text }) => {
    return kind === 'read' && language === 'query' && text !== undefined && /^\s*(?:SELECT|WITH)\b/.test(text)
  })
  const found: Named[] = [table]
  for (const { name } of found) {
    const over = views.filter((view) => speaksOf(view.text!, { name }))
    found.push(...over.filter((view) => !found.some((one) => one.name === view.name)))
  }
  return found.slice(1)
}

/** What it reads is known, and kept: a word in it that is the name of another table means something else. */
const isProven = (catalog: Catalog, pieces: readonly CodePiece[], piece: CodePiece): boolean =>
  reachedIn(catalog, pieces, piece) !== undefined

function reachedIn(
  catalog: Catalog,
  pieces: readonly CodePiece[],
  piece: CodePiece,
): readonly Relation[] | undefined {
  if (isPolicy(piece)) return readByPolicy(catalog, piece)
  return piece.kind === 'function'
    ? reachedByKey(catalog, piece, ownersOf(catalog, pieces, piece))
    : undefined
}

export function shardedOf({ distributed }: Catalog): Sharded {
  return distributed.filter(({ kind }) => kind === 'sharded')
}

/** Tables that have rows of it: of a partition its siblings too, as what is partitioned speaks for all of them. */
function familyOf(catalog: Catalog, table: Relation): Sharded {
  return table.root === undefined ? [table] : shardedOf(catalog).filter(({ root }) => root === table.root)
}

// Triggers, as the catalog prints them: the function's name, then CREATE TRIGGER

const isTrigger = ({ kind, text }: CodePiece): boolean =>
  kind === 'trigger' && /\bCREATE (CONSTRAINT )?TRIGGER\b/.test(text ?? '')

/** The sharded tables whose triggers run the function; none where one of another table does, which has no such key. */
export function ownersOf(catalog: Catalog, pieces: readonly CodePiece[], { name }: CodePiece): Sharded {
  const tables = pieces
    .filter((piece) => isTrigger(piece) && piece.text!.startsWith(`${name} `))
    .map((piece) => piece.name)
  const owners = shardedOf(catalog).filter((table) => tables.includes(table.name))
  return tables.every((name) => owners.some((table) => table.name === name)) ? owners : []
}

function triggerFunctions(
  catalog: Catalog,
  table: Relation,
  verb: WriteTarget['verb'],
): readonly CodePiece[] {
  const event =
    verb === 'MERGE' ? /INSERT|UPDATE|DELETE/ : verb === 'INSERT' ? /INSERT|UPDATE/ : new RegExp(verb)
  const all = catalog.code?.piecesOf(`insert into ${table.name}`) ?? []
  const fires = ({ text }: CodePiece) => event.test(/(?:BEFORE|AFTER) (.*?) ON /.exec(text ?? '')?.[1] ?? '')
  const tables = new Set(familyOf(catalog, table).map(({ name }) => name))
  const triggers = all.filter((piece) => isTrigger(piece) && tables.has(piece.name) && fires(piece))
  const isRun = ({ name }: CodePiece) => triggers.some(({ text }) => text!.startsWith(`${name} `))
  return all.filter((piece) => piece.kind === 'function' && isRun(piece))
}

// What a body says

/** The tables it reaches by the key of a row of each of its owners; undefined: perhaps it reaches some otherwise. */
export function reachedByKey(catalog: Catalog, piece: CodePiece, owners: Sharded): Sharded | undefined {
  if (piece.language !== 'plpgsql' || owners.length === 0) return undefined
  const reached = owners.map((owner) => reachedBy(catalog, piece.text ?? '', owner))
  return reached.includes(undefined) ? undefined : reached.flatMap((tables) => tables ?? [])
}

function reachedBy(catalog: Catalog, body: string, owner: Relation): Sharded | undefined {
  if (DYNAMIC.test(body) || MISREAD.test(body)) return undefined
  const found: Relation[] = []
  for (const part of partsOfBody(body)) {
    if (setsKey(part, owner)) return undefined
    if (!namesAny(catalog, part)) continue
    const reached = keyedTables(catalog, part, owner)
    if (reached === undefined) return undefined
    found.push(...reached)
  }
  return found
}

/** From then on NEW.k is not the key of the row any more. */
function setsKey({ sets }: BodyPart, { key }: Relation): boolean {
  const rows = ['new', 'old']
  return sets.some((name) => rows.includes(name) || rows.some((row) => name === `${row}.${key?.column}`))
}

/** Sharded tables, views over them, functions that do; what strings say is said to nobody. */
export function namesAny(catalog: Catalog, { sql }: Pick<BodyPart, 'sql'>): boolean {
  const words = [...wordsOf(withoutStrings(sql))]
  const isView = (word: string) => catalog.hasName?.(word) === true
  return (
    words.some((word) => isView(word) || catalog.tableInFunction?.(word) !== undefined) ||
    shardedOf(catalog).some((table) => names(sql, table))
  )
}

export function names(text: string, { name }: Named): boolean {
  const code = withoutStrings(text)
  return mayName(code, wordsOf(code), name)
}

/** What is executed stands in strings. */
function speaksOf(body: string, { name }: Named): boolean {
  const code = DYNAMIC.test(body) ? body : withoutStrings(body)
  return mayName(code, wordsOf(code), name)
}

function keyedTables(catalog: Catalog, { sql }: BodyPart, owner: Relation): Sharded | undefined {
  try {
    const [stmt, more] = parseStatements(withKey(sql, owner))
    if (stmt === undefined || more !== undefined) return undefined
    const searchPath = [...new Set(catalog.distributed.map(({ schema }) => schema))]
    const ctx = { searchPath, tempTables: new Set<string>(), paramTypes: [typeOfKey(owner)] }
    const { occurrences, traits } = analyze(stmt, [], catalog, ctx)
    if (traits.partial !== undefined) return undefined
    const stays = occurrences.every(({ relation, set, column }) => {
      const values = set?.values ?? []
      const isKey = values.length === 1 && values[0]!.value.source.kind === 'param'
      return column === undefined || (isKey && relation.colocation === owner.colocation)
    })
    return stays ? occurrences.map(({ relation }) => relation) : undefined
  } catch {
    return undefined
  }
}

const typeOfKey = ({ key, columns }: Relation): number => columns[key?.index ?? -1]?.typeOid ?? 0

/** The key of the function's row as a parameter. */
function withKey(sql: string, { key }: Relation): string {
  let text = ''
  let at = 0
  for (let token = nextToken(sql, 0); token; token = nextToken(sql, token.end)) {
    if (token.word !== 'NEW' && token.word !== 'OLD') continue
    const dot = nextToken(sql, token.end)
    const column = dot?.word === '.' ? nextToken(sql, dot.end) : undefined
    if (column === undefined || nameOf(sql.slice(column.start, column.end)) !== key?.column) continue
    text += `${sql.slice(at, token.start)}$1`
    at = column.end
  }
  return text + sql.slice(at)
}

const nameOf = (written: string): string =>
  written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase()
