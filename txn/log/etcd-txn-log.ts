import type { ICompare, IRequestOp, IResponseOp, ITxnRequest, ITxnResponse } from 'etcd3'
import { InvariantError } from '../../errors/pg-error.ts'
import type { Timestamp } from '../../protocol/agent-link.ts'
import { decodeRecord, encodeRecord } from '../decision.ts'
import { incarnationOf } from '../gid.ts'
import { judgeOutcome, type TxnOutcome } from '../outcome.ts'
import { EtcdEndpoints, type EtcdServer } from './etcd-endpoints.ts'
import { EtcdKept } from './etcd-kept.ts'
import { CreateGroups, DropQueue } from './grouping.ts'
import { Registration } from './registration.ts'
import {
  type CreateResult,
  type DecisionRecord,
  LogUnknownError,
  type LookupResult,
  OUTCOMES_KEPT_MS,
  type SweepResult,
  type TxnLog,
} from './txn-log.ts'

export interface EtcdTxnLogOptions extends EtcdServer {
  /** Keys begin with `/weft/<cluster>/`. */
  readonly cluster: string
  /** Registers this process as a coordinator. An agent's log needs none. */
  readonly coordinatorId?: string
  readonly limits?: Partial<EtcdTxnLogLimits>
  readonly onHealth?: (reachable: boolean, why: string) => void
  /** Open also when it does not answer: until it does, every call rejects with `LogUnavailableError`. */
  readonly mayBeDown?: boolean
}

export interface EtcdTxnLogLimits {
  /** Below etcd's own `--max-txn-ops` (128). */
  readonly groupMax: number
  /** Decision writes under way at a time. */
  readonly writesMax: number
  readonly callTimeoutMs: number
  /** A coordinator that has not been heard of for so long can decide nothing any more. */
  readonly registrationTtlSeconds: number
  readonly dropAfterMs: number
  /** How long `outcome` can be asked for commits that recovery has concluded. */
  readonly keptMs: number
}

export const defaultEtcdTxnLogLimits: EtcdTxnLogLimits = {
  groupMax: 64,
  writesMax: 4,
  callTimeoutMs: 3_000,
  registrationTtlSeconds: 7,
  dropAfterMs: 100,
  keptMs: OUTCOMES_KEPT_MS,
}

const pageMax = 1_000

/**
 * The transaction log in etcd. Keys: `txn/<txn id>` a record, `coordinator/<incarnation>` a registration (it goes with
 * its lease), `ack/<txn id>/<shard>` a confirmation, `kept/<txn id>` and `forgotten` what `outcome` needs (etcd-kept.ts).
 * A decision is one etcd transaction: "no record, and the coordinator's key is there" (docs/decisions/0002-tombstones.md).
 * Decisions that arrive together travel as nested transactions of one: each has its own condition, and all share one Raft
 * entry and one fsync on each member.
 */
export class EtcdTxnLog implements TxnLog {
  private readonly limits: EtcdTxnLogLimits
  private readonly etcd: EtcdEndpoints
  private readonly prefix: string
  private readonly groups: CreateGroups
  private readonly drops: DropQueue
  private readonly registration: Registration
  private readonly kept: EtcdKept
  private lease: string | undefined
  private closed = false

  private constructor(options: EtcdTxnLogOptions) {
    this.limits = { ...defaultEtcdTxnLogLimits, ...options.limits }
    this.etcd = new EtcdEndpoints(options)
    this.prefix = `/weft/${options.cluster}/`
    this.kept = new EtcdKept(this.prefix, this.limits.keptMs)
    const { groupMax, writesMax, dropAfterMs, registrationTtlSeconds } = this.limits
    this.groups = new CreateGroups({ write: (records) => this.write(records), groupMax, writesMax })
    this.drops = new DropQueue((txnIds) => this.dropNow(txnIds), groupMax / 2, dropAfterMs)
    this.registration = new Registration({
      coordinatorId: options.coordinatorId,
      beat: () => this.beat(),
      register: (incarnation) => this.register(incarnation),
      ping: async () => void (await this.txn({ success: [rangeOp(this.txnKey(''))] })),
      beatEveryMs: (registrationTtlSeconds * 1000) / 6,
      onHealth: options.onHealth,
    })
  }

  /** Registers. Rejects with `LogUnavailableError` when no member answers. */
  static async open(options: EtcdTxnLogOptions): Promise<EtcdTxnLog> {
    const log = new EtcdTxnLog(options)
    try {
      await log.registration.start(options.mayBeDown ?? false)
    } catch (error) {
      await log.close()
      throw error
    }
    return log
  }

  incarnation(): string {
    return this.registration.current
  }

  create(record: DecisionRecord): Promise<CreateResult> {
    return this.groups.create(record)
  }

  async lookup(txnId: string): Promise<LookupResult> {
    const owner = this.coordinatorKey(incarnationOf(txnId))
    // One linearizable read of both keys at one revision.
    const { responses } = await this.txn({ success: [rangeOp(this.txnKey(txnId)), rangeOp(owner)] })
    return lookupOf(responses)
  }

  async read(txnId: string): Promise<DecisionRecord | undefined> {
    const found = await this.lookup(txnId)
    if (found.kind === 'unreadable') throw new LogUnknownError(found.why)
    return found.kind === 'record' ? found.record : undefined
  }

  async outcome(txnId: string, commitTs: Timestamp): Promise<TxnOutcome> {
    const owner = this.coordinatorKey(incarnationOf(txnId))
    const both = [rangeOp(this.txnKey(txnId)), rangeOp(owner)]
    const { responses } = await this.txn({ success: [...both, ...this.kept.readOps(txnId)] })
    return judgeOutcome(lookupOf(responses), this.kept.outcomeOf(responses.slice(2)), commitTs)
  }

  async confirm(txnId: string, shard: number): Promise<void> {
    const key = this.txnKey(txnId)
    const acks = prefixRange(this.ackKey(txnId, ''))
    const ack = { request_put: { key: this.ackKey(txnId, String(shard)), value: Buffer.alloc(0) } }
    const { succeeded, responses } = await this.txn({
      compare: [exists(key)],
      success: [ack, rangeOp(key), { request_range: { ...acks, keys_only: true } }],
    })
    if (!succeeded) return
    const found = lookupOf([responses[1], undefined])
    if (found.kind !== 'record' || found.record.decision !== 'commit') return
    const confirmed = new Set(
      keysOf(responses[2]).map((path) => Number(path.slice(path.lastIndexOf('/') + 1))),
    )
    if (!found.record.participants.every((participant) => confirmed.has(participant))) return
    // Unless another shard has concluded it: what was kept may be forgotten by now, and is not to come back.
    await this.txn({
      compare: [exists(key)],
      success: [...this.dropOps(txnId), this.kept.keepOp(found.record)],
    })
  }

  async drop(txnIds: readonly string[]): Promise<void> {
    this.drops.add(txnIds)
  }

  /** Resolves when what was to be dropped is (for tests, and before closing). */
  async settled(): Promise<void> {
    await this.drops.flush()
  }

  async list(limit: number): Promise<readonly DecisionRecord[]> {
    const entries = await this.page(Buffer.from(`${this.prefix}txn/`), limit)
    return entries.flatMap(({ found }) => (found.kind === 'record' ? [found.record] : []))
  }

  async sweep(): Promise<SweepResult> {
    await this.kept.forget((request) => this.txn(request))
    const unreadable: string[] = []
    let dropped = 0
    let from = Buffer.from(`${this.prefix}txn/`)
    for (;;) {
      const entries = await this.page(from, pageMax)
      for (const { txnId, found } of entries) {
        if (found.kind === 'unreadable') unreadable.push(txnId)
        else if (found.kind === 'record' && found.record.decision === 'abort') {
          if (await this.dropIfAbandoned(txnId)) dropped++
        }
      }
      const last = entries.at(-1)
      if (last === undefined || entries.length < pageMax) return { dropped, unreadable }
      from = Buffer.from(`${this.prefix}txn/${last.txnId}\0`)
    }
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.groups.close()
    await this.drops.close()
    await this.registration.stop()
    if (this.lease !== undefined) {
      await this.etcd.revokeLease(this.lease, this.limits.callTimeoutMs).catch(() => {})
    }
    this.etcd.close()
  }

  private async write(records: readonly DecisionRecord[]): Promise<readonly (CreateResult | Error)[]> {
    const requests = records.map((record) => this.createRequest(record))
    try {
      const [only] = requests
      if (only !== undefined && requests.length === 1)
        return [this.createResult(records, 0, await this.txn(only))]
      const { responses } = await this.txn({ success: requests.map((txn) => ({ request_txn: txn })) })
      return records.map((_, i) => this.createResult(records, i, responses[i]?.response_txn))
    } catch (error) {
      this.registration.failed(error)
      throw error
    }
  }

  private createRequest(record: DecisionRecord): ITxnRequest {
    const key = this.txnKey(record.txnId)
    const owner = this.coordinatorKey(incarnationOf(record.txnId))
    const compare: ICompare[] = [{ key, target: 'Create', result: 'Equal', create_revision: 0 }]
    if (record.decision === 'commit') compare.push(exists(owner))
    return {
      compare,
      success: [{ request_put: { key, value: encodeRecord(record) } }],
      failure: [rangeOp(key), rangeOp(owner)],
    }
  }

  private createResult(
    records: readonly DecisionRecord[],
    i: number,
    response: ITxnResponse | undefined,
  ): CreateResult | Error {
    const record = records[i]
    if (record === undefined || response === undefined) return new InvariantError('a write without a result')
    if (response.succeeded) return { kind: 'created' }
    const found = lookupOf(response.responses)
    if (found.kind === 'record') return { kind: 'exists', record: found.record }
    if (found.kind === 'unreadable') return new LogUnknownError(found.why)
    this.registration.fenced(incarnationOf(record.txnId))
    return { kind: 'fenced' }
  }

  /** A tombstone can go once its coordinator's registration has (it never comes back). */
  private async dropIfAbandoned(txnId: string): Promise<boolean> {
    const owner = this.coordinatorKey(incarnationOf(txnId))
    const { succeeded } = await this.txn({
      compare: [{ key: owner, target: 'Create', result: 'Equal', create_revision: 0 }],
      success: this.dropOps(txnId),
    })
    return succeeded
  }

  private async dropNow(txnIds: readonly string[]): Promise<void> {
    await this.txn({ success: txnIds.flatMap((txnId) => this.dropOps(txnId)) })
  }

  private dropOps(txnId: string): IRequestOp[] {
    return [
      { request_delete_range: { key: this.txnKey(txnId) } },
      { request_delete_range: prefixRange(this.ackKey(txnId, '')) },
    ]
  }

  private async page(from: Buffer, limit: number): Promise<{ txnId: string; found: LookupResult }[]> {
    const prefix = `${this.prefix}txn/`
    const range = { key: from, range_end: prefixRange(Buffer.from(prefix)).range_end, limit }
    const { responses } = await this.txn({ success: [{ request_range: range }] })
    return (responses[0]?.response_range?.kvs ?? []).map((kv) => ({
      txnId: kv.key.toString().slice(prefix.length),
      found: decoded(kv.value),
    }))
  }

  private async register(incarnation: string): Promise<boolean> {
    const { callTimeoutMs, registrationTtlSeconds } = this.limits
    this.lease = await this.etcd.grantLease(registrationTtlSeconds, callTimeoutMs)
    const key = this.coordinatorKey(incarnation)
    const { succeeded } = await this.txn({
      compare: [{ key, target: 'Create', result: 'Equal', create_revision: 0 }],
      success: [{ request_put: { key, value: Buffer.alloc(0), lease: this.lease } }],
    })
    return succeeded
  }

  private async beat(): Promise<boolean> {
    if (this.lease === undefined) return false
    return this.etcd.keepLeaseAlive(this.lease, this.limits.callTimeoutMs)
  }

  private txn(request: ITxnRequest): Promise<ITxnResponse> {
    return this.etcd.txn(request, this.limits.callTimeoutMs)
  }

  private txnKey(txnId: string): Buffer {
    return Buffer.from(`${this.prefix}txn/${txnId}`)
  }

  private coordinatorKey(incarnation: string): Buffer {
    return Buffer.from(`${this.prefix}coordinator/${incarnation}`)
  }

  private ackKey(txnId: string, shard: string): Buffer {
    return Buffer.from(`${this.prefix}ack/${txnId}/${shard}`)
  }
}

function exists(key: Buffer): ICompare {
  return { key, target: 'Create', result: 'Greater', create_revision: 0 }
}

function rangeOp(key: Buffer): IRequestOp {
  return { request_range: { key } }
}

/** All keys that begin with `prefix`, which ends in an ASCII character. */
function prefixRange(prefix: Buffer): { readonly key: Buffer; readonly range_end: Buffer } {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1
  return { key: prefix, range_end: end }
}

/** Of a range over the record and one over the registration. */
function lookupOf(responses: readonly (IResponseOp | undefined)[]): LookupResult {
  const record = responses[0]?.response_range?.kvs[0]
  if (record !== undefined) return decoded(record.value)
  return { kind: 'absent', ownerRegistered: keysOf(responses[1]).length > 0 }
}

function decoded(value: Buffer): LookupResult {
  const record = decodeRecord(value)
  switch (record.kind) {
    case 'record':
      return record
    case 'unknown-version':
      return { kind: 'unreadable', why: `record of version ${String(record.version)}` }
    case 'corrupt':
      return { kind: 'unreadable', why: `corrupt record: ${record.why}` }
  }
}

function keysOf(response: IResponseOp | undefined): string[] {
  return (response?.response_range?.kvs ?? []).map((kv) => kv.key.toString())
}
