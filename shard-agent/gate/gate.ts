import type { CutAnswer } from '../../protocol/agent-link.ts'
import type { AgentClock } from '../config.ts'
import type { AgentBus } from '../events.ts'
import { GateMachine, type LeftOut, type Unseen } from './gate-machine.ts'
import type { ActiveCut, CommitKind, GateEffect } from './gate-types.ts'

/** Autocommit writes are sent in two parts for so long after some were in the way of a cut. */
const SPLIT_MS = 10_000
/** Most statements are over sooner. */
const PATIENCE_MS = 10

/** A commit that found the gate held. */
export interface GateWaiter {
  readonly kind: CommitKind
  /** See `GateMachine.tryEnter`. */
  readonly ts: bigint | undefined
  /** Of a decided one. */
  readonly gid?: string
  /** It is in flight from now on. */
  admitted(): void
}

/** A statement that is ready but for its snapshot, and waits for a cut. */
export interface CutStatement {
  /** Its snapshot is that of its execution: commits have to be held until it has begun. */
  readonly snapsAsItRuns: boolean
  /** Takes its snapshot, again if it had one; `done` when that is fixed, or when it has ended. */
  takeSnapshot(done: () => void): void
  /**
   * Runs with the snapshot it took last, or takes now. `begun` when it has that, or has ended; it answers whether commits
   * were held until then. If not, it must fail.
   */
  goOn(begun?: () => boolean): void
  /** The hold is over, and it has not begun: it is to end with an error. */
  lapse(): void
}

interface CutWork {
  readonly id: number
  ts: bigint
  readonly statements: readonly CutStatement[]
  answer: (answer: CutAnswer) => void
}

interface Waiting {
  readonly waiter: GateWaiter
  readonly sinceMs: number
}

/** The agent's control over when commits on its shard take effect, and over cuts through them. */
export class Gate {
  /**
   * Told when statements that commit by themselves keep a cut waiting: those that can be are to be run again, split.
   * Answers whether there were any.
   */
  onInTheWay: () => boolean = () => false
  private readonly events: AgentBus
  private wasOpen = true
  private alwaysSplit = false
  private machine = new GateMachine()
  private clock: AgentClock | undefined
  private waiters: Waiting[] = []
  private idleWaiters: (() => void)[] = []
  private settledWaiters: {
    readonly ts: bigint
    readonly unseen: Unseen | undefined
    readonly settled: () => void
  }[] = []
  /** By owner: its latest cut, until that is released. */
  private readonly works = new Map<string, CutWork>()
  /** By owner and id: statements that were told to run and have not begun; commits are held for them. */
  private readonly starting = new Map<string, Set<CutStatement>>()
  private timer: NodeJS.Timeout | undefined
  private wayTimer: NodeJS.Timeout | undefined
  private splitUntilMs = 0

  constructor(events: AgentBus) {
    this.events = events
  }

  /** `highest`: at or above every commit timestamp that was applied here before. */
  start(clock: AgentClock, highest: bigint): void {
    this.clock = clock
    this.machine = new GateMachine(highest)
  }

  splitAlways(always: boolean): void {
    this.alwaysSplit = always
  }

  /**
   * Send the Sync of an autocommit write separately, once its statement has run: then in flight never waits for a
   * row lock. While a cut is active, and for a while after one had to wait for statements: otherwise one message is
   * cheaper than two.
   */
  get splitWrites(): boolean {
    if (!this.machine.isOpen || this.alwaysSplit) return true
    return this.splitUntilMs > 0 && this.isStillSplit()
  }

  private isStillSplit(): boolean {
    if (performance.now() < this.splitUntilMs) return true
    this.splitUntilMs = 0
    return false
  }

  get inFlight(): number {
    return this.machine.inFlight
  }

  get waiting(): number {
    return this.waiters.length
  }

  get isOpen(): boolean {
    return this.machine.isOpen
  }

  get preparedCount(): number {
    return this.machine.preparedCount
  }

  /** The highest timestamp of a cross-shard commit that was applied here, or is about to be. */
  get appliedTs(): bigint {
    return this.machine.appliedTs
  }

  // Commits

  /** True: in flight, send it. False: call `wait`. No promise: nearly every commit finds the gate open. */
  tryEnter(kind: CommitKind, ts?: bigint, gid?: string): boolean {
    return this.machine.tryEnter(kind, ts, gid)
  }

  wait(waiter: GateWaiter): void {
    this.waiters.push({ waiter, sinceMs: performance.now() })
    this.noteStatements()
  }

  /** For a waiter that has given up. */
  forget(waiter: GateWaiter): void {
    if (this.waiters.length === 0) return
    this.waiters = this.waiters.filter((w) => w.waiter !== waiter)
    this.noteStatements()
  }

  async enterDecided(gid: string, commitTs: bigint): Promise<void> {
    const kind = 'decided'
    if (this.tryEnter(kind, commitTs, gid)) return
    await new Promise<void>((admitted) => this.wait({ kind, ts: commitTs, gid, admitted }))
  }

  leave(kind: CommitKind): void {
    const { machine } = this
    machine.leave(kind)
    if (!machine.isOpen) this.goOn()
    if (machine.inFlight === 0 && this.idleWaiters.length > 0) {
      const waiting = this.idleWaiters
      this.idleWaiters = []
      for (const resolve of waiting) resolve()
    }
  }

  /** Resolves when no commit is in flight. */
  async idle(): Promise<void> {
    while (this.machine.inFlight > 0) await new Promise<void>((resolve) => this.idleWaiters.push(resolve))
  }

  // Prepared transactions

  prepared(gid: string, prepareTs: bigint, isLast = false): void {
    this.machine.prepared(gid, prepareTs, isLast, prepareTs === 0n ? 0 : performance.now())
  }

  fixed(gid: string, commitTs: bigint): void {
    this.machine.fixed(gid, commitTs)
    this.settle()
  }

  decided(gid: string, decision: 'commit' | 'abort', commitTs?: bigint): void {
    this.machine.decided(gid, decision, commitTs)
    this.settle()
  }

  concluded(gid: string): void {
    this.machine.concluded(gid)
    this.settle()
  }

  /** What is prepared now, as Postgres says; what was known before it was asked and is gone has been settled. */
  preparedAre(gids: ReadonlySet<string>, knownBefore: readonly string[]): void {
    for (const gid of knownBefore) if (!gids.has(gid)) this.machine.concluded(gid)
    this.settle()
  }

  /** Since when the oldest is prepared, as far as this process knows, by `performance.now`; undefined: none is. */
  get preparedSinceMs(): number | undefined {
    return this.machine.preparedSinceMs
  }

  preparedGids(): string[] {
    return this.machine.preparedGids()
  }

  /** By the link over which it was prepared: see `Unseen`. */
  own(gid: string, owner: string): void {
    this.machine.own(gid, owner, performance.now())
  }

  /** Whether a read must wait that is not to miss what is committed at or below `ts`; undefined: no. */
  unsettled(ts: bigint, unseen?: Unseen): string | undefined {
    return this.machine.preparedCount === 0 ? undefined : this.machine.unsettled(ts, unseen)
  }

  /** Calls `settled` once nothing is unsettled; the answer stops the waiting. */
  whenSettled(ts: bigint, settled: () => void, unseen?: Unseen): () => void {
    const entry = { ts, unseen, settled }
    this.settledWaiters.push(entry)
    return () => {
      this.settledWaiters = this.settledWaiters.filter((w) => w !== entry)
    }
  }

  private settle(): void {
    if (!this.machine.isOpen) this.goOn()
    if (this.settledWaiters.length === 0) return
    const waiting = this.settledWaiters
    this.settledWaiters = []
    for (const entry of waiting) {
      if (this.unsettled(entry.ts, entry.unseen) === undefined) entry.settled()
      else this.settledWaiters.push(entry)
    }
  }

  // Cuts

  /**
   * Holds commits for a cut at `ts`, and takes the snapshots of `statements` under it. The same `id` with a higher
   * `ts` goes on with the same statements. Rejects when the clock refuses `ts`.
   */
  async cut(
    owner: string,
    id: number,
    ts: bigint,
    leaseMs: number,
    statements: readonly CutStatement[],
    left?: LeftOut,
  ): Promise<CutAnswer> {
    await this.observe(ts)
    this.makeWay()
    const known = this.works.get(owner)
    if (known !== undefined && known.id === id && ts < known.ts) {
      return { kind: 'cut', id, ts: String(ts), result: 'expired' }
    }
    known?.answer({ kind: 'cut', id: known.id, ts: String(known.ts), result: 'expired' })
    return new Promise((answer) => {
      if (known?.id === id) {
        known.ts = ts
        known.answer = answer
      } else if (known === undefined || known.id < id) this.works.set(owner, { id, ts, statements, answer })
      else return answer({ kind: 'cut', id, ts: String(ts), result: 'expired' })
      const nowMs = performance.now()
      this.machine.cut(owner, id, ts, leaseMs, nowMs, left)
      this.perform(nowMs)
    })
  }

  private async observe(ts: bigint): Promise<void> {
    const { clock } = this
    try {
      clock?.observe(ts)
    } catch (error) {
      // Its bound may be on its way to the disk, as after a time with nothing to do.
      if (clock?.settled === undefined) throw error
      await clock.settled()
      clock.observe(ts)
    }
  }

  /** `go`: the cut was taken everywhere, its statements run. */
  release(owner: string, id: number, go: boolean): void {
    const work = this.works.get(owner)
    const nowMs = performance.now()
    const going = go && work?.id === id ? work.statements : []
    const late = going.filter((statement) => statement.snapsAsItRuns)
    const holds = late.length > 0 && this.machine.start(owner, id, nowMs)
    if (late.length === 0) this.machine.release(owner, id, nowMs)
    if (work !== undefined && work.id <= id) {
      this.works.delete(owner)
      for (const statement of going) if (!late.includes(statement)) statement.goOn()
      work.answer({ kind: 'cut', id: work.id, ts: String(work.ts), result: 'expired' })
    }
    if (holds) this.startStatements(owner, id, late)
    else for (const statement of late) statement.lapse()
    this.perform(nowMs)
  }

  private startStatements(owner: string, id: number, statements: readonly CutStatement[]): void {
    const key = `${owner} ${id}`
    const left = new Set(statements)
    this.starting.set(key, left)
    const begun = (statement: CutStatement): boolean => {
      if (this.starting.get(key) !== left) return false
      left.delete(statement)
      if (left.size > 0) return true
      this.starting.delete(key)
      const nowMs = performance.now()
      this.machine.started(owner, id, nowMs)
      this.perform(nowMs)
      return true
    }
    for (const statement of statements) statement.goOn(() => begun(statement))
  }

  private lapse({ owner, id }: ActiveCut): void {
    const key = `${owner} ${id}`
    const left = this.starting.get(key)
    this.starting.delete(key)
    for (const statement of left ?? []) statement.lapse()
  }

  ownerGone(owner: string): void {
    this.works.delete(owner)
    for (const key of this.starting.keys()) if (key.startsWith(`${owner} `)) this.starting.delete(key)
    const nowMs = performance.now()
    this.machine.ownerGone(owner, nowMs)
    this.perform(nowMs)
  }

  private goOn(): void {
    const nowMs = performance.now()
    this.machine.advance(nowMs)
    this.perform(nowMs)
  }

  private perform(nowMs: number): void {
    const { machine } = this
    while (machine.effects.length > 0) {
      const { effects } = machine
      machine.effects = []
      for (const effect of effects) this.act(effect)
    }
    if (machine.isOpen !== this.wasOpen) {
      this.wasOpen = machine.isOpen
      this.events.emit('cut', { isActive: !machine.isOpen })
    }
    if (this.waiters.length > 0) this.admitWaiters()
    clearTimeout(this.timer)
    const atMs = machine.wakeAtMs(nowMs)
    if (atMs === Number.POSITIVE_INFINITY) return
    this.timer = setTimeout(() => this.goOn(), Math.max(0, atMs - nowMs)).unref()
  }

  private act(effect: GateEffect): void {
    const { cut } = effect
    if (cut.phase === 'starting') return this.lapse(cut)
    const work = this.works.get(cut.owner)
    if (work === undefined || work.id !== cut.id || work.ts !== cut.ts) return
    const head = { kind: 'cut', id: cut.id, ts: String(cut.ts) } as const
    switch (effect.kind) {
      case 'snapshot':
        return this.takeSnapshots(cut, work)
      case 'taken':
        return work.answer({ ...head, result: 'taken', afterMs: effect.afterMs })
      case 'behind':
        return work.answer({ ...head, result: 'behind', highest: String(effect.highest) })
      case 'busy':
        return work.answer({ ...head, result: 'busy', afterMs: effect.afterMs, why: effect.why })
      case 'expired':
        return work.answer({ ...head, result: 'expired' })
    }
  }

  private takeSnapshots(cut: ActiveCut, work: CutWork): void {
    let left = work.statements.length + 1
    const done = (): void => {
      if (--left > 0) return
      const nowMs = performance.now()
      this.machine.snapshotTaken(cut, nowMs)
      this.perform(nowMs)
    }
    for (const statement of work.statements) statement.takeSnapshot(done)
    done()
  }

  private admitWaiters(): void {
    const waiting = this.waiters
    this.waiters = []
    const nowMs = performance.now()
    for (const entry of waiting) {
      const { kind, ts, gid } = entry.waiter
      if (this.machine.tryEnter(kind, ts, gid)) {
        this.events.emit('commitHeld', { kind, heldMs: nowMs - entry.sinceMs })
        entry.waiter.admitted()
      } else this.waiters.push(entry)
    }
    this.noteStatements()
  }

  private noteStatements(): void {
    const first = this.waiters.find((w) => w.waiter.kind === 'statement')
    this.machine.statementWaitsSinceMs = first?.sinceMs
  }

  /** A statement that was sent whole may wait for a row lock, or simply be long; nobody knows how long. */
  private makeWay(): void {
    if (this.machine.statementsInFlight === 0) return
    this.wayTimer ??= setTimeout(() => {
      this.wayTimer = undefined
      if (this.machine.isOpen || this.machine.statementsInFlight === 0) return
      if (this.onInTheWay()) this.splitUntilMs = performance.now() + SPLIT_MS
    }, PATIENCE_MS).unref()
  }

  stop(): void {
    clearTimeout(this.timer)
    clearTimeout(this.wayTimer)
  }
}
