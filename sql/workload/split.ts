import { PgError } from '../../errors/pg-error.ts'
import { textOf } from '../lex/split.ts'
import { type ParsedStatement, parseStatements } from '../parse/parse.ts'
import { currentParser } from '../parse/parser.ts'
import { withoutCopied } from './copied-lines.ts'

/** A statement of a file, or what could not be read as one. */
export interface Listed {
  /** Of its first word, from 1. */
  readonly line: number
  readonly text: string
  readonly parsed: ParsedStatement | PgError
}

/**
 * The statements of a file as Postgres' grammar splits it, as they are asked for. Where it does not take the rest of it,
 * each piece between semicolons is read by itself, so that one mistake does not hide the others. Commands of psql and lines
 * of data are left out, and so is a mark of the byte order.
 */
export function* splitFile(file: string): Generator<Listed> {
  const text = withoutCopied(file.replace(/^\uFEFF/, '')).replaceAll(/^\\.*$/gm, '')
  const lines = new Lines(text)
  let at = 0
  while (at < text.length) {
    const part = partAt(text, at)
    if (part === undefined) break
    for (const parsed of part.statements) yield listed(lines, at + parsed.start, parsed)
    at = part.end
  }
  for (const [start, end] of pieces(text, at)) yield* read(text, lines, start, end)
}

/** Of what is parsed at once, so that whoever asks may do something else in between. */
const PART_CHARS = 65_536

interface Part {
  readonly statements: readonly ParsedStatement[]
  readonly end: number
}

/**
 * Some of the text that ends where a statement does; undefined: the grammar does not take what is left. A line may end in
 * a semicolon within a string or a function's body, too: the part is no text by itself then, and a longer one is tried.
 */
function partAt(text: string, start: number): Part | undefined {
  for (let chars = PART_CHARS; ; chars *= 2) {
    const semicolon = text.indexOf(';\n', start + chars)
    const end = semicolon < 0 ? text.length : semicolon + 1
    try {
      const statements = parseStatements(text.slice(start, end))
      // One that no semicolon ends goes on: this one was in a comment.
      if (end === text.length || start + (statements.at(-1)?.end ?? -1) < end) return { statements, end }
    } catch (error) {
      if (!(error instanceof PgError)) throw error
      if (end === text.length) return undefined
    }
  }
}

/** Numbers of lines, for places that are asked for in their order. */
class Lines {
  private readonly text: string
  private line = 1
  private next: number

  constructor(text: string) {
    this.text = text
    this.next = text.indexOf('\n')
  }

  at(place: number): number {
    while (this.next >= 0 && this.next < place) {
      this.line++
      this.next = this.text.indexOf('\n', this.next + 1)
    }
    return this.line
  }
}

function listed(lines: Lines, start: number, parsed: ParsedStatement): Listed {
  const ahead = wordsAt(parsed.text)
  return { line: lines.at(start + ahead), text: parsed.text.slice(ahead).trimEnd(), parsed }
}

const AHEAD = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/
const wordsAt = (text: string): number => AHEAD.exec(text)![0].length

function read(text: string, lines: Lines, start: number, end: number): Listed[] {
  const piece = text.slice(start, end)
  const ahead = wordsAt(piece)
  if (piece.slice(ahead).trim() === '') return []
  const at = { line: lines.at(start + ahead), text: piece.slice(ahead).trimEnd() }
  try {
    return parseStatements(piece).map((parsed) => ({ ...at, parsed }))
  } catch (error) {
    if (error instanceof PgError) return [{ ...at, parsed: error }]
    throw error
  }
}

const SEMICOLON = 59

/** What stands between semicolons that are no part of a string, a comment or a parenthesis, from `at` on. */
function pieces(text: string, at: number): [number, number][] {
  const rest = text.slice(at)
  const bytes = Buffer.from(rest)
  let byte = 0
  let start = at
  return [...semicolons(rest), bytes.length].map((end) => {
    const piece: [number, number] = [start, start + textOf(bytes, byte, end).length]
    byte = Math.min(end + 1, bytes.length)
    start = Math.min(piece[1] + 1, text.length)
    return piece
  })
}

function semicolons(text: string): number[] {
  try {
    const { tokens } = currentParser().scan(text)
    return tokens.filter(({ tokenType }) => tokenType === SEMICOLON).map(({ start }) => start)
  } catch {
    // A string that does not end: no token can be told.
    return []
  }
}
