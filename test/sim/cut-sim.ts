/**
 * A seeded simulation of cuts (DESIGN 5): the real gate machine of each agent and the real cut machine of each
 * coordinator, with local commits, statements that commit by themselves and cross-shard commits under them, over a
 * network that delays, reorders and loses, with skewed clocks, agents and coordinators that pause and die, and recovery.
 *
 * Checked of every cut that a reader got (I3):
 *   torn   a cross-shard transaction is in it on all shards of the cut, or on none;
 *   stale  everything acknowledged before the reader came is in it;
 *   order  nothing is in it that began after something that is missing had taken effect;
 * and of every run:
 *   hold   no agent kept a cut active for longer than its lease (its own pauses aside);
 *   starve in the end nothing waits; without trouble every reader had its cut soon.
 */

import { GateMachine } from '../../shard-agent/gate/gate-machine.ts'
import type { ActiveCut, CommitKind, GateEffect } from '../../shard-agent/gate/gate-types.ts'
import { CutMachine } from '../../txn/cut-machine.ts'
import type { CutEffect, CutNow, CutReply } from '../../txn/cut-types.ts'
import { toTimestamp } from '../../txn/hlc.ts'
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

export interface CutSimResult {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  readonly stats: {
    cuts: number
    committed: number
    cross: number
    failed: number
    behind: number
    busy: number
  }
  /** Of the readers that got a cut without trouble, how long the slowest waited. */
  readonly slowestMs: number
  /** How long they waited in the middle. */
  readonly medianMs: number
  /** The largest share of time that an agent's local commits were held. */
  readonly heldShare: number
}

const troubleMs = 1_500
const endMs = 2_500
const quietMs = 10_000

interface Tx {
  readonly id: string
  readonly shards: readonly number[]
  readonly beganMs: number
  /** When it first took effect anywhere. */
  effectMs: number
  ackedMs: number
  /** By shard: its place among all that was applied there. */
  readonly places: number[]
  decision: 'none' | 'commit' | 'abort'
  commitTs: bigint
}

interface Snapshot {
  /** So many of the shard's commits are in it. */
  readonly length: number
  readonly epoch: number
}

interface Reader {
  readonly id: number
  readonly shards: readonly number[]
  readonly cameMs: number
  gotMs: number
  snapshots: ReadonlyMap<number, Snapshot>
  ended: boolean
}

interface Commit {
  readonly kind: CommitKind
  readonly ts: bigint
  readonly sinceMs: number
  run(): void
}

interface Answer {
  readonly id: number
  readonly ts: bigint
  readonly reply: (reply: CutReply, at?: Snapshot) => void
  isGiven: boolean
}

export function simulateCuts(seed: number, mutant?: CutMutant, calm = false): CutSimResult {
  return new CutSimulation(seed, mutant, calm).run()
}

/** The clock of a node, wrong by a constant. */
class Clock {
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
class Node {
  pausedUntilMs = 0
  epoch = 0
  isUp = true
  private readonly time: Timeline

  constructor(time: Timeline) {
    this.time = time
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

class World {
  readonly rng: Rng
  readonly time = new Timeline()
  readonly mutant: CutMutant | undefined
  readonly calm: boolean
  readonly agents: SimAgent[] = []
  readonly txs = new Map<string, Tx>()
  readonly readers: Reader[] = []
  readonly violations: string[] = []
  readonly trace: string[] = []
  readonly stats = { cuts: 0, committed: 0, cross: 0, failed: 0, behind: 0, busy: 0 }

  /** One coordinator and local commits only: nothing but the lease then keeps a late cut from being whole. */
  readonly isQuiet: boolean
  private readonly lateShare: number

  constructor(seed: number, mutant: CutMutant | undefined, calm: boolean) {
    this.rng = new Rng(seed)
    this.isQuiet = this.rng.chance(0.25)
    this.lateShare = this.rng.pick(this.isQuiet ? [0.4] : [0.02, 0.1, 0.4])
    this.mutant = mutant
    this.calm = calm
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

class SimAgent extends Node {
  readonly shard: number
  readonly clock: Clock
  machine: GateMachine
  /** Postgres: what is committed, and what is prepared. These outlive the agent. */
  applied = 0
  readonly prepared = new Set<string>()
  heldMs = 0
  private heldSinceMs: number | undefined
  private readonly world: World
  private waiting: Commit[] = []
  private answers = new Map<string, Answer>()
  private wokenForMs = Number.POSITIVE_INFINITY

  constructor(world: World, shard: number) {
    super(world.time)
    this.world = world
    this.shard = shard
    this.clock = new Clock(world.time, world.calm ? world.rng.upTo(3) : world.rng.upTo(300))
    this.machine = new GateMachine(0n)
  }

  crash(): void {
    this.world.say(`agent ${this.shard} dies`)
    this.epoch++
    this.isUp = false
    this.waiting = []
    this.answers = new Map()
    this.noteHeld()
    // The next one ends what the last one's backends still run before it serves.
    this.world.time.after(200 + this.world.rng.upTo(500), () => {
      this.world.say(`agent ${this.shard} is back`)
      this.isUp = true
      this.machine = new GateMachine(this.clock.restarted())
      for (const gid of this.prepared) {
        this.machine.prepared(gid, 0n)
        this.after(this.world.rng.upTo(300), () => this.resolve(gid))
      }
    })
  }

  // Commits

  commit(kind: CommitKind, ts: bigint, run: () => void): void {
    const held: CommitKind = kind
    if (this.enter(held, ts)) return run()
    this.waiting.push({ kind, ts, sinceMs: this.world.time.nowMs, run })
    this.noteStatements()
  }

  private enter(kind: CommitKind, ts: bigint): boolean {
    const { mutant } = this.world
    const blind =
      (mutant === 'decided commits are not held' && kind === 'decided') ||
      (mutant === 'local commits are not held' && kind === 'local')
    const entered = blind ? this.machine.tryEnter('decided', 0n) : this.machine.tryEnter(kind, ts)
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
    return this.waiting.length
  }

  // Two-phase commit

  prepare(tx: Tx, done: (ts: bigint) => void): void {
    this.world.time.after(this.world.rng.upTo(2), () => {
      if (!this.isUp) return
      this.prepared.add(tx.id)
      this.after(this.world.rng.upTo(1), () => {
        const ts = this.clock.now()
        if (this.world.mutant !== 'prepared transactions are not waited for') this.machine.prepared(tx.id, ts)
        done(ts)
      })
    })
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
    this.commit('decided', tx.commitTs, () => {
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
    })
  }

  /** Recovery: what the log says, or an abort that nobody can contradict any more. */
  resolve(gid: string): void {
    const tx = this.world.txs.get(gid)
    if (tx === undefined || !this.prepared.has(gid)) return
    if (tx.decision === 'none') tx.decision = 'abort'
    this.conclude(tx, () => {})
  }

  apply(tx: Tx): void {
    const { nowMs } = this.world.time
    if (tx.effectMs < 0) tx.effectMs = nowMs
    tx.places[this.shard] = this.applied++
    this.world.say(`${tx.id} applied on ${this.shard}`)
  }

  // Cuts

  cut(
    owner: string,
    id: number,
    ts: bigint,
    leaseMs: number,
    outside: ReadonlySet<string>,
    reply: (reply: CutReply, at?: Snapshot) => void,
  ): void {
    if (this.world.mutant !== 'agents do not observe the timestamp of a cut') this.clock.observe(ts)
    const known = this.answers.get(owner)
    if (known === undefined || known.id <= id) this.answers.set(owner, { id, ts, reply, isGiven: false })
    this.machine.cut(owner, id, ts, leaseMs, this.world.time.nowMs, outside)
    this.perform()
  }

  release(owner: string, id: number): void {
    this.machine.release(owner, id, this.world.time.nowMs)
    this.perform()
  }

  ownerGone(owner: string): void {
    this.answers.delete(owner)
    this.machine.ownerGone(owner, this.world.time.nowMs)
    this.perform()
  }

  advance(): void {
    this.machine.advance(this.world.time.nowMs)
    this.perform()
  }

  private perform(): void {
    const { machine } = this
    while (machine.effects.length > 0) {
      const { effects } = machine
      machine.effects = []
      for (const effect of effects) {
        if (effect.kind === 'snapshot') this.takeSnapshot(effect.cut)
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
    else answer.reply({ result: 'taken' }, this.snapshots.get(cut.owner))
  }

  private takeSnapshot(cut: ActiveCut): void {
    const { epoch } = this
    this.world.time.after(this.world.rng.upTo(1), () => {
      const snapshot = { length: this.applied, epoch }
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
      if (this.enter(commit.kind, commit.ts)) commit.run()
      else this.waiting.push(commit)
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
      if (nowMs > cut.deadlineMs + 0.001)
        this.world.violations.push(`hold: cut ${cut.owner}/${cut.id} on ${this.shard}`)
    }
  }
}

class SimCoordinator extends Node {
  readonly name: string
  private readonly world: World
  private readonly clock: Clock
  private machine = new CutMachine()
  private readonly readers = new Map<number, Reader>()
  /** By shard and timestamp of the cut. */
  private readonly found = new Map<string, Snapshot>()
  /** Its transactions until they are decided and their shards told, with their timestamp once that is fixed. */
  private readonly undecided = new Map<Tx, bigint | undefined>()
  private decideAbove = 0n
  private wokenForMs = Number.POSITIVE_INFINITY
  private firstAnswerMs: number | undefined

  constructor(world: World, name: string) {
    super(world.time)
    this.world = world
    this.name = name
    this.clock = new Clock(world.time, world.calm ? world.rng.upTo(3) : world.rng.upTo(300))
  }

  die(): void {
    this.world.say(`${this.name} dies`)
    this.isUp = false
    for (const reader of this.readers.values()) reader.ended = true
    // Some links notice at once, some only when the lease is over.
    for (const agent of this.world.agents) {
      if (this.world.rng.chance(0.5)) this.world.send(agent, () => agent.ownerGone(this.name))
    }
  }

  // Transactions

  local(agent: SimAgent, kind: 'local' | 'statement'): void {
    const tx = this.newTx([agent.shard])
    this.world.send(agent, () => {
      agent.commit(kind, 0n, () => {
        const { epoch } = agent
        const slow = kind === 'statement' && this.world.rng.chance(0.1) ? this.world.rng.upTo(100) : 0
        this.world.time.after(this.world.rng.upTo(2) + slow, () => {
          if (epoch !== agent.epoch) return
          agent.apply(tx)
          agent.after(this.world.rng.upTo(0.5), () => {
            agent.leave(kind)
            this.acknowledge(tx)
          })
        })
      })
    })
  }

  cross(agents: readonly SimAgent[]): void {
    const tx = this.newTx(agents.map((agent) => agent.shard))
    this.undecided.set(tx, undefined)
    let commitTs = 0n
    let left = agents.length
    for (const agent of agents) {
      this.world.send(agent, () =>
        agent.prepare(tx, (ts) =>
          this.world.send(this, () => {
            this.clock.observe(ts)
            if (ts > commitTs) commitTs = ts
            if (--left === 0) this.decide(tx, agents, commitTs)
          }),
        ),
      )
      // Recovery looks after it when the coordinator does not.
      this.world.time.after(1_000, () => agent.on(() => agent.resolve(tx.id)))
    }
  }

  private decide(tx: Tx, agents: readonly SimAgent[], commitTs: bigint): void {
    const abort = this.world.rng.chance(0.05)
    const isDeaf = this.world.mutant === 'what a cut was told lies above it is decided below'
    if (!isDeaf && commitTs <= this.decideAbove) commitTs = this.decideAbove + 1n
    this.undecided.set(tx, commitTs)
    this.world.time.after(this.world.rng.upTo(3), () => {
      // Recovery may have been first.
      if (tx.decision !== 'none') return
      tx.decision = abort ? 'abort' : 'commit'
      tx.commitTs = commitTs
      this.world.say(`${tx.id} ${tx.decision} at ${commitTs}`)
      this.after(this.world.rng.upTo(1), () => {
        this.undecided.delete(tx)
        let left = agents.length
        for (const agent of agents) {
          this.world.send(agent, () =>
            agent.conclude(tx, () =>
              this.world.send(this, () => {
                if (--left === 0 && tx.decision === 'commit') this.acknowledge(tx)
              }),
            ),
          )
        }
      })
    })
  }

  private newTx(shards: readonly number[]): Tx {
    const id = `t${this.world.txs.size}`
    const tx: Tx = {
      id,
      shards,
      beganMs: this.world.time.nowMs,
      effectMs: -1,
      ackedMs: Number.POSITIVE_INFINITY,
      places: [],
      decision: 'none',
      commitTs: 0n,
    }
    this.world.txs.set(id, tx)
    return tx
  }

  private acknowledge(tx: Tx): void {
    tx.ackedMs = Math.min(tx.ackedMs, this.world.time.nowMs)
    this.world.stats.committed++
    if (tx.shards.length > 1) this.world.stats.cross++
  }

  // Readers

  read(shards: readonly number[]): void {
    const { nowMs } = this.world.time
    const id = this.world.readers.length
    const reader: Reader = { id, shards, cameMs: nowMs, gotMs: -1, snapshots: new Map(), ended: false }
    this.world.readers.push(reader)
    this.readers.set(id, reader)
    this.machine.join({ id, shards, above: 0n, deadlineMs: nowMs + 5_000 }, this.now())
    this.perform()
    if (this.world.rng.chance(0.05)) {
      this.after(this.world.rng.upTo(10), () => {
        if (this.readers.delete(id)) reader.ended = true
        this.machine.leave(id, this.now())
        this.perform()
      })
    }
  }

  private now(): CutNow {
    let ms = this.world.time.nowMs
    const { running } = this.machine as unknown as { running: { sentMs: number } | undefined }
    if (running === undefined) this.firstAnswerMs = undefined
    else if (this.world.mutant === 'the lease counts from the answer') {
      ms = running.sentMs + ms - (this.firstAnswerMs ?? ms)
    }
    return { ms, ts: this.clock.now(), chance: this.world.rng.next() }
  }

  /** As the driver of commits says it. */
  private outside(shard: number, ts: bigint): ReadonlySet<string> {
    this.clock.observe(ts)
    if (ts > this.decideAbove) this.decideAbove = ts
    const above = [...this.undecided].filter(([tx, fixedTs]) => {
      return tx.shards.includes(shard) && (fixedTs === undefined || fixedTs > ts)
    })
    return new Set(above.map(([tx]) => tx.id))
  }

  private perform(): void {
    const { machine } = this
    while (machine.effects.length > 0) {
      const { effects } = machine
      machine.effects = []
      for (const effect of effects) this.act(effect)
    }
    this.wakeLater()
  }

  private act(effect: CutEffect): void {
    const { world } = this
    switch (effect.kind) {
      case 'cut':
        return this.ask(effect)
      case 'release': {
        const agent = world.agents[effect.shard]!
        return world.sendAboutCut(agent, () => agent.release(this.name, effect.id))
      }
      case 'taken':
        world.stats.cuts++
        world.say(`${this.name} has a cut at ${effect.ts}`)
        for (const id of effect.readers) this.got(id, effect.ts)
        return
      case 'failed': {
        world.stats.failed++
        const reader = this.readers.get(effect.reader)
        if (reader !== undefined) reader.ended = true
        this.readers.delete(effect.reader)
      }
    }
  }

  private ask(effect: Extract<CutEffect, { kind: 'cut' }>): void {
    const { world } = this
    const agent = world.agents[effect.shard]!
    const { shard, id, ts, leaseMs } = effect
    const outside = this.outside(shard, ts)
    world.sendAboutCut(agent, () =>
      agent.cut(this.name, id, ts, leaseMs, outside, (reply, at) =>
        world.sendAboutCut(this, () => this.answered(shard, id, ts, reply, at)),
      ),
    )
  }

  private answered(shard: number, id: number, ts: bigint, reply: CutReply, at: Snapshot | undefined): void {
    this.firstAnswerMs ??= this.world.time.nowMs
    const counts = this.world.mutant === 'answers for a lower timestamp count'
    const { lastTs } = this.machine as unknown as { lastTs: bigint }
    const forTs = counts ? lastTs : ts
    if (at !== undefined) this.found.set(`${shard} ${forTs}`, at)
    this.machine.reply(shard, id, forTs, reply, this.now())
    this.perform()
  }

  private got(id: number, ts: bigint): void {
    const reader = this.readers.get(id)
    if (reader === undefined) return
    this.readers.delete(id)
    reader.ended = true
    const snapshots = new Map(reader.shards.map((shard) => [shard, this.found.get(`${shard} ${ts}`)!]))
    // An agent that died took the reader's backend with it.
    const lives = reader.shards.every(
      (shard) => this.world.agents[shard]!.epoch === snapshots.get(shard)?.epoch,
    )
    if (!lives) return
    reader.gotMs = this.world.time.nowMs
    reader.snapshots = snapshots
  }

  private wakeLater(): void {
    const now = this.now()
    const atMs = this.machine.wakeAtMs
    if (atMs === Number.POSITIVE_INFINITY || atMs === this.wokenForMs) return
    this.wokenForMs = atMs
    this.after(atMs - now.ms, () => {
      this.wokenForMs = Number.POSITIVE_INFINITY
      this.machine.wake(this.now())
      this.perform()
    })
  }
}

class CutSimulation {
  private readonly world: World
  private readonly coordinators: SimCoordinator[] = []

  constructor(seed: number, mutant: CutMutant | undefined, calm: boolean) {
    this.world = new World(seed, mutant, calm)
  }

  run(): CutSimResult {
    const { world } = this
    const { rng, time } = world
    const shards = 2 + rng.below(3)
    for (let shard = 0; shard < shards; shard++) world.agents.push(new SimAgent(world, shard))
    for (let i = world.isQuiet ? 1 : 1 + rng.below(4); i > 0; i--) this.startCoordinator()
    if (!world.calm) for (const agent of world.agents) this.troubleFor(agent)
    time.runUntil(endMs + quietMs)
    return {
      violations: [...world.violations, ...this.checkReaders(), ...this.checkEnd()],
      trace: world.trace,
      stats: world.stats,
      slowestMs: this.slowestMs(),
      medianMs: this.medianMs(),
      heldShare: Math.max(...world.agents.map((agent) => agent.heldMs)) / endMs,
    }
  }

  private startCoordinator(): void {
    const { world } = this
    const { rng, time } = world
    const coordinator = new SimCoordinator(world, `c${this.coordinators.length}`)
    this.coordinators.push(coordinator)
    const agent = (): SimAgent => rng.pick(world.agents)
    this.forEver(world.isQuiet ? 2 : 8, () => coordinator.on(() => coordinator.local(agent(), 'local')))
    const statementMs = world.isQuiet ? Number.MAX_VALUE : 60
    this.forEver(statementMs, () => coordinator.on(() => coordinator.local(agent(), 'statement')))
    // Where there are few of these, `behind` makes up for fewer mistakes.
    this.forEver(world.isQuiet ? Number.MAX_VALUE : rng.pick([8, 8, 100]), () => {
      const count = 2 + rng.below(world.agents.length - 1)
      coordinator.on(() => coordinator.cross(rng.shuffled(world.agents).slice(0, count)))
    })
    this.forEver(20, () => {
      const count = 2 + rng.below(world.agents.length - 1)
      const shards = rng.shuffled(world.agents.map((agent) => agent.shard)).slice(0, count)
      coordinator.on(() => coordinator.read(shards))
    })
    if (world.calm) return
    time.after(rng.upTo(troubleMs), () => {
      coordinator.pausedUntilMs = time.nowMs + rng.upTo(rng.chance(0.5) ? 50 : 1_000)
      world.say(`${coordinator.name} pauses`)
    })
    if (this.coordinators.length > 6 || rng.chance(0.5)) return
    time.after(rng.upTo(troubleMs), () => {
      coordinator.die()
      time.after(rng.upTo(300), () => this.startCoordinator())
    })
  }

  private troubleFor(agent: SimAgent): void {
    const { rng, time } = this.world
    for (let i = rng.below(4); i > 0; i--) {
      time.after(rng.upTo(troubleMs), () => {
        agent.pausedUntilMs = time.nowMs + rng.upTo(rng.chance(0.7) ? 150 : 800)
        this.world.say(`agent ${agent.shard} pauses`)
      })
    }
    if (rng.chance(0.4)) time.after(rng.upTo(troubleMs), () => agent.crash())
  }

  private forEver(everyMs: number, run: () => void): void {
    const { rng, time } = this.world
    time.after(rng.upTo(everyMs) * 2, () => {
      if (time.nowMs > endMs) return
      run()
      this.forEver(everyMs, run)
    })
  }

  private slowestMs(): number {
    return this.world.readers.reduce(
      (most, r) => (r.gotMs < 0 ? most : Math.max(most, r.gotMs - r.cameMs)),
      0,
    )
  }

  private medianMs(): number {
    const got = this.world.readers.filter((r) => r.gotMs >= 0)
    const waits = got.map((r) => r.gotMs - r.cameMs).sort((a, b) => a - b)
    return waits[waits.length >> 1] ?? 0
  }

  // Checks

  private checkEnd(): string[] {
    const stuck = this.world.agents.filter((agent) => agent.stuck > 0 || agent.machine.activeCuts.length > 0)
    const alive = this.world.readers.filter((reader) => !reader.ended)
    return [
      ...stuck.map((agent) => `starve: commits wait on ${agent.shard}`),
      ...alive.map((reader) => `starve: reader ${reader.id} waits`),
    ]
  }

  private checkReaders(): string[] {
    const txs = [...this.world.txs.values()]
    return this.world.readers.filter((r) => r.gotMs >= 0).flatMap((reader) => this.checkReader(reader, txs))
  }

  private checkReader(reader: Reader, txs: readonly Tx[]): string[] {
    const wrong: string[] = []
    let missingSinceMs = Number.POSITIVE_INFINITY
    let missing = ''
    const seen: Tx[] = []
    for (const tx of txs) {
      const shards = tx.shards.filter((shard) => reader.snapshots.has(shard))
      if (shards.length === 0) continue
      const inIt = shards.filter(
        (shard) => (tx.places[shard] ?? Infinity) < reader.snapshots.get(shard)!.length,
      )
      if (inIt.length > 0 && inIt.length < shards.length) {
        wrong.push(`torn: reader ${reader.id} sees ${tx.id} on ${inIt} of ${shards}`)
      }
      if (inIt.length > 0) seen.push(tx)
      else if (tx.ackedMs < reader.cameMs) wrong.push(`stale: reader ${reader.id} misses ${tx.id}`)
      if (inIt.length > 0) continue
      // Others can know of a local commit from its effect on, of a cross-shard one from its acknowledgement on.
      const knownMs = tx.shards.length > 1 ? tx.ackedMs : tx.effectMs < 0 ? tx.ackedMs : tx.effectMs
      if (knownMs < missingSinceMs) {
        missingSinceMs = knownMs
        missing = tx.id
      }
    }
    const late = seen.find((tx) => tx.beganMs > missingSinceMs)
    if (late !== undefined) wrong.push(`order: reader ${reader.id} sees ${late.id} and misses ${missing}`)
    return wrong
  }
}
