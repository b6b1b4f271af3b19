import { rowKey } from '../../catalog.ts'
import { conjuncts, kindOf, type Node, type SelectStmt } from '../../parse/ast.ts'
import { printed } from '../../print/printed.ts'
import { aliasOf } from '../gather/from-items.ts'
import { expressionNode, selectNode } from '../gather/made-nodes.ts'
import { allOf } from '../gather/plan-gather.ts'
import { quoteName } from '../text-scan.ts'
import { aheadRows, type LockedAhead } from './first-step.ts'
import { type Names, readAhead } from './read-ahead.ts'
import { bodyOf } from './written.ts'

/**
 * An UPDATE or DELETE of the rows that it meant when all else was read: they are locked before that, and told by their keys.
 * `from`: how many texts are read beside its own. Undefined: nothing tells its rows, or not for certain.
 */
export function lockAhead(query: Node, names: Names, from: number): LockedAhead | undefined {
  const kind = kindOf(query)
  if (kind !== 'UpdateStmt' && kind !== 'DeleteStmt') return undefined
  const write = structuredClone(query)
  const { relation, fromClause, usingClause, whereClause, withClause } = bodyOf(write)
  const table = relation && names.relationOf(relation)
  const keys = table && rowKey(table)
  if (relation === undefined || keys === undefined || table?.rowSecurity) return undefined
  const items = fromClause ?? usingClause ?? []
  if (!names.isStable([items, whereClause, withClause])) return undefined
  const alias = quoteName(aliasOf(relation))
  const key = keys.map((name) => `${alias}.${quoteName(name)}`).join(', ')
  const isUpdate = kind === 'UpdateStmt'
  const lock = `SELECT ${key} FROM t FOR ${isUpdate ? 'NO KEY UPDATE' : 'UPDATE'} OF ${alias}`
  const [locking, meant] = [lock, `SELECT DISTINCT ${key} FROM t`].map(
    (sql): SelectStmt => ({
      ...selectNode(sql),
      fromClause: [{ RangeVar: relation } as Node, ...items],
      ...(whereClause && { whereClause }),
      ...(withClause && { withClause }),
    }),
  )
  const texts = [locking!, meant!].map((select) => printed({ SelectStmt: structuredClone(select) } as Node))
  const reads = readAhead(write, names, from)
  if (reads === undefined || texts.includes(undefined)) return undefined
  const here = `(${key}) IN (SELECT * FROM ${aheadRows(from + reads.length)})`
  const body = bodyOf(write)
  body.whereClause = allOf([...conjuncts(body.whereClause), expressionNode(here)])
  const sql = printed(write)
  return sql === undefined ? undefined : { lock: texts[0]!, sql, reads: [...reads, texts[1]!] }
}
