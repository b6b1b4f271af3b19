import { flattened } from '../../parse/flatten.ts'
import { offsetMap } from '../../parse/offsets.ts'
import { currentParser } from '../../parse/parser.ts'

/** A range of a statement's text in UTF-16 offsets, end exclusive. */
export interface Range {
  readonly start: number
  readonly end: number
}

export interface Token extends Range {
  /** Keywords and punctuation in upper case; everything else as written. */
  readonly word: string
  readonly isString: boolean
  /** Whether it is a keyword: one that any name may be, or another. */
  readonly keyword: 'none' | 'unreserved' | 'other'
}

const KEYWORDS: Readonly<Record<string, Token['keyword']>> = {
  NO_KEYWORD: 'none',
  UNRESERVED_KEYWORD: 'unreserved',
}

/** The tokens of a statement by Postgres' own scanner, comments left out. */
export function tokensOf(text: string): Token[] {
  const offsets = offsetMap(text)
  const tokens: Token[] = []
  for (const t of currentParser().scan(flattened(text)).tokens) {
    if (t.tokenName === 'SQL_COMMENT' || t.tokenName === 'C_COMMENT') continue
    const start = offsets.toUtf16(t.start)
    const end = offsets.toUtf16(t.end)
    const written = text.slice(start, end)
    // The scanner reports some string forms (U&'…', N'…') as UNKNOWN.
    const isString = t.tokenName === 'SCONST' || /^([eEnN]|[uU]&)?'/.test(written)
    const keyword = KEYWORDS[t.keywordName] ?? 'other'
    const word = keyword === 'none' ? written : written.toUpperCase()
    tokens.push({ start, end, word, isString, keyword })
  }
  return tokens
}

/** Index of the token that starts at the offset, or the first one after it. */
export function tokenAt(tokens: readonly Token[], offset: number): number {
  const index = tokens.findIndex((t) => t.start >= offset)
  return index < 0 ? tokens.length : index
}

/** Index of the first token with that word outside parentheses, from `from` on; -1 if there is none. */
export function findWord(tokens: readonly Token[], words: readonly string[], from = 0): number {
  let depth = 0
  for (let i = from; i < tokens.length; i++) {
    const word = tokens[i]!.word
    if (depth === 0 && words.includes(word)) return i
    if (word === '(' || word === '[') depth++
    else if (word === ')' || word === ']') depth--
  }
  return -1
}

/**
 * The items of a comma-separated list that begins with token `from` and ends before one of `stops`, a closing
 * parenthesis, or the end.
 */
export function listItems(tokens: readonly Token[], from: number, stops: readonly string[] = []): Range[] {
  const items: Range[] = []
  let depth = 0
  let first = from
  let i = from
  for (; i < tokens.length; i++) {
    const word = tokens[i]!.word
    if (depth === 0 && (word === ')' || (i > first && stops.includes(word)))) break
    if (word === '(' || word === '[') depth++
    else if (word === ')' || word === ']') depth--
    else if (word === ',' && depth === 0) {
      items.push(spanOf(tokens, first, i))
      first = i + 1
    }
  }
  if (i > first) items.push(spanOf(tokens, first, i))
  return items
}

function spanOf(tokens: readonly Token[], from: number, to: number): Range {
  return { start: tokens[from]!.start, end: tokens[to - 1]!.end }
}

/** The text with only those items of a list left that `keep` says. At least one must stay. */
export function keepItems(text: string, items: readonly Range[], keep: (index: number) => boolean): string {
  const kept = items.filter((_, i) => keep(i)).map((r) => text.slice(r.start, r.end))
  return replace(text, { start: items[0]!.start, end: items.at(-1)!.end }, kept.join(', '))
}

export function replace(text: string, { start, end }: Range, by: string): string {
  return text.slice(0, start) + by + text.slice(end)
}

/** `IF EXISTS` before the offset. */
export function withIfExists(text: string, offset: number): string {
  return `${text.slice(0, offset)}IF EXISTS ${text.slice(offset)}`
}

/** As Postgres' quote_identifier, but always quoted. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
