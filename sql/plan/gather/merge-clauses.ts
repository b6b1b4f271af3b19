import type { Relation } from '../../catalog.ts'
import { slotExpression } from '../../hash/slot-expression.ts'
import {
  as,
  hasSubqueries,
  type MergeStmt,
  type MergeWhenClause,
  type Node,
  walk,
  whenClauses,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printedExpression } from '../../print/printed.ts'
import { traitsOf, unstableBecause } from '../../tree/traits.ts'
import { ownName } from './gather-plan.ts'
import { expressionNode } from './made-nodes.ts'
import { givenColumns } from './merge-draws.ts'
import { allOf } from './plan-gather.ts'

/** The WHEN clauses of a MERGE over several shards. */

export const clausesOf = (merge: MergeStmt, kind: string): MergeWhenClause[] =>
  whenClauses(merge).filter(({ matchKind }) => matchKind === `MERGE_WHEN_${kind}`)

/**
 * What comes out anew each time may be what a row is given where it is, but not in a subquery, and not where copies of it
 * have to be alike; which rows, and where they belong, is looked at more than once.
 */
export function isOncePerRow(
  { catalog, traits: asWritten }: Analysis,
  merge: MergeStmt,
  relation: Relation,
): boolean {
  if ((asWritten.user ?? asWritten.server ?? asWritten.systemColumn ?? asWritten.viewBegins) !== undefined)
    return false
  const clauses = whenClauses(merge)
  const keys = clauses.flatMap((clause) => {
    if (clause.commandType === 'CMD_UPDATE') return keysSet(clause, relation)
    const at = relation.key === undefined ? -1 : givenColumns(clause, relation).indexOf(relation.key.column)
    return clause.commandType === 'CMD_INSERT' ? (clause.values?.[at] ?? []) : []
  })
  const values = clauses.map(({ targetList, values }) => [targetList, values])
  const subqueries: Node[] = []
  walk(values, (kind, body) => {
    if (kind === 'SubLink') subqueries.push({ SubLink: body } as Node)
  })
  const { sourceRelation, joinCondition, returningClause } = merge
  const rest = [sourceRelation, joinCondition, clauses.map(({ condition }) => condition), returningClause]
  const found = traitsOf([rest, keys], catalog)
  const onceMore = traitsOf([subqueries, relation.kind === 'reference' ? values : []], catalog)
  if (found.writes || onceMore.writes) return false
  if ((unstableBecause(found) ?? unstableBecause(onceMore, relation.kind === 'reference')) !== undefined)
    return false
  const given = traitsOf(values, catalog)
  if (relation.kind === 'reference' && (given.unlike ?? found.unlike) !== undefined) return false
  return (given.home ?? given.user ?? given.server ?? given.systemColumn) === undefined && !given.writes
}

/** What an UPDATE sets the key to. */
function keysSet({ targetList = [] }: MergeWhenClause, { key }: Relation): readonly Node[] {
  return targetList.filter((node) => as(node, 'ResTarget')?.name === key?.column)
}

/** The first clause whose condition holds is the one that counts. */
export function changesOf(clauses: readonly MergeWhenClause[]): Node {
  const args = clauses.map(({ condition, commandType }) => ({
    CaseWhen: {
      expr: condition ?? expressionNode('true'),
      result: expressionNode(commandType === 'CMD_NOTHING' ? 'false' : 'true'),
    },
  }))
  const defresult = expressionNode('false')
  return args.length === 0 ? defresult : ({ CaseExpr: { args, defresult } } as unknown as Node)
}

/** Marks in the text, which become conditions with parameters. */
export const OWN_SLOTS = `${ownName('slots')}()`
export const IS_FIRST = `${ownName('first')}()`

/** An INSERT where its row belongs, and nothing elsewhere; undefined: where that is cannot be told. */
export function ownClauses(clause: MergeWhenClause, relation: Relation): MergeWhenClause[] | undefined {
  if (clause.commandType !== 'CMD_INSERT') return [clause]
  const columns = givenColumns(clause, relation)
  const given = clause.values?.[columns.indexOf(relation.key!.column)]
  // What is left to a default has one in its place, if there is one.
  const value = given === undefined || as(given, 'SetToDefault') ? expressionNode('NULL') : given
  if (hasSubqueries(value)) return undefined
  const text = printedExpression(value)
  if (text === undefined) return undefined
  const { declared, type } = relation.columns[relation.key!.index]!
  const key = `CAST(${text} AS ${declared ?? type})`
  const slot = slotExpression(relation.key!.type, key)
  // One shard says that there has to be a key.
  const isOwn = expressionNode(`${slot} = ANY (${OWN_SLOTS}) OR (${IS_FIRST} AND ${key} IS NULL)`)
  const { condition } = clause
  const { targetList: _, values: __, ...rest } = clause
  const nothing: MergeWhenClause = { ...rest, commandType: 'CMD_NOTHING', override: 'OVERRIDING_NOT_SET' }
  return [{ ...clause, condition: condition === undefined ? isOwn : allOf([condition, isOwn]) }, nothing]
}
