import { as, hasSubqueries, type InsertStmt, type Node, type SelectStmt } from '../parse/ast.ts'
import type { Analysis } from '../place/analyze.ts'
import { analyzeAlone } from './analyze-alone.ts'
import { planGather } from './gather/plan-gather.ts'
import type { Plan, PlanContext } from './plan.ts'
import { type Insert, insertCommon } from './plan-insert.ts'
import { planInsertSelect } from './plan-insert-select.ts'

/**
 * INSERT of a query's rows into a table of the home shard, where the query needs rows of sharded tables: they are gathered,
 * and home runs the INSERT over them. Undefined: what it reads cannot be gathered.
 */
export function planInsertGathered(a: Analysis, text: string, ctx: PlanContext): Plan | undefined {
  const node = a.targets.find((t) => !t.nested)!.node as InsertStmt
  const source = sourceOf(node)
  if (source === undefined || a.targets.length > 1) return undefined
  const { withClause: _, ...insert } = node
  const statement = (query: Node): Node => ({ InsertStmt: { ...insert, selectStmt: query } }) as Node
  const onSeveral = planGather(analyzeAlone(a, text, source, ctx), text, { ...ctx, around: { statement } })
  if (onSeveral === undefined) return undefined
  const common = { ...insertCommon(a, node), generic: false }
  return { ...common, kind: 'forward', route: { kind: 'all' }, onSeveral }
}

/** Of a query's rows into a sharded or reference table: it is run over what is gathered at home. */
export function planMovedGathered(insert: Insert): Plan | undefined {
  const { a, text, ctx, node } = insert
  const source = sourceOf(node)
  if (source === undefined || a.targets.length > 1) return undefined
  const around = { statement: (query: Node) => query }
  const step = planGather(analyzeAlone(a, text, source, ctx), text, { ...ctx, around })
  if (step === undefined) return undefined
  const plan = planInsertSelect(insert)
  return plan.kind === 'insert-select' ? { ...plan, generic: false, source: step } : plan
}

/** The query, with the WITH queries that stand ahead of the INSERT. */
function sourceOf(node: InsertStmt): SelectStmt | undefined {
  const source = as(node.selectStmt, 'SelectStmt')
  // A subquery there would have to read what is gathered, too.
  const tail = [node.onConflictClause, node.returningClause] as unknown as Node
  if (source === undefined || hasSubqueries(tail)) return undefined
  if (node.withClause === undefined) return source
  return source.withClause === undefined ? { ...source, withClause: node.withClause } : undefined
}
