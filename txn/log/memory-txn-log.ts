import type { Timestamp } from '../../protocol/agent-link.ts'
import { incarnationFor, incarnationOf } from '../gid.ts'
import { judgeOutcome, type TxnOutcome } from '../outcome.ts'
import {
  type CreateResult,
  type DecisionRecord,
  LogUnavailableError,
  type LookupResult,
  type SweepResult,
  type TxnLog,
} from './txn-log.ts'

interface Entry {
  readonly record: DecisionRecord
  readonly confirmed: Set<number>
}

/** What every log must behave like, without a disk: the model for tests and the simulation. */
export class MemoryLogStore {
  readonly registered = new Set<string>()
  readonly entries = new Map<string, Entry>()
  /** Commits that were concluded by confirmations. */
  readonly kept = new Set<string>()

  create(record: DecisionRecord): CreateResult {
    const entry = this.entries.get(record.txnId)
    if (entry !== undefined) return { kind: 'exists', record: entry.record }
    if (record.decision === 'commit' && !this.registered.has(incarnationOf(record.txnId))) {
      return { kind: 'fenced' }
    }
    this.entries.set(record.txnId, { record, confirmed: new Set() })
    return { kind: 'created' }
  }

  lookup(txnId: string): LookupResult {
    const entry = this.entries.get(txnId)
    if (entry !== undefined) return { kind: 'record', record: entry.record }
    return { kind: 'absent', ownerRegistered: this.registered.has(incarnationOf(txnId)) }
  }

  outcome(txnId: string, commitTs: Timestamp): TxnOutcome {
    return judgeOutcome(this.lookup(txnId), { isKept: this.kept.has(txnId), forgottenTs: 0n }, commitTs)
  }

  confirm(txnId: string, shard: number): void {
    const entry = this.entries.get(txnId)
    if (entry === undefined || entry.record.decision !== 'commit') return
    entry.confirmed.add(shard)
    if (!entry.record.participants.every((p) => entry.confirmed.has(p))) return
    this.entries.delete(txnId)
    this.kept.add(txnId)
  }

  sweep(): number {
    let dropped = 0
    for (const [txnId, { record }] of this.entries) {
      if (record.decision !== 'abort' || this.registered.has(incarnationOf(txnId))) continue
      this.entries.delete(txnId)
      dropped++
    }
    return dropped
  }
}

export class MemoryTxnLog implements TxnLog {
  readonly store: MemoryLogStore
  private readonly registration: string | undefined

  /** Registers when it is a coordinator's. */
  constructor(store: MemoryLogStore = new MemoryLogStore(), coordinatorId?: string) {
    this.store = store
    if (coordinatorId === undefined) return
    this.registration = incarnationFor(coordinatorId, 0)
    store.registered.add(this.registration)
  }

  incarnation(): string {
    if (this.registration === undefined || !this.store.registered.has(this.registration)) {
      throw new LogUnavailableError('not registered')
    }
    return this.registration
  }

  async create(record: DecisionRecord): Promise<CreateResult> {
    return this.store.create(record)
  }

  async lookup(txnId: string): Promise<LookupResult> {
    return this.store.lookup(txnId)
  }

  async read(txnId: string): Promise<DecisionRecord | undefined> {
    return this.store.entries.get(txnId)?.record
  }

  async outcome(txnId: string, commitTs: Timestamp): Promise<TxnOutcome> {
    return this.store.outcome(txnId, commitTs)
  }

  async confirm(txnId: string, shard: number): Promise<void> {
    this.store.confirm(txnId, shard)
  }

  async drop(txnIds: readonly string[]): Promise<void> {
    for (const txnId of txnIds) this.store.entries.delete(txnId)
  }

  async list(limit: number): Promise<readonly DecisionRecord[]> {
    return [...this.store.entries.values()].slice(0, limit).map((entry) => entry.record)
  }

  async sweep(): Promise<SweepResult> {
    return { dropped: this.store.sweep(), unreadable: [] }
  }

  async close(): Promise<void> {
    if (this.registration !== undefined) this.store.registered.delete(this.registration)
  }
}
