import type { ObjectType } from '@pgsql/types'
import { as, type Node, qualified, type RangeVar } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { ddl, ddlWhereItExists, type Overrides } from './plans.ts'
import {
  isViewOverNothing,
  type Name,
  nameOf,
  type Place,
  placeOf,
  resolveDistributed,
  type Scope,
} from './scope.ts'
import { type Range, tokensOf } from './text.ts'
import { onOwnDatabase } from './wrap.ts'

/**
 * Where an object is. `maybe`: on the home shard, and on the others unless it belongs to a local table (indexes,
 * sequences) or is made of one (functions, types, operators, views of such functions). `database`: everywhere, but perhaps
 * under another name.
 */
export type ObjectPlace = Place | 'maybe' | 'database'

const BY_TABLE: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_TABLE',
  'OBJECT_COLUMN',
  'OBJECT_VIEW',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_POLICY',
])

const MAYBE: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_INDEX',
  'OBJECT_SEQUENCE',
  'OBJECT_STATISTIC_EXT',
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_AGGREGATE',
  'OBJECT_TYPE',
  'OBJECT_ATTRIBUTE',
  'OBJECT_DOMAIN',
  'OBJECT_DOMCONSTRAINT',
  'OBJECT_CAST',
  'OBJECT_OPERATOR',
  'OBJECT_OPCLASS',
  'OBJECT_OPFAMILY',
  'OBJECT_CONVERSION',
  'OBJECT_TRANSFORM',
])

const ON_HOME: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_MATVIEW',
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_FDW',
  'OBJECT_FOREIGN_SERVER',
  'OBJECT_USER_MAPPING',
  'OBJECT_LARGEOBJECT',
  'OBJECT_PUBLICATION',
  'OBJECT_PUBLICATION_NAMESPACE',
  'OBJECT_PUBLICATION_REL',
  'OBJECT_SUBSCRIPTION',
  'OBJECT_EVENT_TRIGGER',
])

/** `table`: the relation that the object is, or belongs to. */
export function placeOfObject(
  scope: Scope,
  type: ObjectType | undefined,
  table: Name | undefined,
): ObjectPlace {
  if (type === undefined) return 'all'
  if (type === 'OBJECT_TRIGGER' && table !== undefined && isReference(scope, table)) return 'home'
  if (BY_TABLE.has(type)) return table === undefined ? 'home' : placeOfRelation(scope, table)
  if (MAYBE.has(type)) return 'maybe'
  if (ON_HOME.has(type)) return 'home'
  return type === 'OBJECT_DATABASE' ? 'database' : 'all'
}

/** Triggers of a reference table are on home only. */
const isReference = (scope: Scope, table: Name): boolean =>
  resolveDistributed(scope, table)?.kind === 'reference'

export function placeOfRelation(scope: Scope, name: Name): ObjectPlace {
  return isViewOverNothing(scope, name) ? 'maybe' : placeOf(scope, name)
}

/** Functions and aggregates, whose coming and going the catalog counts. */
export function isRoutine(type: ObjectType | undefined): boolean {
  return (
    type === 'OBJECT_FUNCTION' ||
    type === 'OBJECT_PROCEDURE' ||
    type === 'OBJECT_ROUTINE' ||
    type === 'OBJECT_AGGREGATE'
  )
}

/** The relation in a statement that names its object by `relation` or as a list of names. */
export function tableOf(
  type: ObjectType | undefined,
  relation: RangeVar | undefined,
  object: Node | undefined,
): Name | undefined {
  if (relation !== undefined) return nameOf(relation)
  const list = as(object, 'List')?.items
  if (list === undefined) return undefined
  // [schema, table], or [schema, table, column or constraint or trigger].
  const isPart = type !== 'OBJECT_TABLE' && type !== 'OBJECT_VIEW'
  return qualified(isPart ? list.slice(0, -1) : list)
}

/** The statement as written wherever the object is. */
export function atPlace(
  scope: Scope,
  tag: string,
  place: ObjectPlace,
  changesMap = false,
  overrides: Overrides = {},
): Plan {
  switch (place) {
    case 'maybe':
      return { ...ddlWhereItExists(scope, tag, { changesMap }), ...overrides }
    case 'database': {
      const name = databaseName(scope)
      const others = name === undefined ? {} : { othersSql: onOwnDatabase(scope.stmt.text, name) }
      return ddl(tag, 'all', { changesMap, ...others }, overrides)
    }
    default:
      return ddl(tag, place, { changesMap }, overrides)
  }
}

/** The word after DATABASE. */
function databaseName(scope: Scope): Range | undefined {
  const tokens = tokensOf(scope.stmt.text)
  const at = tokens.findIndex((t) => t.word === 'DATABASE')
  return at < 0 ? undefined : tokens[at + 1]
}

const IRREGULAR: Partial<Record<ObjectType, string>> = {
  OBJECT_ATTRIBUTE: 'TYPE',
  OBJECT_COLUMN: 'TABLE',
  OBJECT_DOMCONSTRAINT: 'DOMAIN',
  OBJECT_FDW: 'FOREIGN DATA WRAPPER',
  OBJECT_FOREIGN_SERVER: 'SERVER',
  OBJECT_LARGEOBJECT: 'LARGE OBJECT',
  OBJECT_MATVIEW: 'MATERIALIZED VIEW',
  OBJECT_OPCLASS: 'OPERATOR CLASS',
  OBJECT_OPFAMILY: 'OPERATOR FAMILY',
  OBJECT_STATISTIC_EXT: 'STATISTICS',
  OBJECT_TABCONSTRAINT: 'TABLE',
  OBJECT_TSCONFIGURATION: 'TEXT SEARCH CONFIGURATION',
  OBJECT_TSDICTIONARY: 'TEXT SEARCH DICTIONARY',
  OBJECT_TSPARSER: 'TEXT SEARCH PARSER',
  OBJECT_TSTEMPLATE: 'TEXT SEARCH TEMPLATE',
}

/** The words for a kind of object in command tags. */
export function objectWords(type: ObjectType | undefined): string {
  if (type === undefined) return 'OBJECT'
  return IRREGULAR[type] ?? type.slice('OBJECT_'.length).replaceAll('_', ' ')
}
