import type { FuncCall } from '@pgsql/types'
import type { Catalog, KeyedFunction } from '../catalog.ts'
import { as, functionsOf, type Node, qualified } from '../parse/ast.ts'
import type { KeyValue } from '../plan/plan.ts'
import { type Constants, constantOf } from './constants.ts'
import { comparesByHash } from './value-types.ts'

/** A call of a function that has a shard key among its arguments, with a constant for it. */
export interface KeyedCall {
  readonly function: KeyedFunction
  readonly value: KeyValue
}

export interface KeyedCalls {
  readonly calls: readonly KeyedCall[]
  /** Functions with a key whose argument is none, or not told. */
  readonly unkeyed: readonly KeyedFunction[]
  /** Another function that may reach sharded tables. */
  readonly other: string | undefined
}

/** All calls in it of functions that name sharded tables. */
export function keyedCalls(root: unknown, constants: Constants): KeyedCalls {
  const calls: KeyedCall[] = []
  const unkeyed: KeyedFunction[] = []
  let other: string | undefined
  for (const call of functionsOf(root)) {
    const { schema, name } = qualified(call.funcname)
    if (schema === 'pg_catalog' || constants.catalog.tableInFunction?.(name) === undefined) continue
    const keyed = keyedFunction(constants.catalog, schema, name)
    const value = keyed && keyOf(call, keyed, constants)
    if (keyed === undefined) other ??= `${name}()`
    else if (value === undefined) unkeyed.push(keyed)
    else calls.push({ function: keyed, value })
  }
  return { calls, unkeyed, other }
}

function keyedFunction(
  catalog: Catalog,
  schema: string | undefined,
  name: string,
): KeyedFunction | undefined {
  const keyed = catalog.keyedFunctions?.get(name)
  return keyed === undefined || (schema !== undefined && schema !== keyed.schema) ? undefined : keyed
}

function keyOf(call: FuncCall, keyed: KeyedFunction, constants: Constants): KeyValue | undefined {
  const argument = argumentOf(call.args ?? [], keyed)
  const constant = argument && constantOf(argument, { inView: false }, constants)
  return constant !== undefined && comparesByHash(keyed.keyType, constant.type) ? constant.value : undefined
}

function argumentOf(args: readonly Node[], { argument, position }: KeyedFunction): Node | undefined {
  const named = args.map((node) => as(node, 'NamedArgExpr')).find((arg) => arg && arg.name === argument)
  if (named !== undefined) return named.arg
  const placed = args[position]
  return as(placed, 'NamedArgExpr') === undefined ? placed : undefined
}
