/**
 * Tokens of a statement's text that the grammar has accepted, as far as finding parentheses, commas and keywords
 * needs them. Offsets are UTF-16.
 */
export interface TextToken {
  readonly start: number
  readonly end: number
  /** A keyword or plain name in upper case, a punctuation character, or '' for everything else. */
  readonly word: string
}

const SPACE = /[ \t\n\r\f\v]+/y
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const NUMBER = /[0-9][0-9A-Za-z_.]*/y
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y
const LINE_COMMENT = /--[^\n\r]*/y
const QUOTED = /"(?:[^"]|"")*"/y
const STRING = /'(?:[^']|'')*'/y
const ESCAPE_STRING = /[eE]'(?:[^'\\]|''|\\[\s\S])*'/y

/** The token at or after `from`; undefined at the end. */
export function nextToken(text: string, from: number): TextToken | undefined {
  const start = skipSpace(text, from)
  if (start >= text.length) return undefined
  const end = tokenEnd(text, start)
  const word = matchEnd(WORD, text, start) === end ? text.slice(start, end).toUpperCase() : ''
  return { start, end, word: word === '' && end === start + 1 ? text.charAt(start) : word }
}

const PLAIN_IN_QUOTES = /^"([a-z_]+)"$/

/** The next token; a quoted name that means the same without its quotes is a word too, as ORMs write all of theirs. */
export function nextName(text: string, from: number): TextToken | undefined {
  const token = nextToken(text, from)
  const quoted = token && PLAIN_IN_QUOTES.exec(text.slice(token.start, token.end))
  return quoted ? { ...token, word: quoted[1]!.toUpperCase() } : token
}

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}

function skipSpace(text: string, from: number): number {
  let p = from
  for (;;) {
    let next = matchEnd(SPACE, text, p)
    if (next < 0) next = matchEnd(LINE_COMMENT, text, p)
    if (next < 0 && text.startsWith('/*', p)) next = blockCommentEnd(text, p)
    if (next < 0) return p
    p = next
  }
}

function blockCommentEnd(text: string, from: number): number {
  let depth = 0
  for (let p = from; p < text.length; p++) {
    if (text.startsWith('/*', p)) {
      depth++
      p++
    } else if (text.startsWith('*/', p)) {
      depth--
      p++
      if (depth === 0) return p + 1
    }
  }
  return text.length
}

/** A string that goes on on the next line counts as several tokens, which does no harm here. */
function tokenEnd(text: string, start: number): number {
  const c = text.charCodeAt(start)
  if (c === 0x27) return orNext(matchEnd(STRING, text, start), start)
  if (c === 0x22) return orNext(matchEnd(QUOTED, text, start), start)
  if (c === 0x24) {
    const tagEnd = matchEnd(DOLLAR, text, start)
    if (tagEnd < 0) return orNext(matchEnd(/\$[0-9]+/y, text, start), start)
    const close = text.indexOf(text.slice(start, tagEnd), tagEnd)
    return close < 0 ? text.length : close + tagEnd - start
  }
  if (c === 0x65 || c === 0x45) {
    const end = matchEnd(ESCAPE_STRING, text, start)
    if (end >= 0) return end
  }
  const word = matchEnd(WORD, text, start)
  return word >= 0 ? word : orNext(matchEnd(NUMBER, text, start), start)
}

const orNext = (end: number, start: number): number => (end < 0 ? start + 1 : end)

/** The place after the parenthesis that closes the one at `open`. */
export function closing(text: string, open: number): number {
  let depth = 0
  for (let t = nextToken(text, open); t; t = nextToken(text, t.end)) {
    if (t.word === '(' || t.word === '[') depth++
    else if (t.word === ')' || t.word === ']') depth--
    if (depth === 0) return t.end
  }
  return text.length
}

/** Ranges of the comma-separated items between the parentheses at `open`, without white space around them. */
export function itemsIn(text: string, open: number): { readonly start: number; readonly end: number }[] {
  const items: { start: number; end: number }[] = []
  let depth = 0
  let first = -1
  let last = -1
  for (let t = nextToken(text, open); t; t = nextToken(text, t.end)) {
    if (t.word === ')' || t.word === ']') depth--
    if (depth === 0 && t.start > open) break
    if (t.word === ',' && depth === 1) {
      items.push({ start: first, end: last })
      first = -1
    } else if (t.start > open) {
      if (first < 0) first = t.start
      last = t.end
    }
    if (t.word === '(' || t.word === '[') depth++
  }
  if (first >= 0) items.push({ start: first, end: last })
  return items
}

/** The first keyword among `words` at or after `from` that stands outside parentheses opened after `from`. */
export function findKeyword(text: string, from: number, words: readonly string[]): TextToken | undefined {
  let depth = 0
  for (let t = nextToken(text, from); t; t = nextToken(text, t.end)) {
    if (depth === 0 && words.includes(t.word)) return t
    if (t.word === '(' || t.word === '[') depth++
    else if (t.word === ')' || t.word === ']') depth--
    if (depth < 0) return undefined
  }
  return undefined
}

/** Where the query that `from` is in ends: before a `)` it did not open, a `;`, or at the end of the text. */
export function endOfQuery(text: string, from: number): number {
  let depth = 0
  let end = from
  for (let t = nextToken(text, from); t; t = nextToken(text, t.end)) {
    if (t.word === '(' || t.word === '[') depth++
    else if (t.word === ')' || t.word === ']') depth--
    if (depth < 0 || (depth === 0 && t.word === ';')) break
    end = t.end
  }
  return end
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A table by its schema, so that no search_path matters. */
export const quoteTable = ({ schema, name }: { readonly schema: string; readonly name: string }): string =>
  `${quoteName(schema)}.${quoteName(name)}`

/** Quoted whatever `standard_conforming_strings` says. */
export function quoteText(value: string | null): string {
  if (value === null) return 'NULL'
  const quoted = value.replaceAll("'", "''")
  return value.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
