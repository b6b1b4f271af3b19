import type { InsertPlan, InsertRow } from './plan.ts'
import { nextToken, quoteName, quoteText } from './text-scan.ts'

/** Values that take the place of expressions and defaults, as text in Postgres' output format. */
export interface SplicedValues {
  /** Per row of the plan, one value for each entry of `plan.fill`. */
  readonly fills: readonly (readonly (string | null)[])[]
  /** Per row of the plan: the value of its key expression; undefined where the key is no expression. */
  readonly keys: readonly (string | null | undefined)[]
}

export interface Rewritten {
  readonly sql: string
  /** Parameter n of `sql` is the client's parameter `params[n - 1]`: Postgres cannot type a number that is left out. */
  readonly params: readonly number[]
}

/** The statement with some of its rows only, and with the values spliced in. */
export function buildInsert(
  plan: InsertPlan,
  sql: string,
  rowIndexes: readonly number[],
  values: SplicedValues,
): Rewritten {
  const rows = rowIndexes.map((index) =>
    rowText(plan, sql, plan.rows[index]!, values.fills[index] ?? [], values.keys[index]),
  )
  return renumberParams(`${headText(plan, sql)}${rows.join(', ')}${sql.slice(plan.tailStart)}`)
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

function headText(plan: InsertPlan, sql: string): string {
  const edits: Edit[] = []
  const appended = plan.fill.filter((f) => f.appended).map((f) => quoteName(f.column))
  const list = plan.columnList
  if (appended.length > 0 && list.kind === 'explicit') {
    edits.push({ start: list.closeAt, end: list.closeAt, text: `, ${appended.join(', ')}` })
  } else if (appended.length > 0 && list.kind === 'implicit') {
    const names = [...list.columns.map(quoteName), ...appended]
    edits.push({ start: list.at, end: list.at, text: ` (${names.join(', ')})` })
  }
  if (plan.overridingAt !== undefined) {
    edits.push({ start: plan.overridingAt, end: plan.overridingAt, text: ' OVERRIDING SYSTEM VALUE ' })
  }
  return edited(sql, 0, plan.rows[0]!.start, edits)
}

function rowText(
  plan: InsertPlan,
  sql: string,
  row: InsertRow,
  fills: readonly (string | null)[],
  key: string | null | undefined,
): string {
  const edits: Edit[] = []
  const { source } = row.key
  if (source.kind === 'expression' && key !== undefined) {
    edits.push({ start: source.start, end: source.end, text: quoteText(key) })
  }
  for (const { fill, start, end } of row.defaults)
    edits.push({ start, end, text: quoteText(fills[fill] ?? null) })
  const appended = plan.fill.flatMap((f, i) => (f.appended ? [`, ${quoteText(fills[i] ?? null)}`] : []))
  edits.push({ start: row.end - 1, end: row.end - 1, text: appended.join('') })
  return edited(sql, row.start, row.end, edits)
}

function edited(sql: string, start: number, end: number, edits: readonly Edit[]): string {
  let text = ''
  let at = start
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    text += sql.slice(at, edit.start) + edit.text
    at = edit.end
  }
  return text + sql.slice(at, end)
}

/** Numbers the parameters of a text anew, without gaps, in the order in which they first appear. */
export function renumberParams(sql: string): Rewritten {
  if (!sql.includes('$')) return { sql, params: [] }
  const params: number[] = []
  let text = ''
  let at = 0
  for (let t = nextToken(sql, 0); t; t = nextToken(sql, t.end)) {
    if (sql.charCodeAt(t.start) !== 0x24 || !isDigit(sql.charCodeAt(t.start + 1))) continue
    const number = Number(sql.slice(t.start + 1, t.end))
    if (!params.includes(number)) params.push(number)
    text += `${sql.slice(at, t.start)}$${params.indexOf(number) + 1}`
    at = t.end
  }
  return { sql: text + sql.slice(at), params }
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}
