import type { CallStmt } from '@pgsql/types'
import type { PgError } from '../../errors/pg-error.ts'
import type { Catalog, KeyedFunction, Relation } from '../catalog.ts'
import { UNKNOWN_CODE } from '../code/code-graph.ts'
import { STATE_EFFECTS } from '../code/effects.ts'
import { as, paramsOf, strings } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { type Analysis, constantsOf, type LiteralRange } from '../place/analyze.ts'
import { type KeyedCall, type KeyedCalls, keyedCalls } from '../tree/keyed-calls.ts'
import { traitsOf } from '../tree/traits.ts'
import { proofOf, shadowError } from './keyed-function.ts'
import type { ForwardPlan, KeyRestriction, Plan, PlanContext, Route } from './plan.ts'
import { tableName } from './reach.ts'
import {
  commonFields,
  isSingle,
  NEVER_SEVERAL,
  paramsToDescribe,
  refused,
  restrictionsOf,
  unsupported,
} from './routing.ts'
import { common, leaving, refused as refusedUtility } from './utility/plans.ts'

/**
 * Statements that call functions with a shard key (`create_distributed_function`), each with a constant: all of such a
 * statement runs on the shard of that key. Undefined: it calls none.
 */
export function planKeyedSelect(a: Analysis, stmt: ParsedStatement, ctx: PlanContext): Plan | undefined {
  const found = keyedCalls(stmt.node, a.literals)
  if (found.calls.length + found.unkeyed.length === 0) return undefined
  const error = callsError(found, a.catalog, ctx) ?? besideError(a, found.calls[0]!.function, ctx)
  if (error) return refused(a, 'SELECT', error)
  const own = restrictionsOf(a.occurrences)
  if (own === undefined || !isSingle(own)) return refused(a, 'SELECT', tablesError(found.calls, a))
  const plan: ForwardPlan = {
    ...commonFields(a, 'SELECT', true),
    kind: 'forward',
    paramsToDescribe: [...new Set([...paramsToDescribe(a, ctx), ...undeclared(found.calls, ctx)])].sort(
      (x, y) => x - y,
    ),
    route: routeOf(found.calls, own),
    onSeveral: NEVER_SEVERAL,
    reach: reachOf(
      found.calls,
      a.catalog,
      a.occurrences.map(({ relation }) => relation),
    ),
  }
  return plan
}

/** `CALL p(1, …)`, likewise. */
export function planKeyedCall(
  stmt: ParsedStatement,
  ranges: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Plan | undefined {
  const call = as(stmt.node, 'CallStmt')?.funccall as CallStmt['funccall']
  if (call === undefined) return undefined
  const root = { FuncCall: call }
  const found = keyedCalls(root, constantsOf(stmt.text, ranges, catalog, ctx))
  if (found.calls.length + found.unkeyed.length === 0) return undefined
  const { home } = traitsOf(root, catalog)
  const error = callsError(found, catalog, ctx) ?? (home === undefined ? undefined : homeError(home, found))
  if (error) return refusedUtility('CALL', error)
  const left = (catalog.code ?? UNKNOWN_CODE).ofFunction(strings(call.funcname).at(-1) ?? '') & STATE_EFFECTS
  const paramCount = Math.max(0, ...paramsOf(stmt.node).keys())
  const overrides = {
    effects: leaving(left),
    returnsRows: true,
    paramCount,
    commits: 'apart',
    access: 'write',
  } as const
  const plan: ForwardPlan = {
    ...common('CALL', overrides),
    kind: 'forward',
    paramsToDescribe: undeclared(found.calls, ctx),
    route: routeOf(found.calls, []),
    onSeveral: NEVER_SEVERAL,
    reach: reachOf(found.calls, catalog, []),
  }
  return plan
}

// What is refused

function callsError(
  { calls, unkeyed, other }: KeyedCalls,
  catalog: Catalog,
  ctx: PlanContext,
): PgError | undefined {
  const [first] = unkeyed
  if (first !== undefined) return unkeyedError(first)
  if (other !== undefined)
    return unsupported(
      'function_names_table',
      `function ${other} names sharded or reference tables, and has no shard key: that is not supported`,
      `Give it one: SELECT create_distributed_function('${other}', 'argument'), with the types of its arguments.`,
    )
  for (const { function: keyed } of calls) {
    const proof = proofOf(catalog, keyed)
    if (proof.kind === 'unproven') return proof.error
    const shadowed = shadowError(catalog, keyed, proof, ctx)
    if (shadowed) return shadowed
  }
  return undefined
}

function unkeyedError({ name, argument, number }: KeyedFunction): PgError {
  return unsupported(
    'keyed_function_call',
    `function ${name}() whose shard key "${argument ?? `$${number}`}" is no constant is not supported`,
    'Give a literal or a parameter of the type of that argument, in a SELECT or CALL; call it once for each key.',
  )
}

/** What else the statement does is done on that shard, too. */
function besideError(a: Analysis, { name }: KeyedFunction, ctx: PlanContext): PgError | undefined {
  const { traits, locals, targets, catalog } = a
  const beside = (what: string) =>
    unsupported(
      'keyed_function_call',
      `function ${name}(), which runs on the shard of its key, is not supported ${what}`,
      `Call it in a SELECT of its own, as in SELECT ${name}(…).`,
    )
  if (ctx.around !== undefined) return beside('in the query of another statement')
  if (locals.length > 0 && catalog.shardCount > 1) return beside(`beside local table "${locals[0]}"`)
  if (targets.length > 0 || traits.modifies || traits.locksRows) return beside('beside writes and row locks')
  if (a.readsViews) return beside('beside views')
  const elsewhere = traits.home ?? traits.queryText
  return elsewhere === undefined ? undefined : beside(`beside ${elsewhere}`)
}

function homeError(home: string, { calls }: KeyedCalls): PgError {
  return unsupported(
    'keyed_function_call',
    `${home} in a call of ${calls[0]!.function.name}(), which runs on the shard of its key, is not supported`,
    'Call it in a statement of its own first, and pass the result.',
  )
}

function tablesError([first]: readonly KeyedCall[], { occurrences }: Analysis): PgError {
  const table = occurrences.find(({ set }) => set?.values.length !== 1)?.relation
  return unsupported(
    'keyed_function_call',
    `function ${first!.function.name}(), which runs on the shard of its key, beside rows of other keys is not supported`,
    `Restrict "${table?.name}" to the same key, as in WHERE ${table?.key?.column} = …`,
  )
}

// Where it runs

function routeOf(calls: readonly KeyedCall[], own: readonly KeyRestriction[]): Route {
  const restrictions = [
    ...calls.map(({ function: { keyType }, value }): KeyRestriction => ({ keyType, values: [value] })),
    ...own,
  ]
  const names = [...new Set(calls.map(({ function: { name } }) => `${name}()`))].join(' and ')
  const spread = unsupported(
    'keyed_function_call',
    `a statement that calls ${names} with shard keys of different shards is not supported`,
    'Call them one after the other, in one transaction.',
  )
  return { kind: 'keys', restrictions, spread }
}

/** Only Postgres can tell what type they are of. */
function undeclared(calls: readonly KeyedCall[], { paramTypes }: PlanContext): number[] {
  const numbers = calls.flatMap(({ value: { source } }) => (source.kind === 'param' ? source.number : []))
  return [...new Set(numbers)].filter((number) => (paramTypes[number - 1] ?? 0) === 0)
}

/** The look afterwards finds what the proof did not foresee. */
function reachOf(calls: readonly KeyedCall[], catalog: Catalog, own: readonly Relation[]) {
  if (catalog.shardCount === 1) return undefined
  const proven = calls.flatMap(({ function: keyed }) => {
    const proof = proofOf(catalog, keyed)
    return proof.kind === 'proven' ? proof.relations.filter(({ kind }) => kind === 'sharded') : []
  })
  return { tables: [...new Set([...own, ...proven].map(tableName))], onCopies: false }
}
