import type { Catalog, Relation } from '../catalog.ts'
import type { CodePiece } from '../code/code-graph.ts'
import { as, type Node } from '../parse/ast.ts'
import { parseStatements } from '../parse/parse.ts'
import { analyze } from '../place/analyze.ts'
import type { PlanContext } from './plan.ts'
import { quoteName } from './utility/text.ts'

/**
 * Policies that read sharded tables by the key of their row, as in `EXISTS (SELECT FROM members m WHERE m.tenant =
 * docs.tenant)`: the rows are on the shard where the policy is asked, all of them. Whether that is so says the planner, of
 * the rows of the table for which the policy holds.
 */

/** The sharded tables that the condition reads beside its own table; undefined: perhaps it reads a part of one. */
export function readByKey(
  catalog: Catalog,
  ctx: PlanContext,
  owner: Relation,
  condition: Node,
): readonly Relation[] | undefined {
  const range: Node = {
    RangeVar: { schemaname: owner.schema, relname: owner.name, inh: true, relpersistence: 'p' },
  }
  const node: Node = { SelectStmt: { fromClause: [range], whereClause: condition, op: 'SETOP_NONE' } }
  try {
    const text = ''
    const stmt = { kind: 'SelectStmt' as const, node, text, start: 0, end: 0 }
    const { occurrences, solved, traits, locals } = analyze(stmt, [], catalog, ctx)
    if (traits.partial !== undefined || locals.length > 0 || solved.rows.kind !== 'part') return undefined
    if (occurrences.some(({ relation }) => relation.colocation !== owner.colocation)) return undefined
    return occurrences.map(({ relation }) => relation)
  } catch {
    return undefined
  }
}

/** As the catalog prints a policy: one condition of it. */
export const isPolicy = ({ kind, language }: CodePiece): boolean => kind === 'read' && language === 'sql'

/** The same of a policy in the catalog, which begins with the number of its table. */
export function readByPolicy(catalog: Catalog, { text = '' }: CodePiece): readonly Relation[] | undefined {
  const oid = Number(/^\/\*(\d+)\*\//.exec(text)?.[1])
  const owner = catalog.distributed.find((table) => table.oid === oid)
  if (owner?.kind !== 'sharded') return undefined
  const searchPath = [...new Set(catalog.distributed.map(({ schema }) => schema))]
  const condition = conditionOf(text, owner)
  const ctx = { searchPath, tempTables: new Set<string>(), paramTypes: [] }
  return condition && readByKey(catalog, ctx, owner, condition)
}

function conditionOf(text: string, { schema, name }: Relation): Node | undefined {
  try {
    const sql = `SELECT FROM ${quoteName(schema)}.${quoteName(name)} WHERE ${text}`
    const [stmt] = parseStatements(sql)
    return as(stmt?.node, 'SelectStmt')?.whereClause
  } catch {
    return undefined
  }
}
