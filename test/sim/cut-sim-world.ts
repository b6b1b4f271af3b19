import type { CommitKind } from '../../shard-agent/gate/gate-types.ts'
import type { CutReply } from '../../txn/cut-types.ts'
import { toTimestamp } from '../../txn/hlc.ts'
import type { SimAgent } from './cut-sim-agent.ts'
import type { SimSession } from './cut-sim-session.ts'
import { Rng } from './rng.ts'
import { Timeline } from './timeline.ts'

export type CutMutant =
  | 'decided commits are not held'
  | 'commits in flight are not waited for'
  | 'the lease counts from the answer'
  | 'prepared transactions are not waited for'
  | 'agents do not observe the timestamp of a cut'
  | 'answers for a lower timestamp count'
  | 'local commits are not held'
  | 'what a cut was told lies above it is decided below'
  | 'leases do not end'
  | 'the hold ends before statements have begun'
  | 'a statement that lost its hold goes on'
  | 'the next cut of a coordinator ends the last one'
  | 'the gate is never busy and never stays open'
  | 'sessions wait for nothing'
  | 'own undecided transactions are skipped though a link was lost'
  | 'own undecided transactions are skipped however old they are'
  | 'a token counts like a commit of its own'
  | 'recovery carries out what no shard was told'
  | 'what also goes to other shards counts as untold'
  | 'commits on one shard say nothing of what was seen on others'
  | 'what was carried out counts as untold'
  | 'the gate does not know the last participant'
  | 'what follows a last participant counts as unseen'
  | 'the timestamp is fixed too high'

/** Nodes die and pause, and messages are lost, for so long. */
export const troubleMs = 1_500
/** Clocks are apart by so much at most. */
export const skewMsMax = 300

export interface Tx {
  readonly id: string
  readonly coordinator: string
  readonly shards: readonly number[]
  readonly beganMs: number
  /** When it first took effect anywhere. */
  effectMs: number
  ackedMs: number
  /** By shard: its place among all that was applied there. */
  readonly places: number[]
  decision: 'none' | 'commit' | 'abort'
  commitTs: bigint
  /** Known to the session that wrote it, and not yet found on all of its shards. */
  readonly after: readonly Tx[]
}

export interface Snapshot {
  /** So many of the shard's commits are in it. */
  readonly length: number
  readonly epoch: number
}

export interface Reader {
  readonly id: number
  /** Its snapshots are not those of the cut itself: they are taken as it begins, after the release. */
  readonly snapsAsItRuns: boolean
  readonly shards: readonly number[]
  readonly cameMs: number
  gotMs: number
  readonly snapshots: Map<number, Snapshot>
  ended: boolean
}

/** A statement's part on one shard that takes its snapshot as it begins. */
export interface Starter {
  begun(at: Snapshot): void
  /** The hold was over before. */
  lapsed(): void
}

export interface Commit {
  readonly kind: CommitKind
  readonly ts: bigint
  readonly gid: string
  readonly sinceMs: number
  /** How long its agent had been paused, in all, when it began to wait. */
  readonly pausedMs: number
  run(): void
}

export interface Answer {
  readonly id: number
  readonly ts: bigint
  readonly reply: (reply: CutReply, at?: Snapshot) => void
  isGiven: boolean
}

/** What a run has done, before it begins. */
export const noCutStats = () => ({
  cuts: 0,
  committed: 0,
  cross: 0,
  failed: 0,
  behind: 0,
  busy: 0,
  looks: 0,
  begun: 0,
  lapsed: 0,
})

/** The clock of a node, wrong by a constant. */
export class Clock {
  private last = 0n
  private readonly time: Timeline
  private readonly skewMs: number

  constructor(time: Timeline, skewMs: number) {
    this.time = time
    this.skewMs = skewMs
  }

  now(): bigint {
    const wall = toTimestamp(Math.floor(1_000_000 + this.time.nowMs + this.skewMs), 0)
    this.last = wall > this.last ? wall : this.last + 1n
    return this.last
  }

  observe(ts: bigint): void {
    if (ts > this.last) this.last = ts
  }

  /** A restart: nothing at or below what was issued is issued again. */
  restarted(): bigint {
    this.last += toTimestamp(50, 0)
    return this.last
  }
}

/** What happens on a node does not happen while it is paused, and not any more after it died. */
export class Node {
  pausedUntilMs = 0
  pausedMs = 0
  epoch = 0
  isUp = true
  private readonly time: Timeline

  constructor(time: Timeline) {
    this.time = time
  }

  pause(ms: number): void {
    this.pausedUntilMs = this.time.nowMs + ms
    this.pausedMs += ms
  }

  on(run: () => void, epoch = this.epoch): void {
    if (!this.isUp || epoch !== this.epoch) return
    const wait = this.pausedUntilMs - this.time.nowMs
    if (wait > 0) this.time.after(wait, () => this.on(run, epoch))
    else run()
  }

  after(ms: number, run: () => void): void {
    const { epoch } = this
    this.time.after(ms, () => this.on(run, epoch))
  }
}

export class World {
  readonly rng: Rng
  readonly time = new Timeline()
  readonly mutant: CutMutant | undefined
  readonly calm: boolean
  readonly agents: SimAgent[] = []
  readonly txs = new Map<string, Tx>()
  readonly readers: Reader[] = []
  readonly sessions: SimSession[] = []
  readonly violations: string[] = []
  readonly trace: string[] = []
  readonly stats = noCutStats()

  /** One coordinator and local commits only: nothing but the lease then keeps a late cut from being whole. */
  readonly isQuiet: boolean
  private readonly lateShare: number
  /** Of half of what commits over several shards one participant's own commit is the decision. */
  readonly hasLasts: boolean
  /** Tokens are handed on all the time, while links break and the log is slow. */
  readonly handsOn: boolean

  constructor(seed: number, mutant: CutMutant | undefined, calm: boolean) {
    this.rng = new Rng(seed)
    this.hasLasts = seed % 2 === 1
    this.handsOn = seed % 6 === 0 && !calm
    this.isQuiet = this.rng.chance(0.25)
    this.lateShare = this.rng.pick(this.isQuiet ? [0.4] : [0.02, 0.1, 0.4])
    this.mutant = mutant
    this.calm = calm
  }

  /** How late the log's answer is. */
  logLateMs(): number {
    const { rng } = this
    if (!this.trouble || !rng.chance(this.handsOn ? 0.3 : 0.1)) return 0
    return rng.upTo(this.handsOn ? 400 : rng.pick([300, 2_500]))
  }

  say(what: string): void {
    this.trace.push(`${this.time.nowMs.toFixed(2).padStart(9)} ${what}`)
  }

  get trouble(): boolean {
    return !this.calm && this.time.nowMs < troubleMs
  }

  /** A message's way; seldom a long one. */
  delayMs(): number {
    if (this.trouble && this.rng.chance(0.01)) return this.rng.upTo(200)
    return this.rng.chance(0.1) ? this.rng.upTo(5) : this.rng.upTo(0.5)
  }

  send(to: Node, run: () => void): void {
    to.after(this.delayMs(), run)
  }

  /** Messages about cuts have it harder: they may be lost, and are often as late as their lease. */
  sendAboutCut(to: Node, run: () => void): void {
    if (this.trouble && this.rng.chance(0.02)) return
    const isLate = this.trouble && this.rng.chance(this.lateShare)
    to.after(isLate ? this.rng.upTo(this.rng.pick([150, 600])) : this.delayMs(), run)
  }
}
