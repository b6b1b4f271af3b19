/**
 * A seeded simulation of cross-shard commits: the real commit machine, the real recovery rules and the model of the
 * log, over a network that loses, delays and delivers late, with coordinators that pause and die, shards that restart,
 * and registrations that end early. Everything that happens follows from the seed; there is no other clock or chance.
 *
 * Checked at the end, after the network has healed and recovery has had its time:
 *   I1 a transaction is committed on all of its participants or on none;
 *   I2 a client told "committed" finds it, a client told "aborted" does not;
 *   I7 nothing is prepared any more, and the log is empty once the coordinators are gone.
 */
import { weftError } from '../../errors/catalog.ts'
import {
  type CommitEffect,
  type CommitEvent,
  type CommitState,
  type Outcome,
  startCommit,
  stepCommit,
} from '../../txn/commit-machine.ts'
import { gidFor, type Incarnation, incarnationFor, txnIdFor } from '../../txn/gid.ts'
import { MemoryLogStore } from '../../txn/log/memory-txn-log.ts'
import type { CreateResult, DecisionRecord, LookupResult } from '../../txn/log/txn-log.ts'
import { judgePrepared, mayConfirm, resolveCreated, resolveFound } from '../../txn/recovery-rules.ts'
import { Rng } from './rng.ts'
import { Timeline } from './timeline.ts'

/** A bug planted on purpose: the simulation has to find every one of them. */
export type Mutant =
  | 'decides before all have prepared'
  | 'applies before the record exists'
  | 'takes an unknown write for a failed one'
  | 'recovery aborts without a tombstone'
  | 'tombstones are swept while their coordinator lives'
  | 'decisions do not need the registration'
  | 'recovery ignores the record'
  | 'records are dropped before all have confirmed'

export interface SimResult {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  readonly stats: {
    transactions: number
    committed: number
    aborted: number
    unknown: number
    recovered: number
  }
}

const shardCount = 3
const troubleMs = 20_000
const endMs = 120_000
const scanEveryMs = 500
const lost = Symbol('lost')
const someError = weftError('backend_lost', { shard: 0, why: 'simulated' })

interface Shard {
  readonly id: number
  readonly prepared: Map<string, { readonly coordinatorId: string; readonly sinceMs: number }>
  readonly ended: Map<string, 'committed' | 'rolled back'>
}

interface Coordinator {
  readonly id: string
  readonly incarnation: Incarnation
  alive: boolean
  pausedUntilMs: number
}

interface Txn {
  readonly id: string
  readonly participants: readonly number[]
  answer?: Outcome['outcome']
}

export function simulate(seed: number, mutant?: Mutant): SimResult {
  return new Simulation(seed, mutant).run()
}

class Simulation {
  private readonly rng: Rng
  private readonly time = new Timeline()
  private readonly store = new MemoryLogStore()
  private readonly shards: Shard[]
  private readonly coordinators: Coordinator[] = []
  private readonly txns: Txn[] = []
  private readonly trace: string[] = []
  private readonly mutant: Mutant | undefined
  private recovered = 0

  constructor(seed: number, mutant: Mutant | undefined) {
    this.rng = new Rng(seed)
    this.mutant = mutant
    this.shards = Array.from({ length: shardCount }, (_, id) => ({
      id,
      prepared: new Map(),
      ended: new Map(),
    }))
  }

  run(): SimResult {
    for (let i = 0; i < 2; i++) this.startCoordinator()
    for (const shard of this.shards) this.scanForever(shard)
    this.time.runUntil(endMs)
    for (const coordinator of this.coordinators) this.unregister(coordinator)
    this.time.runUntil(endMs + 60_000)
    const answers = (outcome: Outcome['outcome']): number =>
      this.txns.filter((t) => t.answer === outcome).length
    return {
      violations: this.check(),
      trace: this.trace,
      stats: {
        transactions: this.txns.length,
        committed: answers('committed'),
        aborted: answers('aborted'),
        unknown: answers('unknown'),
        recovered: this.recovered,
      },
    }
  }

  private check(): string[] {
    const violations: string[] = []
    for (const txn of this.txns) {
      const ends = txn.participants.map((id) => this.shards[id]?.ended.get(txn.id) ?? 'never prepared')
      const committed = ends.filter((end) => end === 'committed').length
      if (committed !== 0 && committed !== ends.length) violations.push(`I1 ${txn.id}: ${ends.join(', ')}`)
      if (txn.answer === 'committed' && committed !== ends.length)
        violations.push(`I2 ${txn.id}: told committed`)
      if (txn.answer === 'aborted' && committed !== 0) violations.push(`I2 ${txn.id}: told aborted`)
    }
    for (const shard of this.shards) {
      for (const id of shard.prepared.keys()) violations.push(`I7 ${id}: still prepared on shard ${shard.id}`)
    }
    for (const [id, { record }] of this.store.entries)
      violations.push(`I7 ${id}: ${record.decision} left in the log`)
    return violations
  }

  private say(what: string): void {
    this.trace.push(`${this.time.nowMs.toFixed(1).padStart(9)} ${what}`)
  }

  private get trouble(): boolean {
    return this.time.nowMs < troubleMs
  }

  // Coordinators

  private startCoordinator(): void {
    const id = `c${this.coordinators.length}`
    const incarnation = incarnationFor(id, 0)
    const coordinator: Coordinator = { id, incarnation, alive: true, pausedUntilMs: 0 }
    this.coordinators.push(coordinator)
    this.store.registered.add(incarnation)
    for (let at = this.rng.upTo(300); this.time.nowMs + at < troubleMs; at += this.rng.upTo(800)) {
      this.time.after(at, () => this.begin(coordinator))
    }
    if (this.coordinators.length < 5) this.time.after(this.rng.upTo(15_000), () => this.die(coordinator))
    this.time.after(this.rng.upTo(15_000), () => this.pause(coordinator))
  }

  private die(coordinator: Coordinator): void {
    this.say(`${coordinator.id} dies`)
    coordinator.alive = false
    this.time.after(this.rng.upTo(10_000), () => this.unregister(coordinator))
    this.time.after(this.rng.upTo(1_000), () => this.startCoordinator())
  }

  private pause(coordinator: Coordinator): void {
    const ms = this.rng.upTo(12_000)
    this.say(`${coordinator.id} pauses for ${ms.toFixed(0)} ms`)
    coordinator.pausedUntilMs = this.time.nowMs + ms
    if (this.rng.chance(0.5)) this.time.after(this.rng.upTo(ms), () => this.unregister(coordinator))
  }

  private unregister(coordinator: Coordinator): void {
    if (this.store.registered.delete(coordinator.incarnation))
      this.say(`${coordinator.incarnation} is unregistered`)
  }

  private begin(coordinator: Coordinator): void {
    if (!coordinator.alive || !this.store.registered.has(coordinator.incarnation)) return
    const count = 2 + this.rng.below(shardCount - 1)
    const participants = this.rng.shuffled(this.shards.map((shard) => shard.id)).slice(0, count)
    const txn: Txn = { id: txnIdFor(coordinator.incarnation, this.txns.length), participants }
    this.txns.push(txn)
    new RunningTxn(this.worldOf(coordinator, txn), txn).start()
  }

  private worldOf(coordinator: Coordinator, txn: Txn): TxnWorld {
    return {
      mutant: this.mutant,
      say: (what) => this.say(`${txn.id} ${what}`),
      later: (ms, run) => this.time.after(ms, () => this.onCoordinator(coordinator, run)),
      chance: (p) => this.trouble && this.rng.chance(p),
      prepare: (shard, done) =>
        this.call(coordinator, () => this.prepare(shard, txn.id, coordinator.id), done),
      end: (shard, how, done) => this.call(coordinator, () => this.end(shard, txn.id, how), done),
      create: (record, done) => this.call(coordinator, () => this.create(record), done),
      drop: () =>
        this.call(
          coordinator,
          () => this.store.entries.delete(txn.id),
          () => {},
        ),
      confirm: (shard) =>
        this.call(
          coordinator,
          () => this.store.confirm(txn.id, shard),
          () => {},
        ),
    }
  }

  private onCoordinator(coordinator: Coordinator, run: () => void): void {
    if (!coordinator.alive) return
    const wait = coordinator.pausedUntilMs - this.time.nowMs
    if (wait > 0) this.time.after(wait, () => this.onCoordinator(coordinator, run))
    else run()
  }

  /** A request and its answer. What is lost may still have happened, or may happen long after. */
  private call<T>(from: Coordinator | undefined, at: () => T, done: (answer: T | typeof lost) => void): void {
    const answer = (value: T | typeof lost): void => {
      if (from === undefined) done(value)
      else this.onCoordinator(from, () => done(value))
    }
    const delay = (): number => (this.rng.chance(0.1) ? this.rng.upTo(400) : this.rng.upTo(4))
    const fate = this.trouble ? this.rng.next() : 1
    if (fate < 0.04) {
      this.time.after(this.rng.upTo(1_000), () => answer(lost))
    } else if (fate < 0.08) {
      this.time.after(delay(), at)
      this.time.after(this.rng.upTo(1_000), () => answer(lost))
    } else if (fate < 0.12) {
      this.time.after(this.rng.upTo(15_000), at)
      this.time.after(this.rng.upTo(1_000), () => answer(lost))
    } else {
      this.time.after(delay(), () => {
        const value = at()
        this.time.after(delay(), () => answer(value))
      })
    }
  }

  // Shards

  private shard(id: number): Shard {
    return this.shards[id] as Shard
  }

  private prepare(shardId: number, txnId: string, coordinatorId: string): 'prepared' | 'refused' {
    const shard = this.shard(shardId)
    if (this.trouble && this.rng.chance(0.05)) return 'refused'
    this.say(`${txnId} prepared on ${shardId}`)
    shard.prepared.set(txnId, { coordinatorId, sinceMs: this.time.nowMs })
    return 'prepared'
  }

  private end(shardId: number, txnId: string, how: 'committed' | 'rolled back'): 'done' | 'gone' {
    const shard = this.shard(shardId)
    if (!shard.prepared.delete(txnId)) return 'gone'
    this.say(`${txnId} ${how} on ${shardId}`)
    shard.ended.set(txnId, how)
    return 'done'
  }

  // The log

  private create(record: DecisionRecord): CreateResult {
    if (this.mutant === 'decisions do not need the registration' && !this.store.entries.has(record.txnId)) {
      this.store.entries.set(record.txnId, { record, confirmed: new Set() })
      return { kind: 'created' }
    }
    const result = this.store.create(record)
    this.say(`${record.txnId} ${record.decision} by ${record.writer}: ${result.kind}`)
    return result
  }

  // Recovery

  private scanForever(shard: Shard): void {
    this.time.after(scanEveryMs * (0.5 + this.rng.next()), () => {
      this.scan(shard)
      if (this.rng.chance(0.1)) this.tidy(shard)
      if (this.time.nowMs < endMs + 50_000) this.scanForever(shard)
    })
  }

  private scan(shard: Shard): void {
    for (const [txnId, { sinceMs }] of shard.prepared) {
      const prepared = { gid: gidFor('c', txnId, shard.id), ageMs: this.time.nowMs - sinceMs }
      const verdict = judgePrepared(prepared, {
        cluster: 'c',
        shard: shard.id,
        inDoubtAfterMs: 1_000,
        abortAfterMs: 5_000,
        // Links break: who is connected is seen differently at different times.
        isOwnerConnected: (id) =>
          (this.coordinators.find((c) => c.id === id)?.alive ?? false) &&
          !(this.trouble && this.rng.chance(0.05)),
      })
      if (verdict.kind !== 'resolve') continue
      this.call(
        undefined,
        () => this.store.lookup(txnId),
        (found) => {
          if (found !== lost) this.resolve(shard, txnId, found, verdict.mayAbort)
        },
      )
    }
  }

  private resolve(shard: Shard, txnId: string, found: LookupResult, mayAbort: boolean): void {
    if (this.mutant === 'recovery ignores the record' && mayAbort) {
      this.carryOut(shard, txnId, 'rolled back')
      return
    }
    const resolution = resolveFound(found, mayAbort)
    if (resolution.kind !== 'create-abort') {
      if (resolution.kind === 'commit-prepared') this.carryOut(shard, txnId, 'committed')
      if (resolution.kind === 'rollback-prepared') this.carryOut(shard, txnId, 'rolled back')
      return
    }
    if (!shard.prepared.has(txnId)) return
    if (this.mutant === 'recovery aborts without a tombstone') {
      this.carryOut(shard, txnId, 'rolled back')
      return
    }
    const writer = `agent ${shard.id}`
    const record: DecisionRecord = {
      version: 1,
      txnId,
      decision: 'abort',
      commitTs: 0n,
      participants: [],
      writer,
    }
    this.call(
      undefined,
      () => this.create(record),
      (result) => {
        if (result === lost) return
        const after = resolveCreated(result)
        if (after.kind === 'commit-prepared') this.carryOut(shard, txnId, 'committed')
        if (after.kind === 'rollback-prepared') this.carryOut(shard, txnId, 'rolled back')
      },
    )
  }

  private carryOut(shard: Shard, txnId: string, how: 'committed' | 'rolled back'): void {
    if (this.end(shard.id, txnId, how) === 'done') this.recovered++
    if (how === 'committed')
      this.call(
        undefined,
        () => this.store.confirm(txnId, shard.id),
        () => {},
      )
  }

  private tidy(shard: Shard): void {
    const records = [...this.store.entries.values()].map((entry) => entry.record)
    // The records travel; what is prepared is looked at when they have arrived.
    this.time.after(this.rng.upTo(50), () => {
      const prepared = new Set(shard.prepared.keys())
      for (const record of records) {
        if (!mayConfirm(record, { shard: shard.id }, prepared)) continue
        this.call(
          undefined,
          () => this.store.confirm(record.txnId, shard.id),
          () => {},
        )
      }
    })
    if (this.mutant === 'tombstones are swept while their coordinator lives') {
      for (const [txnId, { record }] of this.store.entries) {
        if (record.decision === 'abort') this.store.entries.delete(txnId)
      }
    } else {
      this.store.sweep()
    }
  }
}

interface TxnWorld {
  readonly mutant: Mutant | undefined
  say(what: string): void
  later(ms: number, run: () => void): void
  chance(p: number): boolean
  prepare(shard: number, done: (answer: 'prepared' | 'refused' | typeof lost) => void): void
  end(
    shard: number,
    how: 'committed' | 'rolled back',
    done: (answer: 'done' | 'gone' | typeof lost) => void,
  ): void
  create(record: DecisionRecord, done: (answer: CreateResult | typeof lost) => void): void
  drop(): void
  confirm(shard: number): void
}

/** The driver's part for one transaction (coordinator/commit/running-commit.ts does it for real). */
class RunningTxn {
  private readonly world: TxnWorld
  private readonly txn: Txn
  private state: CommitState
  private readonly first: readonly CommitEffect[]
  private readonly voted = new Set<number>()

  constructor(world: TxnWorld, txn: Txn) {
    this.world = world
    this.txn = txn
    const step = startCommit(txn.id, txn.participants, [])
    this.state = step.state
    this.first = step.effects
  }

  start(): void {
    for (const effect of this.first) this.act(effect)
    this.watch()
  }

  private watch(): void {
    const { phase } = this.state
    this.world.later(phase === 'deciding' ? 4_000 : 3_000, () => {
      if (this.state.phase === phase && phase !== 'done') this.on({ kind: 'deadline' })
    })
  }

  private on(event: CommitEvent): void {
    const { phase } = this.state
    const step = stepCommit(this.state, event)
    this.state = step.state
    if (this.state.phase !== phase) this.watch()
    for (const effect of step.effects) this.act(effect)
  }

  private act(effect: CommitEffect): void {
    const { world, txn } = this
    switch (effect.kind) {
      case 'prepare':
        return world.prepare(effect.shard, (answer) => this.vote(effect.shard, answer))
      case 'write-decision': {
        const { commitTs, participants, attempt } = effect
        const writer = `${txn.id}#${attempt}`
        const record = {
          version: 1,
          txnId: txn.id,
          decision: 'commit',
          commitTs,
          participants,
          writer,
        } as const
        if (world.mutant === 'applies before the record exists') {
          for (const shard of participants) world.end(shard, 'committed', () => {})
        }
        return world.later(attempt === 1 ? 0 : 100, () =>
          world.create(record, (result) => this.decided(result)),
        )
      }
      case 'commit-prepared':
        return this.end(effect.shard, 'committed', effect.again)
      case 'rollback-prepared':
        return this.end(effect.shard, 'rolled back', effect.again)
      case 'answer':
        txn.answer = effect.answer.outcome
        return world.say(`answers ${effect.answer.outcome}`)
      case 'drop':
        return world.drop()
      case 'confirm':
        if (world.mutant === 'records are dropped before all have confirmed') return world.drop()
        for (const shard of effect.shards) world.confirm(shard)
        return
      case 'release':
      case 'rollback':
      case 'cancel-prepare':
        return
    }
  }

  private vote(shard: number, answer: 'prepared' | 'refused' | typeof lost): void {
    if (this.voted.has(shard)) return
    this.voted.add(shard)
    if (answer === lost) return this.on({ kind: 'prepare-lost', shard, error: someError })
    if (answer === 'refused') return this.on({ kind: 'prepare-failed', shard, error: someError })
    this.on({ kind: 'prepared', shard, prepareTs: 5n })
    if (this.world.mutant !== 'decides before all have prepared') return
    for (const other of this.txn.participants) {
      if (this.voted.has(other)) continue
      this.voted.add(other)
      this.on({ kind: 'prepared', shard: other, prepareTs: 5n })
    }
  }

  private decided(result: CreateResult | typeof lost): void {
    if (result === lost) {
      const failed = this.world.mutant === 'takes an unknown write for a failed one'
      return this.on({ kind: failed ? 'log-unavailable' : 'log-unknown', why: 'lost' })
    }
    if (result.kind === 'created') return this.on({ kind: 'log-created' })
    if (result.kind === 'fenced') return this.on({ kind: 'log-fenced' })
    this.on({ kind: 'log-exists', decision: result.record.decision, commitTs: result.record.commitTs })
  }

  private end(shard: number, how: 'committed' | 'rolled back', again: boolean): void {
    this.world.later(again ? 25 : 0, () =>
      this.world.end(shard, how, (answer) => {
        if (answer === 'done') this.on({ kind: 'applied', shard })
        else if (answer === 'gone') this.on({ kind: 'apply-failed', shard, how: 'gone' })
        else this.on({ kind: 'apply-failed', shard, how: this.world.chance(0.5) ? 'unreachable' : 'again' })
      }),
    )
  }
}
