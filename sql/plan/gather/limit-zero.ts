import { as, type Node, type RangeVar, relationsOf, type SelectStmt, walk } from '../../parse/ast.ts'

/** Tables below a level that says LIMIT 0: Postgres reads none of them, so nothing about their rows can fail. */
export function neverRead(select: SelectStmt): ReadonlySet<RangeVar> {
  const never = new Set<RangeVar>()
  walk({ SelectStmt: select }, (kind, body) => {
    if (kind !== 'SelectStmt' || !isZero((body as SelectStmt).limitCount)) return
    for (const range of relationsOf({ SelectStmt: body } as Node)) never.add(range)
  })
  return never
}

function isZero(count: Node | undefined): boolean {
  const number = as(count, 'A_Const')?.ival
  return number !== undefined && (number.ival ?? 0) === 0
}

export const withoutRows = (sql: string): string => `SELECT * FROM (${sql}) AS s LIMIT 0`
