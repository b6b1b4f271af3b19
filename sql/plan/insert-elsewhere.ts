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
    const before = lastAtOrBefore(planned, at)
    return before < 0 ? at : at - planned[before]! + ends[before]!
  }
}

/** Index of the last of the ascending `ends` that is not above `at`; -1: all are. */
function lastAtOrBefore(ends: readonly number[], at: number): number {
  let low = -1
  let high = ends.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (ends[middle]! <= at) low = middle
    else high = middle - 1
  }
  return low
}

function movedRow(row: InsertRow, place: Place): InsertRow {
  const moved = <R extends { readonly start: number; readonly end: number }>(range: R): R => ({
    ...range,
    start: place(range.start),
    end: place(range.end),
  })
  return { ...moved(row), defaults: row.defaults.map(moved) }
}
