import type { CopyPlan } from '../../sql/plan/plan.ts'
import { quoteName, quoteNames } from './quote.ts'

/** The COPY that a shard gets: the client's options, with the header that this shard is to read or write. */
export function copyStatement(
  plan: CopyPlan,
  direction: 'FROM STDIN' | 'TO STDOUT',
  header: CopyPlan['header'],
): string {
  const { table, columns, fill, optionsSql } = plan
  const all = [...columns, ...fill.map((f) => f.column)]
  const list = all.length === 0 ? '' : ` (${quoteNames(all)})`
  const options =
    header === 'none' ? optionsSql : withHeader(optionsSql, header === 'match' ? 'match' : 'true')
  return `COPY ${quoteName(table.schema)}.${quoteName(table.name)}${list} ${direction} ${options}`.trimEnd()
}

function withHeader(optionsSql: string, value: string): string {
  const opening = /^WITH \(/
  if (opening.test(optionsSql)) return optionsSql.replace(opening, `WITH (HEADER ${value}, `)
  return `WITH (HEADER ${value}) ${optionsSql}`
}
