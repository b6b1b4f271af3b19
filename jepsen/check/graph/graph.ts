/** Via: from a node that only leads through to what it leads to. */
export type EdgeKind = 'ww' | 'wr' | 'rw' | 'process' | 'realtime' | 'via'

/** What an edge is about: the key, what was written there, and what was there before. */
export interface Why {
  readonly key: number
  readonly value: number
  readonly before?: number | null
}

export interface Edge {
  readonly kind: EdgeKind
  readonly to: number
  readonly why: Why | undefined
}

/**
 * Who comes before whom. Nodes below `txns` are transactions (or statements). Others only lead through: where many come
 * before many, all edges would be a product, and through such a node they are a sum.
 */
export class Graph {
  readonly txns: number
  readonly out: Edge[][] = []
  private readonly kinds = new Set<EdgeKind>()

  constructor(txns: number) {
    this.txns = txns
    for (let node = 0; node < txns; node++) this.out.push([])
  }

  get size(): number {
    return this.out.length
  }

  add(from: number, kind: EdgeKind, to: number, why?: Why): void {
    if (from === to) return
    this.kinds.add(kind)
    this.out[from]?.push({ kind, to, why })
  }

  addThrough(): number {
    this.out.push([])
    return this.out.length - 1
  }

  /**
   * From each of some to each of others but itself. One that is among both gets edges of its own: through the node that the
   * rest goes through it would come back to itself.
   */
  addProduct(
    from: readonly number[],
    kind: EdgeKind,
    to: readonly { readonly id: number; readonly value: number }[],
    why: Omit<Why, 'value'>,
  ): void {
    const targets = new Set(to.map(({ id }) => id))
    const direct = from.filter((id) => targets.has(id) || to.length === 1)
    for (const id of direct) for (const { id: node, value } of to) this.add(id, kind, node, { ...why, value })
    if (direct.length === from.length) return
    const through = this.addThrough()
    for (const id of from) {
      if (!targets.has(id)) this.add(id, kind, through, { ...why, value: 0 })
    }
    for (const { id, value } of to) this.add(through, 'via', id, { ...why, value })
  }

  has(kind: EdgeKind): boolean {
    return this.kinds.has(kind)
  }
}
