import type { Relation } from '../catalog.ts'
import { slotExpression } from '../hash/slot-expression.ts'
import { quoteName, quoteTable } from './text-scan.ts'

interface SlotRange {
  readonly from: number
  readonly to: number
}

/**
 * One statement of the home shard that runs the query of an INSERT … SELECT, inserts what belongs there and gives back the
 * rest; the last row has the count of what was inserted, in a column more. PURE.
 *
 * `select`: the query, its columns being `columns` of the sharded table in order; `keyAt`: which of them is the key.
 */
export function insertingOwn(
  select: string,
  table: Relation,
  columns: readonly string[],
  keyAt: number,
  own: readonly SlotRange[],
): string {
  const names = columns.map((_, i) => `weft_v${i}`)
  const { key } = table
  const declared = table.columns.find(({ name }) => name === columns[keyAt])!
  // As the assignment would have it: a modifier may change the value, and with it the slot.
  const value = `(${names[keyAt]}::${declared.declared ?? declared.type})`
  const slot = slotExpression(key!.type, value)
  const ranges = own.map(({ from, to }) => `${slot} BETWEEN ${from} AND ${to}`)
  const isOwn = ranges.length === 0 ? 'false' : `(${ranges.join(' OR ')})`
  const target = `${quoteTable(table)} (${columns.map(quoteName).join(', ')})`
  const nulls = names.map(() => 'NULL')
  return `WITH weft_rows (${names.join(', ')}) AS MATERIALIZED (${select}),
weft_own AS (INSERT INTO ${target} OVERRIDING SYSTEM VALUE SELECT ${names.join(', ')} FROM weft_rows WHERE ${isOwn} RETURNING 1)
SELECT ${names.join(', ')}, NULL::pg_catalog.int8 FROM weft_rows WHERE ${isOwn} IS NOT TRUE
UNION ALL SELECT ${nulls.join(', ')}, pg_catalog.count(*) FROM weft_own`
}
