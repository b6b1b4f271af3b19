import type { Node, SelectStmt } from '../parse/ast.ts'
import { type Analysis, analyze } from '../place/analyze.ts'
import type { PlanContext } from './plan.ts'

/** A query inside a statement that has been analyzed, by itself. */
export function analyzeAlone(a: Analysis, text: string, query: SelectStmt, ctx: PlanContext): Analysis {
  const ranges = [...a.literals.byStart].map(([start, i]) => ({ start, end: a.literals.ends[i]! }))
  const node = { SelectStmt: query } as Node
  return analyze({ kind: 'SelectStmt', node, text, start: 0, end: text.length }, ranges, a.catalog, ctx)
}
