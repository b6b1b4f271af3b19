import { CommitDriver } from '../../coordinator/commit/commit.ts'
import type { LeftOut } from '../../shard-agent/gate/gate-machine.ts'
import { CutMachine } from '../../txn/cut-machine.ts'
import type { CutEffect, CutNow, CutReply } from '../../txn/cut-types.ts'
import type { HlcClock } from '../../txn/hlc.ts'
import type { TxnLog } from '../../txn/log/txn-log.ts'
import type { SimAgent } from './cut-sim-agent.ts'
import { SimLink } from './cut-sim-link.ts'
import { SimSession } from './cut-sim-session.ts'
import { Clock, Node, type Reader, type Snapshot, skewMsMax, type Tx, type World } from './cut-sim-world.ts'

const sessionsEach = 3

interface Undecided {
  readonly run: Run
  readonly fixedTs: bigint | undefined
  /** One participant's own commit is the decision. */
  readonly hasLast: boolean
}

type Run = { readonly number: number; readonly startedMs: number }

/** What the commit driver knows of its commits: set here, as commits are simulated; the rules on it are the real ones. */
interface DriverInside {
  readonly running: Set<Run>
  lastNumber: number
}

export class SimCoordinator extends Node {
  readonly name: string
  private readonly world: World
  readonly clock: Clock
  private machine = new CutMachine()
  private readonly readers = new Map<number, Reader>()
  /** By shard and timestamp of the cut. */
  private readonly found = new Map<string, Snapshot>()
  /** Its transactions until their shards are told, with their timestamp once that is fixed. */
  private readonly undecided = new Map<Tx, Undecided>()
  private decideAbove = 0n
  private view: { ts: bigint; outside: readonly Tx[]; untold: readonly Tx[] } = {
    ts: -1n,
    outside: [],
    untold: [],
  }
  private wokenForMs = Number.POSITIVE_INFINITY
  private firstAnswerMs: number | undefined
  private readonly driver: CommitDriver
  private readonly links: (SimLink | undefined)[] = []
  private linkNumber = 0
  readonly sessions: readonly SimSession[]

  constructor(world: World, name: string) {
    super(world.time)
    this.world = world
    this.name = name
    this.clock = new Clock(world.time, world.calm ? world.rng.upTo(3) : world.rng.upTo(skewMsMax))
    this.driver = new CommitDriver({
      // Only commits that the driver runs itself would need these.
      log: {} as TxnLog,
      clock: {} as HlcClock,
      coordinatorId: name,
      cluster: 'sim',
      monoMs: () => world.time.nowMs,
    })
    this.sessions = Array.from({ length: sessionsEach }, () => new SimSession(world, this, this.driver))
    for (const agent of world.agents) this.dial(agent)
  }

  // Links

  link(shard: number): SimLink | undefined {
    return this.links[shard]
  }

  has(link: SimLink): boolean {
    return this.links[link.agent.shard] === link
  }

  private dial(agent: SimAgent): void {
    if (!this.isUp) return
    if (!agent.isUp) return this.after(20, () => this.dial(agent))
    const link = new SimLink(this.world, this, agent, ++this.linkNumber)
    this.world.time.after(this.world.rng.upTo(5), () => {
      agent.on(() => {
        agent.greeted(link)
        link.send('coordinator', () => {
          this.links[agent.shard] = link
        })
      })
    })
    // What became of it is not known when the agent died meanwhile.
    this.after(1_000, () => {
      if (this.links[agent.shard] === undefined) this.dial(agent)
    })
  }

  linkLost(link: SimLink): void {
    if (!this.has(link)) return
    this.links[link.agent.shard] = undefined
    if (this.world.mutant !== 'own undecided transactions are skipped though a link was lost')
      this.driver.linkLost()
    this.world.say(`${this.name} loses its link to ${link.agent.shard}`)
    this.dial(link.agent)
  }

  die(): void {
    this.world.say(`${this.name} dies`)
    this.isUp = false
    for (const link of this.links) link?.break()
    for (const reader of this.readers.values()) reader.ended = true
    // Some links notice at once, some only when the lease is over.
    for (const agent of this.world.agents) {
      if (this.world.rng.chance(0.5)) this.world.send(agent, () => agent.ownerGone(this.name))
    }
  }

  // Transactions

  local(agent: SimAgent, kind: 'local' | 'statement'): void {
    const tx = this.newTx([agent.shard])
    this.world.send(agent, () => agent.write(tx, kind, 0n, () => this.acknowledge(tx)))
  }

  cross(agents: readonly SimAgent[]): void {
    const links = agents.flatMap((agent) => this.link(agent.shard) ?? [])
    if (links.length < agents.length) return
    const tx = this.newTx(agents.map((agent) => agent.shard))
    const last = this.world.hasLasts && this.world.rng.chance(0.5) ? links[0] : undefined
    const hasLast = last !== undefined
    const inside = this.driver as unknown as DriverInside
    const isYoung = this.world.mutant === 'own undecided transactions are skipped however old they are'
    const startedMs = isYoung ? Number.POSITIVE_INFINITY : this.world.time.nowMs
    const run = { number: ++inside.lastNumber, startedMs }
    inside.running.add(run)
    this.undecided.set(tx, { run, fixedTs: undefined, hasLast })
    const ended = (): void => void inside.running.delete(run)
    let commitTs = 0n
    let left = agents.length
    for (const link of links) {
      link.send('agent', () =>
        link.agent.prepare(tx, link, hasLast ? (link === last ? 'last' : 'follows') : 'alone', (ts) =>
          link.send('coordinator', () => {
            this.clock.observe(ts)
            if (ts > commitTs) commitTs = ts
            if (--left === 0) this.decide(tx, links, last, commitTs, run, ended)
          }),
        ),
      )
      // Recovery looks after it when the coordinator does not.
      const scannedMs = this.world.rng.upTo(500)
      for (const ms of [1_000, 2_000, 3_000, 4_000]) {
        this.world.time.after(ms + scannedMs, () => link.agent.on(() => link.agent.resolve(tx.id)))
      }
    }
    // Its deadlines.
    this.after(5_000, ended)
    if (last !== undefined)
      this.after(2_000, () => last.send('agent', () => last.agent.rollbackLast(tx, last)))
  }

  private decide(
    tx: Tx,
    links: readonly SimLink[],
    last: SimLink | undefined,
    commitTs: bigint,
    run: Run,
    ended: () => void,
  ): void {
    const { rng, time } = this.world
    const abort = rng.chance(0.05)
    const isDeaf = this.world.mutant === 'what a cut was told lies above it is decided below'
    if (!isDeaf && commitTs <= this.decideAbove) commitTs = this.decideAbove + 1n
    this.undecided.set(tx, { run, fixedTs: commitTs, hasLast: last !== undefined })
    if (last !== undefined) return this.commitLast(tx, links, last, commitTs, abort, ended)
    time.after(rng.upTo(3), () => {
      // Recovery may have been first.
      if (tx.decision !== 'none') return
      tx.decision = abort ? 'abort' : 'commit'
      tx.commitTs = commitTs
      this.world.say(`${tx.id} ${tx.decision} at ${commitTs}`)
      // The log's answer may be late.
      const late = this.world.logLateMs()
      this.after(rng.upTo(1) + late, () => this.carryOut(tx, links, ended))
    })
  }

  private commitLast(
    tx: Tx,
    links: readonly SimLink[],
    last: SimLink,
    commitTs: bigint,
    abort: boolean,
    ended: () => void,
  ): void {
    const { mutant } = this.world
    const others = links.filter((link) => link !== last)
    const fixedTs = mutant === 'the timestamp is fixed too high' ? commitTs + (1n << 24n) : commitTs
    for (const link of others) link.send('agent', () => link.agent.fixed(tx, fixedTs))
    last.send('agent', () =>
      last.agent.commitLast(tx, commitTs, abort, () =>
        last.send('coordinator', () => this.carryOut(tx, others, ended)),
      ),
    )
  }

  private carryOut(tx: Tx, links: readonly SimLink[], ended: () => void): void {
    this.undecided.delete(tx)
    let left = links.length
    for (const link of links) {
      link.send('agent', () =>
        link.agent.conclude(tx, () =>
          link.send('coordinator', () => {
            if (--left > 0) return
            ended()
            if (tx.decision === 'commit') this.acknowledge(tx)
          }),
        ),
      )
    }
  }

  newTx(shards: readonly number[], after: readonly Tx[] = []): Tx {
    const id = `t${this.world.txs.size}`
    const tx: Tx = {
      id,
      coordinator: this.name,
      shards,
      beganMs: this.world.time.nowMs,
      effectMs: -1,
      ackedMs: Number.POSITIVE_INFINITY,
      places: [],
      decision: 'none',
      commitTs: 0n,
      after,
    }
    this.world.txs.set(id, tx)
    return tx
  }

  acknowledge(tx: Tx): void {
    tx.ackedMs = Math.min(tx.ackedMs, this.world.time.nowMs)
    this.world.stats.committed++
    if (tx.shards.length === 1) return
    this.world.stats.cross++
    this.world.rng.pick(this.sessions).committed(tx)
  }

  // Readers

  read(shards: readonly number[]): void {
    const { nowMs } = this.world.time
    const id = this.world.readers.length
    const snapsAsItRuns = this.world.rng.chance(0.4)
    const snapshots = new Map<number, Snapshot>()
    const reader: Reader = { id, snapsAsItRuns, shards, cameMs: nowMs, gotMs: -1, snapshots, ended: false }
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

  /** As the driver of commits says it, once for all shards. */
  private leftOut(shard: number, ts: bigint, among: readonly number[]): LeftOut {
    if (this.view.ts !== ts) this.cutAt(ts, among)
    const on = (txs: readonly Tx[]): ReadonlySet<string> =>
      new Set(txs.filter((tx) => tx.shards.includes(shard)).map((tx) => tx.id))
    return { outside: on(this.view.outside), untold: on(this.view.untold) }
  }

  private cutAt(ts: bigint, among: readonly number[]): void {
    this.clock.observe(ts)
    if (ts > this.decideAbove) this.decideAbove = ts
    const outside: Tx[] = []
    const untold: Tx[] = []
    const isWide = this.world.mutant === 'what also goes to other shards counts as untold'
    for (const [tx, { run, fixedTs, hasLast }] of this.undecided) {
      if (fixedTs === undefined || fixedTs > ts) outside.push(tx)
      else if (hasLast) continue
      else if (this.driver.isUnseen(run) && (isWide || tx.shards.every((shard) => among.includes(shard))))
        untold.push(tx)
    }
    this.view = { ts, outside, untold }
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
        return this.release(agent, effect.id, effect.go)
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

  /** By shard: whom the last cut was for. */
  private readonly asked = new Map<number, readonly number[]>()

  /** What its statements that take their snapshot as they begin find, comes back from there. */
  private release(agent: SimAgent, id: number, go: boolean): void {
    const readers = (this.asked.get(agent.shard) ?? []).flatMap((reader) => this.readers.get(reader) ?? [])
    const starters = (go ? readers : []).filter((reader) => reader.snapsAsItRuns)
    const found = starters.map((reader) => {
      const begun = (at: Snapshot) => this.world.send(this, () => this.begun(reader, agent.shard, at))
      const lapsed = () => {
        this.world.stats.lapsed++
      }
      return { begun, lapsed }
    })
    this.world.sendAboutCut(agent, () => agent.release(this.name, id, found))
  }

  private begun(reader: Reader, shard: number, at: Snapshot): void {
    reader.snapshots.set(shard, at)
    if (reader.snapshots.size < reader.shards.length) return
    this.world.stats.begun++
    this.whole(reader)
  }

  private ask(effect: Extract<CutEffect, { kind: 'cut' }>): void {
    const { world } = this
    this.asked.set(effect.shard, effect.readers)
    const agent = world.agents[effect.shard]!
    const { shard, id, ts, leaseMs } = effect
    const left = this.leftOut(shard, ts, effect.among)
    world.sendAboutCut(agent, () =>
      agent.cut(this.name, id, ts, leaseMs, left, (reply, at) =>
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
    if (reader.snapsAsItRuns) return
    for (const shard of reader.shards) reader.snapshots.set(shard, this.found.get(`${shard} ${ts}`)!)
    this.whole(reader)
  }

  private whole(reader: Reader): void {
    // An agent that died took the reader's backend with it.
    const lives = reader.shards.every(
      (shard) => this.world.agents[shard]!.epoch === reader.snapshots.get(shard)?.epoch,
    )
    if (lives) reader.gotMs = this.world.time.nowMs
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
