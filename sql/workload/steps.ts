import type { GatherInput } from '../plan/gather/gather-plan.ts'
import type { ForwardPlan, InsertSelectPlan, Plan, Route } from '../plan/plan.ts'
import { isSingle } from '../plan/routing.ts'
import { routedPlan } from './routed.ts'

/** A step of a statement, after (and deeper than) the one that needs it. */
export interface Step {
  readonly depth: number
  readonly what: string
  /** Text that is run there, when it is not the statement's own. */
  readonly sql?: string
}

/** How a statement is run, as a tree; nothing is asked of a shard for it. None: it is refused, or of the session. */
export function stepsOf(plan: Plan): Step[] {
  switch (plan.kind) {
    case 'forward':
      return ofForward(plan)
    case 'insert-select':
      return ofInsertSelect(plan)
    case 'explain':
      return stepsOf(plan.inner)
    case 'refused':
    case 'transaction':
    case 'setting':
    case 'prepared':
    case 'empty':
      return []
    default: {
      const { reach, why } = routedPlan(plan)
      return [step(0, `${plan.tag}: ${why}`), step(1, AT[reach])]
    }
  }
}

const AT = {
  local: 'on the home shard',
  one: 'on one shard',
  some: 'on the shards of the keys',
  all: 'on all shards',
  moves: 'rows travel between servers first',
  refused: 'refused',
} as const

const step = (depth: number, what: string, sql?: string): Step => ({
  ...{ depth, what },
  ...(sql === undefined || sql === '' ? {} : { sql }),
})

function ofForward(plan: ForwardPlan): Step[] {
  const { route, onSeveral, sharded = [] } = plan
  const { why } = routedPlan(plan)
  const at = atOf(route)
  if (at.isOne && plan.setsKey === undefined) {
    const tables = sharded.map(({ table }) => table).join(', ')
    return [step(0, at.what, plan.sentAs), ...(tables === '' ? [] : [step(1, `rows of ${tables}`)])]
  }
  if (onSeveral.kind === 'aggregate') {
    const { partialSql, combineSql } = onSeveral.aggregate
    return [step(0, `on one shard: ${why}`, combineSql), step(1, at.what, partialSql)]
  }
  if (onSeveral.kind === 'refuse') return []
  if ('gather' in onSeveral) {
    const { finish, part, inputs } = onSeveral.gather
    return [
      step(0, `on one shard: ${why}`, finish),
      step(1, `${at.what}: gives rows of ${tablesOf(inputs)}`, part.sql),
    ]
  }
  return [step(0, why), step(1, at.what)]
}

function tablesOf(inputs: readonly GatherInput[]): string {
  return [...new Set(inputs.map(({ table }) => table))].join(', ')
}

function ofInsertSelect(plan: InsertSelectPlan): Step[] {
  const { why } = routedPlan(plan)
  const { source, table } = plan
  const head = [step(0, `on the shards of the keys: rows into ${table.name}`), step(1, why)]
  if (source === undefined) return [...head, step(2, 'on the home shard: the query', plan.selectSql)]
  if ('gather' in source) {
    const { finish, part, inputs } = source.gather
    const gives = `on the shards that have them: gives rows of ${tablesOf(inputs)}`
    return [...head, step(2, 'on one shard: the query', finish), step(3, gives, part.sql)]
  }
  if (source.kind === 'gather-outside')
    return [...head, step(2, 'on one shard: the query, with views that home tells of')]
  return [...head, step(2, `${atOf(source).what}: the query`, plan.selectSql)]
}

function atOf(route: Route): { readonly what: string; readonly isOne: boolean } {
  switch (route.kind) {
    case 'home':
      return { what: 'on the home shard', isOne: true }
    case 'any':
      return { what: 'on any shard', isOne: true }
    case 'cursor':
      return { what: `on the shard where cursor ${route.name} stands`, isOne: true }
    case 'all':
      return { what: 'on all shards', isOne: false }
    case 'keys': {
      const isOne = isSingle(route.restrictions) && route.restrictions.length < 2
      return { what: isOne ? 'on the shard of the key' : 'on the shards of the keys', isOne }
    }
  }
}
