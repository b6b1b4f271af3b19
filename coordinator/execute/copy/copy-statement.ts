import { BEGUN } from '../../../sql/plan/begun-text.ts'
import type { CopyPlan } from '../../../sql/plan/copy-plan.ts'
import { quoteNames, quoteTable } from '../quote.ts'

/** The COPY that a shard gets: the client's options, with the header that this shard is to read or write. */
export function copyStatement(
  plan: CopyPlan,
  direction: 'FROM STDIN' | 'TO STDOUT',
  header: CopyPlan['header'],
): string {
  const all = copyColumns(plan)
  const list = all === '' ? '' : ` (${all})`
  return `COPY ${copyTable(plan)}${list} ${direction} ${optionsWith(plan, header)}`.trimEnd()
}

/** The same for COPY TO as a query, which tells when it has begun (sql/plan/begun-text.ts). */
export function begunCopy(plan: CopyPlan, header: CopyPlan['header']): string {
  const select = `SELECT ${copyColumns(plan)} FROM ${copiedTable(plan)} WHERE ${BEGUN}`
  return `COPY (${select}) TO STDOUT ${optionsWith(plan, header)}`.trimEnd()
}

/** COPY is of the table's own rows; what is partitioned has none. */
function copiedTable(plan: CopyPlan): string {
  return plan.table.isPartitioned ? copyTable(plan) : `ONLY ${copyTable(plan)}`
}

export function copyTable({ table }: CopyPlan): string {
  return quoteTable(table)
}

export function copyColumns({ columns, fill }: CopyPlan): string {
  return quoteNames([...columns, ...fill.map((f) => f.column)])
}

function optionsWith({ optionsSql }: CopyPlan, header: CopyPlan['header']): string {
  return header === 'none' ? optionsSql : withHeader(optionsSql, header === 'match' ? 'match' : 'true')
}

function withHeader(optionsSql: string, value: string): string {
  const opening = /^WITH \(/
  if (opening.test(optionsSql)) return optionsSql.replace(opening, `WITH (HEADER ${value}, `)
  return `WITH (HEADER ${value}) ${optionsSql}`
}
