import type { AlterEnumStmt } from '@pgsql/types'
import { strings } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { ddlWhereItExists, refuse } from './plans.ts'
import type { Scope } from './scope.ts'

/** Rows lie where the label of their key says: with another name they would belong elsewhere. */
export function planAlterEnum(scope: Scope, stmt: AlterEnumStmt): Plan {
  const table = stmt.oldVal === undefined ? undefined : tableWithKey(scope, strings(stmt.typeName))
  if (table === undefined) return ddlWhereItExists(scope, 'ALTER TYPE')
  return refuse(
    'ALTER TYPE',
    'key_dropped',
    `ALTER TYPE … RENAME VALUE of the shard key's type of table "${table}" is not supported: its rows lie where the label says`,
    'Add a value, and UPDATE the rows.',
  )
}

function tableWithKey({ catalog }: Scope, names: readonly string[]): string | undefined {
  const name = names.join('.')
  const isKey = (type: string): boolean => `.${type.replaceAll('"', '')}`.endsWith(`.${name}`)
  return catalog.distributed.find(({ key, columns }) => {
    const column = key?.type === 'enum' ? columns[key.index] : undefined
    return column !== undefined && isKey(column.base ?? column.type)
  })?.name
}
