interface Entry {
  readonly atMs: number
  /** Of equal times the earlier scheduled comes first. */
  readonly order: number
  readonly run: () => void
}

/** Simulated time: what is scheduled runs in order, and nothing else makes time pass. */
export class Timeline {
  nowMs = 0
  private readonly heap: Entry[] = []
  private scheduled = 0

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + Math.max(0, ms), run)
  }

  at(atMs: number, run: () => void): void {
    this.push({ atMs: Math.max(this.nowMs, atMs), order: this.scheduled++, run })
  }

  runUntil(endMs: number): void {
    for (;;) {
      const next = this.heap[0]
      if (next === undefined || next.atMs > endMs) break
      this.pop()
      this.nowMs = next.atMs
      next.run()
    }
    this.nowMs = endMs
  }

  /** As `runUntil`, for what awaits promises: all that follows from one event has happened before the next. */
  async playUntil(endMs: number): Promise<void> {
    for (let played = 1; ; played++) {
      const next = this.heap[0]
      if (next === undefined || next.atMs > endMs) break
      this.pop()
      this.nowMs = next.atMs
      next.run()
      // Comes when no promise has anything left to do; an immediate does too, but takes a turn of the event loop.
      await new Promise<void>((resolve) => process.nextTick(resolve))
      if (played % 4096 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    this.nowMs = endMs
  }

  private push(entry: Entry): void {
    const { heap } = this
    let i = heap.push(entry) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(entry, heap[parent] as Entry)) break
      heap[i] = heap[parent] as Entry
      i = parent
    }
    heap[i] = entry
  }

  private pop(): void {
    const { heap } = this
    const last = heap.pop() as Entry
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++
      if (!before(heap[child] as Entry, last)) break
      heap[i] = heap[child] as Entry
      i = child
    }
    heap[i] = last
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
