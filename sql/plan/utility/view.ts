import type { ViewStmt } from '@pgsql/types'
import type { Plan } from '../plan.ts'
import { ddl, ddlWhereItExists, forwardHome, PINS, refuse } from './plans.ts'
import { isOverNothing, type Name, placeOfUses, printed, type Scope, usesOf } from './scope.ts'

const TAG = 'CREATE VIEW'

/** A view is where its tables are; over none (or only catalogs of Postgres), everywhere where its functions are. */
export function planView(scope: Scope, stmt: ViewStmt): Plan {
  const uses = usesOf(scope, stmt.query)
  const { view } = stmt
  const [sharded] = uses.sharded
  const isTemporary =
    view?.relpersistence === 't' ||
    view?.schemaname?.startsWith('pg_temp') === true ||
    uses.temporary.length > 0
  if (sharded !== undefined) {
    const [local] = uses.local as readonly (Name | undefined)[]
    if (isTemporary)
      return refuse(
        TAG,
        'table_kind',
        `a temporary view over sharded table "${sharded.name}" is not supported`,
      )
    if (local !== undefined) {
      return refuse(
        TAG,
        'local_with_sharded',
        `a view over both sharded table "${sharded.name}" and local table "${printed(local)}" is not supported`,
        `The other shards do not have "${printed(local)}". Make it a reference table first.`,
      )
    }
  }
  if (isTemporary) return forwardHome(TAG, { effects: PINS })
  if (isOverNothing(uses)) return ddlWhereItExists(scope, TAG, { changesMap: true })
  return ddl(TAG, placeOfUses(uses), { changesMap: true })
}
