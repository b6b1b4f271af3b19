import type { CreateTableAsStmt, IntoClause, SelectStmt } from '@pgsql/types'
import { as, columnNode, type Node, paramsOf, relationsOf } from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import { printed } from '../../print/printed.ts'
import { type Around, isGathered } from '../gather/gather-plan.ts'
import type { Declaration, ForwardPlan, Plan, PreparedPlan } from '../plan.ts'
import { hasTypedNulls, typedNull } from '../typed-null.ts'
import { colocationPartner, declareReference, declareSharded } from './create-table.ts'
import { planQuery } from './inner.ts'
import { planMaterialize } from './materialized-view.ts'
import { ddl, forwardHome, type Overrides, PINS, refuse } from './plans.ts'
import { type Name, nameMatters, nameOf, type Scope, usesOf } from './scope.ts'
import { type Distribution, distributionOf, hasOurs, withoutOurs } from './table-options.ts'

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

const isAtHome = ({ route }: ForwardPlan): boolean => route.kind === 'home' || route.kind === 'any'

const INSERT_THEN = 'Create the table, then INSERT INTO it what the query selects.'

/** The rows are read and the table is made on the home shard; declaring it then moves them. */
function planInto(
  scope: Scope,
  tag: string,
  into: IntoClause | undefined,
  source: { readonly query: Node | undefined } & Around,
  ifNotExists = false,
): Plan {
  const isUnlogged = into?.rel?.relpersistence === 'u'
  if (hasOurs(into?.options) && (isUnlogged || makesTemporary(into))) {
    const kind = isUnlogged ? 'an unlogged' : 'a temporary'
    return refuse(tag, 'table_kind', `${kind} table cannot be sharded or a reference table`)
  }
  const isFilled = tag !== VIEW_TAG && !makesTemporary(into) && distributionOf(into?.options) !== undefined
  if (isFilled && (usesOf(scope, source.query).sharded.length > 0 || paramsOf(source.query).size > 0))
    return planFilled(scope, tag, into, source, ifNotExists)
  // What a materialized view keeps is its query.
  const inner = planQuery(scope, source.query, tag === VIEW_TAG ? undefined : source)
  if (inner.kind === 'refused') return inner
  if (inner.kind === 'prepared') return planFromExecute(tag, into, inner, ifNotExists)
  if (inner.kind === 'forward' && isGathered(inner.onSeveral) && tag !== VIEW_TAG)
    return planGathered(scope, tag, into, inner) ?? planFilled(scope, tag, into, source, ifNotExists)
  if (inner.kind === 'forward' && !isAtHome(inner) && tag !== VIEW_TAG && !makesTemporary(into))
    return planFilled(scope, tag, into, source, ifNotExists)
  if (inner.kind !== 'forward' || !isAtHome(inner)) {
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
  if (hasOurs(into?.options)) return planDeclared(scope, tag, into, ifNotExists, overrides)
  if (!isTemporary && nameMatters(scope, nameOf(into?.rel))) {
    return ddl(tag, 'home', { changesMap: true }, overrides)
  }
  return forwardHome(tag, overrides)
}

/** The home shard makes the table of what is gathered there. Undefined: the table is more than a new local one. */
function planGathered(
  scope: Scope,
  tag: string,
  into: IntoClause | undefined,
  inner: ForwardPlan,
): Plan | undefined {
  if (hasOurs(into?.options)) return undefined
  if (!makesTemporary(into) && nameMatters(scope, nameOf(into?.rel))) return undefined
  const { paramCount, paramsToDescribe, reach, route, onSeveral, sharded } = inner
  const effects = makesTemporary(into) ? { ...inner.effects, pins: true } : inner.effects
  const overrides: Overrides = { paramCount, paramsToDescribe, effects, reach, sharded, generic: false }
  return { ...forwardHome(tag, overrides), route, onSeveral }
}

/** The table is made without rows, and declared; an INSERT of the query follows. */
function planFilled(
  scope: Scope,
  tag: string,
  into: IntoClause | undefined,
  { query }: { readonly query: Node | undefined },
  ifNotExists: boolean,
): Plan {
  const name = nameOf(into?.rel)
  // It would be the new table from then on.
  const isShadowed = relationsOf(query).some((range) => range.relname === name.name && !range.schemaname)
  const isClear = !isShadowed && !hasTypedNulls(scope.stmt.text)
  const texts = isClear && into ? textsOf(into, query!, ifNotExists) : undefined
  if (texts === undefined)
    return refuse(
      tag,
      'create_table_as',
      `${tag} of such a query from a sharded table is not supported`,
      INSERT_THEN,
    )
  const distribution = distributionOf(into?.options)
  const fields = {
    changesMap: true,
    homeSql: texts.create,
    fill: into?.skipData ? '' : texts.fill,
    ...(distribution && { declare: declarationOf(scope, name, distribution, ifNotExists) }),
  }
  return ddl(tag, 'home', fields, { paramCount: Math.max(0, ...paramsOf(query).keys()), generic: false })
}

/** Of the parameters only the types matter where the table is made. */
function textsOf(into: IntoClause, query: Node, ifNotExists: boolean) {
  const { skipData: _, options, ...made } = into
  const kept = (options ?? []).filter((option) => !hasOurs([option]))
  const typed = structuredClone({ query })
  replaceNodes(typed, (node) => {
    const param = as(node, 'ParamRef')
    return param && columnNode(typedNull((param.number ?? 1) - 1))
  })
  const create = printed({
    CreateTableAsStmt: {
      query: typed.query,
      into: { ...made, ...(kept.length > 0 && { options: kept }), skipData: true },
      objtype: 'OBJECT_TABLE',
      ...(ifNotExists && { if_not_exists: true }),
    },
  } as Node)
  const fill = printed({
    InsertStmt: { relation: into.rel!, selectStmt: query, override: 'OVERRIDING_NOT_SET' },
  } as Node)
  return create === undefined || fill === undefined ? undefined : { create, fill }
}

function declarationOf(
  scope: Scope,
  name: Name,
  distribution: Distribution,
  ifNotExists: boolean,
): Declaration {
  return distribution.kind === 'reference'
    ? declareReference(name, ifNotExists)
    : declareSharded(name, distribution, colocationPartner(scope, distribution), ifNotExists)
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
  const homeSql = withoutOurs(scope.stmt.text, into?.options)
  const fields = { changesMap: true, homeSql }
  if (distribution === undefined) return ddl(tag, 'home', fields, overrides)
  const declare = declarationOf(scope, name, distribution, ifNotExists)
  return ddl(tag, 'home', { ...fields, declare }, overrides)
}
