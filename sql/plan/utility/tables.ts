import type { ClusterStmt, LockStmt, ReindexStmt, TruncateStmt, VacuumStmt } from '@pgsql/types'
import { as, type Node } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { refuseStatementTriggers } from '../statement-triggers.ts'
import { ddl, ddlWhereItExists, forwardHome, type Overrides } from './plans.ts'
import { isViewOverNothing, nameOf, type Place, placeOf, quoted, resolve, type Scope } from './scope.ts'
import { keepItems, listItems, type Range, type Token, tokenAt, tokensOf } from './text.ts'

/** TRUNCATE, LOCK, VACUUM and other statements about tables that exist: each table where it lives. */

export function planTruncate(scope: Scope, stmt: TruncateStmt): Plan {
  const tables = (stmt.relations ?? []).map((node) => resolve(scope, nameOf(as(node, 'RangeVar'))))
  // Which tables CASCADE leads to is not looked at.
  const isCascade =
    stmt.behavior === 'DROP_CASCADE' && tables.some((t) => t !== undefined && t.kind !== 'local')
  refuseStatementTriggers(scope.catalog, 'TRUNCATE', isCascade ? scope.catalog.distributed : tables)
  const stops = ['RESTART', 'CONTINUE', 'CASCADE', 'RESTRICT']
  const plan = onTables(scope, 'TRUNCATE TABLE', stmt.relations, stops)
  if (plan.kind !== 'ddl') return plan
  const truncated = tables.filter((t) => t !== undefined)
  return { ...plan, truncated, ...(isCascade && { cascades: true as const }) }
}

export function planLock(scope: Scope, stmt: LockStmt): Plan {
  return onTables(scope, 'LOCK TABLE', stmt.relations, ['IN', 'NOWAIT'])
}

/** A list of tables: those that live on the home shard only are left out of what the other shards run. */
function onTables(scope: Scope, tag: string, relations: readonly Node[] | undefined, stops: string[]): Plan {
  const names = (relations ?? []).map((node) => nameOf(as(node, 'RangeVar')))
  if (names.every((name) => isViewOverNothing(scope, name))) return ddlWhereItExists(scope, tag)
  const places = names.map((name) => placeOf(scope, name))
  if (places.every((place) => place === 'home')) return forwardHome(tag)
  const { text } = scope.stmt
  if (places.every((place) => place === 'all')) return ddl(tag, 'all')
  const tokens = tokensOf(text)
  return ddl(tag, 'all', {
    othersSql: withoutHome(text, places, listItems(tokens, firstItem(tokens, relations), stops)),
  })
}

/** Token index of the first table of the list, its ONLY included. */
export function firstItem(tokens: readonly Token[], relations: readonly Node[] | undefined): number {
  const first = as(relations?.[0], 'RangeVar') ?? as(relations?.[0], 'VacuumRelation')?.relation
  const index = tokenAt(tokens, first?.location ?? 0)
  const before = tokens[index - 1]?.word
  if (before === '(' && tokens[index - 2]?.word === 'ONLY') return index - 2
  return before === 'ONLY' ? index - 1 : index
}

export function withoutHome(text: string, places: readonly Place[], items: readonly Range[]): string {
  return keepItems(text, items, (i) => places[i] === 'all')
}

const ALONE: Overrides = { outsideTransaction: true, maintenance: true }

/** VACUUM and ANALYZE: without a table, on every shard. */
export function planVacuum(scope: Scope, stmt: VacuumStmt): Plan {
  const isVacuum = stmt.is_vacuumcmd === true
  const tag = isVacuum ? 'VACUUM' : 'ANALYZE'
  const overrides: Overrides = { outsideTransaction: isVacuum, maintenance: true }
  const names = (stmt.rels ?? []).map((node) => nameOf(as(node, 'VacuumRelation')?.relation))
  const places = names.map((name) => placeOf(scope, name))
  // Of everything, temporary tables included, which could not be prepared: by itself each shard commits its own.
  if (places.length === 0) return ddl(tag, 'all', {}, ALONE)
  if (places.every((place) => place === 'all')) return ddl(tag, 'all', {}, overrides)
  if (places.every((place) => place === 'home')) return forwardHome(tag, overrides)
  const { text } = scope.stmt
  const tokens = tokensOf(text)
  const items = listItems(tokens, firstItem(tokens, stmt.rels))
  return ddl(tag, 'all', { othersSql: withoutHome(text, places, items) }, overrides)
}

export function planCluster(scope: Scope, stmt: ClusterStmt): Plan {
  // Without a table it goes through all that were clustered before, a transaction each.
  if (stmt.relation === undefined) return ddl('CLUSTER', 'all', {}, ALONE)
  return ddl('CLUSTER', placeOf(scope, nameOf(stmt.relation)), {}, ALONE)
}

/** That of what is partitioned, like one CONCURRENTLY, allows no transaction around it. */
export function planReindex(scope: Scope, stmt: ReindexStmt): Plan {
  switch (stmt.kind) {
    case 'REINDEX_OBJECT_TABLE':
      return ddl('REINDEX', placeOf(scope, nameOf(stmt.relation)), {}, ALONE)
    case 'REINDEX_OBJECT_INDEX':
      return ddl('REINDEX', 'all', { othersOnlyWith: quoted(nameOf(stmt.relation)) }, ALONE)
    default:
      return ddl('REINDEX', stmt.name?.startsWith('pg_temp') === true ? 'home' : 'all', {}, ALONE)
  }
}
