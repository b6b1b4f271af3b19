import type { DropStmt } from '@pgsql/types'
import { as, type Node, qualified } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { atPlace, isRoutine, objectWords, placeOfObject, tableOf } from './objects.ts'
import { ddl, forwardHome, MAY_UNPIN, type Overrides } from './plans.ts'
import { isTemporary, type Name, nameMatters, placeOf, resolveDistributed, type Scope } from './scope.ts'
import { withoutHome } from './tables.ts'
import { listItems, tokensOf, withIfExists } from './text.ts'

/** DROP of anything but databases, roles and tablespaces, which have statements of their own. */
export function planDrop(scope: Scope, stmt: DropStmt): Plan {
  const type = stmt.removeType
  const tag = `DROP ${objectWords(type)}`
  const cascades = stmt.behavior === 'DROP_CASCADE'
  switch (type) {
    case 'OBJECT_TABLE':
      return dropTables(scope, stmt, cascades)
    case 'OBJECT_VIEW':
      return dropIfExists(scope, tag, stmt, true)
    case 'OBJECT_INDEX':
      return dropIfExists(scope, tag, stmt, false)
    case 'OBJECT_SEQUENCE':
    case 'OBJECT_STATISTIC_EXT':
      return dropIfExists(scope, tag, stmt, cascades)
    case 'OBJECT_TRIGGER':
      return dropTrigger(scope, stmt, tag)
    case 'OBJECT_RULE':
    case 'OBJECT_POLICY': {
      const place = placeOfObject(scope, type, tableOf(type, undefined, stmt.objects?.[0]))
      return atPlace(scope, tag, place, place === 'all')
    }
    case 'OBJECT_MATVIEW':
    case 'OBJECT_FOREIGN_TABLE':
      return ddl(tag, 'home', {
        changesMap: cascades || namesOf(stmt).some((name) => nameMatters(scope, name)),
      })
    default:
      return dropOther(scope, stmt, tag, cascades)
  }
}

function dropTrigger(scope: Scope, { objects }: DropStmt, tag: string): Plan {
  const [object] = objects ?? []
  const table = tableOf('OBJECT_TRIGGER', undefined, object)
  const wasFor = table && resolveDistributed(scope, table)
  const changesMap = wasFor?.statementTriggers !== undefined || wasFor?.kind === 'reference'
  return atPlace(scope, tag, placeOfObject(scope, 'OBJECT_TRIGGER', table), changesMap)
}

function dropOther(scope: Scope, stmt: DropStmt, tag: string, cascades: boolean): Plan {
  const type = stmt.removeType
  if (isRoutine(type)) return dropIfExists(scope, tag, stmt, true)
  // A cascade can take views, columns and whole tables with it.
  const changesMap = cascades || type === 'OBJECT_SCHEMA' || type === 'OBJECT_EXTENSION'
  const place = placeOfObject(scope, type, undefined)
  const plan =
    place === 'maybe' ? dropIfExists(scope, tag, stmt, changesMap) : atPlace(scope, tag, place, changesMap)
  return cascades && plan.kind === 'ddl' ? { ...plan, tidySql: CHECK_KEYS } : plan
}

/** The shard key of a table may be what went with it. */
export const CHECK_KEYS = 'SELECT weft.check_keys()'

/** Temporary tables may be what kept the session's backend. */
function dropTables(scope: Scope, stmt: DropStmt, cascades: boolean): Plan {
  const names = namesOf(stmt)
  const temporary = names.some((name) => isTemporary(scope, name))
  const overrides: Overrides = temporary ? { effects: MAY_UNPIN } : {}
  const places = names.map((name) => placeOf(scope, name))
  const changesMap = cascades || names.some((name) => !isTemporary(scope, name) && nameMatters(scope, name))
  if (places.every((place) => place === 'home')) {
    if (temporary && !changesMap) return forwardHome('DROP TABLE', overrides)
    return ddl('DROP TABLE', 'home', { changesMap }, overrides)
  }
  if (places.every((place) => place === 'all')) return ddl('DROP TABLE', 'all', { changesMap }, overrides)
  const { text } = scope.stmt
  const items = itemsOf(text, stmt)
  return ddl('DROP TABLE', 'all', { changesMap, othersSql: withoutHome(text, places, items) }, overrides)
}

/** The home shard says whether it exists; the others may lack what belongs to local tables. */
function dropIfExists(scope: Scope, tag: string, stmt: DropStmt, changesMap: boolean): Plan {
  const names = namesOf(stmt)
  if (names.length > 0 && names.every((name) => isTemporary(scope, name))) {
    return forwardHome(tag, { effects: MAY_UNPIN })
  }
  const overrides: Overrides = {
    // Only indexes are dropped CONCURRENTLY.
    ...(stmt.concurrent === true ? { outsideTransaction: true, maintenance: true } : {}),
    ...(names.some((name) => isTemporary(scope, name)) ? { effects: MAY_UNPIN } : {}),
  }
  const { text } = scope.stmt
  if (stmt.missing_ok === true) return ddl(tag, 'all', { changesMap, othersSql: text }, overrides)
  const othersSql = withIfExists(text, itemsOf(text, stmt)[0]?.start ?? text.length)
  return ddl(tag, 'all', { changesMap, othersSql }, overrides)
}

function namesOf(stmt: DropStmt): Name[] {
  return (stmt.objects ?? []).flatMap((node: Node) => {
    const items = as(node, 'List')?.items
    return items === undefined ? [] : [qualified(items)]
  })
}

/** The list of objects: after DROP, the words for their kind, CONCURRENTLY and IF EXISTS. */
function itemsOf(text: string, stmt: DropStmt) {
  const words = objectWords(stmt.removeType).split(' ').length
  const from = 1 + words + (stmt.concurrent === true ? 1 : 0) + (stmt.missing_ok === true ? 2 : 0)
  return listItems(tokensOf(text), from, ['CASCADE', 'RESTRICT'])
}
