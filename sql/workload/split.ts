import { PgError } from '../../errors/pg-error.ts'
import { textOf } from '../lex/split.ts'
import { type ParsedStatement, parseStatements } from '../parse/parse.ts'
import { currentParser } from '../parse/parser.ts'

/** A statement of a file, or what could not be read as one. */
export interface Listed {
  /** Of its first word, from 1. */
  readonly line: number
  readonly text: string
  readonly parsed: ParsedStatement | PgError
}

/**
 * The statements of a file as Postgres' grammar splits it. Where it does not take the whole, each piece between semicolons
 * is read by itself, so that one mistake does not hide the rest; lines that are commands of psql are left out.
 */
export function splitFile(file: string): Listed[] {
  const text = file.replaceAll(/^\\.*$/gm, '')
  try {
    return parseStatements(text).map((parsed) => listed(text, parsed.start, parsed))
  } catch (error) {
    if (!(error instanceof PgError)) throw error
    return pieces(text).flatMap(([start, end]) => read(text, start, end))
  }
}

function listed(text: string, start: number, parsed: ParsedStatement): Listed {
  const ahead = wordsAt(parsed.text)
  return {
    line: text.slice(0, start + ahead).split('\n').length,
    text: parsed.text.slice(ahead).trimEnd(),
    parsed,
  }
}

const AHEAD = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/
const wordsAt = (text: string): number => AHEAD.exec(text)![0].length

function read(text: string, start: number, end: number): Listed[] {
  const piece = text.slice(start, end)
  const ahead = wordsAt(piece)
  if (piece.slice(ahead).trim() === '') return []
  const at = { line: text.slice(0, start + ahead).split('\n').length, text: piece.slice(ahead).trimEnd() }
  try {
    return parseStatements(piece).map((parsed) => ({ ...at, parsed }))
  } catch (error) {
    if (error instanceof PgError) return [{ ...at, parsed: error }]
    throw error
  }
}

const SEMICOLON = 59

/** What stands between semicolons that are no part of a string, a comment or a parenthesis. */
function pieces(text: string): [number, number][] {
  const bytes = Buffer.from(text)
  const ends = semicolons(text)
  let start = 0
  return [...ends, bytes.length].map((end) => {
    const from = textOf(bytes, 0, start).length
    const piece: [number, number] = [from, from + textOf(bytes, start, end).length]
    start = Math.min(end + 1, bytes.length)
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
