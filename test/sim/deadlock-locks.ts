/** Row locks of one simulated shard, as Postgres grants them: first come, first served. */
export interface Backend {
  readonly pid: number
  /** Of its transaction here. */
  readonly startedMs: number
}

interface Waiting {
  readonly backend: Backend
  readonly sinceMs: number
  readonly granted: () => void
}

interface Lock {
  holder: Backend | undefined
  readonly queue: Waiting[]
}

/** A wait as the catalogs of a shard show it. */
export interface Wait {
  readonly waiter: Backend
  readonly blocker: Backend
  readonly key: number
  readonly sinceMs: number
}

export class Locks {
  private readonly locks = new Map<number, Lock>()

  take(key: number, backend: Backend, nowMs: number, granted: () => void): void {
    const lock = this.locks.get(key) ?? { holder: undefined, queue: [] }
    this.locks.set(key, lock)
    if (lock.holder === backend) return granted()
    if (lock.holder === undefined) {
      lock.holder = backend
      return granted()
    }
    lock.queue.push({ backend, sinceMs: nowMs, granted })
  }

  /** The transaction is over: all it has and all it waits for. */
  release(backend: Backend): void {
    const granted: (() => void)[] = []
    for (const lock of this.locks.values()) {
      const at = lock.queue.findIndex((waiting) => waiting.backend === backend)
      if (at >= 0) lock.queue.splice(at, 1)
      if (lock.holder !== backend) continue
      const next = lock.queue.shift()
      lock.holder = next?.backend
      if (next !== undefined) granted.push(next.granted)
    }
    for (const tell of granted) tell()
  }

  isWaiting(backend: Backend): boolean {
    for (const { queue } of this.locks.values()) {
      if (queue.some((waiting) => waiting.backend === backend)) return true
    }
    return false
  }

  /** As pg_blocking_pids: who has it, and who has asked for it before. */
  waits(): readonly Wait[] {
    const waits: Wait[] = []
    for (const [key, { holder, queue }] of this.locks) {
      const before = holder === undefined ? [] : [holder]
      for (const { backend: waiter, sinceMs } of queue) {
        for (const blocker of before) waits.push({ waiter, blocker, key, sinceMs })
        before.push(waiter)
      }
    }
    return waits
  }

  /** What Postgres itself finds. */
  isInCycle(backend: Backend): boolean {
    const blockers = new Map<Backend, Backend[]>()
    for (const { waiter, blocker } of this.waits()) {
      blockers.set(waiter, [...(blockers.get(waiter) ?? []), blocker])
    }
    const reached = new Set<Backend>()
    const open = [...(blockers.get(backend) ?? [])]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at === backend) return true
      if (reached.has(at)) continue
      reached.add(at)
      open.push(...(blockers.get(at) ?? []))
    }
    return false
  }
}
