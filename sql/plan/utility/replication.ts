import type { AlterPublicationStmt, CreatePublicationStmt } from '@pgsql/types'
import { as, type Node } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { ddl, refuse, unsupported } from './plans.ts'
import { nameOf, resolveDistributed, type Scope } from './scope.ts'

/** Publications and subscriptions live on the home shard and see what that has: local tables. */

export function planCreatePublication(scope: Scope, stmt: CreatePublicationStmt): Plan {
  if (stmt.for_all_tables === true && scope.catalog.distributed.length > 0) throw onlyLocal('FOR ALL TABLES')
  checkPublished(scope, stmt.pubobjects)
  return ddl('CREATE PUBLICATION', 'home')
}

export function planAlterPublication(scope: Scope, stmt: AlterPublicationStmt): Plan {
  if (stmt.action !== 'AP_DropObjects') checkPublished(scope, stmt.pubobjects)
  return ddl('ALTER PUBLICATION', 'home')
}

function checkPublished(scope: Scope, objects: readonly Node[] | undefined): void {
  for (const node of objects ?? []) {
    const spec = as(node, 'PublicationObjSpec')
    const table = resolveDistributed(scope, nameOf(spec?.pubtable?.relation))
    if (table !== undefined) throw onlyLocal(`of ${table.kind} table "${table.name}"`)
    const isSchema =
      spec?.pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_SCHEMA' ||
      spec?.pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA'
    const schema = spec?.name ?? scope.ctx.searchPath[0]
    if (isSchema && scope.catalog.distributed.some((r) => r.schema === schema)) {
      throw onlyLocal(`FOR TABLES IN SCHEMA "${schema}"`)
    }
  }
}

function onlyLocal(what: string) {
  return unsupported(
    'replication',
    `a publication ${what} is not supported`,
    "Through Weft a publication covers local tables. Publish a sharded table's parts on each shard itself.",
  )
}

export function planCreateSubscription(): Plan {
  return refuse(
    'CREATE SUBSCRIPTION',
    'replication',
    'CREATE SUBSCRIPTION is not supported',
    'It writes past Weft, and rows would end up on shards that do not own them. Copy the data in with COPY.',
  )
}
