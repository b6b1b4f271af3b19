/** Which prepared statements a backend knows. PURE. */

interface Known {
  readonly name: string
  /** When it was last needed, in uses of this backend. */
  tick: number
}

export class KnownStatements {
  private readonly known = new Map<string, Known>()
  /** The backend may have these, but not as they should be: to be closed before they are parsed again. */
  private readonly outdated = new Set<string>()
  private readonly max: number
  private tick = 0

  constructor(max: number) {
    this.max = max
  }

  get size(): number {
    return this.known.size
  }

  /** True when the backend has it. */
  use(name: string): boolean {
    const entry = this.known.get(name)
    if (entry === undefined) return false
    entry.tick = ++this.tick
    return true
  }

  /** The backend confirmed that it has it. */
  add(name: string): void {
    this.outdated.delete(name)
    this.known.set(name, { name, tick: ++this.tick })
  }

  /** It doesn't work any more. */
  outdate(name: string): void {
    this.known.delete(name)
    this.outdated.add(name)
  }

  isOutdated(name: string): boolean {
    return this.outdated.has(name)
  }

  clear(): void {
    this.known.clear()
    this.outdated.clear()
  }

  /**
   * Takes out the longest unused ones, so that `count` more fit. To be closed on the backend; what the running
   * request needs was used just now, so it stays.
   */
  evict(count: number, needed: number): string[] {
    const surplus = Math.min(this.known.size + count - this.max, this.known.size - needed)
    if (surplus <= 0) return []
    const oldest = [...this.known.values()].sort((a, b) => a.tick - b.tick).slice(0, surplus)
    for (const entry of oldest) this.known.delete(entry.name)
    return oldest.map((entry) => entry.name)
  }
}
