import type { Timestamp } from '../../protocol/agent-link.ts'
import type { SimWorld } from './commit-sim-world.ts'

export const hourMs = 3_600_000
/** Any two of them are less apart than `max_clock_offset`. */
const skewMaxMs = 249
export const maxOffsetMs = 500
const epochMs = 1_700_000_000_000

/** The clocks of one machine: one that people and programs set, and one that nobody can. */
export class Hands {
  readonly name: string
  private readonly world: SimWorld
  private readonly skewMs: number
  private readonly bootedMs: number
  private setByMs = 0

  constructor(world: SimWorld, name: string) {
    this.world = world
    this.name = name
    this.skewMs = (world.rng.next() * 2 - 1) * skewMaxMs
    this.bootedMs = world.rng.upTo(1e6)
  }

  readonly wallMs = (): number => epochMs + this.world.time.nowMs + this.skewMs + this.setByMs
  readonly monoMs = (): number => this.world.time.nowMs + this.bootedMs

  /** 0: right again. */
  set(byMs: number): void {
    this.world.say(`${this.name}: its clock is ${byMs === 0 ? 'right' : `off by ${byMs.toFixed(0)} ms`}`)
    this.setByMs = byMs
  }
}

/** From a second to an hour, forward or back. */
export function someJumpMs({ rng }: SimWorld): number {
  const ms = 1_000 * (hourMs / 1_000) ** rng.next()
  return rng.chance(0.5) ? ms : -ms
}

/** What a shard's agents, one after the other, have issued. */
export class IssuedTimestamps {
  private readonly world: SimWorld
  private readonly shard: number
  private highest = 0n

  constructor(world: SimWorld, shard: number) {
    this.world = world
    this.shard = shard
  }

  issued(ts: Timestamp): Timestamp {
    if (ts <= this.highest)
      this.world.violation(`C1 shard ${this.shard}: issued ${shown(ts)} after ${shown(this.highest)}`)
    else this.highest = ts
    return ts
  }
}

/** Milliseconds since the simulation began, and the counter. */
export function shown(ts: Timestamp): string {
  return `${Number(ts >> 16n) - epochMs}.${ts & 0xffffn}`
}
