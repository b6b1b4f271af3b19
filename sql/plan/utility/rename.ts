import type {
  AlterObjectDependsStmt,
  AlterObjectSchemaStmt,
  AlterOwnerStmt,
  ObjectType,
  RangeVar,
  RenameStmt,
} from '@pgsql/types'
import type { Node } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { onOthersIfExists } from './alter-table.ts'
import { atPlace, isRoutine, objectWords, placeOfObject, tableOf } from './objects.ts'
import { refuseRenamingOwn } from './own-constraint.ts'
import { refuse } from './plans.ts'
import { refusals } from './refusals.ts'
import { type Name, nameMatters, type Scope } from './scope.ts'

/** ALTER … RENAME TO, also of columns, constraints and the like. A shard key may be renamed. */
export function planRename(scope: Scope, stmt: RenameStmt): Plan {
  const type = stmt.renameType
  const tag = `ALTER ${objectWords(type)}`
  refuseRenamingOwn(stmt)
  if (type === 'OBJECT_DATABASE' || type === 'OBJECT_TABLESPACE') {
    return refuse(
      tag,
      'server_statement',
      `${tag} … RENAME is not supported`,
      'Rename it on each shard, past Weft.',
    )
  }
  if (isPartOfLocalKind(stmt)) return atPlace(scope, `ALTER ${objectWords(stmt.relationType)}`, 'home')
  const table = tableOf(type, stmt.relation, stmt.object)
  // An attribute is, then, a column of the tables that are made of its type.
  const cascades = stmt.behavior === 'DROP_CASCADE'
  const changesMap =
    cascades ||
    changesNames(scope, type, table) ||
    (isRelation(type) && nameMatters(scope, { schema: undefined, name: stmt.newname ?? '' }))
  return alterObject(scope, tag, { type, table, changesMap, missingOk: stmt.missing_ok })
}

/** ALTER … SET SCHEMA. */
export function planSetSchema(scope: Scope, stmt: AlterObjectSchemaStmt): Plan {
  const type = stmt.objectType
  const table = tableOf(type, stmt.relation, stmt.object)
  const changesMap = changesNames(scope, type, table)
  return alterObject(scope, `ALTER ${objectWords(type)}`, {
    type,
    table,
    changesMap,
    missingOk: stmt.missing_ok,
  })
}

/** ALTER … OWNER TO, of what is no relation. */
export function planOwner(scope: Scope, stmt: AlterOwnerStmt): Plan {
  const type = stmt.objectType
  if (type === 'OBJECT_TABLESPACE') return refusals.tablespace('ALTER TABLESPACE')
  return alterObject(scope, `ALTER ${objectWords(type)}`, { type, ...tableField(type, stmt) })
}

/** ALTER … DEPENDS ON EXTENSION. */
export function planDepends(scope: Scope, stmt: AlterObjectDependsStmt): Plan {
  const type = stmt.objectType
  return alterObject(scope, `ALTER ${objectWords(type)}`, { type, ...tableField(type, stmt) })
}

function tableField(type: ObjectType | undefined, stmt: { relation?: RangeVar; object?: Node }) {
  return { table: tableOf(type, stmt.relation, stmt.object) }
}

interface Altered {
  readonly type: ObjectType | undefined
  readonly table: Name | undefined
  readonly changesMap?: boolean
  readonly missingOk?: boolean | undefined
}

function alterObject(scope: Scope, tag: string, altered: Altered): Plan {
  const { type, table, changesMap = false, missingOk } = altered
  // These have IF EXISTS, which says it better than a wrapped statement.
  if (type === 'OBJECT_INDEX' || type === 'OBJECT_SEQUENCE') {
    return { ...onOthersIfExists(scope, tag, missingOk), ...(changesMap ? { changesMap } : {}) } as Plan
  }
  return atPlace(scope, tag, placeOfObject(scope, type, table), changesMap)
}

/** Names that plans look up: of relations Weft knows, of routines, of schemas. */
function changesNames(scope: Scope, type: ObjectType | undefined, table: Name | undefined): boolean {
  if (type === 'OBJECT_SCHEMA' || isRoutine(type)) return true
  if (!isRelation(type) && type !== 'OBJECT_COLUMN') return false
  return table !== undefined && nameMatters(scope, table)
}

function isRelation(type: ObjectType | undefined): boolean {
  return (
    type === 'OBJECT_TABLE' ||
    type === 'OBJECT_VIEW' ||
    type === 'OBJECT_MATVIEW' ||
    type === 'OBJECT_SEQUENCE' ||
    type === 'OBJECT_FOREIGN_TABLE'
  )
}

/** A column of a materialized view or a foreign table. */
function isPartOfLocalKind(stmt: RenameStmt): boolean {
  const of = stmt.relationType
  return stmt.renameType === 'OBJECT_COLUMN' && (of === 'OBJECT_MATVIEW' || of === 'OBJECT_FOREIGN_TABLE')
}
