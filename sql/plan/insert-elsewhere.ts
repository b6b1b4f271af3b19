/**
 * The plan of an INSERT for a text that differs from the planned one in its literals only: all between them is alike, so
 * each place is as far behind the same literal. PURE.
 */
import type { InsertPlan, InsertRow } from './plan.ts'

type Place = (at: number) => number

/** `ends`: where the literals of the text at hand end. */
export function insertElsewhere(plan: InsertPlan, ends: readonly number[]): InsertPlan {
  const { literalEnds, columnList, overridingAt } = plan
  if (literalEnds === undefined || literalEnds.every((end, i) => end === ends[i])) return plan
  const place = placeIn(literalEnds, ends)
  return {
    ...plan,
    rows: plan.rows.map((row) => movedRow(row, place)),
    columnList:
      columnList.kind === 'explicit'
        ? { ...columnList, closeAt: place(columnList.closeAt) }
        : { ...columnList, at: place(columnList.at) },
    tailStart: place(plan.tailStart),
    ...(overridingAt === undefined ? {} : { overridingAt: place(overridingAt) }),
  }
}

function placeIn(planned: readonly number[], ends: readonly number[]): Place {
  return (at) => {
    let before = planned.length - 1
    while (before >= 0 && planned[before]! > at) before--
    return before < 0 ? at : at - planned[before]! + ends[before]!
  }
}

function movedRow(row: InsertRow, place: Place): InsertRow {
  const moved = <R extends { readonly start: number; readonly end: number }>(range: R): R => ({
    ...range,
    start: place(range.start),
    end: place(range.end),
  })
  return { ...moved(row), defaults: row.defaults.map(moved) }
}
