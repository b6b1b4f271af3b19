import type { CreateTableAsStmt, RefreshMatViewStmt } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { ANY_EFFECTS } from '../../code/effects.ts'
import type { Node } from '../../parse/ast.ts'
import { noTraits, traitsOf } from '../../tree/traits.ts'
import type { MaterializePlan } from '../materialize-plan.ts'
import { ofStatement } from '../of-statement.ts'
import type { Plan } from '../plan.ts'
import { mayReach, REACHES_NOTHING } from '../reach.ts'
import { common, ddl, forwardHome, unsupported } from './plans.ts'
import { relationsUsed } from './relations.ts'
import { nameMatters, nameOf, parseDefinition, quoted, resolve, type Scope, usesOf } from './scope.ts'

/**
 * Materialized views over sharded tables: home keeps them, with the query that was written, and runs it while it has the
 * rows of all shards (docs/decisions/0051-materialized-views.md).
 */

const CREATE = 'CREATE MATERIALIZED VIEW'
const REFRESH = 'REFRESH MATERIALIZED VIEW'

/** Undefined: its query reads no sharded table. */
export function planMaterialize(scope: Scope, stmt: CreateTableAsStmt): Plan | undefined {
  const uses = usesOf(scope, stmt.query)
  if (uses.sharded.length === 0) return undefined
  // Postgres refuses what reads temporary tables.
  if (scope.catalog.shardCount === 1 || uses.temporary.length > 0) return forwardHome(CREATE)
  const { readsOne } = checkQuery(scope, stmt.query)
  const name = nameOf(stmt.into?.rel)
  const changesMap = nameMatters(scope, name)
  if (stmt.into?.skipData === true)
    return changesMap ? ddl(CREATE, 'home', { changesMap }) : forwardHome(CREATE)
  const sharded = [...new Map(uses.sharded.map((table) => [table.oid, table])).values()]
  const reaches = mayReach(scope.catalog, ofStatement(scope.catalog, scope.stmt.text))
  return {
    ...common(CREATE, {
      access: 'write',
      sharded: sharded.map(({ name: table, key }) => ({ table, key: key?.column ?? '' })),
      ...(reaches && { reach: REACHES_NOTHING }),
    }),
    kind: 'materialize',
    view: quoted(name),
    tables: sharded.map(({ oid, schema, name: table }) => ({ oid, schema, name: table })),
    readsOne: readsOne && !reaches,
    creates: true,
    changesMap,
  }
}

/** What it reads its query says, which may have been stored before its tables were sharded. */
export function planRefresh(scope: Scope, stmt: RefreshMatViewStmt): Plan {
  const { catalog } = scope
  const reach = mayReach(catalog, ANY_EFFECTS) ? REACHES_NOTHING : undefined
  const hasSharded = catalog.distributed.some(({ kind }) => kind === 'sharded')
  if (stmt.skipData === true || catalog.shardCount === 1 || !hasSharded)
    return forwardHome(REFRESH, { reach })
  const plan: MaterializePlan = {
    ...common(REFRESH, { access: 'write', reach }),
    kind: 'materialize',
    view: quoted(nameOf(stmt.relation)),
    creates: false,
    changesMap: false,
  }
  return plan
}

/**
 * A child stands for the rows of other shards: what can tell it from the table itself gets another answer. Answers
 * whether the query reads nothing but one table.
 */
function checkQuery(scope: Scope, query: Node | undefined): { readonly readsOne: boolean } {
  const traits = noTraits()
  const read = new Set<unknown>()
  for (const tree of treesOf(scope, query, new Set())) {
    traitsOf(tree, scope.catalog, traits)
    for (const range of relationsUsed(tree)) {
      const relation = resolve(scope, nameOf(range))
      if (relation?.kind === 'sharded') checkTable(relation, range.inh === true)
      if (relation?.kind !== 'view') read.add(relation?.oid ?? range)
    }
  }
  if (traits.locksRows) throw refusedQuery('row locks')
  if (traits.systemColumn !== undefined) throw refusedQuery(traits.systemColumn)
  if (traits.queryText !== undefined)
    throw unsupported('query_as_text', `${traits.queryText} is not supported: it would read one shard only`)
  return { readsOne: read.size === 1 && traits.user === undefined }
}

function checkTable({ name, root }: Relation, withChildren: boolean): void {
  if (!withChildren) throw refusedQuery(`ONLY of sharded table "${name}"`)
  if (root === undefined) return
  throw unsupported(
    'materialized_view',
    `a materialized view over "${name}", which is partitioned, inherits or is inherited from, is not supported`,
    'Use a view, or a table that you fill.',
  )
}

function refusedQuery(what: string) {
  return unsupported(
    'materialized_view',
    `a materialized view over sharded tables with ${what} is not supported`,
    'Use a view, or a table that you fill.',
  )
}

/** The query, and those of the views that it reads. */
function treesOf(scope: Scope, tree: unknown, seen: Set<number>): unknown[] {
  const views = relationsUsed(tree).flatMap((range) => {
    const relation = resolve(scope, nameOf(range))
    if (relation?.kind !== 'view' || seen.has(relation.oid)) return []
    seen.add(relation.oid)
    return treesOf(scope, parseDefinition(relation), seen)
  })
  return [tree, ...views]
}
