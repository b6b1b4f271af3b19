import type { CreateSchemaStmt } from '@pgsql/types'
import type { Plan } from '../plan.ts'
import { ddl, refuse } from './plans.ts'
import type { Scope } from './scope.ts'

/** Schemas are on every shard, whatever their tables are. */
export function planCreateSchema(_: Scope, stmt: CreateSchemaStmt): Plan {
  if ((stmt.schemaElts?.length ?? 0) > 0) {
    return refuse(
      'CREATE SCHEMA',
      'CREATE SCHEMA with objects in the same statement is not supported',
      'Create the schema first, then its objects.',
    )
  }
  return ddl('CREATE SCHEMA', 'all', { changesMap: true })
}
