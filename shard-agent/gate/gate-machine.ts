/**
 * The state of a shard's gate (DESIGN 5). PURE: every time comes in with a call.
 *
 * In flight is a commit (the Sync of an autocommit write, a COMMIT, a COMMIT PREPARED) that was sent and has not
 * finished. Nearly always no cut is active: then everything enters, and is counted.
 *
 * What holds, for every active cut at S:
 *   G1 No commit with a timestamp above S enters; none above S had entered before, or the cut is `behind`. That of a local
 *      commit is what its session has seen on other shards: no cut has the one and misses the other.
 *   G2 From `draining` on no commit without a timestamp enters either.
 *   G3 A snapshot is taken only when nothing is in flight, and when everything prepared at or before S is decided, and
 *      applied unless it is an abort or lies above S. Or its coordinator, whose transaction it is, says that it is
 *      going to lie above S (`outside`, `fixed`), or that it has told no shard to commit it (`untold`).
 *   G4 It ends with its release, its lease or its owner, whichever is first, and then never comes back.
 *   G5 Statements that take their snapshot as they begin do so after the release: it goes on `starting`, with its lease
 *      once more, until all of them have begun. G1 and G2 still hold, so those are snapshots of the same state. When it
 *      ends before, they are to be ended.
 *   G6 What is `untold` is carried out by nobody, and had not been: else the cut is `busy`.
 *   G7 Of two cuts of which one waits for what the other holds, the one with the lower S gives way: so waiting never
 *      goes round in a circle.
 * Local commits go on while a cut waits for others to decide: only the short rest of it is a hold.
 */
import { invariant } from '../../errors/pg-error.ts'
import {
  type ActiveCut,
  type CommitKind,
  type GateEffect,
  type GateLimits,
  gateDefaults,
} from './gate-types.ts'

/** A transaction prepared on this shard, until its decision has been carried out. */
interface Prepared {
  readonly prepareTs: bigint
  decision: 'none' | 'commit' | 'abort'
  /** Of a commit, and of one that is not decided but can only be committed at this. Else 0. */
  commitTs: bigint
  /** It does not show in `pg_prepared_xacts`: its own commit is the decision. */
  readonly isLast: boolean
  /** The link over which it was prepared, unless no reader need know it, and when. */
  owner: string | undefined
  sinceMs: number
}

/** What a reader need not wait for: prepared over its own link, not longer ago, and not decided. */
export interface Unseen {
  readonly owner: string
  readonly sinceMs: number
}

type Cut = { -readonly [K in keyof ActiveCut]: ActiveCut[K] }

/** What a cut's coordinator says of its own transactions. */
export type LeftOut = Pick<ActiveCut, 'outside' | 'untold'>

const none: ReadonlySet<string> = new Set()
const nothing: LeftOut = { outside: none, untold: none }

export class GateMachine {
  /** What the driver has to do, in order; it takes them out. */
  effects: GateEffect[] = []
  private readonly limits: GateLimits
  private cuts: Cut[] = []
  private readonly transactions = new Map<string, Prepared>()
  private count = 0
  private statements = 0
  /** Of commits that have been applied, or are in flight, and of what sessions had seen that committed here. */
  private highest: bigint
  /** Up to which id the cuts of an owner are over. */
  private readonly endedThrough = new Map<string, number>()
  /** Since when commits without a timestamp have to wait; undefined: they don't. */
  private heldSinceMs: number | undefined
  private openUntilMs = Number.NEGATIVE_INFINITY
  /** A commit found this hold: it, and who came with it, have their time before the next one. */
  private isMet = false
  /** Since when the longest-waiting `statement` waits; the driver's to keep. */
  statementWaitsSinceMs: number | undefined

  /** `highest`: at or above every timestamp that was applied here before a restart. */
  constructor(highest = 0n, limits: GateLimits = gateDefaults) {
    this.highest = highest
    this.limits = limits
  }

  get inFlight(): number {
    return this.count
  }

  /** Commits in flight that may last: statements that commit by themselves. */
  get statementsInFlight(): number {
    return this.statements
  }

  /** No cut is active. */
  get isOpen(): boolean {
    return this.cuts.length === 0
  }

  get activeCuts(): readonly ActiveCut[] {
    return this.cuts
  }

  /** The highest timestamp of a commit that was let in. */
  get appliedTs(): bigint {
    return this.highest
  }

  get preparedCount(): number {
    return this.transactions.size
  }

  // Commits

  /**
   * Whether this commit may go now; if so it is in flight until `leave`. `ts`: its timestamp, or the highest that its
   * session has seen elsewhere.
   */
  tryEnter(kind: CommitKind, ts = 0n, gid = ''): boolean {
    if (this.cuts.length > 0 && !this.admits(kind, ts, gid)) {
      this.isMet = true
      return false
    }
    this.count++
    if (kind === 'statement') this.statements++
    if (ts > this.highest) this.highest = ts
    return true
  }

  private admits(kind: CommitKind, ts: bigint, gid: string): boolean {
    // One that may run for long would keep the cut from ever being taken.
    if (kind === 'statement') return false
    if (kind === 'local' && this.heldSinceMs !== undefined) return false
    return this.cuts.every((cut) => ts <= cut.ts && !cut.untold.has(gid))
  }

  /** Afterwards `advance`, unless the gate is open. */
  leave(kind: CommitKind): void {
    invariant(this.count > 0, 'left the gate without being in flight')
    this.count--
    if (kind === 'statement') this.statements--
  }

  // Prepared transactions

  /** Call it in the same breath as `prepareTs` is issued. 0, at 0: prepared before this agent's time. */
  prepared(gid: string, prepareTs: bigint, isLast = false, sinceMs = 0): void {
    if (!this.transactions.has(gid)) {
      const owner = undefined
      this.transactions.set(gid, { prepareTs, decision: 'none', commitTs: 0n, isLast, owner, sinceMs })
    }
  }

  /** If it commits then at this timestamp, whoever decides that (M6 of the commit machine). Afterwards `advance`. */
  fixed(gid: string, commitTs: bigint): void {
    const transaction = this.transactions.get(gid)
    if (transaction?.decision === 'none') transaction.commitTs = commitTs
  }

  /** Whose it is. As long as that link lives its decision comes over it, ahead of whoever could have seen it elsewhere. */
  own(gid: string, owner: string, nowMs: number): void {
    const transaction = this.transactions.get(gid)
    if (transaction === undefined) return
    transaction.owner = owner
    transaction.sinceMs = nowMs
  }

  /** Afterwards `advance`. */
  decided(gid: string, decision: 'commit' | 'abort', commitTs = 0n): void {
    const transaction = this.transactions.get(gid)
    if (transaction === undefined) return
    transaction.decision = decision
    transaction.commitTs = commitTs
  }

  /** Its decision was carried out, here or by somebody else. Afterwards `advance`. */
  concluded(gid: string): void {
    this.transactions.delete(gid)
  }

  isPrepared(gid: string): boolean {
    return this.transactions.has(gid)
  }

  /** Of the oldest; 0: it was there before this agent. */
  get preparedSinceMs(): number | undefined {
    let least: number | undefined
    for (const { sinceMs } of this.transactions.values())
      if (least === undefined || sinceMs < least) least = sinceMs
    return least
  }

  /** Those that show in `pg_prepared_xacts` as long as they are not settled. */
  preparedGids(): string[] {
    return [...this.transactions].flatMap(([gid, { isLast }]) => (isLast ? [] : [gid]))
  }

  /**
   * A transaction prepared at or before `ts` of which it is not known that it is not part of the state at `ts`, or
   * that is and was not applied yet; undefined: there is none. Those that `cut` leaves out are known not to be part of it.
   */
  unsettled(ts: bigint, unseen?: Unseen, cut?: ActiveCut): string | undefined {
    for (const [gid, { prepareTs, decision, commitTs, owner, sinceMs }] of this.transactions) {
      if (prepareTs > ts || decision === 'abort' || cut?.outside.has(gid) || cut?.untold.has(gid)) continue
      if (unseen !== undefined && decision === 'none' && owner === unseen.owner && sinceMs >= unseen.sinceMs)
        continue
      if (commitTs <= ts) return gid
    }
    return undefined
  }

  // Cuts

  /** A `cut` has arrived; the same one again with a higher timestamp keeps its lease. */
  cut(owner: string, id: number, ts: bigint, leaseMs: number, nowMs: number, left: LeftOut = nothing): void {
    const active = this.current(owner)
    const begun = { owner, id, ts, ...left, sinceMs: nowMs, phase: 'settling' } as const
    if (active !== undefined && active.id === id) this.raise(active, ts, left, nowMs)
    else if (id <= (this.endedThrough.get(owner) ?? -1) || (active !== undefined && active.id > id)) {
      this.effects.push({ kind: 'expired', cut: { ...begun, deadlineMs: nowMs } })
    } else {
      // A coordinator has one cut at a time: the release of the one before was lost, or comes later.
      if (active !== undefined) this.end(active, nowMs)
      this.begin({ ...begun, deadlineMs: nowMs + leaseMs }, nowMs)
    }
    this.advance(nowMs)
  }

  /** The one that the coordinator talks of; it has done so for the last time of one that is `starting`. */
  private current(owner: string): Cut | undefined {
    return this.cuts.find((cut) => cut.owner === owner && cut.phase !== 'starting')
  }

  private begin(cut: Cut, nowMs: number): void {
    const { limits } = this
    const longAgoMs = nowMs - limits.heldMsMax
    if ((this.heldSinceMs ?? nowMs) <= longAgoMs || (this.statementWaitsSinceMs ?? nowMs) <= longAgoMs) {
      this.endedThrough.set(cut.owner, cut.id)
      const why = 'commits have been held without a break'
      this.effects.push({ kind: 'busy', cut: { ...cut }, afterMs: limits.openMsMax, why })
      return
    }
    this.cuts.push(cut)
    this.check(cut, nowMs)
  }

  private check(cut: Cut, nowMs: number): void {
    const told = this.toldMeanwhile(cut)
    if (told !== undefined) this.giveUp(cut, `transaction ${told} was carried out meanwhile`, nowMs)
    else if (this.highest > cut.ts) {
      this.effects.push({ kind: 'behind', cut: { ...cut }, highest: this.highest })
    }
  }

  /** Recovery may have been faster than the log's answer. */
  private toldMeanwhile(cut: Cut): string | undefined {
    for (const gid of cut.untold) {
      const decision = this.transactions.get(gid)?.decision ?? 'commit'
      if (decision === 'commit') return gid
    }
    return undefined
  }

  private giveUp(cut: Cut, why: string, nowMs: number): void {
    this.end(cut, nowMs)
    this.effects.push({ kind: 'busy', cut: { ...cut }, afterMs: this.limits.openMsMin, why })
  }

  private raise(cut: Cut, ts: bigint, { outside, untold }: LeftOut, nowMs: number): void {
    if (ts < cut.ts) return
    cut.ts = ts
    cut.outside = outside
    cut.untold = untold
    cut.phase = 'settling'
    const { openUntilMs, isMet } = this
    this.noteHold(nowMs)
    // It is the same cut: writers have their turn after it.
    this.openUntilMs = openUntilMs
    this.isMet = isMet
    this.check(cut, nowMs)
  }

  /** The driver has taken the snapshots that the effect `snapshot` asked for. */
  snapshotTaken(taken: ActiveCut, nowMs: number): void {
    const cut = this.cuts.find((c) => c.owner === taken.owner && c.id === taken.id)
    if (cut === undefined || cut.phase !== 'snapshot' || cut.ts !== taken.ts) return
    cut.phase = 'held'
    this.effects.push({ kind: 'taken', cut: { ...cut }, afterMs: this.openMs(nowMs) })
    this.advance(nowMs)
  }

  /**
   * It is released, and statements that take their snapshot as they begin are told to: commits are held until `started`.
   * False: they are not held any more, so none of these may run.
   */
  start(owner: string, id: number, nowMs: number): boolean {
    this.advance(nowMs)
    const cut = this.current(owner)
    if (cut?.id !== id || cut.phase !== 'held') {
      this.release(owner, id, nowMs)
      return false
    }
    cut.deadlineMs = nowMs + cut.deadlineMs - cut.sinceMs
    cut.phase = 'starting'
    this.endedThrough.set(owner, id)
    return true
  }

  /** All statements of it have begun, or are over. */
  started(owner: string, id: number, nowMs: number): void {
    const cut = this.cuts.find((c) => c.owner === owner && c.id === id && c.phase === 'starting')
    if (cut !== undefined) this.end(cut, nowMs)
    this.advance(nowMs)
  }

  /** Also for a cut that has not arrived yet: it is dead then. */
  release(owner: string, id: number, nowMs: number): void {
    const active = this.current(owner)
    if (active !== undefined && active.id <= id) this.end(active, nowMs)
    this.endedThrough.set(owner, Math.max(id, this.endedThrough.get(owner) ?? id))
    this.advance(nowMs)
  }

  /** The link is gone, and with it everybody who could use its cut. */
  ownerGone(owner: string, nowMs: number): void {
    for (const cut of this.cuts.filter((c) => c.owner === owner)) this.end(cut, nowMs)
    this.endedThrough.delete(owner)
    this.advance(nowMs)
  }

  private end(cut: Cut, nowMs: number): void {
    this.cuts.splice(this.cuts.indexOf(cut), 1)
    this.endedThrough.set(cut.owner, Math.max(cut.id, this.endedThrough.get(cut.owner) ?? cut.id))
    this.noteHold(nowMs)
  }

  /** Whether local commits wait has changed, perhaps. */
  private noteHold(nowMs: number): void {
    const holds = this.cuts.some((cut) => cut.phase !== 'settling')
    if (holds === (this.heldSinceMs !== undefined)) return
    if (holds) {
      this.heldSinceMs = nowMs
      return
    }
    this.openUntilMs = nowMs + this.openMs(nowMs)
    this.heldSinceMs = undefined
    this.isMet = false
  }

  /** For how long the gate stays open after a hold that ends now. Where nobody writes, reads need not wait for writers. */
  private openMs(nowMs: number): number {
    if (!this.isMet || this.heldSinceMs === undefined) return 0
    const { openMsMin, openMsMax } = this.limits
    return Math.min(openMsMax, Math.max(openMsMin, nowMs - this.heldSinceMs))
  }

  // Going on

  /** To be called after every event that does not say otherwise, and at `wakeAtMs`. */
  advance(nowMs: number): void {
    for (const cut of [...this.cuts]) {
      if (nowMs >= cut.deadlineMs) {
        this.end(cut, nowMs)
        this.effects.push({ kind: 'expired', cut: { ...cut } })
      } else if (cut.phase === 'settling') this.settle(cut, nowMs)
      if (cut.phase === 'draining' && this.count === 0) {
        cut.phase = 'snapshot'
        this.effects.push({ kind: 'snapshot', cut: { ...cut } })
      }
    }
  }

  private settle(cut: Cut, nowMs: number): void {
    const gid = this.unsettled(cut.ts, undefined, cut)
    const why = this.unsettledBecause(cut, gid, nowMs)
    if (why === undefined) {
      cut.phase = 'draining'
      this.noteHold(nowMs)
    } else if (nowMs >= this.settleUntilMs(cut) || this.mustGiveWay(cut, gid)) this.giveUp(cut, why, nowMs)
  }

  /** It waits for what a higher one holds, as a decision above this one, or `untold`, may wait for it. */
  private mustGiveWay(cut: Cut, gid: string | undefined): boolean {
    return gid !== undefined && this.cuts.some((other) => other.untold.has(gid) && isLower(cut, other))
  }

  private settleUntilMs(cut: Cut): number {
    return cut.sinceMs + (cut.deadlineMs - cut.sinceMs) * this.limits.settleShare
  }

  private unsettledBecause(cut: Cut, gid: string | undefined, nowMs: number): string | undefined {
    if (this.highest > cut.ts) return 'a commit with a later timestamp was applied'
    if (gid !== undefined) return `transaction ${gid} is prepared and its decision was not carried out yet`
    if (this.statements > 0) return 'a statement that commits by itself is running'
    // Others hold already: one hold for several cuts is better than one after the other.
    if (this.heldSinceMs === undefined && nowMs < this.openUntilMs) return 'commits were held just before'
    return undefined
  }

  /** When `advance` has to be called at the latest; Infinity: nothing depends on time. */
  wakeAtMs(nowMs: number): number {
    let at = Number.POSITIVE_INFINITY
    for (const cut of this.cuts) {
      at = Math.min(at, cut.deadlineMs)
      if (cut.phase !== 'settling') continue
      at = Math.min(at, this.settleUntilMs(cut))
      if (nowMs < this.openUntilMs) at = Math.min(at, this.openUntilMs)
    }
    return at
  }
}

function isLower(a: ActiveCut, b: ActiveCut): boolean {
  return a.ts < b.ts || (a.ts === b.ts && a.owner < b.owner)
}
