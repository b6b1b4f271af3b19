/** Slots of one shard that follow each other. */
export interface SlotRange {
  readonly from: number
  readonly to: number
}

/** A piece of one line of the map, from a column on. */
export interface SlotRun {
  readonly line: number
  readonly column: number
  readonly length: number
  readonly shard: number
}

export const SLOTS = 4096
export const MAP_COLUMNS = 128
export const MAP_LINES = SLOTS / MAP_COLUMNS

/** `0-1364, 2000-2010`, as the API tells them. */
export function rangesOf(text: string): SlotRange[] {
  return text.split(/[,\s]+/).flatMap((part) => {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
    return from === undefined ? [] : [{ from: Number(from), to: Number(to ?? from) }]
  })
}

/** The map of all slots, line by line: a range goes on in the next line. */
export function runsOf(
  owners: readonly { readonly shard: number; readonly slot_ranges: string }[],
  columns = MAP_COLUMNS,
): SlotRun[] {
  return owners.flatMap(({ shard, slot_ranges }) =>
    rangesOf(slot_ranges).flatMap((range) => [...lines(shard, range, columns)]),
  )
}

function* lines(shard: number, { from, to }: SlotRange, columns: number): Generator<SlotRun> {
  for (let at = from; at <= to; ) {
    const line = Math.floor(at / columns)
    const last = Math.min(to, (line + 1) * columns - 1)
    yield { line, column: at % columns, length: last - at + 1, shard }
    at = last + 1
  }
}
