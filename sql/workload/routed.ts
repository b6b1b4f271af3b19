import type { PgError } from '../../errors/pg-error.ts'
import { refusalIn } from '../../errors/refusals/refusals.ts'
import { literalPlaces } from '../lex/literal-places.ts'
import { type SelectStmt, walk } from '../parse/ast.ts'
import { parseStatements } from '../parse/parse.ts'
import type { ForwardPlan, InsertPlan, InsertRow, Plan, Route } from '../plan/plan.ts'
import { isSingle } from '../plan/routing.ts'

/**
 * What a statement asks of the cluster, by its plan alone: `local`: the home shard, or no server at all; `one` shard;
 * `some`: the shards of several keys; `all` shards, each for its own rows; `moves`: rows travel between servers before there
 * is an answer; `refused`.
 */
export type Reach = 'local' | 'one' | 'some' | 'all' | 'moves' | 'refused'
export const REACHES: readonly Reach[] = ['local', 'one', 'some', 'all', 'moves', 'refused']

export interface Routed {
  readonly reach: Reach
  readonly why: string
  /** Of what is refused: a refusal of docs/sql.md, or Postgres' SQLSTATE. */
  readonly id?: string
  readonly hint?: string
}

/** How the statement would be run, whatever values its parameters have, and its literals, unless `text` says them. */
export function routedPlan(plan: Plan, text?: string): Routed {
  switch (plan.kind) {
    case 'forward':
      return routedForward(plan, text)
    case 'insert':
      return routedInsert(plan, text)
    case 'insert-select':
      return plan.columns.length === 0
        ? { reach: 'one', why: 'one row, of defaults' }
        : moves('rows of the query go to the shards of their keys')
    case 'copy':
      return { reach: 'all', why: plan.direction === 'in' ? 'rows go to the shards of their keys' : EACH }
    case 'ddl':
      if (plan.fill !== undefined && plan.fill !== '') return moves('rows of the query go to their shards')
      return plan.where === 'home'
        ? local('a definition on the home shard')
        : all('a definition, on all shards')
    case 'materialize':
      return moves('rows of sharded tables go to the home shard')
    case 'declare':
      return moves('a declaration: rows of the table go to their shards')
    case 'explain':
      return routedPlan(plan.inner)
    case 'cursor':
      return routedCursor(plan)
    case 'refused':
      return refusedBy(plan.error)
    case 'session-pids':
      return local('about sessions')
    case 'transaction':
    case 'setting':
    case 'prepared':
    case 'empty':
      return local('of the session, no shard is asked')
  }
}

const EACH = 'each shard gives its own rows'
const local = (why: string): Routed => ({ reach: 'local', why })
const all = (why: string): Routed => ({ reach: 'all', why })
const moves = (why: string): Routed => ({ reach: 'moves', why })

export function refusedBy(error: PgError): Routed {
  const { code, fields } = error
  return {
    reach: 'refused',
    why: error.message,
    id: refusalIn(fields.detail) ?? code,
    ...(fields.hint === undefined ? {} : { hint: fields.hint }),
  }
}

function routedForward(plan: ForwardPlan, text: string | undefined): Routed {
  const { route, sharded = [] } = plan
  const keys = sharded.map(({ table, key }) => `${table}.${key}`).join(', ')
  if (plan.setsKey !== undefined)
    return moves(`it sets the shard key ${keys}: the row may belong elsewhere then`)
  if (plan.locksCopies) return all('rows of a reference table are locked on all copies')
  switch (route.kind) {
    case 'home':
      return local('local tables, or none')
    case 'any':
      return { reach: 'one', why: 'reference tables only: any shard' }
    case 'cursor':
      return { reach: 'one', why: `the shard of cursor ${route.name}` }
    case 'all':
      return several(plan, 'all')
    case 'keys':
      return isOneKey(
        route.restrictions.flatMap(({ values }) => values),
        text,
      )
        ? { reach: 'one', why: `by ${keys}` }
        : routedByKeys(plan, route, keys)
  }
}

function routedByKeys(plan: ForwardPlan, route: Extract<Route, { kind: 'keys' }>, keys: string): Routed {
  const { restrictions, spread } = route
  if (isSingle(restrictions)) {
    if (restrictions.length < 2) return { reach: 'one', why: `by ${keys}` }
    // Right where the keys happen to be on one shard, which no plan can tell.
    return spread === undefined ? several(plan, 'some') : refusedBy(spread)
  }
  return spread !== undefined && restrictions.length > 1 ? refusedBy(spread) : several(plan, 'some')
}

type Told = Pick<InsertRow['key'], 'source'> & { readonly castTo?: string }

/** Whether several values are one: the same parameter, or literals that are spelt alike. */
function isOneKey(values: readonly Told[], text: string | undefined): boolean {
  if (values.length < 2) return false
  const places = text === undefined ? [] : literalPlaces(text)
  const spelt = values.map(({ source, castTo }) => {
    const place = source.kind === 'literal' ? places[source.index] : undefined
    const said = place === undefined ? source : [text!.slice(place.start, place.end), source]
    return JSON.stringify([said, castTo], place === undefined ? undefined : withoutIndex)
  })
  return values[0]!.source.kind !== 'default' && new Set(spelt).size === 1
}

const withoutIndex = (name: string, value: unknown): unknown => (name === 'index' ? undefined : value)

/** `where`: how far it reaches as long as no row has to travel. */
function several({ onSeveral, because, route }: ForwardPlan, where: 'some' | 'all'): Routed {
  const reason = because === undefined ? '' : `: ${because}`
  const of = where === 'some' ? keysTold(route) : ''
  switch (onSeveral.kind) {
    case 'concat':
      return { reach: where, why: `${EACH}${of}` }
    case 'sum':
      return { reach: where, why: `each shard changes its own rows${of}` }
    case 'aggregate':
      return { reach: where, why: `partial aggregates of the shards are combined${of}` }
    case 'first':
      return all('every copy of a reference table')
    case 'home-first':
      return all('the home shard, whose rows go to every other copy')
    case 'refuse':
      return refusedBy(onSeveral.error)
    case 'list-columns':
      return moves('rows of the query go to the shards of their keys')
    case 'run-first':
      return moves(`a part is run first, and its rows go to the shards${reason}`)
    case 'gather-modify':
      return moves(`what tells the rows that are meant is gathered${reason}`)
    case 'gather-lock':
      return moves(`what tells the rows to be locked is gathered${reason}`)
    case 'gather':
      if (onSeveral.gather.inputs.length === 1 && isReduced(onSeveral.gather.part.sql))
        return { reach: where, why: `what each shard makes of its own rows is put together${of}${reason}` }
      return onSeveral.spreads === undefined
        ? moves(`rows are gathered on one shard${reason}`)
        : moves(`rows of one side of a join go to the shards of the other, or to one${reason}`)
    default:
      return moves(`rows are gathered on one shard${reason}`)
  }
}

/** Of its rows a shard gives groups, or the first ones. */
function isReduced(part: string): boolean {
  let found = false
  walk(
    parseStatements(part).map(({ node }) => node),
    (kind, body) => {
      const { groupClause, distinctClause, limitCount } = kind === 'SelectStmt' ? (body as SelectStmt) : {}
      found ||= (groupClause ?? distinctClause ?? limitCount) !== undefined
    },
  )
  return found
}

function keysTold(route: Route): string {
  const count = route.kind === 'keys' ? Math.max(...route.restrictions.map(({ values }) => values.length)) : 0
  return `, of ${count} keys at most`
}

function routedInsert({ table, rows, onOneShard }: InsertPlan, text: string | undefined): Routed {
  if (table.kind === 'reference') return all('every copy of a reference table')
  const keys = rows.map(({ key }) => key)
  if (keys.length === 1 || isOneKey(keys, text))
    return { reach: 'one', why: `by ${table.name}.${table.key?.column}` }
  if (onOneShard !== undefined) return refusedBy(onOneShard)
  return { reach: 'some', why: `${rows.length} rows, each to the shard of its key` }
}

function routedCursor(plan: Extract<Plan, { kind: 'cursor' }>): Routed {
  if (plan.verb !== 'declare') return local(`of cursor ${plan.name}, where its rows are`)
  if (plan.gather !== undefined || plan.first !== undefined) return moves('rows are gathered for the cursor')
  if (plan.streams) return all('each shard gives its own rows, one after the other')
  const at = plan.route?.kind
  return at === undefined || at === 'home'
    ? local('local tables, or none')
    : { reach: 'one', why: 'by its key' }
}
