import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { Refused } from '../../errors/refusals/refusals.ts'
import type { Catalog, Relation } from '../../sql/catalog.ts'
import type { KeyContext } from '../../sql/hash/key-value.ts'
import type { KeyRestriction, KeyValue, Route } from '../../sql/plan/plan.ts'
import { findCursor } from './answers/open-portal.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { type KeySlots, NO_MATCH, NULL_KEY } from './plans/key-slots.ts'
import { evaluateSlot } from './shards/server-slot.ts'

/** `routeNow` could not tell without asking Postgres, or the route is not a single shard. */
export const NOT_ONE = -1

/**
 * The one shard a statement goes to, when that can be told at once; `NOT_ONE` otherwise. The hot path: no allocation.
 * `preferred` is taken where any shard would do.
 */
export function routeNow(route: Route, keys: KeySlots, catalog: Catalog, preferred: number): number {
  switch (route.kind) {
    case 'home':
      return HOME
    case 'any':
      return preferred
    case 'all':
    case 'cursor':
      return catalog.shardCount === 1 ? HOME : NOT_ONE
    case 'keys': {
      const { restrictions } = route
      let shard = NOT_ONE
      for (let i = 0; i < restrictions.length; i++) {
        const { keyType, values, assigned } = restrictions[i]!
        for (let j = 0; j < values.length; j++) {
          const slot = keys.slot(keyType, values[j]!, assigned)
          if ((slot === NULL_KEY || slot === NO_MATCH) && assigned === undefined) continue
          if (slot < 0) return NOT_ONE
          const owner = catalog.slots[slot]!
          if (shard !== NOT_ONE && owner !== shard) return NOT_ONE
          shard = owner
        }
      }
      // No value can match any row: any shard gives the empty answer.
      return shard === NOT_ONE ? preferred : shard
    }
  }
}

/** The shards a statement goes to, in order. Asks Postgres for values that only it can read. */
export async function resolveShards(
  ctx: ExecContext,
  route: Route,
  exec: Execution,
): Promise<readonly number[]> {
  const catalog = await ctx.catalog()
  const preferred = preferredShard(ctx)
  if (route.kind === 'all') return Array.from({ length: catalog.shardCount }, (_, shard) => shard)
  const now = routeNow(route, exec.keys, catalog, preferred)
  if (now !== NOT_ONE) return [now]
  if (route.kind === 'cursor') return [await shardOfCursor(ctx, route.name)]
  if (route.kind !== 'keys') return [preferred]
  const sets: Set<number>[] = []
  for (const restriction of route.restrictions) sets.push(await shardsOf(ctx, restriction, exec, catalog))
  if (sets.length === 1) {
    const shards = [...sets[0]!].sort((a, b) => a - b)
    return shards.length === 0 ? [preferred] : shards
  }
  const all = new Set(sets.flatMap((set) => [...set]))
  if (all.size > 1 && route.spread !== undefined) throw route.spread
  return all.size === 0 ? [preferred] : [...all].sort((a, b) => a - b)
}

/** Who has no such cursor says so. */
async function shardOfCursor(ctx: ExecContext, name: string): Promise<number> {
  const cursor = await findCursor(ctx, name)
  if (cursor === undefined && !ctx.state.bound.has(name)) return HOME
  if (cursor?.isOpen !== true || cursor.written !== undefined) throw weftError('not_supported', OF_COPIES)
  return cursor.lines[cursor.at]!.shard
}

const OF_COPIES: Refused = {
  id: 'current_of',
  what: 'WHERE CURRENT OF a cursor over rows that were put together is not supported',
  hint: 'Declare the cursor without ORDER BY, LIMIT and the like, or name the row by its primary key.',
}

/** A shard that takes part in the transaction anyway, else the home shard. */
export function preferredShard(ctx: ExecContext): number {
  return ctx.tx.joined[0]?.shard ?? HOME
}

const NULL_ASSIGNED = new PgError({
  code: '23502',
  message: 'null value in the shard key violates not-null constraint',
  hint: 'A row without a shard key belongs to no shard.',
})

async function shardsOf(
  ctx: ExecContext,
  restriction: KeyRestriction,
  exec: Execution,
  catalog: Catalog,
): Promise<Set<number>> {
  const shards = new Set<number>()
  for (const value of restriction.values) {
    // The rest of a long list changes nothing.
    if (shards.size === catalog.shardCount && restriction.assigned === undefined) break
    const slot = await slotOf(ctx, restriction.keyType, value, exec, restriction.assigned)
    const isAssignedNull = slot === NULL_KEY && restriction.assigned !== undefined
    if (isAssignedNull && !restriction.assigned.notNull) throw NULL_ASSIGNED
    // The column's own constraint says so, with the row.
    if (isAssignedNull) shards.add(HOME)
    if (slot >= 0) shards.add(catalog.slots[slot]!)
  }
  return shards
}

/** Where a row with this slot, or without a key, is to be stored. */
export function shardOf({ name, key, columns }: Relation, slots: Uint16Array, slot: number): number {
  if (slot !== NULL_KEY) return slots[slot]!
  // The column's own constraint says so, with the row.
  if (columns[key!.index]!.notNull) return HOME
  throw weftError('key_null', { table: name, column: key!.column })
}

/** Slot of a key value, NULL_KEY or NO_MATCH; asks Postgres when this code cannot be certain. */
export async function slotOf(
  ctx: ExecContext,
  keyType: KeyRestriction['keyType'],
  value: KeyValue,
  exec: Execution,
  assignment?: KeyContext,
): Promise<number> {
  const slot = exec.keys.slot(keyType, value, assignment)
  if (slot >= 0 || slot === NULL_KEY) return slot
  // What no stored key can equal is converted, or refused, when it is assigned: Postgres' business.
  if (slot === NO_MATCH && assignment === undefined) return slot
  return evaluateSlot(ctx, keyType, value, exec, assignment)
}
