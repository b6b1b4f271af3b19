import { invariant } from '../errors/pg-error.ts'
import { SLOT_COUNT } from '../sql/catalog.ts'

/** The slots `from` to `to`, both included, belong to `shard`. */
export interface SlotRange {
  readonly from: number
  readonly to: number
  readonly shard: number
}

/** The even division of all slots over shards 0 to shardCount - 1, as one range each; sizes differ by one at most. */
export function evenSlots(shardCount: number): readonly SlotRange[] {
  invariant(
    Number.isInteger(shardCount) && shardCount >= 1 && shardCount <= SLOT_COUNT,
    'shard count between 1 and the number of slots',
  )
  return Array.from({ length: shardCount }, (_, shard) => ({
    from: Math.floor((shard * SLOT_COUNT) / shardCount),
    to: Math.floor(((shard + 1) * SLOT_COUNT) / shardCount) - 1,
    shard,
  }))
}

/** slot → shard. Every slot must have exactly one owner: a hole or an overlap is a damaged map, and throws. */
export function slotTable(ranges: readonly SlotRange[]): Uint16Array {
  const table = new Uint16Array(SLOT_COUNT)
  const owned = new Uint8Array(SLOT_COUNT)
  for (const { from, to, shard } of ranges) {
    invariant(from >= 0 && from <= to && to < SLOT_COUNT, `slot range ${from} to ${to} is out of bounds`)
    for (let slot = from; slot <= to; slot++) {
      invariant(owned[slot] === 0, `slot ${slot} has two owners`)
      owned[slot] = 1
      table[slot] = shard
    }
  }
  const hole = owned.indexOf(0)
  invariant(hole === -1, `slot ${hole} has no owner`)
  return table
}

/** slot → shard back to the fewest ranges, in slot order. */
export function slotRanges(table: Uint16Array): readonly SlotRange[] {
  const ranges: SlotRange[] = []
  let from = 0
  for (let slot = 1; slot <= table.length; slot++) {
    if (slot < table.length && table[slot] === table[from]) continue
    ranges.push({ from, to: slot - 1, shard: table[from]! })
    from = slot
  }
  return ranges
}
