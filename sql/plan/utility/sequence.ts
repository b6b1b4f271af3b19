import type { AlterSeqStmt, CreateSeqStmt } from '@pgsql/types'
import { as, type Node, qualified } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { onOthersIfExists } from './alter-table.ts'
import { findOption } from './options.ts'
import { ddl, forwardHome, PINS } from './plans.ts'
import { isTemporary, nameMatters, nameOf, type Place, placeOf, quoted, type Scope } from './scope.ts'
import { dropUnlessUsed } from './wrap.ts'

/**
 * Values come from the home shard's sequence only. The others have one too, so that a sharded table can name it in a
 * DEFAULT.
 */
export function planCreateSequence(scope: Scope, stmt: CreateSeqStmt): Plan {
  const name = nameOf(stmt.sequence)
  const isTemp = stmt.sequence?.relpersistence === 't' || name.schema?.startsWith('pg_temp') === true
  if (isTemp) return forwardHome('CREATE SEQUENCE', { effects: PINS })
  const where = placeOfOwner(scope, stmt.options) ?? 'all'
  return ddl('CREATE SEQUENCE', where, { changesMap: nameMatters(scope, name) })
}

export function planAlterSequence(scope: Scope, stmt: AlterSeqStmt): Plan {
  if (isTemporary(scope, nameOf(stmt.sequence))) return forwardHome('ALTER SEQUENCE')
  // It is where its owner is from now on, and goes with it.
  if (placeOfOwner(scope, stmt.options) === 'home') {
    return ddl('ALTER SEQUENCE', 'all', { othersSql: dropUnlessUsed(quoted(nameOf(stmt.sequence))) })
  }
  return onOthersIfExists(scope, 'ALTER SEQUENCE', stmt.missing_ok)
}

/** Where the table of OWNED BY table.column is; undefined without one. */
function placeOfOwner(scope: Scope, options: readonly Node[] | undefined): Place | undefined {
  const items = as(findOption(options, 'owned_by')?.arg, 'List')?.items ?? []
  return items.length < 2 ? undefined : placeOf(scope, qualified(items.slice(0, -1)))
}
