import type { CreateSchemaStmt, RangeVar } from '@pgsql/types'
import { as, kindOf, type Node } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { ddl, pgError, refuse } from './plans.ts'
import { nameOf, placeOfUses, resolveDistributed, type Scope, usesOf } from './scope.ts'
import { hasOurs } from './table-options.ts'
import { type Range, type Token, tokensOf } from './text.ts'

const TAG = 'CREATE SCHEMA'

/** Schemas are on every shard; what is made in the same statement is where it would be by itself. */
export function planCreateSchema(scope: Scope, stmt: CreateSchemaStmt): Plan {
  const elements = stmt.schemaElts ?? []
  if (elements.length === 0) return ddl(TAG, 'all', { changesMap: true })
  if (elements.some((node) => isDistributed(scope, node))) return planElements(scope, stmt, elements)
  const { text } = scope.stmt
  const parts = elementRanges(tokensOf(text))
  const head = text.slice(0, parts[0]!.start)
  const elsewhere = placesOf(scope, elements).flatMap((isEverywhere, i) =>
    isEverywhere ? [text.slice(parts[i]!.start, parts[i]!.end)] : [],
  )
  return ddl(TAG, 'all', { changesMap: true, othersSql: [head.trimEnd(), ...elsewhere].join('\n') })
}

/** A table that is sharded or a reference table, or becomes one by its parent. */
function isDistributed(scope: Scope, node: Node): boolean {
  if (!('CreateStmt' in node)) return false
  const { options, inhRelations = [] } = node.CreateStmt
  const parents = inhRelations.map((parent) => nameOf(as(parent, 'RangeVar')))
  return hasOurs(options) || parents.some((name) => resolveDistributed(scope, name) !== undefined)
}

/** The order in which Postgres makes them. */
const ORDER = ['CreateSeqStmt', 'CreateStmt', 'ViewStmt', 'IndexStmt', 'CreateTrigStmt', 'GrantStmt']

/** The schema by itself; then each element is a statement of its own, with the schema first in the search path. */
function planElements(scope: Scope, stmt: CreateSchemaStmt, elements: readonly Node[]): Plan {
  const role = stmt.authrole?.roletype === 'ROLESPEC_CSTRING' ? stmt.authrole.rolename : undefined
  const schema = stmt.schemaname ?? role
  const isOther = stmt.authrole !== undefined && role === undefined && stmt.schemaname === undefined
  // After SET ROLE its elements would be made as another.
  const isSessions = stmt.authrole?.roletype === 'ROLESPEC_SESSION_USER'
  if (schema === undefined || isOther || isSessions)
    return refuse(
      TAG,
      'schema_elements',
      'CREATE SCHEMA without a name or AUTHORIZATION SESSION_USER, with a sharded or reference table in the same ' +
        'statement, is not supported',
      'Name the schema, and the role.',
    )
  for (const node of elements) checkSchema(node, schema)
  const { text } = scope.stmt
  const parts = elementRanges(tokensOf(text))
  const inOrder = elements
    .map((node, i) => ({
      sql: text.slice(parts[i]!.start, parts[i]!.end),
      place: ORDER.indexOf(kindOf(node)),
    }))
    .sort((a, b) => a.place - b.place)
  const homeSql = text.slice(0, parts[0]!.start).trimEnd()
  const made = { schema, ...(role !== undefined && { role }), sqls: inOrder.map(({ sql }) => sql) }
  return ddl(TAG, 'all', { changesMap: true, homeSql, elements: made })
}

function checkSchema(node: Node, schema: string): void {
  const [kind, tree] = Object.entries(node)[0]!
  const name = NAMED_BY[kind]
  const said = name && (tree as Record<string, RangeVar | undefined>)[name]?.schemaname
  if (said === undefined || said === '' || said === schema) return
  throw pgError(
    '42P15',
    `CREATE specifies a schema (${said}) different from the one being created (${schema})`,
  )
}

const NAMED_BY: Readonly<Record<string, string>> = {
  CreateSeqStmt: 'sequence',
  CreateStmt: 'relation',
  ViewStmt: 'view',
  IndexStmt: 'relation',
  CreateTrigStmt: 'relation',
}

/** Each begins with CREATE or GRANT, words that nothing else in them can be but WITH GRANT OPTION. */
function elementRanges(tokens: readonly Token[]): Range[] {
  const starts = tokens.flatMap(({ word }, i) => {
    const begins = word === 'CREATE' || (word === 'GRANT' && tokens[i - 1]?.word !== 'WITH')
    return begins && i > 0 ? [i] : []
  })
  return starts.map((first, n) => {
    const last = (starts[n + 1] ?? tokens.length) - 1
    return { start: tokens[first]!.start, end: tokens[last]!.end }
  })
}

/** Of each element whether it is on every shard. The schema itself comes first in the search path meanwhile. */
function placesOf(scope: Scope, elements: readonly Node[]): boolean[] {
  /** Names of the new schema, and whether they are everywhere. */
  const made = new Map<string, boolean>()
  return elements.map((node) => {
    if ('CreateStmt' in node) {
      made.set(nameOf(node.CreateStmt.relation).name, false)
      return false
    }
    if ('CreateSeqStmt' in node) {
      made.set(nameOf(node.CreateSeqStmt.sequence).name, true)
      return true
    }
    if (!('ViewStmt' in node)) return isAbout(node, made)
    const isEverywhere = !namesLocal(node.ViewStmt.query, made) && readsEverywhere(scope, node.ViewStmt.query)
    made.set(nameOf(node.ViewStmt.view).name, isEverywhere)
    return isEverywhere
  })
}

function readsEverywhere(scope: Scope, query: Node | undefined): boolean {
  const uses = usesOf(scope, query)
  return placeOfUses(uses) === 'all' && uses.local.length === 0
}

/** Indexes and triggers are of tables that the statement makes, rights of anything that it made. */
function isAbout(node: Node, made: ReadonlyMap<string, boolean>): boolean {
  return kindOf(node) === 'GrantStmt' && !namesLocal(node, made)
}

/** Whether the tree names something of the new schema that is on the home shard only. */
function namesLocal(tree: unknown, made: ReadonlyMap<string, boolean>): boolean {
  if (typeof tree !== 'object' || tree === null) return false
  const { relname } = tree as { relname?: unknown }
  if (typeof relname === 'string' && made.get(relname) === false) return true
  return Object.values(tree).some((child) => namesLocal(child, made))
}
