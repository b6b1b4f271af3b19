/** Places of rows, by shard: the number of their table there, and their ctid. */
export class Places {
  private readonly byShard = new Map<number, Map<string, readonly [oid: string, tid: string]>>()

  get count(): number {
    return [...this.byShard.values()].reduce((sum, { size }) => sum + size, 0)
  }

  get shards(): readonly number[] {
    return [...this.byShard.keys()].sort((a, b) => a - b)
  }

  add(shard: number, oid: string, tid: string): void {
    const places = this.byShard.get(shard) ?? new Map<string, readonly [string, string]>()
    places.set(`${oid} ${tid}`, [oid, tid])
    this.byShard.set(shard, places)
  }

  addAll(others: Places): void {
    for (const [shard, places] of others.byShard)
      for (const [oid, tid] of places.values()) this.add(shard, oid, tid)
  }

  without(others: Places): Places {
    const left = new Places()
    for (const [shard, places] of this.byShard) {
      const known = others.byShard.get(shard)
      for (const [key, [oid, tid]] of places) if (known?.has(key) !== true) left.add(shard, oid, tid)
    }
    return left
  }

  /** A shard's, as text forms of oid[] and tid[]. */
  arrays(shard: number): readonly [oids: string, tids: string] {
    const places = [...(this.byShard.get(shard)?.values() ?? [])]
    return [`{${places.map(([oid]) => oid).join(',')}}`, `{${places.map(([, tid]) => `"${tid}"`).join(',')}}`]
  }
}
