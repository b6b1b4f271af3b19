import { hasSqlDetails } from 'libpg-query'
import { PgError, type PgErrorFields } from '../../errors/pg-error.ts'
import { kindOf, type Node, type NodeKind } from './ast.ts'
import { flattened } from './flatten.ts'
import { isAscii, offsetMap } from './offsets.ts'
import { currentParser, type Parser } from './parser.ts'

export interface ParsedStatement {
  readonly kind: NodeKind
  /** Its `location`s are UTF-16 offsets in `text`. */
  readonly node: Node
  /** The statement as written, without the semicolon; white space and comments before the first one included. */
  readonly text: string
  /** UTF-16 offsets in the whole text that was parsed. */
  readonly start: number
  readonly end: number
}

/**
 * Splits and parses with Postgres' own grammar (parser.ts says by which instance of it).
 * White space and comments alone give no statement. Throws PgError with Postgres' message, code and position.
 */
export function parseStatements(sql: string): ParsedStatement[] {
  if (sql.trim() === '') return []
  const tree = parseTree(sql)
  const ascii = isAscii(sql)
  const offsets = offsetMap(sql)
  const statements: ParsedStatement[] = []
  for (const raw of tree.stmts ?? []) {
    if (!raw.stmt) continue
    const endBytes = raw.stmt_len ? (raw.stmt_location ?? 0) + raw.stmt_len : undefined
    const end = endBytes === undefined ? sql.length : offsets.toUtf16(endBytes)
    // The parser leaves out what stands ahead; a text by itself is run as it is, and its offsets are those of all of it.
    const start = statements.length === 0 ? 0 : offsets.toUtf16(raw.stmt_location ?? 0)
    if (start > 0 || !ascii) relocate(raw.stmt, (bytes) => offsets.toUtf16(bytes) - start, start)
    statements.push({ kind: kindOf(raw.stmt), node: raw.stmt, text: sql.slice(start, end), start, end })
  }
  return statements
}

function parseTree(sql: string): ReturnType<Parser['parse']> {
  const flat = flattened(sql)
  try {
    return currentParser().parse(flat)
  } catch (error) {
    throw toPgError(error, sql)
  }
}

export const OFFSET_FIELDS: ReadonlySet<string> = new Set([
  'location',
  'rexpr_list_start',
  'rexpr_list_end',
  'list_start',
  'list_end',
  'stmt_location',
  'name_location',
])

/** Rewrites byte offsets of the whole text to UTF-16 offsets in the statement, in place. */
function relocate(value: unknown, move: (bytes: number) => number, start: number): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) relocate(item, move, start)
    return
  }
  const record = value as Record<string, unknown>
  for (const key in record) {
    const child = record[key]
    if (typeof child === 'object') relocate(child, move, start)
    else if (typeof child === 'number' && child >= start && OFFSET_FIELDS.has(key)) record[key] = move(child)
  }
}

/** The parser does not take a text. */
export class ParserError extends PgError {
  readonly text: string

  constructor(fields: PgErrorFields, text: string) {
    super(fields)
    this.text = text
  }
}

function toPgError(error: unknown, text: string): unknown {
  if (!hasSqlDetails(error)) return error
  const message = error.sqlDetails?.message ?? error.message
  const cursor = error.sqlDetails?.cursorPosition ?? 0
  const code = sqlStateOf(message)
  const position = hasPosition(message, cursor) ? cursor + 1 : undefined
  return new ParserError({ severity: 'ERROR', code, message, position }, text)
}

/** libpg-query gives the message without its SQLSTATE; these are the scanner's and grammar's other codes. */
const OTHER_CODES: readonly (readonly [RegExp, string])[] = [
  [/^invalid Unicode (escape value|surrogate pair)/, '42601'],
  [/^unsafe use of (\\'|string constant)/, '0A000'],
  [/^invalid escape (sequence|string)|^unsafe use of \\'/, '22025'],
  [/^invalid byte sequence|^invalid Unicode escape character/, '22021'],
  [/not (yet )?(supported|implemented)/, '0A000'],
  [/^memory exhausted|^stack depth limit/, '54001'],
]

function sqlStateOf(message: string): string {
  for (const [pattern, code] of OTHER_CODES) if (pattern.test(message)) return code
  return '42601'
}

/** The binding reports 0 both for the first character and for no position at all. */
function hasPosition(message: string, cursor: number): boolean {
  return cursor > 0 || / at or near | at end of input/.test(message)
}
