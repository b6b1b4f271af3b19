/**
 * A seeded simulation of cross-shard commits: the real commit driver and machine, the real recovery, the real clocks
 * and the model of the log, over simulated connections, Postgres servers and machines. Connections stall, break and
 * are refused; requests to the log are lost, delayed, repeated and overtake each other; coordinators and agents pause,
 * die and come back; Postgres and the log do; clocks are set by up to an hour. Everything follows from the seed; there
 * is no other clock or chance.
 *
 * Checked, all along and at the end, when the trouble is over and recovery has had its time:
 *   I1 a transaction is committed on all of its participants or on none;
 *   I2 a client told "committed" finds it, a client told "aborted" does not;
 *   I7 nothing is prepared any more, and the log is empty once the coordinators are gone;
 *   C1 a shard's agents never issue a timestamp at or below an earlier one, crashes or not;
 *   C2 a commit's timestamp is at or above all its prepares';
 *   C3 a commit that began after another was acknowledged, and that shares a shard with it on which it had been carried
 *      out by then, has a higher timestamp;
 *   C4 no commit takes effect on a shard at or above the stored bound of its clock (after a crash its agent could not
 *      tell a cut that it is there);
 *   L  every client of a coordinator that lives gets an answer, and after the trouble commits work everywhere (unless all
 *      clocks were set at once while nodes died: there is no telling then what time it is).
 */
import type { Outcome } from '../../coordinator/commit/commit.ts'
import type { DecisionRecord } from '../../txn/log/txn-log.ts'
import { SimAgent } from './commit-sim-agent.ts'
import { Hands, shown, someJumpMs } from './commit-sim-clock.ts'
import { SimCoordinator, type SimTxn } from './commit-sim-coordinator.ts'
import { SimLog } from './commit-sim-log.ts'
import { SimShard } from './commit-sim-shard.ts'
import type { Mutant, SimWorld } from './commit-sim-world.ts'
import { Rng } from './rng.ts'
import { Timeline } from './timeline.ts'

export type { Mutant } from './commit-sim-world.ts'

export interface SimResult {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  readonly stats: SimStats
}

export interface SimStats {
  transactions: number
  committed: number
  aborted: number
  unknown: number
  recovered: number
}

const shardCount = 3
const machineCount = 3
const coordinatorsMax = 6
const troubleMs = 20_000
const probeMs = 42_000
const endMs = 50_000
const restMs = 20_000

/** A record names those that have prepared. */
function withLast(participants: readonly number[], { last }: SimTxn): readonly number[] {
  return last === undefined ? participants : [...participants, last]
}

export function simulate(seed: number, mutant?: Mutant): Promise<SimResult> {
  return new Simulation(seed, mutant).run()
}

class Simulation implements SimWorld {
  readonly rng: Rng
  readonly time = new Timeline()
  readonly mutant: Mutant | undefined
  private readonly trace: string[] = []
  private readonly violations: string[] = []
  private readonly log: SimLog
  private readonly shards: SimShard[] = []
  private readonly shardHands: Hands[] = []
  private readonly agents: SimAgent[] = []
  private readonly machines: Hands[] = []
  private readonly coordinators: SimCoordinator[] = []
  private readonly txns: SimTxn[] = []
  private readonly records = new Map<string, DecisionRecord>()
  private readonly probes = new Set<SimTxn>()
  private readonly survivors = new Set<SimCoordinator>()
  private readonly blocked = new Set<string>()
  private agentStarts = 0
  private recovered = 0
  private allClocksWereSet = false

  constructor(seed: number, mutant: Mutant | undefined) {
    this.rng = new Rng(seed)
    this.mutant = mutant
    this.log = new SimLog(this)
    this.log.onCreated = (record) => this.created(record)
    for (let i = 0; i < machineCount; i++) this.machines.push(new Hands(this, `machine ${i}`))
    for (let id = 0; id < shardCount; id++) {
      this.shards.push(new SimShard(this, id))
      this.shardHands.push(new Hands(this, `machine of shard ${id}`))
      this.startAgent(id)
    }
  }

  readonly say = (what: string): void => {
    this.trace.push(`${this.time.nowMs.toFixed(1).padStart(9)} ${what}`)
  }

  violation(what: string): void {
    this.violations.push(what)
    this.say(`VIOLATION ${what}`)
  }

  get trouble(): boolean {
    return this.time.nowMs < troubleMs
  }

  async run(): Promise<SimResult> {
    for (let i = 0; i < 2; i++) this.startCoordinator()
    this.planTrouble()
    await this.time.playUntil(probeMs)
    this.probe()
    await this.time.playUntil(endMs)
    for (const coordinator of this.coordinators) {
      if (coordinator.process.isAlive) this.survivors.add(coordinator)
      coordinator.die()
      await coordinator.log.close()
      this.unregister(coordinator)
    }
    await this.time.playUntil(endMs + restMs)
    this.checkEnd()
    return { violations: this.violations, trace: this.trace, stats: this.stats() }
  }

  private stats(): SimStats {
    const answers = (outcome: Outcome['outcome']): number =>
      this.txns.filter((t) => t.answer === outcome).length
    for (const agent of this.agents) this.count(agent)
    return {
      transactions: this.txns.length,
      committed: answers('committed'),
      aborted: answers('aborted'),
      unknown: answers('unknown'),
      recovered: this.recovered,
    }
  }

  private count(agent: SimAgent): void {
    const { committed = 0, rolledBack = 0 } = agent.recovery?.counters ?? {}
    this.recovered += committed + rolledBack
  }

  // Processes

  private startAgent(id: number): void {
    const [shard, hands] = [this.shards[id] as SimShard, this.shardHands[id] as Hands]
    const name = `agent${id}.${this.agentStarts++}`
    this.agents[id] = new SimAgent({ world: this, shard, hands, log: this.log, name })
  }

  private startCoordinator(): void {
    const number = this.coordinators.length
    const coordinator = new SimCoordinator({
      world: this,
      id: `c${number}`,
      hands: this.rng.pick(this.machines),
      log: this.log,
      shards: this.shards,
      agent: (shard) => this.agents[shard] as SimAgent,
      isBlocked: (shard) => this.blocked.has(`${number}-${shard}`),
      began: (txn) => this.txns.push(txn),
      answered: (txn, outcome) => this.answered(txn, outcome),
    })
    this.coordinators.push(coordinator)
    const { rng, time } = this
    for (let at = rng.upTo(300); time.nowMs + at < troubleMs; at += rng.upTo(600)) {
      time.after(at, () => coordinator.process.run(() => this.begin(coordinator)))
    }
    if (this.coordinators.length < coordinatorsMax)
      time.after(rng.upTo(15_000), () => this.killCoordinator(coordinator))
    time.after(rng.upTo(15_000), () => this.pauseCoordinator(coordinator))
  }

  private begin(coordinator: SimCoordinator): void {
    const { rng } = this
    const order = rng.shuffled(this.shards.map(({ id }) => id))
    const count = 2 + rng.below(shardCount - 1)
    coordinator.begin(order.slice(0, count), rng.chance(0.3) ? order.slice(count, count + 1) : [])
  }

  // Trouble

  private planTrouble(): void {
    const { rng } = this
    for (const { id } of this.shards) {
      this.sometimes(3, () => this.killAgent(id))
      this.sometimes(3, () => this.agents[id]?.process.pause(rng.upTo(8_000)))
      this.sometimes(1, () => this.shards[id]?.crash())
    }
    this.sometimes(2, () => this.log.fail())
    this.sometimes(12, () => this.breakLink())
    this.sometimes(4, () => this.setClocks())
  }

  private sometimes(timesMax: number, what: () => void): void {
    for (let n = this.rng.below(timesMax + 1); n > 0; n--) this.time.after(this.rng.upTo(troubleMs), what)
  }

  private killCoordinator(coordinator: SimCoordinator): void {
    if (!this.trouble) return
    coordinator.die()
    this.time.after(this.rng.upTo(10_000), () => this.unregister(coordinator))
    this.time.after(this.rng.upTo(1_000), () => this.startCoordinator())
  }

  private pauseCoordinator(coordinator: SimCoordinator): void {
    if (!this.trouble) return
    const ms = this.rng.upTo(12_000)
    coordinator.process.pause(ms)
    if (this.rng.chance(0.5)) this.time.after(this.rng.upTo(ms), () => this.unregister(coordinator))
  }

  private unregister({ id }: SimCoordinator): void {
    for (const incarnation of this.log.store.registered) {
      if (incarnation.startsWith(`${id}-`)) this.log.unregister(incarnation)
    }
  }

  private killAgent(id: number): void {
    const agent = this.agents[id] as SimAgent
    if (!agent.process.isAlive) return
    this.count(agent)
    agent.die()
    this.time.after(this.rng.chance(0.7) ? this.rng.upTo(300) : this.rng.upTo(6_000), () =>
      this.startAgent(id),
    )
  }

  private breakLink(): void {
    const number = this.rng.below(this.coordinators.length)
    const shard = this.rng.below(shardCount)
    const pair = `${number}-${shard}`
    this.say(`nothing passes between c${number} and shard ${shard}`)
    this.coordinators[number]?.links[shard]?.cut()
    this.blocked.add(pair)
    this.time.after(this.rng.upTo(4_000), () => this.blocked.delete(pair))
  }

  private setClocks(): void {
    const all = [...this.machines, ...this.shardHands]
    const some = this.rng.chance(0.25) ? all : [this.rng.pick(all)]
    if (some === all) this.allClocksWereSet = true
    const byMs = someJumpMs(this)
    for (const hands of some) hands.set(byMs)
    if (this.rng.chance(0.5)) return
    this.time.after(this.rng.upTo(8_000), () => {
      for (const hands of some) hands.set(0)
    })
  }

  // Checks

  private created(record: DecisionRecord): void {
    const txn = this.txns.find(({ id }) => id === record.txnId)
    if (record.decision !== 'commit' || txn === undefined) return
    this.records.set(record.txnId, record)
    for (const shard of withLast(record.participants, txn)) {
      const prepareTs = txn.prepareTs.get(shard)
      if (prepareTs !== undefined && record.commitTs < prepareTs)
        this.violation(`C2 ${txn.id}: ${shown(record.commitTs)} but ${shown(prepareTs)} on shard ${shard}`)
      const before = txn.acknowledgedTs[shard] ?? 0n
      if (record.commitTs <= before)
        this.violation(`C3 ${txn.id}: ${shown(record.commitTs)} after ${shown(before)} on shard ${shard}`)
    }
  }

  private answered(txn: SimTxn, outcome: Outcome): void {
    txn.answer = outcome.outcome
    this.say(`${txn.id} answers ${outcome.outcome}${'error' in outcome ? `: ${outcome.error.message}` : ''}`)
    if (outcome.outcome !== 'committed') return
    for (const shard of this.shards) {
      if (shard.ended.get(txn.id) !== 'committed') continue
      if (outcome.commitTs > shard.acknowledgedTs) shard.acknowledgedTs = outcome.commitTs
    }
  }

  private probe(): void {
    this.say('all should work again')
    for (const coordinator of this.coordinators) {
      // Those that start afterwards may take the new time, and those that did not die may keep the old one.
      if (!coordinator.process.isAlive || this.allClocksWereSet) continue
      const before = this.txns.length
      if (!coordinator.begin(this.shards.map(({ id }) => id)))
        this.violation(`L ${coordinator.id}: does not reach every shard`)
      for (const txn of this.txns.slice(before)) this.probes.add(txn)
    }
  }

  private checkEnd(): void {
    for (const txn of this.txns) this.checkTxn(txn)
    for (const shard of this.shards) {
      for (const id of shard.prepared.keys()) this.violation(`I7 ${id}: still prepared on shard ${shard.id}`)
    }
    for (const [id, { record }] of this.log.store.entries)
      this.violation(`I7 ${id}: ${record.decision} left in the log`)
  }

  private checkTxn(txn: SimTxn): void {
    const { id, answer } = txn
    const { participants = [] } = this.records.get(id) ?? {}
    const ends = this.shards.map((shard) => shard.ended.get(id) ?? 'never prepared')
    const committed = ends.filter((end) => end === 'committed').length
    const all = participants.length === 0 ? 0 : withLast(participants, txn).length
    if (committed !== 0 && committed !== all) this.violation(`I1 ${id}: ${ends.join(', ')}`)
    if (answer === 'committed' && (committed === 0 || committed !== all))
      this.violation(`I2 ${id}: told committed`)
    if (answer === 'aborted' && committed !== 0) this.violation(`I2 ${id}: told aborted`)
    if (answer === undefined && this.survivors.has(txn.coordinator)) this.violation(`L ${id}: no answer`)
    if (this.probes.has(txn) && answer !== 'committed') this.violation(`L ${id}: ${answer}`)
  }
}
