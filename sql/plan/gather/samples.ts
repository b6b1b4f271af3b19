import type { RangeTableSample } from '@pgsql/types'
import { as, hasSubqueries, type Node, walk } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { PlanContext } from '../plan.ts'
import { isLasting } from './conditions.ts'

/** Its percentage and its seed are the same wherever they are computed, and of no other FROM item. */
export function isLastingSample(
  a: Analysis,
  { args = [], repeatable }: RangeTableSample,
  ctx: PlanContext,
): boolean {
  const said = [...args, ...(repeatable ? [repeatable] : [])]
  let hasColumns = false
  walk(said, (kind) => {
    if (kind === 'ColumnRef') hasColumns = true
  })
  return !hasColumns && !hasSubqueries(said) && said.every((node) => isLasting(a, node, ctx))
}

/** Samples in the tree become what they are of. In place. */
export function withoutSamples(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  const fields = value as Record<string, unknown>
  for (const key in fields) {
    const sample = as(fields[key] as Node | undefined, 'RangeTableSample')
    if (sample !== undefined) fields[key] = sample.relation
    withoutSamples(fields[key])
  }
}
