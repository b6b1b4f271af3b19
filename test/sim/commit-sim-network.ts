import type { Timestamp } from '../../protocol/agent-link.ts'
import { delayMs, type SimProcess, type SimWorld } from './commit-sim-world.ts'

const pingIntervalMs = 2_000
const deadAfterMs = 5_000

/** One side of a connection. */
export interface Peer {
  readonly process: SimProcess
  /** Rides on every message, as in protocol/transport/mux-connection.ts. */
  readonly clock: { now(): Timestamp; observe(ts: Timestamp): void }
  /** This side gives the connection up, or hears that the other has. */
  closed(why: string): void
}

interface End {
  readonly peer: Peer
  isOpen: boolean
  /** Nothing that was sent later arrives before it. */
  arrivesMs: number
  turnsUnheard: number
  turnsUnwritten: number
}

/**
 * A TCP connection: what one side sends comes once and in order, late, or not at all from some moment on. Both sides
 * find out by themselves, at different times, and what was on its way may still arrive.
 */
export class Connection {
  private readonly world: SimWorld
  private readonly ends: readonly [End, End]
  private isCut = false

  constructor(world: SimWorld, client: Peer, server: Peer) {
    this.world = world
    const end = (peer: Peer): End => {
      return { peer, isOpen: true, arrivesMs: 0, turnsUnheard: 0, turnsUnwritten: 0 }
    }
    this.ends = [end(client), end(server)]
    this.beat(0)
    this.beat(1)
  }

  /** From side 0, the client, or 1. */
  send(from: 0 | 1, what: () => void): void {
    const end = this.ends[from]
    if (!end.isOpen) return
    let stamp: Timestamp
    try {
      stamp = end.peer.clock.now()
    } catch (error) {
      this.close(from, String(error))
      return
    }
    end.turnsUnwritten = 0
    this.arrive(from, () => this.receive(this.ends[1 - from] as End, from, stamp, what))
  }

  isOpen(side: 0 | 1): boolean {
    return this.ends[side].isOpen
  }

  /** The other side hears of it after everything that was sent before. */
  close(side: 0 | 1, why: string): void {
    const end = this.ends[side]
    if (!end.isOpen) return
    this.over(end, why)
    const other = this.ends[1 - side] as End
    this.arrive(side, () => other.peer.process.run(() => this.over(other, `the peer closed: ${why}`)))
  }

  /** Nothing arrives any more. Resets or silence tell the two sides. */
  cut(): void {
    this.isCut = true
    for (const end of this.ends) {
      if (this.world.rng.chance(0.7)) {
        end.peer.process.after(this.world.rng.upTo(1_000), () => this.over(end, 'the connection was reset'))
      }
    }
  }

  private arrive(from: 0 | 1, what: () => void): void {
    const { time, rng, trouble } = this.world
    const end = this.ends[from]
    const stallMs = trouble && rng.chance(0.003) ? rng.upTo(12_000) : 0
    end.arrivesMs = Math.max(end.arrivesMs, time.nowMs + delayMs(this.world) + stallMs)
    time.at(end.arrivesMs, () => {
      if (!this.isCut) what()
    })
  }

  private receive(to: End, from: 0 | 1, stamp: Timestamp, what: () => void): void {
    to.peer.process.run(() => {
      if (!to.isOpen) return
      to.turnsUnheard = 0
      try {
        if (this.world.mutant !== 'timestamps do not ride on messages') to.peer.clock.observe(stamp)
      } catch (error) {
        this.close((1 - from) as 0 | 1, String(error))
        return
      }
      what()
    })
  }

  private over(end: End, why: string): void {
    if (!end.isOpen) return
    end.isOpen = false
    end.peer.closed(why)
  }

  private beat(side: 0 | 1): void {
    const end = this.ends[side]
    const stop = end.peer.process.every(pingIntervalMs / 2, () => {
      if (!end.isOpen) stop()
      else if (++end.turnsUnheard * (pingIntervalMs / 2) > deadAfterMs) this.close(side, 'nothing was heard')
      else if (++end.turnsUnwritten >= 2) this.send(side, () => {})
    })
  }

  /** Its process has died: the system closes for it. */
  died(side: 0 | 1): void {
    const end = this.ends[side]
    end.isOpen = false
    const other = this.ends[1 - side] as End
    this.arrive(side, () => other.peer.process.run(() => this.over(other, 'the peer died')))
  }
}
