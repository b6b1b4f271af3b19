import { nextToken } from './text-scan.ts'

/**
 * Takes the body of a PL/pgSQL function apart into the SQL in it, as far as that can be told without the language's own
 * parser: what comes out wrong is no SQL, and whoever asks learns nothing of it. PURE.
 */

export interface Token {
  readonly start: number
  readonly end: number
  /** Of names and keywords in lower case, quoted ones as they are; else as written. */
  readonly word: string
}

export interface BodyPart {
  /** A statement, or an expression as `SELECT …`. */
  readonly sql: string
  /** Names of variables that it sets, with their fields: `new.total`. */
  readonly sets: readonly string[]
}

/** What begins a part, whatever stands before it. */
const BEGINS = new Set(['begin', 'declare', 'then', 'else', 'loop', 'exception'])
const STATEMENTS = new Set(['select', 'insert', 'update', 'delete', 'merge', 'with', 'values', 'table'])
/** Said ahead of an expression or a query. */
const LEADS = new Set([
  'if',
  'elsif',
  'elseif',
  'while',
  'return',
  'perform',
  'case',
  'when',
  'exit',
  'continue',
  'query',
  'assert',
])

export function partsOfBody(body: string): BodyPart[] {
  return fragmentsOf(body).flatMap((tokens) => partOf(body, tokens) ?? [])
}

/** What stands between semicolons and the words that begin something; a CASE that is an expression stays whole. */
export function fragmentsOf(body: string): Token[][] {
  const fragments: Token[][] = []
  let current: Token[] = []
  let depth = 0
  let cases = 0
  for (let found = nextToken(body, 0); found; found = nextToken(body, found.end)) {
    const token = tokenOf(body, found)
    if (token.word === '(' || token.word === '[') depth++
    else if (token.word === ')' || token.word === ']') depth--
    const isName = body.charAt(token.start) === '"'
    if (!isName && token.word === 'case' && current.length > 0 && current.at(-1)?.word !== 'end') cases++
    const ends = depth === 0 && cases === 0 && (token.word === ';' || BEGINS.has(token.word))
    if (!ends) current.push(token)
    else {
      fragments.push(current)
      current = []
    }
    if (!isName && token.word === 'end' && cases > 0) cases--
  }
  return [...fragments, current].filter((tokens) => tokens.length > 0)
}

function tokenOf(body: string, { start, end, word }: { start: number; end: number; word: string }): Token {
  const written = body.slice(start, end)
  if (written.startsWith('"')) return { start, end, word: written.slice(1, -1).replaceAll('""', '"') }
  return { start, end, word: word === '' ? written : word.toLowerCase() }
}

function partOf(body: string, tokens: readonly Token[]): BodyPart | undefined {
  const sets: string[] = []
  let from = 0
  const assigned = assignedBy(tokens)
  if (assigned !== undefined) {
    sets.push(assigned.name)
    from = assigned.next
  }
  let isExpression = from > 0
  while (LEADS.has(tokens[from]?.word ?? '')) {
    isExpression = true
    from++
  }
  if (tokens[from]?.word === 'for') from = tokens.findIndex(({ word }) => word === 'in') + 1
  const first = tokens[from]
  if (first === undefined) return undefined
  if (STATEMENTS.has(first.word)) isExpression = false
  const { sql, into } = withoutInto(body, tokens.slice(from))
  return { sql: isExpression ? `SELECT ${sql}` : sql, sets: [...sets, ...into] }
}

/** `a := `, `a.b := `, `a = `. */
function assignedBy(tokens: readonly Token[]): { readonly name: string; readonly next: number } | undefined {
  const { name, next } = nameAt(tokens, 0)
  const [one, two] = [tokens[next]?.word, tokens[next + 1]?.word]
  if (one === ':' && two === '=') return { name, next: next + 2 }
  return one === '=' ? { name, next: next + 1 } : undefined
}

function nameAt(tokens: readonly Token[], at: number): { readonly name: string; readonly next: number } {
  let name = tokens[at]?.word ?? ''
  let next = at + 1
  for (; tokens[next]?.word === '.'; next += 2) name += `.${tokens[next + 1]?.word ?? ''}`
  return { name, next }
}

/** SELECT … INTO a, b.c, and RETURNING … INTO: no part of SQL. */
function withoutInto(body: string, tokens: readonly Token[]) {
  const text = (from: number, to: number) =>
    to > from ? body.slice(tokens[from]!.start, tokens[to - 1]!.end) : ''
  const at = tokens.findIndex(
    ({ word, start }, i) =>
      word === 'into' && body.charAt(start) !== '"' && !/^(insert|merge)$/.test(tokens[i - 1]?.word ?? ''),
  )
  if (at < 0) return { sql: text(0, tokens.length), into: [] }
  const into: string[] = []
  let next = at + 1
  if (tokens[next]?.word === 'strict') next++
  do {
    const target = nameAt(tokens, next)
    into.push(target.name)
    next = target.next
  } while (tokens[next++]?.word === ',')
  next--
  return { sql: `${text(0, at)} ${text(next, tokens.length)}`, into }
}
