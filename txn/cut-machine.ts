/**
 * The coordinator's side of cuts (DESIGN 5). PURE: time and chance come in with every event.
 *
 *   K1 One cut is under way at a time. It is for everybody who waited when it began; who comes later shares the next.
 *   K2 A cut counts only when every shard's `taken` was here before its lease was over, measured from before the first
 *      request of it was sent: then all of them hold at once, and their snapshots are of that moment.
 *   K3 After `behind` the same cut goes on with a higher timestamp everywhere; answers for a lower one don't count.
 *   K4 Whatever becomes of it, every shard that was asked is told to release.
 *   K5 Ids and timestamps rise.
 */

import {
  type CutEffect,
  type CutLimits,
  type CutNow,
  type CutReader,
  type CutReply,
  cutDefaults,
} from './cut-types.ts'
import { toTimestamp } from './hlc.ts'

/** A cut that failed after this share of its lease might have gone through with a longer one. */
const SLOW_SHARE = 0.3

interface Waiting {
  readonly reader: CutReader
  /** Which shard kept it from its cut last, and why. */
  blockedBy: number | undefined
  why: string
}

interface Running {
  readonly id: number
  ts: bigint
  readonly sentMs: number
  readonly leaseMs: number
  readonly readers: Map<number, Waiting>
  /** The shards asked, and whether they have taken the cut at `ts`. */
  readonly shards: Map<number, boolean>
  /** A shard has held commits for it. */
  isMet: boolean
}

export class CutMachine {
  /** What the driver has to do, in order; it takes them out. */
  effects: CutEffect[] = []
  private readonly limits: CutLimits
  private readonly waiting = new Map<number, Waiting>()
  private running: Running | undefined
  private lastId = 0
  private lastTs = 0n
  private failures = 0
  /** Failures of cuts that took most of their lease. */
  private slowFailures = 0
  private notBeforeMs = Number.NEGATIVE_INFINITY
  /** Readers that nothing was in the way of had their turn. */
  private freshHadTurn = false

  constructor(limits: CutLimits = cutDefaults) {
    this.limits = limits
  }

  get isIdle(): boolean {
    return this.running === undefined && this.waiting.size === 0
  }

  join(reader: CutReader, now: CutNow): void {
    this.waiting.set(reader.id, { reader, blockedBy: undefined, why: '' })
    this.wake(now)
  }

  /** It wants no cut any more. One under way goes on for the others. */
  leave(readerId: number, now: CutNow): void {
    this.waiting.delete(readerId)
    const { running } = this
    if (running?.readers.delete(readerId) && running.readers.size === 0) this.end(running, false)
    this.wake(now)
  }

  reply(shard: number, id: number, ts: bigint, reply: CutReply, now: CutNow): void {
    const { running } = this
    if (running === undefined || running.id !== id || running.ts !== ts || !running.shards.has(shard)) return
    if (reply.result === 'taken') {
      running.shards.set(shard, true)
      running.isMet ||= (reply.afterMs ?? 0) > 0
      if ([...running.shards.values()].every((taken) => taken)) this.allTaken(running, now)
    } else if (reply.result === 'behind') this.raise(running, reply.highest ?? 0n, now)
    else {
      const why = reply.why ?? 'commits could not be held any longer'
      this.failed(running, [shard], why, reply.afterMs ?? 0, now)
    }
    this.wake(now)
  }

  /** The shard cannot be reached, or refuses cuts: nobody who reads it gets one. */
  lost(shard: number, id: number, why: string, now: CutNow): void {
    const { running } = this
    if (running === undefined || running.id !== id) return
    for (const [readerId, { reader }] of running.readers) {
      if (!reader.shards.includes(shard)) continue
      running.readers.delete(readerId)
      this.effects.push({ kind: 'failed', reader: readerId, how: 'lost', shard, why })
    }
    this.failed(running, [], '', 0, now)
    this.wake(now)
  }

  /** To be called at `wakeAtMs`. */
  wake(now: CutNow): void {
    this.dropLate(now)
    const { running } = this
    if (running !== undefined && now.ms >= this.countsUntilMs(running)) {
      const missing = [...running.shards].filter(([, taken]) => !taken).map(([shard]) => shard)
      this.failed(running, missing, 'it did not answer within the lease', 0, now)
    }
    if (this.running === undefined && this.waiting.size > 0 && now.ms >= this.notBeforeMs) this.begin(now)
  }

  /** When `wake` has to be called at the latest; Infinity: nothing depends on time. */
  get wakeAtMs(): number {
    let at = this.running === undefined ? Number.POSITIVE_INFINITY : this.countsUntilMs(this.running)
    if (this.running === undefined && this.waiting.size > 0) at = this.notBeforeMs
    for (const { reader } of this.waiting.values()) at = Math.min(at, reader.deadlineMs)
    return at
  }

  private countsUntilMs(running: Running): number {
    return running.sentMs + running.leaseMs * this.limits.leaseShare
  }

  private dropLate(now: CutNow): void {
    for (const [id, { reader, blockedBy, why }] of this.waiting) {
      if (now.ms < reader.deadlineMs) continue
      this.waiting.delete(id)
      this.effects.push({ kind: 'failed', reader: id, how: 'too-late', shard: blockedBy, why })
    }
  }

  // One cut

  private begin(now: CutNow): void {
    const { limits } = this
    const readers = this.nextReaders()
    const id = ++this.lastId
    const leaseMs = Math.min(limits.leaseMsMax, limits.leaseMs * 2 ** Math.min(this.slowFailures, 10))
    const shards = new Map<number, boolean>()
    const running: Running = { id, ts: 0n, sentMs: now.ms, leaseMs, readers, shards, isMet: false }
    let above = this.lastTs
    for (const { reader } of readers.values()) {
      this.waiting.delete(reader.id)
      for (const shard of reader.shards) running.shards.set(shard, false)
      if (reader.above > above) above = reader.above
    }
    this.running = running
    this.ask(running, above, now)
  }

  /** All that wait; but those that a shard was in the way of, and the others, take turns. */
  private nextReaders(): Map<number, Waiting> {
    const all = [...this.waiting]
    const fresh = all.filter(([, { blockedBy }]) => blockedBy === undefined)
    if (fresh.length === 0 || fresh.length === all.length) return new Map(all)
    this.freshHadTurn = !this.freshHadTurn
    return new Map(this.freshHadTurn ? fresh : all.filter(([, { blockedBy }]) => blockedBy !== undefined))
  }

  private ask(running: Running, above: bigint, now: CutNow): void {
    const ahead = now.ts + toTimestamp(this.limits.aheadMs, 0)
    running.ts = ahead > above ? ahead : above + 1n
    this.lastTs = running.ts
    const { id, ts, leaseMs } = running
    const among = [...running.shards.keys()]
    for (const shard of among) {
      running.shards.set(shard, false)
      const readers = [...running.readers.values()]
        .filter(({ reader }) => reader.shards.includes(shard))
        .map(({ reader }) => reader.id)
      this.effects.push({ kind: 'cut', shard, among, id, ts, leaseMs, readers })
    }
  }

  private raise(running: Running, highest: bigint, now: CutNow): void {
    this.ask(running, highest > running.ts ? highest : running.ts, now)
  }

  private allTaken(running: Running, now: CutNow): void {
    if (now.ms > this.countsUntilMs(running)) return
    const readers = [...running.readers.keys()]
    this.end(running, true)
    this.failures = 0
    this.slowFailures = 0
    const tookMs = now.ms - running.sentMs
    this.notBeforeMs = running.isMet ? now.ms + Math.min(this.limits.betweenMsMax, tookMs) : now.ms
    this.effects.push({ kind: 'taken', readers, ts: running.ts })
  }

  private failed(running: Running, by: readonly number[], why: string, afterMs: number, now: CutNow): void {
    const { pauseMsMin, pauseMsMax } = this.limits
    this.end(running, false)
    for (const [id, waiting] of running.readers) {
      const blockedBy = by.find((shard) => waiting.reader.shards.includes(shard))
      this.waiting.set(id, { ...waiting, ...(blockedBy === undefined ? {} : { blockedBy, why }) })
    }
    const pauseMs = Math.min(pauseMsMax, pauseMsMin * 2 ** Math.min(this.failures, 10))
    this.failures++
    if (now.ms - running.sentMs > running.leaseMs * SLOW_SHARE) this.slowFailures++
    this.notBeforeMs = now.ms + Math.max(afterMs, pauseMs) * (0.5 + now.chance)
    this.dropLate(now)
  }

  private end(running: Running, go: boolean): void {
    this.running = undefined
    for (const shard of running.shards.keys()) {
      this.effects.push({ kind: 'release', shard, id: running.id, go })
    }
  }
}
