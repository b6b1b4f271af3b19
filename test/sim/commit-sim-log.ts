import type { Timestamp } from '../../protocol/agent-link.ts'
import { encodeRecord } from '../../txn/decision.ts'
import { type Incarnation, incarnationFor } from '../../txn/gid.ts'
import { MemoryLogStore } from '../../txn/log/memory-txn-log.ts'
import {
  type CreateResult,
  type DecisionRecord,
  LogUnavailableError,
  LogUnknownError,
  type LookupResult,
  type SweepResult,
  type TxnLog,
} from '../../txn/log/txn-log.ts'
import type { TxnOutcome } from '../../txn/outcome.ts'
import { delayMs, type SimProcess, type SimWorld } from './commit-sim-world.ts'

/** Requests wait in the network or in a queue for so long at most. */
const lateMsMax = 15_000

/** The log, and what its members know. */
export class SimLog {
  readonly store = new MemoryLogStore()
  private readonly world: SimWorld
  /** What goes wrong goes wrong so many times as often as usual. */
  private readonly badness: number
  private isUp = true

  constructor(world: SimWorld) {
    this.world = world
    this.badness = world.rng.pick([0, 1, 1, 4])
  }

  /** Told of every record at the moment that it exists. */
  onCreated: (record: DecisionRecord) => void = () => {}

  fail(): void {
    const { rng, time, say } = this.world
    this.isUp = false
    say('the log is out of reach')
    time.after(rng.upTo(3_000), () => {
      this.isUp = true
      say('the log is back')
    })
  }

  unregister(incarnation: string): void {
    if (this.store.registered.delete(incarnation)) this.world.say(`${incarnation} is unregistered`)
  }

  create(record: DecisionRecord): CreateResult {
    const { txnId, decision, writer } = record
    const result = this.createOrMutate(record)
    this.world.say(`${txnId} ${decision} by ${writer}: ${result.kind}`)
    if (result.kind === 'created') this.onCreated(record)
    return result
  }

  private createOrMutate(record: DecisionRecord): CreateResult {
    const { entries } = this.store
    if (this.world.mutant !== 'decisions do not need the registration' || entries.has(record.txnId))
      return this.store.create(record)
    entries.set(record.txnId, { record, confirmed: new Set() })
    return { kind: 'created' }
  }

  /**
   * Each request goes its own way, so they overtake each other. One may be lost, or its answer, or be carried out
   * long after whoever asked has given up. Or twice, unless it is asked for `once`.
   */
  ask<T>(from: SimProcess, what: () => T, once = false): Promise<T> {
    const { time, rng, trouble } = this.world
    return new Promise((resolve, reject) => {
      const answer = (ms: number, run: () => void): void => time.after(ms, () => from.run(run))
      const lose = (): void => answer(rng.upTo(1_000), () => reject(new LogUnknownError('no answer')))
      if (!this.isUp && rng.chance(0.5)) {
        answer(delayMs(this.world), () => reject(new LogUnavailableError('refused')))
        return
      }
      const fate = this.isUp ? (trouble ? rng.next() / this.badness : 1) : rng.upTo(0.12)
      if (fate < 0.04) return lose()
      if (fate < 0.12) {
        time.after(fate < 0.08 ? delayMs(this.world) : rng.upTo(lateMsMax), what)
        return lose()
      }
      if (fate < 0.14) {
        const lateMs = rng.upTo(lateMsMax)
        if (!once) time.after(lateMs, what)
      }
      time.after(delayMs(this.world), () => {
        const value = what()
        answer(delayMs(this.world), () => resolve(value))
      })
    })
  }
}

/** A process' client of the log. A coordinator's registers, and again when it finds its registration gone. */
export class SimLogClient implements TxnLog {
  protected readonly log: SimLog
  protected readonly world: SimWorld
  private readonly process: SimProcess
  private readonly coordinatorId: string | undefined
  private registered: Incarnation | undefined
  private epoch = 0
  /** Told of every record before it is asked for. */
  asked: (record: DecisionRecord) => void = () => {}

  constructor(world: SimWorld, log: SimLog, process: SimProcess, coordinatorId?: string) {
    this.world = world
    this.log = log
    this.process = process
    this.coordinatorId = coordinatorId
    if (coordinatorId === undefined) return
    this.register(coordinatorId)
    process.every(1_000, () => void this.keepAlive(coordinatorId))
  }

  private register(coordinatorId: string): void {
    this.registered = incarnationFor(coordinatorId, this.epoch++)
    this.log.store.registered.add(this.registered)
  }

  private async keepAlive(coordinatorId: string): Promise<void> {
    const incarnation = this.registered
    if (incarnation === undefined) return
    const { store } = this.log
    const isThere = await this.ask(() => store.registered.has(incarnation)).catch(() => true)
    if (isThere || this.registered !== incarnation) return
    this.registered = undefined
    await this.process.sleep(this.world.rng.upTo(1_000))
    this.register(coordinatorId)
  }

  private ask<T>(what: () => T): Promise<T> {
    return this.log.ask(this.process, what)
  }

  readonly within = {
    shard: 0,
    sql: (record: DecisionRecord): string => encodeRecord(record).toString(),
  }

  incarnation(): string {
    if (this.registered === undefined) throw new LogUnavailableError('not registered')
    return this.registered
  }

  create(record: DecisionRecord): Promise<CreateResult> {
    const { mutant } = this.world
    this.asked(record)
    if (
      mutant === 'an unknown commit of the last participant is written by itself' &&
      this.coordinatorId !== undefined
    )
      return this.log.ask(this.process, () => this.log.create({ ...record, decision: 'commit' }))
    if (mutant === 'recovery aborts without a tombstone' && record.decision === 'abort')
      return Promise.resolve({ kind: 'created' })
    // T3 (docs/decisions/0002-tombstones.md): no client of the log sends a decision again by itself.
    const once = record.decision === 'commit'
    const answer = this.log.ask(this.process, () => this.log.create(record), once)
    if (mutant !== 'takes an unknown write for a failed one') return answer
    return answer.catch(() => Promise.reject(new LogUnavailableError('no answer')))
  }

  lookup(txnId: string): Promise<LookupResult> {
    if (this.world.mutant === 'recovery ignores the record')
      return Promise.resolve({ kind: 'absent', ownerRegistered: false })
    return this.ask(() => this.log.store.lookup(txnId))
  }

  read(txnId: string): Promise<DecisionRecord | undefined> {
    return this.ask(() => this.log.store.entries.get(txnId)?.record)
  }

  outcome(txnId: string, commitTs: Timestamp): Promise<TxnOutcome> {
    return this.ask(() => this.log.store.outcome(txnId, commitTs))
  }

  async confirm(txnId: string, shard: number): Promise<void> {
    const isMutant = this.world.mutant === 'records are dropped before all have confirmed'
    if (isMutant && this.coordinatorId !== undefined) await this.drop([txnId])
    else await this.ask(() => this.log.store.confirm(txnId, shard))
  }

  async drop(txnIds: readonly string[]): Promise<void> {
    await this.ask(() => {
      for (const txnId of txnIds) this.log.store.entries.delete(txnId)
    })
  }

  list(limit: number): Promise<readonly DecisionRecord[]> {
    return this.ask(() => [...this.log.store.entries.values()].slice(0, limit).map(({ record }) => record))
  }

  async sweep(): Promise<SweepResult> {
    const dropped = await this.ask(() => this.sweepOrMutate())
    return { dropped, unreadable: [] }
  }

  private sweepOrMutate(): number {
    const { store } = this.log
    if (this.world.mutant !== 'tombstones are swept while their coordinator lives') return store.sweep()
    for (const [txnId, { record }] of store.entries) {
      if (record.decision === 'abort') store.entries.delete(txnId)
    }
    return 0
  }

  async close(): Promise<void> {
    if (this.registered !== undefined) this.log.unregister(this.registered)
  }
}
