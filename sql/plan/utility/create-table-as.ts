import type { CreateTableAsStmt, IntoClause, SelectStmt } from '@pgsql/types'
import type { Node } from '../../parse/ast.ts'
import { type Around, isGathered } from '../gather/gather-plan.ts'
import type { ForwardPlan, Plan, PreparedPlan } from '../plan.ts'
import { colocationPartner, declareReference, declareSharded } from './create-table.ts'
import { planQuery } from './inner.ts'
import { planMaterialize } from './materialized-view.ts'
import { ddl, forwardHome, type Overrides, PINS, refuse } from './plans.ts'
import { nameMatters, nameOf, type Scope, usesOf } from './scope.ts'
import { distributionOf, hasOurs, withoutOurs } from './table-options.ts'

const VIEW_TAG = 'CREATE MATERIALIZED VIEW'

/** CREATE TABLE … AS and CREATE MATERIALIZED VIEW. */
export function planCreateTableAs(scope: Scope, stmt: CreateTableAsStmt): Plan {
  const isView = stmt.objtype === 'OBJECT_MATVIEW'
  const tag = isView ? VIEW_TAG : 'CREATE TABLE AS'
  if (isView && hasOurs(stmt.into?.options)) return refuse(tag, 'materialized_view', SHARDED_VIEW)
  const materialize = isView ? planMaterialize(scope, stmt) : undefined
  if (materialize !== undefined) return materialize
  const statement = (query: Node): Node => ({ CreateTableAsStmt: { ...stmt, query } })
  return planInto(scope, tag, stmt.into, { query: stmt.query, statement }, stmt.if_not_exists)
}

/** SELECT … INTO. */
export function planSelectInto(scope: Scope, stmt: SelectStmt): Plan {
  const { intoClause, ...select } = stmt
  // The printer knows the other way to say it better.
  const statement = (query: Node): Node =>
    ({ CreateTableAsStmt: { query, into: intoClause, objtype: 'OBJECT_TABLE' } }) as Node
  return planInto(scope, 'SELECT INTO', intoClause, { query: { SelectStmt: select }, statement })
}

const SHARDED_VIEW = 'a materialized view cannot be sharded or a reference table'
const INSERT_THEN = 'Create the table, then INSERT INTO it what the query selects.'

/** The rows are read and the table is made on the home shard; declaring it then moves them. */
function planInto(
  scope: Scope,
  tag: string,
  into: IntoClause | undefined,
  source: { readonly query: Node | undefined } & Around,
  ifNotExists = false,
): Plan {
  if (hasOurs(into?.options) && tag !== VIEW_TAG && usesOf(scope, source.query).sharded.length > 0)
    return refuse(tag, 'create_table_as', `${tag} from a sharded table is not supported`, INSERT_THEN)
  // What a materialized view keeps is its query.
  const inner = planQuery(scope, source.query, tag === VIEW_TAG ? undefined : source)
  if (inner.kind === 'refused') return inner
  if (inner.kind === 'prepared') return planFromExecute(tag, into, inner, ifNotExists)
  if (inner.kind === 'forward' && isGathered(inner.onSeveral) && tag !== VIEW_TAG)
    return planGathered(scope, tag, into, inner)
  if (inner.kind !== 'forward' || (inner.route.kind !== 'home' && inner.route.kind !== 'any')) {
    return refuse(
      tag,
      'create_table_as',
      `${tag} from a sharded table is not supported`,
      'Create the table, then COPY the rows out and in, or read them by the client.',
    )
  }
  const { paramCount, paramsToDescribe, reach } = inner
  const isTemporary = makesTemporary(into)
  const effects = isTemporary ? { ...inner.effects, pins: true } : inner.effects
  const overrides: Overrides = { paramCount, paramsToDescribe, effects, reach, generic: inner.generic }
  if (hasOurs(into?.options)) {
    if (isTemporary)
      return refuse(tag, 'table_kind', 'a temporary table cannot be sharded or a reference table')
    return planDeclared(scope, tag, into, ifNotExists, overrides)
  }
  if (!isTemporary && nameMatters(scope, nameOf(into?.rel))) {
    return ddl(tag, 'home', { changesMap: true }, overrides)
  }
  return forwardHome(tag, overrides)
}

/** The home shard makes the table of what is gathered there. */
function planGathered(scope: Scope, tag: string, into: IntoClause | undefined, inner: ForwardPlan): Plan {
  if (hasOurs(into?.options) || (!makesTemporary(into) && nameMatters(scope, nameOf(into?.rel)))) {
    return refuse(
      tag,
      'create_table_as',
      `${tag} from a sharded table, of a table that is more than a new local one, is not supported`,
      INSERT_THEN,
    )
  }
  const { paramCount, paramsToDescribe, reach, route, onSeveral, sharded } = inner
  const effects = makesTemporary(into) ? { ...inner.effects, pins: true } : inner.effects
  const overrides: Overrides = { paramCount, paramsToDescribe, effects, reach, sharded, generic: false }
  return { ...forwardHome(tag, overrides), route, onSeveral }
}

function makesTemporary(into: IntoClause | undefined): boolean {
  return into?.rel?.relpersistence === 't' || into?.rel?.schemaname?.startsWith('pg_temp') === true
}

/** What it makes is planned when the prepared statement is there; that the session keeps its backend is known before. */
function planFromExecute(
  tag: string,
  into: IntoClause | undefined,
  inner: PreparedPlan,
  ifNotExists: boolean,
): Plan {
  if (hasOurs(into?.options)) {
    return refuse(
      tag,
      'create_table_as',
      `${tag} EXECUTE of a sharded or reference table is not supported`,
      'Declare it afterwards.',
    )
  }
  const effects = makesTemporary(into) ? PINS : inner.effects
  const runsNothing = into?.skipData === true && !ifNotExists
  return { ...inner, tag, returnsRows: false, effects, ...(runsNothing && { answer: 'SELECT 0' }) }
}

function planDeclared(
  scope: Scope,
  tag: string,
  into: IntoClause | undefined,
  ifNotExists: boolean,
  overrides: Overrides,
): Plan {
  const name = nameOf(into?.rel)
  const distribution = distributionOf(into?.options)
  if ((overrides.paramCount ?? 0) > 0) {
    return refuse(
      tag,
      'create_table_as',
      `${tag} WITH (shard_key or reference) with parameters is not supported`,
    )
  }
  const homeSql = withoutOurs(scope.stmt.text, into?.options)
  const fields = { changesMap: true, homeSql }
  if (distribution === undefined) return ddl(tag, 'home', fields, overrides)
  const declare =
    distribution.kind === 'reference'
      ? declareReference(name, ifNotExists)
      : declareSharded(name, distribution, colocationPartner(scope, distribution), ifNotExists)
  return ddl(tag, 'home', { ...fields, declare }, overrides)
}
