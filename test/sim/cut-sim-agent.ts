import { GateMachine, type LeftOut, type Unseen } from '../../shard-agent/gate/gate-machine.ts'
import {
  type ActiveCut,
  type CommitKind,
  type GateEffect,
  gateDefaults,
} from '../../shard-agent/gate/gate-types.ts'
import type { CutReply } from '../../txn/cut-types.ts'
import type { SimLink } from './cut-sim-link.ts'
import {
  type Answer,
  Clock,
  type Commit,
  Node,
  type Snapshot,
  type Starter,
  skewMsMax,
  type Tx,
  type World,
} from './cut-sim-world.ts'

/** As in shard-agent/session/agent-session.ts. */
const unseenMsMax = 500

/** A statement that waits until what its session has seen elsewhere is here too. */
interface Look {
  readonly seen: bigint
  readonly unseen: Unseen | undefined
  readonly sinceMs: number
  run(): void
}

export class SimAgent extends Node {
  readonly shard: number
  readonly clock: Clock
  machine: GateMachine
  /** Postgres: what is committed, and what is prepared. These outlive the agent. */
  readonly prepared = new Set<string>()
  /** Transactions whose own commit is the decision, by the link that they end with; undefined: they are committing. */
  private readonly lasts = new Map<string, SimLink | undefined>()
  /** All that was applied, in order. */
  readonly history: Tx[] = []
  heldMs = 0
  longestHeldMs = 0
  longestLookMs = 0
  /** By owner and cut: until when it may be active. */
  private readonly leaseEnds = new Map<string, number>()
  private readonly leases = new Map<string, number>()
  private readonly starting = new Map<string, Set<Starter>>()
  private heldSinceMs: number | undefined
  private readonly world: World
  private waiting: Commit[] = []
  private looks: Look[] = []
  readonly links = new Set<SimLink>()
  private answers = new Map<string, Answer>()
  private wokenForMs = Number.POSITIVE_INFINITY

  constructor(world: World, shard: number) {
    super(world.time)
    this.world = world
    this.shard = shard
    this.clock = new Clock(world.time, world.calm ? world.rng.upTo(3) : world.rng.upTo(skewMsMax))
    this.machine = this.newMachine(0n)
    this.scanLater()
  }

  private newMachine(highest: bigint): GateMachine {
    if (this.world.mutant !== 'the gate is never busy and never stays open') return new GateMachine(highest)
    const heldMsMax = Number.POSITIVE_INFINITY
    return new GateMachine(highest, { ...gateDefaults, heldMsMax, openMsMin: 0, openMsMax: 0 })
  }

  crash(): void {
    this.world.say(`agent ${this.shard} dies`)
    this.epoch++
    this.isUp = false
    this.waiting = []
    this.looks = []
    this.lasts.clear()
    this.leaseEnds.clear()
    this.starting.clear()
    this.answers = new Map()
    for (const link of this.links) link.break()
    this.links.clear()
    this.noteHeld()
    // The next one ends what the last one's backends still run before it serves.
    this.world.time.after(200 + this.world.rng.upTo(500), () => {
      this.world.say(`agent ${this.shard} is back`)
      this.isUp = true
      this.machine = this.newMachine(this.clock.restarted())
      this.scanLater()
      for (const gid of this.prepared) {
        this.machine.prepared(gid, 0n)
        this.after(this.world.rng.upTo(300), () => this.resolve(gid))
      }
    })
  }

  // Commits

  commit(kind: CommitKind, ts: bigint, run: () => void, gid = ''): void {
    if (this.enter(kind, ts, gid)) return run()
    this.waiting.push({ kind, ts, gid, sinceMs: this.world.time.nowMs, pausedMs: this.pausedMs, run })
    this.noteStatements()
  }

  private enter(kind: CommitKind, ts: bigint, gid: string): boolean {
    const { mutant } = this.world
    if (mutant === 'recovery carries out what no shard was told') gid = ''
    const blind =
      (mutant === 'decided commits are not held' && kind === 'decided') ||
      (mutant === 'local commits are not held' && kind === 'local')
    const entered = blind ? this.machine.tryEnter('decided', 0n) : this.machine.tryEnter(kind, ts, gid)
    if (entered && mutant === 'commits in flight are not waited for') this.machine.leave(kind)
    return entered
  }

  leave(kind: CommitKind): void {
    const { mutant } = this.world
    if (mutant === 'commits in flight are not waited for') return
    const asLocal = mutant === 'local commits are not held' && kind === 'local'
    this.machine.leave(asLocal ? 'decided' : kind)
    this.advance()
  }

  private noteStatements(): void {
    this.machine.statementWaitsSinceMs = this.waiting.find((w) => w.kind === 'statement')?.sinceMs
  }

  get stuck(): number {
    return this.waiting.length + this.looks.length
  }

  /** Commits by itself, for a session that has seen what is committed elsewhere at or below `seen`. */
  write(tx: Tx, kind: 'local' | 'statement', seen: bigint, done: () => void): void {
    const { rng, time } = this.world
    this.commit(kind, seen, () => {
      const { epoch } = this
      const slow = kind === 'statement' && rng.chance(0.1) ? rng.upTo(100) : 0
      time.after(rng.upTo(2) + slow, () => {
        if (epoch !== this.epoch) return
        this.apply(tx)
        this.after(rng.upTo(0.5), () => {
          this.leave(kind)
          done()
        })
      })
    })
  }

  // Two-phase commit

  prepare(tx: Tx, link: SimLink, how: 'alone' | 'follows' | 'last', done: (ts: bigint) => void): void {
    const { mutant } = this.world
    const isLast = how === 'last'
    this.world.time.after(this.world.rng.upTo(2), () => {
      if (!this.isUp) return
      if (!isLast) this.prepared.add(tx.id)
      else if (this.links.has(link)) this.lasts.set(tx.id, link)
      this.after(this.world.rng.upTo(1), () => {
        const ts = this.clock.now()
        const isKnown = isLast
          ? this.lasts.has(tx.id) && mutant !== 'the gate does not know the last participant'
          : mutant !== 'prepared transactions are not waited for'
        if (isKnown) this.machine.prepared(tx.id, ts, isLast)
        if (how === 'alone' || mutant === 'what follows a last participant counts as unseen')
          this.machine.own(tx.id, link.id, this.world.time.nowMs)
        done(ts)
      })
    })
  }

  rollbackLast(tx: Tx, link: SimLink): void {
    if (this.lasts.get(tx.id) === link) this.endLast(tx.id)
    this.advance()
  }

  private endLast(gid: string): void {
    this.lasts.delete(gid)
    this.machine.concluded(gid)
  }

  fixed(tx: Tx, commitTs: bigint): void {
    this.machine.fixed(tx.id, commitTs)
    this.advance()
  }

  /** `fails`: as a COMMIT may. Recovery may have been first. */
  commitLast(tx: Tx, commitTs: bigint, fails: boolean, done: () => void): void {
    if (!this.lasts.has(tx.id)) return
    this.lasts.set(tx.id, undefined)
    this.machine.decided(tx.id, 'commit', commitTs)
    this.advance()
    this.clock.observe(commitTs)
    const run = (): void => {
      const { epoch } = this
      this.world.time.after(this.world.rng.upTo(2), () => {
        if (epoch !== this.epoch) return
        if (tx.decision === 'none') {
          tx.decision = fails ? 'abort' : 'commit'
          tx.commitTs = commitTs
          if (!fails) this.apply(tx)
        }
        this.after(this.world.rng.upTo(1), () => {
          this.lasts.delete(tx.id)
          this.machine.concluded(tx.id)
          this.leave('decided')
          done()
        })
      })
    }
    this.commit('decided', commitTs, run, tx.id)
  }

  conclude(tx: Tx, done: () => void): void {
    if (!this.prepared.has(tx.id)) return
    this.machine.decided(tx.id, tx.decision === 'commit' ? 'commit' : 'abort', tx.commitTs)
    this.advance()
    if (tx.decision === 'abort') {
      this.prepared.delete(tx.id)
      this.machine.concluded(tx.id)
      this.advance()
      return done()
    }
    this.clock.observe(tx.commitTs)
    this.commit(
      'decided',
      tx.commitTs,
      () => {
        const { epoch } = this
        this.world.time.after(this.world.rng.upTo(2), () => {
          // Its backend was ended before the next agent served.
          if (epoch !== this.epoch) return
          if (this.prepared.delete(tx.id)) this.apply(tx)
          this.after(this.world.rng.upTo(1), () => {
            this.machine.concluded(tx.id)
            this.leave('decided')
            done()
          })
        })
      },
      tx.id,
    )
  }

  /** Recovery: what the log says, or an abort that nobody can contradict any more. */
  resolve(gid: string): void {
    const tx = this.world.txs.get(gid)
    if (tx === undefined || !this.prepared.has(gid)) return
    if (tx.decision === 'none') tx.decision = 'abort'
    this.conclude(tx, () => {})
  }

  /** Recovery may settle one whose PREPARE is not answered yet: that shows when Postgres is asked. */
  private scanLater(): void {
    this.after(300, () => {
      const known = this.machine.preparedGids()
      this.after(this.world.rng.upTo(2), () => {
        const prepared = new Set(this.prepared)
        this.after(this.world.rng.upTo(2), () => {
          for (const gid of known) if (!prepared.has(gid)) this.machine.concluded(gid)
          this.advance()
          this.scanLater()
        })
      })
    })
  }

  apply(tx: Tx): void {
    const { nowMs } = this.world.time
    if (tx.effectMs < 0) tx.effectMs = nowMs
    tx.places[this.shard] = this.history.push(tx) - 1
    this.world.say(`${tx.id} applied on ${this.shard}`)
  }

  // Links and sessions

  greeted(link: SimLink): void {
    for (const other of this.links) if (other.coordinator === link.coordinator) this.linkLost(other)
    this.links.add(link)
  }

  /** What was prepared over it is settled at once. */
  linkLost(link: SimLink): void {
    if (!this.links.delete(link)) return
    for (const [gid, of] of this.lasts) if (of === link) this.endLast(gid)
    for (const gid of this.prepared) {
      if (this.world.txs.get(gid)?.coordinator !== link.coordinator.name) continue
      this.after(this.world.rng.upTo(3), () => this.resolve(gid))
    }
  }

  /** A statement on this shard alone, as agent-session.ts runs it. */
  look(
    link: SimLink,
    seen: bigint | undefined,
    skipsOwn: boolean,
    reply: (length: number, appliedTs: bigint) => void,
  ): void {
    const run = (): void =>
      this.after(this.world.rng.upTo(1), () => {
        const { length } = this.history
        this.after(this.world.rng.upTo(1), () => reply(length, this.machine.appliedTs))
      })
    const isOld = this.world.mutant === 'own undecided transactions are skipped however old they are'
    const sinceMs = isOld ? 0 : this.world.time.nowMs - unseenMsMax
    const unseen = skipsOwn ? { owner: link.id, sinceMs } : undefined
    if (seen === undefined) return run()
    this.looks.push({ seen, unseen, sinceMs: this.world.time.nowMs, run })
    this.settle()
  }

  private settle(): void {
    const waiting = this.looks
    this.looks = []
    for (const look of waiting) {
      if (this.machine.unsettled(look.seen, look.unseen) === undefined) {
        this.longestLookMs = Math.max(this.longestLookMs, this.world.time.nowMs - look.sinceMs)
        look.run()
      } else this.looks.push(look)
    }
  }

  // Cuts

  cut(
    owner: string,
    id: number,
    ts: bigint,
    leaseMs: number,
    left: LeftOut,
    reply: (reply: CutReply, at?: Snapshot) => void,
  ): void {
    if (this.world.mutant !== 'agents do not observe the timestamp of a cut') this.clock.observe(ts)
    const known = this.answers.get(owner)
    if (known === undefined || known.id <= id) this.answers.set(owner, { id, ts, reply, isGiven: false })
    const { nowMs } = this.world.time
    const key = `${owner}/${id}`
    if (!this.leaseEnds.has(key)) this.leaseEnds.set(key, nowMs + leaseMs)
    this.leases.set(key, leaseMs)
    if (this.world.mutant === 'the next cut of a coordinator ends the last one') {
      for (let before = id - 1; before > id - 5; before--) this.machine.started(owner, before, nowMs)
    }
    if (this.world.mutant === 'what was carried out counts as untold') {
      left = { ...left, untold: new Set([...left.untold].filter((gid) => this.machine.isPrepared(gid))) }
    }
    const kept = this.world.mutant === 'leases do not end' ? leaseMs * 50 : leaseMs
    this.machine.cut(owner, id, ts, kept, nowMs, left)
    this.perform()
  }

  release(owner: string, id: number, starters: readonly Starter[]): void {
    const { mutant, time } = this.world
    const { nowMs } = time
    if (starters.length === 0) this.machine.release(owner, id, nowMs)
    else {
      const holds = this.machine.start(owner, id, nowMs)
      const key = `${owner}/${id}`
      this.leaseEnds.set(key, nowMs + (this.leases.get(key) ?? 0))
      if (mutant === 'the hold ends before statements have begun') this.machine.started(owner, id, nowMs)
      if (holds || mutant === 'a statement that lost its hold goes on') this.start(owner, id, starters)
      else for (const starter of starters) starter.lapsed()
    }
    this.perform()
  }

  private start(owner: string, id: number, starters: readonly Starter[]): void {
    const { world, epoch } = this
    const key = `${owner}/${id}`
    const left = new Set(starters)
    this.starting.set(key, left)
    for (const starter of starters) {
      const slow = world.trouble && world.rng.chance(0.1) ? world.rng.upTo(300) : 0
      world.time.after(world.rng.upTo(2) + slow, () => {
        const snapshot = { length: this.history.length, epoch }
        this.after(world.rng.upTo(1), () => {
          if (epoch !== this.epoch || !this.starting.get(key)?.delete(starter)) return
          starter.begun(snapshot)
          if (left.size > 0) return
          this.starting.delete(key)
          this.machine.started(owner, id, world.time.nowMs)
          this.perform()
        })
      })
    }
  }

  /** Its hold is over, and these have not begun. */
  private lapse({ owner, id }: ActiveCut): void {
    if (this.world.mutant === 'a statement that lost its hold goes on') return
    const left = this.starting.get(`${owner}/${id}`)
    this.starting.delete(`${owner}/${id}`)
    for (const starter of left ?? []) starter.lapsed()
  }

  ownerGone(owner: string): void {
    this.answers.delete(owner)
    for (const key of this.leaseEnds.keys()) if (key.startsWith(`${owner}/`)) this.leaseEnds.delete(key)
    for (const key of this.starting.keys()) if (key.startsWith(`${owner}/`)) this.starting.delete(key)
    this.machine.ownerGone(owner, this.world.time.nowMs)
    this.perform()
  }

  advance(): void {
    this.machine.advance(this.world.time.nowMs)
    this.perform()
    this.settle()
  }

  private perform(): void {
    const { machine } = this
    while (machine.effects.length > 0) {
      const { effects } = machine
      machine.effects = []
      for (const effect of effects) {
        if (effect.kind === 'snapshot') this.takeSnapshot(effect.cut)
        else if (effect.cut.phase === 'starting') this.lapse(effect.cut)
        else this.answer(effect)
      }
    }
    this.admit()
    this.noteHeld()
    this.checkHolds()
    this.wakeLater()
  }

  private readonly snapshots = new Map<string, Snapshot>()

  /** Each request is answered once. */
  private answer(effect: Exclude<GateEffect, { kind: 'snapshot' }>): void {
    const { cut } = effect
    const answer = this.answers.get(cut.owner)
    if (answer === undefined || answer.isGiven || answer.id !== cut.id || answer.ts !== cut.ts) return
    answer.isGiven = true
    if (effect.kind === 'behind') {
      this.world.stats.behind++
      answer.reply({ result: 'behind', highest: effect.highest })
    } else if (effect.kind === 'busy') {
      this.world.stats.busy++
      answer.reply({ result: 'busy', afterMs: effect.afterMs, why: effect.why })
    } else if (effect.kind === 'expired') answer.reply({ result: 'expired' })
    else answer.reply({ result: 'taken', afterMs: effect.afterMs }, this.snapshots.get(cut.owner))
  }

  private takeSnapshot(cut: ActiveCut): void {
    const { epoch } = this
    this.world.time.after(this.world.rng.upTo(1), () => {
      const snapshot = { length: this.history.length, epoch }
      this.after(this.world.rng.upTo(1), () => {
        this.snapshots.set(cut.owner, snapshot)
        this.machine.snapshotTaken(cut, this.world.time.nowMs)
        this.perform()
      })
    })
  }

  private admit(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const commit of waiting) {
      if (this.enter(commit.kind, commit.ts, commit.gid)) {
        const pausedMs = this.pausedMs - commit.pausedMs
        this.longestHeldMs = Math.max(this.longestHeldMs, this.world.time.nowMs - commit.sinceMs - pausedMs)
        commit.run()
      } else this.waiting.push(commit)
    }
    this.noteStatements()
  }

  private wakeLater(): void {
    const { nowMs } = this.world.time
    const atMs = this.machine.wakeAtMs(nowMs)
    if (atMs === Number.POSITIVE_INFINITY || atMs === this.wokenForMs) return
    this.wokenForMs = atMs
    this.after(atMs - nowMs, () => {
      this.wokenForMs = Number.POSITIVE_INFINITY
      this.advance()
    })
  }

  private noteHeld(): void {
    const { nowMs } = this.world.time
    const holds = this.isUp && this.machine.activeCuts.some((cut) => cut.phase !== 'settling')
    if (holds) this.heldSinceMs ??= nowMs
    else if (this.heldSinceMs !== undefined) {
      this.heldMs += nowMs - this.heldSinceMs
      this.heldSinceMs = undefined
    }
  }

  private checkHolds(): void {
    const { nowMs } = this.world.time
    for (const cut of this.machine.activeCuts) {
      if (nowMs > this.leaseEnds.get(`${cut.owner}/${cut.id}`)! + 0.001)
        this.world.violations.push(`hold: cut ${cut.owner}/${cut.id} on ${this.shard}`)
    }
  }
}
