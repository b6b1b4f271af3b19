import { type Relation, rowKey } from '../../catalog.ts'
import { as, kindOf, type MergeStmt, type Node, type RangeVar, whenClauses } from '../../parse/ast.ts'
import { printed } from '../../print/printed.ts'
import { aliasOf } from '../gather/from-items.ts'
import { expressionNode, selectNode } from '../gather/made-nodes.ts'
import { changesOf, clausesOf } from '../gather/merge-clauses.ts'
import { allOf } from '../gather/plan-gather.ts'
import { quoteName } from '../text-scan.ts'
import { type HeldWrite, keyList } from './first-step.ts'
import { type Names, readAhead } from './read-ahead.ts'
import { bodyOf } from './written.ts'

/**
 * An UPDATE, DELETE or MERGE of the rows that it meant when all that it reads was read: those are locked, and told by their
 * keys. Undefined: nothing tells its rows, or what it reads may come out otherwise the second time.
 */
export function heldWrite(query: Node, names: Names): HeldWrite | undefined {
  const write = structuredClone(query)
  const target = targetOf(write, names)
  if (target === undefined || !isRepeatable(write, names)) return undefined
  const reads = readAhead(write, names)
  // What LIMIT leaves is chosen once.
  if (reads === undefined || JSON.stringify(write).includes('"limitCount"')) return undefined
  const merge = as(write, 'MergeStmt')
  const marks =
    merge === undefined ? ofModify(write, target, reads.length) : ofMerge(merge, target, reads.length)
  const keys = marks.map((select) => printed(select))
  const sql = printed(write)
  if (sql === undefined || keys.includes(undefined)) return undefined
  const { key, from, relation, removes } = target
  const strength = changesKeys(write, relation) || removes ? 'UPDATE' : 'NO KEY UPDATE'
  const lock = `${key.select} FROM ${from} WHERE ${key.among(0)} FOR ${strength} OF ${target.alias}`
  return {
    ...inOne(reads, keys as string[]),
    reads,
    key: `${key.select} FROM ${from}`,
    lock,
    sql,
    ...(!updates(query) && { locksByUpdate: relation.oid }),
  }
}

/** Who runs it has the right to, or it fails. */
function updates(write: Node): boolean {
  const merge = as(write, 'MergeStmt')
  return merge === undefined
    ? kindOf(write) === 'UpdateStmt'
    : whenClauses(merge).some(({ commandType }) => commandType === 'CMD_UPDATE')
}

interface Target {
  readonly range: RangeVar
  readonly relation: Relation
  /** Quoted. */
  readonly alias: string
  /** As FROM names it. */
  readonly from: string
  readonly removes: boolean
  readonly key: { readonly select: string; among(n: number): string }
}

function targetOf(write: Node, names: Names): Target | undefined {
  const { relation: range } = bodyOf(write)
  const relation = range && names.relationOf(range)
  if (range === undefined || relation === undefined || relation.rowSecurity) return undefined
  const keys = rowKey(relation)
  if (keys === undefined) return undefined
  if (relation.kind !== 'sharded' && (relation.kind !== 'reference' || relation.referredBy !== undefined))
    return undefined
  const alias = quoteName(aliasOf(range))
  const columns = keys.map((name) => `${alias}.${quoteName(name)}`).join(', ')
  const from = fromText(range)
  if (from === undefined) return undefined
  const clauses = whenClauses(as(write, 'MergeStmt') ?? {})
  const removes =
    kindOf(write) === 'DeleteStmt' || clauses.some(({ commandType }) => commandType === 'CMD_DELETE')
  const among = (n: number): string => `(${columns}) IN (${keyList(n)})`
  return { range, relation, alias, from, removes, key: { select: `SELECT ${columns}`, among } }
}

function fromText(range: RangeVar): string | undefined {
  const text = printed({
    SelectStmt: { ...selectNode('SELECT'), fromClause: [{ RangeVar: range } as Node] },
  } as Node)
  return text?.replace(/^SELECT\s+FROM\s+/, '')
}

/** Its rows are looked for several times. */
function isRepeatable(write: Node, names: Names): boolean {
  const { fromClause, usingClause, whereClause, withClause } = bodyOf(write)
  const { sourceRelation, joinCondition, ...merge } = as(write, 'MergeStmt') ?? ({} as Partial<MergeStmt>)
  const conditions = whenClauses(merge).map(({ condition }) => condition)
  const parts = [fromClause, usingClause, whereClause, withClause, sourceRelation, joinCondition, conditions]
  return names.isStable(parts)
}

/** What others could look for meanwhile. */
function changesKeys(write: Node, { primaryKey = [], key }: Relation): boolean {
  const lists = [
    bodyOf(write).targetList,
    ...whenClauses(as(write, 'MergeStmt') ?? {}).map((when) => when.targetList),
  ]
  const isUpdate = kindOf(write) !== 'DeleteStmt'
  const names = [...primaryKey, ...(key === undefined ? [] : [key.column])]
  return (
    isUpdate &&
    lists.flatMap((list) => list ?? []).some((node) => names.includes(as(node, 'ResTarget')?.name ?? ''))
  )
}

/** Only those are written; in place. */
function ofModify(write: Node, { range, key }: Target, at: number): readonly Node[] {
  const body = bodyOf(write)
  const { fromClause, usingClause, whereClause, withClause } = body
  const select = {
    ...selectNode(key.select.replace('SELECT', 'SELECT DISTINCT')),
    fromClause: [{ RangeVar: range } as Node, ...(fromClause ?? usingClause ?? [])],
    ...(whereClause && { whereClause }),
    ...(withClause && { withClause }),
  }
  const meant = structuredClone({ SelectStmt: select } as Node)
  const conditions = whereClause === undefined ? [] : [whereClause]
  body.whereClause = allOf([...conditions, expressionNode(key.among(at))])
  return [meant]
}

/**
 * Rows that its source joins, of which none is to be lost where it inserts those that join nothing; and those that nothing
 * joins, where it speaks of them.
 */
function ofMerge(merge: MergeStmt, { range, key }: Target, at: number): readonly Node[] {
  const { joinCondition, sourceRelation, withClause } = merge
  const inserts = whenClauses(merge).some(({ commandType }) => commandType === 'CMD_INSERT')
  const changed = inserts ? [] : [changesOf(clausesOf(merge, 'MATCHED'))]
  const queryOf = (from: Node[], conditions: readonly Node[]): Node => {
    const select = {
      ...selectNode(key.select.replace('SELECT', 'SELECT DISTINCT')),
      fromClause: from,
      whereClause: allOf(conditions),
      ...(withClause && { withClause }),
    }
    return structuredClone({ SelectStmt: select } as Node)
  }
  const target = { RangeVar: range } as Node
  const keys = [queryOf([target, sourceRelation!], [joinCondition!, ...changed])]
  const unjoined = clausesOf(merge, 'NOT_MATCHED_BY_SOURCE')
  if (unjoined.length > 0) {
    const joins = { ...selectNode('SELECT'), fromClause: [sourceRelation!], whereClause: joinCondition! }
    const isJoined = { SubLink: { subLinkType: 'EXISTS_SUBLINK', subselect: { SelectStmt: joins } } } as Node
    const isNone = { BoolExpr: { boolop: 'NOT_EXPR', args: [isJoined] } } as Node
    keys.push(queryOf([target], [isNone, changesOf(unjoined)]))
  }
  merge.joinCondition = allOf([joinCondition!, expressionNode(key.among(at))])
  for (const clause of unjoined) {
    const conditions = clause.condition === undefined ? [] : [clause.condition]
    clause.condition = allOf([...conditions, expressionNode(key.among(at + 1))])
  }
  return keys
}

/** Everything is read once, by one statement: `keys` of what is read by name. */
function inOne(reads: readonly string[], keys: readonly string[]): Pick<HeldWrite, 'once' | 'arms' | 'keys'> {
  const named = (text: string): string =>
    text
      .replace(/__weft_gathered_aheadvalue_(\d+)\(\)/g, (_, n: string) => `(SELECT * FROM ${READ}${n})`)
      .replace(/__weft_gathered_ahead_(\d+)/g, (_, n: string) => `${READ}${n}`)
  const queries = reads.map((sql, n) => `${READ}${n} AS MATERIALIZED (${sql})`)
  return {
    once: queries.length === 0 ? '' : `WITH ${queries.join(', ')} `,
    arms: [...reads.map((_, n) => `SELECT * FROM ${READ}${n}`), ...keys.map(named)],
    keys: keys.length,
  }
}

const READ = '__weft_once_'
