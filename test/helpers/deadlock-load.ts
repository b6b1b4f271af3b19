import type pg from 'pg'
import { Rng } from '../sim/rng.ts'

export interface DeadlockLoad {
  /** One session for each worker. */
  readonly clients: readonly pg.Client[]
  /** Of table `account`, the contended ones. */
  readonly keys: readonly number[]
  readonly keysPerTransaction: number
  /** All take them in one order: no deadlock is possible. */
  readonly isOrdered: boolean
  readonly seed: number
  /** Whether a worker that has ended so many transactions goes on. */
  goesOn(done: number): boolean
}

export interface LoadOutcome {
  committed: number
  /** Victims of Postgres' own: cycles on one shard. */
  local: number
  spanning: number
  /** Victims over shards that were in no cycle. */
  false: number
  /** The longest that one statement took, and that a cycle over shards stood. */
  longestWaitMs: number
  longestCycleMs: number
  /** The longest time in which nobody committed. */
  longestPauseMs: number
}

const SAMPLE_MS = 10
/** Victim and survivor hear of it at the same time, in no order: the judge looks back so far. */
const MEMORY_MS = 1000

/** What the workers hold and want, as they know it themselves: the judge of every victim. */
class Judge {
  readonly holders = new Map<number, number>()
  readonly wants = new Map<number, number>()
  longestCycleMs = 0
  private readonly inCycle = new Map<number, { cycle: string; sinceMs: number; lastMs: number }>()
  private readonly timer = setInterval(() => this.look(), SAMPLE_MS)

  stop(): void {
    clearInterval(this.timer)
  }

  look(): void {
    const nowMs = performance.now()
    for (const worker of this.wants.keys()) {
      const cycle = this.cycleOf(worker)
      if (cycle === undefined) continue
      const known = this.inCycle.get(worker)
      // Whoever is left when a cycle is broken may be in the next one at once.
      const sinceMs = known?.cycle === cycle ? known.sinceMs : nowMs
      this.inCycle.set(worker, { cycle, sinceMs, lastMs: nowMs })
    }
  }

  wasInCycle(worker: number): boolean {
    this.look()
    const known = this.inCycle.get(worker)
    if (known === undefined || performance.now() - known.lastMs > MEMORY_MS) return false
    this.longestCycleMs = Math.max(this.longestCycleMs, known.lastMs - known.sinceMs)
    return true
  }

  /** Who wants what of whom, when `worker` waits for itself that way. */
  private cycleOf(worker: number): string | undefined {
    const seen = new Map<number, number>()
    for (let at = worker; !seen.has(at); ) {
      const key = this.wants.get(at)
      const holder = key === undefined ? undefined : this.holders.get(key)
      if (key === undefined || holder === undefined) return undefined
      seen.set(at, key)
      if (holder === worker) return [...seen].sort(([a], [b]) => a - b).join(' ')
      at = holder
    }
    return undefined
  }

  release(worker: number): void {
    this.wants.delete(worker)
    for (const [key, holder] of this.holders) if (holder === worker) this.holders.delete(key)
  }
}

/** Transfers between few accounts, by many workers, until they have had enough. */
export async function runDeadlockLoad(load: DeadlockLoad): Promise<LoadOutcome> {
  const run = new Run(load)
  try {
    await Promise.all(load.clients.map((client, worker) => run.work(client, worker)))
    return run.end()
  } finally {
    run.judge.stop()
  }
}

class Run {
  readonly judge = new Judge()
  private readonly load: DeadlockLoad
  private lastCommitMs = performance.now()
  private readonly outcome: LoadOutcome = {
    ...{ committed: 0, local: 0, spanning: 0, false: 0 },
    ...{ longestWaitMs: 0, longestCycleMs: 0, longestPauseMs: 0 },
  }

  constructor(load: DeadlockLoad) {
    this.load = load
  }

  async work(client: pg.Client, worker: number): Promise<void> {
    const { load } = this
    const rng = new Rng(load.seed + worker)
    for (let done = 0; load.goesOn(done); done++) {
      const chosen = rng.shuffled(load.keys).slice(0, load.keysPerTransaction)
      if (load.isOrdered) chosen.sort((a, b) => a - b)
      await this.transfer(client, worker, chosen)
    }
  }

  private async transfer(client: pg.Client, worker: number, keys: readonly number[]): Promise<void> {
    const { judge, outcome } = this
    try {
      await client.query('BEGIN')
      for (const [i, key] of keys.entries()) {
        judge.wants.set(worker, key)
        const sinceMs = performance.now()
        await client.query(UPDATE, [i === 0 ? 1 - keys.length : 1, key])
        outcome.longestWaitMs = Math.max(outcome.longestWaitMs, performance.now() - sinceMs)
        judge.wants.delete(worker)
        judge.holders.set(key, worker)
      }
      await client.query('COMMIT')
      this.committed()
    } catch (error) {
      this.ended(worker, error as pg.DatabaseError)
      await client.query('ROLLBACK')
    }
    judge.release(worker)
  }

  private committed(): void {
    const { outcome } = this
    const nowMs = performance.now()
    outcome.committed++
    outcome.longestPauseMs = Math.max(outcome.longestPauseMs, nowMs - this.lastCommitMs)
    this.lastCommitMs = nowMs
  }

  private ended(worker: number, error: pg.DatabaseError): void {
    if (error.code !== '40P01') throw error
    if (error.detail?.includes('of shard') !== true) this.outcome.local++
    else if (this.judge.wasInCycle(worker)) this.outcome.spanning++
    else this.outcome.false++
  }

  end(): LoadOutcome {
    const { longestCycleMs } = this.judge
    return { ...this.outcome, longestCycleMs }
  }
}

const UPDATE = 'UPDATE account SET amount = amount + $1 WHERE id = $2'
