import type { Catalog, Column } from '../../catalog.ts'
import { castType } from '../cast-type.ts'
import type { CopyFill, CopyPlan } from '../copy-plan.ts'
import { timedDefault } from './default-value.ts'

/** Binary forms of times are numbers: microseconds, or days, since the year 2000. By the type's number. */
const BINARY: ReadonlyMap<number, readonly [string, string]> = new Map([
  [1082, ['(', " OPERATOR(pg_catalog.-) '2000-01-01'::pg_catalog.date)"]],
  [1114, microseconds('timestamp')],
  [1184, microseconds('timestamptz')],
])

function microseconds(type: string): readonly [string, string] {
  const since = ` OPERATOR(pg_catalog.-) '2000-01-01 00:00+00'::pg_catalog.${type}`
  return ["(pg_catalog.extract('epoch', ", `${since}) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8`]
}

/** A column that COPY data leaves out whose default tells a time; undefined for others, and those without a known form. */
export function timedFill(
  column: Column,
  catalog: Catalog,
  format: CopyPlan['format'],
): Omit<CopyFill, 'isKey'> | undefined {
  const parts = timedDefault(column, catalog)
  const form = format === 'binary' ? BINARY.get(column.typeOid) : (['', ''] as const)
  if (parts === undefined || form === undefined) return undefined
  const [before, after] = form
  const once = [`${before}(`, ...parts, `)::${castType(column.type)}${after}`]
  return { column: column.name, expression: column.default!, once }
}
