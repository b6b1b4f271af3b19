import { rowKey } from '../../catalog.ts'
import {
  as,
  type CommonTableExpr,
  conjuncts,
  type DeleteStmt,
  type InsertStmt,
  kindOf,
  type Node,
  type RangeVar,
  relationsOf,
  type UpdateStmt,
  walk,
  writtenName,
} from '../../parse/ast.ts'
import { aliasOf } from '../gather/from-items.ts'
import { ownName } from '../gather/gather-plan.ts'
import { expressionNode, selectNode } from '../gather/made-nodes.ts'
import { allOf } from '../gather/plan-gather.ts'
import { quoteName } from '../text-scan.ts'
import { type FirstWrite, isGiven, WRITTEN_KEYS } from './first-step.ts'
import type { Names } from './read-ahead.ts'

/** What a WITH query that writes and the rest of its statement have to do with each other. */

export const DML: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

type Write = Partial<UpdateStmt & DeleteStmt & InsertStmt>

export const bodyOf = (query: Node): Write => Object.values(query)[0] as Write

/** Tables that a part reads, beside those that it changes; names of WITH queries are none. */
export function readsOf(part: Node): readonly RangeVar[] {
  const ctes = new Set<string>()
  const targets = new Set<object>()
  walk(part, (kind, body) => {
    if (kind === 'CommonTableExpr') ctes.add((body as CommonTableExpr).ctename ?? '')
    if (DML.has(kind)) targets.add((body as Write).relation ?? {})
  })
  return relationsOf(part).filter(
    (range) =>
      !targets.has(range) &&
      !isGiven(range.relname) &&
      !(range.schemaname === undefined && ctes.has(range.relname ?? '')),
  )
}

/** Statements of the rest that change the rows of tables; a plain INSERT into the same table changes none. */
function changersOf(
  rest: Node,
  isSame: (range: RangeVar) => boolean,
): { readonly kind: string; readonly body: Write }[] {
  const changers: { kind: string; body: Write }[] = []
  walk(rest, (kind, found) => {
    const body = found as Write
    if (!DML.has(kind) || body.relation === undefined) return
    const onlyAdds = kind === 'InsertStmt' && body.onConflictClause?.action !== 'ONCONFLICT_UPDATE'
    if (!onlyAdds || !isSame(body.relation)) changers.push({ kind, body })
  })
  return changers
}

/** Names with and without a schema may be of one table. */
function sameAs(relation: RangeVar | undefined, names: Names): (range: RangeVar) => boolean {
  const own = relation && names.relationOf(relation)
  return (range) => {
    const other = names.relationOf(range)
    if (own !== undefined && other !== undefined) return own.oid === other.oid
    return range.relname === relation?.relname
  }
}

/** The statement itself inserts rows into the table: they could meet those that the query is to take away. */
export function addsToSame(query: Node, rest: Node, names: Names): boolean {
  const insert = as(rest, 'InsertStmt')
  if (insert === undefined || insert.onConflictClause?.action === 'ONCONFLICT_UPDATE') return false
  return sameAs(bodyOf(query).relation, names)(insert.relation!)
}

/** Undefined: the query writes nothing. */
export function writesOf(query: Node, rest: Node, names: Names): FirstWrite | undefined {
  const kind = kindOf(query)
  if (!DML.has(kind)) return undefined
  const { relation, targetList, onConflictClause } = bodyOf(query)
  const isSame = sameAs(relation, names)
  const reads = readsOf(rest)
  const changed = changersOf(rest, isSame).map(({ body }) => body.relation!)
  const verb = kind.replace('Stmt', '').toUpperCase() as FirstWrite['verb']
  const isUpsert = onConflictClause?.action === 'ONCONFLICT_UPDATE'
  const set = isUpsert ? onConflictClause?.targetList : targetList
  const columns = (set ?? []).map((node) => as(node, 'ResTarget')?.name ?? '')
  return {
    verb,
    table: writtenName(relation ?? {}),
    ...((verb === 'UPDATE' || isUpsert) && { columns }),
    reads: [...new Set(reads.map(writtenName))],
    changes: [...new Set(changed.map(writtenName))],
    isSeen: [...reads, ...changed].some(isSame),
    isBlind: verb === 'INSERT' && readsOf(query).length === 0,
  }
}

/**
 * The rest changes no row that is written first, nor one that comes of it, as in Postgres, where a statement changes a row
 * once. In place: the query returns the keys of its rows, which the rest leaves out. Answers how many columns they have;
 * undefined: which of both changes a row is not known.
 */
export function leaveWritten(query: Node, rest: Node, names: Names, isRead: boolean): number | undefined {
  const { relation } = bodyOf(query)
  const isSame = sameAs(relation, names)
  const changers = changersOf(rest, isSame).filter(({ body }) => isSame(body.relation!))
  if (changers.length === 0) return 0
  const written = relation && names.relationOf(relation)
  const key = written && rowKey(written)
  if (key === undefined || !isRead || kindOf(query) === 'MergeStmt') return undefined
  if (changers.some(({ kind }) => kind !== 'UpdateStmt' && kind !== 'DeleteStmt')) return undefined
  for (const { body } of changers) body.whereClause = withoutWritten(body, key)
  const write = bodyOf(query)
  const own = key.map(
    (name, i) => `${quoteName(aliasOf(relation!))}.${quoteName(name)} AS ${ownName(`key_${i}`)}`,
  )
  const exprs = selectNode(`SELECT ${own.join(', ')}`).targetList!
  write.returningClause = {
    ...write.returningClause,
    exprs: [...(write.returningClause?.exprs ?? []), ...exprs],
  }
  return key.length
}

function withoutWritten({ relation, whereClause }: Write, key: readonly string[]): Node {
  const columns = key.map((name) => `${quoteName(aliasOf(relation!))}.${quoteName(name)}`).join(', ')
  const left = expressionNode(`(${columns}) NOT IN (SELECT * FROM ${WRITTEN_KEYS})`)
  return allOf([...conjuncts(whereClause), left])
}
