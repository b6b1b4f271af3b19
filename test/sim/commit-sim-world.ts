import type { Rng } from './rng.ts'
import type { Timeline } from './timeline.ts'

/** A bug planted on purpose: the simulation has to find every one of them. */
export type Mutant =
  | 'decides before all have prepared'
  | 'applies before the record exists'
  | 'takes an unknown write for a failed one'
  | 'recovery aborts without a tombstone'
  | 'tombstones are swept while their coordinator lives'
  | 'aborts are dropped although a decision may be late'
  | 'decisions do not need the registration'
  | 'recovery ignores the record'
  | 'records are dropped before all have confirmed'
  | 'loses the bound of the clock'
  | 'believes the bound of the clock stored too early'
  | 'the commit timestamp is the first prepare timestamp'
  | 'timestamps do not ride on messages'
  | 'commits take effect above the bound of the clock'
  | 'an agent that starts believes its own clock'
  | 'the last participant commits ahead of its record'
  | 'the last participant commits although there is an abort'
  | 'takes an unknown commit of the last participant for a failed one'
  | 'an unknown commit of the last participant is written by itself'

/** What everything simulated has in common: time, chance, the trace, and how bad things are. */
export interface SimWorld {
  readonly time: Timeline
  readonly rng: Rng
  readonly mutant: Mutant | undefined
  /** While true, things go wrong. */
  readonly trouble: boolean
  say(what: string): void
  violation(what: string): void
}

/** Between two nodes, one way. */
export function delayMs({ rng }: SimWorld): number {
  return rng.chance(0.1) ? rng.upTo(400) : rng.upTo(4)
}

/** One process: what it does waits while it is paused, and never happens once it is dead. */
export class SimProcess {
  readonly name: string
  isAlive = true
  private readonly world: SimWorld
  private isPaused = false
  private readonly backlog: (() => void)[] = []

  constructor(world: SimWorld, name: string) {
    this.world = world
    this.name = name
  }

  /** Now, when it goes on, or never. */
  run(what: () => void): void {
    if (!this.isAlive) return
    if (this.isPaused) this.backlog.push(what)
    else what()
  }

  after(ms: number, what: () => void): void {
    this.world.time.after(ms, () => this.run(what))
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  every(ms: number, what: () => void): () => void {
    let isStopped = false
    const next = (): void =>
      this.after(ms, () => {
        if (isStopped) return
        what()
        next()
      })
    next()
    return () => {
      isStopped = true
    }
  }

  /** As by SIGSTOP, or a long garbage collection. */
  pause(ms: number): void {
    if (!this.isAlive || this.isPaused) return
    this.world.say(`${this.name} pauses for ${ms.toFixed(0)} ms`)
    this.isPaused = true
    this.world.time.after(ms, () => {
      this.isPaused = false
      for (const what of this.backlog.splice(0)) this.world.time.after(0, () => this.run(what))
    })
  }

  die(): void {
    this.world.say(`${this.name} dies`)
    this.isAlive = false
    this.backlog.length = 0
  }
}
