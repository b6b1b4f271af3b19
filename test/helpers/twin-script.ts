import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TestCluster } from './cluster.ts'
import { type Param, type Statement, TwinSession, type Way } from './twin-session.ts'

/**
 * Scripts of statements that Weft and one plain Postgres must answer alike.
 *
 *   -- # a title: what follows is one test, with a session of its own
 *   -- refused current_of the statement below is refused, with this id
 *   -- ordered            the order of its rows counts (implied by an ORDER BY at the end)
 *   -- weft               runs on Weft only, and succeeds
 *   -- params: 5::int8 | abc | NULL
 *   a statement, up to a semicolon at the end of a line
 *
 * Data of COPY … FROM STDIN follows it, up to a line `\.`. With REWRITE=1 the marks `-- refused` are brought up to
 * date: read the diff.
 */
export interface ScriptStatement extends Statement {
  readonly line: number
  /** The id that it is refused with. */
  readonly refused: string | undefined
  readonly weftOnly: boolean
  /** Line of the mark, -1 without. */
  readonly markLine: number
}

export interface Section {
  readonly title: string
  readonly statements: readonly ScriptStatement[]
}

export interface Finding {
  readonly statement: ScriptStatement
  readonly text: string
}

const folder = new URL('../integration/testdata/sql/', import.meta.url)
const REWRITES = process.env.REWRITE === '1'

export class TwinScript {
  readonly name: string
  readonly sections: readonly Section[]
  private readonly lines: string[]
  private readonly turn: number
  /** Line → what is to stand there. */
  private readonly edits = new Map<number, readonly string[]>()

  /** `turn`: statements that write are sent in another protocol from turn to turn. */
  constructor(name: string, turn = 0) {
    this.name = name
    this.turn = turn
    this.lines = readFileSync(new URL(`${name}.sql`, folder), 'utf8').split('\n')
    this.sections = sectionsOf(this.lines)
  }

  /** Runs a section; what it found out is a list of texts, empty when all is well. */
  async run(
    cluster: TestCluster,
    section: Section,
    parameters: Record<string, string> = {},
  ): Promise<string[]> {
    const session = await TwinSession.open(cluster, { search_path: this.name, ...parameters })
    const findings: string[] = []
    try {
      for (const [i, statement] of section.statements.entries()) {
        findings.push(...(await this.runOne(session, statement, i)))
      }
    } finally {
      session.end()
    }
    return findings
  }

  private async runOne(session: TwinSession, statement: ScriptStatement, index: number): Promise<string[]> {
    const at = `${this.name}.sql:${statement.line + 1}: ${statement.sql}`
    if (statement.weftOnly) {
      await session.onWeft(statement.sql)
      return []
    }
    const findings: string[] = []
    const refusals: string[] = []
    const ways = waysOf(statement, index + this.turn)
    for (const way of ways) {
      const verdict = await session.run(statement, way)
      if (verdict.kind === 'refused') {
        refusals.push(verdict.id)
        if (statement.refused !== verdict.id && !REWRITES)
          findings.push(`${at}\n  ${way.name}: refused as ${verdict.id}: ${verdict.message}`)
      } else if (verdict.kind === 'different') {
        findings.push(`${at}\n  ${way.name}:\n${difference(verdict.plain.lines, verdict.weft.lines)}`)
      }
    }
    const [id] = refusals
    if (id !== undefined && refusals.length < ways.length)
      findings.push(`${at}\n  refused in ${refusals.length} of ${ways.length} ways`)
    if (statement.refused !== undefined && id === undefined && !REWRITES)
      findings.push(`${at}\n  marked as refused, and answered`)
    if (id !== statement.refused) this.mark(statement, id)
    return findings
  }

  private mark({ line, markLine }: ScriptStatement, id: string | undefined): void {
    const marks = id === undefined ? [] : [`-- refused ${id}`]
    if (markLine >= 0) this.edits.set(markLine, marks)
    else this.edits.set(line, [...marks, this.lines[line]!])
  }

  /** Writes the marks down. */
  finish(): void {
    if (!REWRITES || this.edits.size === 0) return
    const text = this.lines.flatMap((line, i) => this.edits.get(i) ?? line)
    writeFileSync(fileURLToPath(new URL(`${this.name}.sql`, folder)), text.join('\n'))
  }
}

/** Reads run in every way, writes in one. */
function waysOf(statement: ScriptStatement, index: number): readonly Way[] {
  if (statement.params !== undefined) return PARAM_WAYS
  if (statement.copyData !== undefined || /^\s*COPY\b/i.test(statement.sql)) return [SIMPLE]
  const isRead = /^\s*\(*(SELECT|VALUES|TABLE|WITH)\b/i.test(statement.sql) && !WRITES.test(statement.sql)
  if (isRead) return [SIMPLE, EXTENDED, BINARY]
  return index % 2 === 0 ? [SIMPLE] : [EXTENDED]
}

const WRITES =
  /\b(INSERT|UPDATE|DELETE|MERGE|nextval|setval|INTO|(create_(distributed|reference)|undistribute)_\w+)\b/i
const SIMPLE: Way = { name: 'simple', protocol: 'simple' }
const EXTENDED: Way = { name: 'extended', protocol: 'extended' }
const BINARY: Way = { name: 'binary results', protocol: 'extended', binaryResults: true }
const PARAM_WAYS: readonly Way[] = [
  { name: 'undeclared text', protocol: 'extended' },
  { name: 'declared text', protocol: 'extended', declared: true },
  { name: 'undeclared binary', protocol: 'extended', binaryParams: true },
  { name: 'declared binary', protocol: 'extended', declared: true, binaryParams: true, binaryResults: true },
]

function sectionsOf(lines: readonly string[]): Section[] {
  const sections: { title: string; statements: ScriptStatement[] }[] = []
  let at = 0
  let marks: Marks = {}
  while (at < lines.length) {
    const line = lines[at]!
    if (line.startsWith('-- # ')) sections.push({ title: line.slice(5), statements: [] })
    else if (line.startsWith('--')) marks = noted(marks, line, at)
    else if (line.trim() !== '') {
      const { sql, next } = statementAt(lines, at)
      const { data, after } = copyDataAt(lines, next, sql)
      sections.at(-1)!.statements.push(statementOf(sql, at, marks, data))
      marks = {}
      at = after
      continue
    }
    at++
  }
  return sections
}

interface Marks {
  refused?: { readonly id: string; readonly line: number }
  weft?: boolean
  ordered?: boolean
  params?: readonly Param[]
}

function noted(marks: Marks, line: string, at: number): Marks {
  const text = line.slice(2).trim()
  const id = /^refused\b *(\w*)$/.exec(text)?.[1]
  if (id !== undefined) return { ...marks, refused: { id, line: at } }
  if (text === 'weft') return { ...marks, weft: true }
  if (text === 'ordered') return { ...marks, ordered: true }
  if (text.startsWith('params:')) return { ...marks, params: paramsOf(text.slice('params:'.length)) }
  return marks
}

function paramsOf(text: string): Param[] {
  return text.split(' | ').map((each) => {
    const [, value, type] = /^\s*(.*?)(?:::([\w "[\]]+?))?\s*$/s.exec(each)!
    const parsed = value === 'NULL' ? null : value!
    return type === undefined ? { text: parsed } : { text: parsed, type }
  })
}

function statementOf(sql: string, line: number, marks: Marks, data: Buffer | undefined): ScriptStatement {
  return {
    sql,
    line,
    refused: marks.refused?.id,
    markLine: marks.refused?.line ?? -1,
    weftOnly: marks.weft === true,
    ordered: marks.ordered === true || /\bORDER BY [^)]*$/i.test(sql),
    ...(marks.params === undefined ? {} : { params: marks.params }),
    ...(data === undefined ? {} : { copyData: data }),
  }
}

function statementAt(lines: readonly string[], start: number): { sql: string; next: number } {
  let sql = ''
  for (let at = start; at < lines.length; at++) {
    sql += (at === start ? '' : '\n') + lines[at]!
    const isQuoted = (sql.split('$$').length - 1) % 2 === 1
    if (!isQuoted && sql.endsWith(';')) return { sql: sql.slice(0, -1), next: at + 1 }
  }
  return { sql, next: lines.length }
}

function copyDataAt(lines: readonly string[], at: number, sql: string): { data?: Buffer; after: number } {
  if (!/^\s*COPY\b.*\bFROM STDIN\b/is.test(sql)) return { after: at }
  const end = lines.indexOf('\\.', at)
  const text = lines.slice(at, end).map((line) => `${line}\n`)
  return { data: Buffer.from(text.join('')), after: end + 1 }
}

/** Lines of one side only, with a sign in front; all of both when they differ in their order. */
function difference(plain: readonly string[], weft: readonly string[]): string {
  const only = (lines: readonly string[], others: readonly string[], sign: string) =>
    lines.filter((line) => !others.includes(line)).map((line) => `    ${sign} ${line}`)
  const found = [...only(plain, weft, 'plain:'), ...only(weft, plain, 'weft: ')]
  if (found.length > 0) return found.slice(0, 20).join('\n')
  return [...plain.map((line) => `    plain: ${line}`), ...weft.map((line) => `    weft:  ${line}`)].join(
    '\n',
  )
}
