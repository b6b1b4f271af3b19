import { type Edit, edited, type Piece, type Rewritten, rewritten } from './edited-text.ts'
import type { InsertPlan, InsertRow } from './plan.ts'
import { quoteName, quoteText } from './text-scan.ts'

/** Values that take the place of expressions and defaults, as text in Postgres' output format. */
export interface SplicedValues {
  /** Per row of the plan, one value for each entry of `plan.fill`. */
  readonly fills: readonly (readonly (string | null)[])[]
  /** Per row of the plan: the value of its key expression; undefined where the key is no expression. */
  readonly keys: readonly (string | null | undefined)[]
}

/**
 * The statement with some of its rows only, and with the values spliced in. `begins`: the first of them tells when the
 * statement has begun, by that condition, where it can (`InsertRow.begins`).
 */
export function buildInsert(
  plan: InsertPlan,
  sql: string,
  rowIndexes: readonly number[],
  values: SplicedValues,
  begins?: string,
): Rewritten {
  const pieces = headPieces(plan, sql)
  for (const [i, index] of rowIndexes.entries()) {
    if (i > 0) pieces.push(COMMA)
    pieces.push(...rowPieces(plan, sql, index, values, i === 0 ? begins : undefined))
  }
  pieces.push(...edited(sql, plan.tailStart, sql.length, []))
  return rewritten(sql, pieces)
}

const COMMA: Piece = { text: ', ', from: 0, isNew: true }

function headPieces(plan: InsertPlan, sql: string): Piece[] {
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

function rowPieces(
  plan: InsertPlan,
  sql: string,
  index: number,
  values: SplicedValues,
  begins: string | undefined,
): Piece[] {
  const row = plan.rows[index]!
  const fills = values.fills[index] ?? []
  const key = values.keys[index]
  const edits: Edit[] = []
  const [before, after] = begins === undefined ? [] : beginEdits(row, begins)
  if (before !== undefined) edits.push(before)
  const { source } = row.key
  if (source.kind === 'expression' && key !== undefined) {
    edits.push({ start: source.start, end: source.end, text: quoteText(key) })
  }
  for (const { fill, start, end } of row.defaults)
    edits.push({ start, end, text: quoteText(fills[fill] ?? null) })
  if (after !== undefined) edits.push(after)
  for (const [i, { appended }] of plan.fill.entries())
    if (appended)
      edits.push({ start: row.end - 1, end: row.end - 1, text: `, ${quoteText(fills[i] ?? null)}` })
  return edited(sql, row.start, row.end, edits)
}

/** Around one of the row's values: evaluated before the row is inserted, which may have to wait for others. */
function beginEdits({ begins }: InsertRow, condition: string): readonly Edit[] {
  if (begins === undefined) return []
  const { start, end, castTo } = begins
  const cast = castTo === undefined ? '' : `::${castTo}`
  return [
    { start, end: start, text: `CASE WHEN ${condition} THEN (` },
    { start: end, end, text: `)${cast} END` },
  ]
}
