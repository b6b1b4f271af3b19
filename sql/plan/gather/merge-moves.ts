import type { Column } from '../../catalog.ts'
import {
  as,
  columnNode,
  conjuncts,
  type MergeStmt,
  type MergeWhenClause,
  type Node,
  type UpdateStmt,
} from '../../parse/ast.ts'
import type { Space } from '../../tree/block.ts'
import type { MovePlan } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { expressionNode } from './made-nodes.ts'
import { changesOf, clausesOf } from './merge-clauses.ts'
import { sourceName, withoutAdded } from './merge-source.ts'
import { assignedValue, castNode } from './new-values.ts'
import { allOf } from './plan-gather.ts'
import { moveOf } from './plan-move.ts'

/**
 * What a MERGE that sets the shard key does with rows whose new key belongs to another shard: what the UPDATE would do with
 * them that sets each column to what the first clause says whose condition holds. All other rows are left to the MERGE.
 */
export function moveOfMerge(
  merge: MergeStmt,
  meant: TableItem,
  others: readonly TableItem[],
  here: string,
): MovePlan | undefined {
  const statement = updateOf(merge, meant)
  if (statement === undefined) return undefined
  const whereClause = allOf([...conjuncts(statement.whereClause), expressionNode(here)])
  return moveOf({ statement, whereClause, here, others, meant, isMerge: true })
}

function updateOf(merge: MergeStmt, meant: TableItem): UpdateStmt | undefined {
  const clauses = clausesOf(merge, 'MATCHED')
  const columns = new Set(clauses.flatMap(setBy))
  const targetList: Node[] = []
  for (const name of columns) {
    const column = meant.relation.columns.find((one) => one.name === name)
    // Postgres says that there is none, before anything runs.
    if (column === undefined) continue
    const val = mergedValue(clauses, column, meant)
    if (val === undefined) return undefined
    targetList.push({ ResTarget: { name, val } } as Node)
  }
  const { relation, sourceRelation, joinCondition, returningClause } = merge
  return {
    relation: relation!,
    targetList,
    fromClause: [sourceRelation!],
    whereClause: allOf([joinCondition!, changesOf(clauses)]),
    ...(returningClause && { returningClause }),
  }
}

const setBy = ({ commandType, targetList = [] }: MergeWhenClause): string[] =>
  commandType === 'CMD_UPDATE' ? targetList.map((node) => as(node, 'ResTarget')!.name!) : []

/** What a column comes to; undefined: a part of it is set, or that is not known well enough. */
function mergedValue(
  clauses: readonly MergeWhenClause[],
  column: Column,
  { alias }: TableItem,
): Node | undefined {
  const { name } = column
  const args: Node[] = []
  for (const { condition, commandType, targetList = [] } of clauses) {
    const set = commandType === 'CMD_UPDATE' ? targetList.map((node) => as(node, 'ResTarget')!) : []
    const target = set.find((one) => one.name === name)
    if (target?.indirection !== undefined) return undefined
    const value = target === undefined ? columnNode(alias, name) : assignedValue(target.val!, column)
    if (value === undefined) return undefined
    const expr = condition ?? expressionNode('true')
    args.push({ CaseWhen: { expr, result: castNode(value, column.type) } } as Node)
  }
  return { CaseExpr: { args, defresult: columnNode(alias, name) } } as unknown as Node
}

/** With the source's columns in the place of `*`: for an UPDATE the target's come first. Undefined: not known. */
export function withListed(merge: MergeStmt, space: Space | undefined): MergeStmt | undefined {
  const { relation, sourceRelation, returningClause } = merge
  if (returningClause === undefined) return merge
  const source = sourceName(sourceRelation)
  if (source === undefined || space === undefined) return undefined
  const target = relation!.alias?.aliasname ?? relation!.relname!
  const exprs = withoutAdded(returningClause.exprs, space, { source, target, rows: 'kept' })
  return exprs && { ...merge, returningClause: { ...returningClause, exprs } }
}
