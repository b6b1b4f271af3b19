/** Where a row is, and which: shard, the number of its table there, its ctid, its xmin. */
export interface Place {
  readonly shard: number
  readonly oid: string
  readonly tid: string
  readonly xmin: string
}

/** Places of rows, by shard. */
export class Places {
  private readonly byShard = new Map<number, Map<string, Place>>()

  get count(): number {
    return [...this.byShard.values()].reduce((sum, { size }) => sum + size, 0)
  }

  get shards(): readonly number[] {
    return [...this.byShard.keys()].sort((a, b) => a - b)
  }

  add(place: Place): void {
    const places = this.byShard.get(place.shard) ?? new Map<string, Place>()
    places.set(keyOf(place), place)
    this.byShard.set(place.shard, places)
  }

  addAll(others: Places): void {
    for (const places of others.byShard.values()) for (const place of places.values()) this.add(place)
  }

  has(place: Place): boolean {
    return this.byShard.get(place.shard)?.has(keyOf(place)) === true
  }

  /** Those of a shard. */
  on(shard: number): Places {
    const own = new Places()
    for (const place of this.byShard.get(shard)?.values() ?? []) own.add(place)
    return own
  }

  without(others: Places): Places {
    const left = new Places()
    for (const places of this.byShard.values())
      for (const place of places.values()) if (!others.has(place)) left.add(place)
    return left
  }

  /** A shard's, as text forms of oid[], tid[] and int8[]. */
  arrays(shard: number): readonly [oids: string, tids: string, xmins: string] {
    const places = [...(this.byShard.get(shard)?.values() ?? [])]
    const list = (part: (place: Place) => string) => `{${places.map(part).join(',')}}`
    return [list(({ oid }) => oid), list(({ tid }) => `"${tid}"`), list(({ xmin }) => xmin)]
  }
}

const keyOf = ({ oid, tid, xmin }: Place): string => `${oid} ${tid} ${xmin}`

/** As `PLACE_PARTS` says; undefined: there is no row. */
export function placeOf([oid, tid, xmin, shard]: readonly (string | null | undefined)[]): Place | undefined {
  if (oid == null || tid == null || xmin == null) return undefined
  return { shard: Number(shard), oid, tid, xmin }
}
