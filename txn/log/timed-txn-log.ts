import type { Timestamp } from '../../protocol/agent-link.ts'
import type { TxnOutcome } from '../outcome.ts'
import type {
  CreateResult,
  CreateWithin,
  DecisionRecord,
  LookupResult,
  SweepResult,
  TxnLog,
} from './txn-log.ts'

export type LogRequest = 'create' | 'lookup' | 'outcome' | 'confirm' | 'drop'

/** Told of each request that was answered, and of each that failed: how long it took, milliseconds. */
export type OnLogRequest = (request: LogRequest, result: 'ok' | 'failed', tookMs: number) => void

/** A transaction log of which somebody wants to know how long it takes. */
export class TimedTxnLog implements TxnLog {
  private readonly log: TxnLog
  private readonly told: OnLogRequest

  constructor(log: TxnLog, told: OnLogRequest) {
    this.log = log
    this.told = told
  }

  incarnation(): string {
    return this.log.incarnation()
  }

  get within(): CreateWithin | undefined {
    return this.log.within
  }

  create(record: DecisionRecord): Promise<CreateResult> {
    return this.timed('create', this.log.create(record))
  }

  lookup(txnId: string): Promise<LookupResult> {
    return this.timed('lookup', this.log.lookup(txnId))
  }

  read(txnId: string): Promise<DecisionRecord | undefined> {
    return this.log.read(txnId)
  }

  outcome(txnId: string, commitTs: Timestamp): Promise<TxnOutcome> {
    return this.timed('outcome', this.log.outcome(txnId, commitTs))
  }

  confirm(txnId: string, shard: number): Promise<void> {
    return this.timed('confirm', this.log.confirm(txnId, shard))
  }

  drop(txnIds: readonly string[]): Promise<void> {
    return this.timed('drop', this.log.drop(txnIds))
  }

  list(limit: number): Promise<readonly DecisionRecord[]> {
    return this.log.list(limit)
  }

  sweep(): Promise<SweepResult> {
    return this.log.sweep()
  }

  close(): Promise<void> {
    return this.log.close()
  }

  private timed<T>(request: LogRequest, answer: Promise<T>): Promise<T> {
    const sinceMs = performance.now()
    const done = (result: 'ok' | 'failed') => () => this.told(request, result, performance.now() - sinceMs)
    void answer.then(done('ok'), done('failed'))
    return answer
  }
}
