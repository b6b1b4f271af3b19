import type { ICompare, IRequestOp, IResponseOp, ITxnRequest, ITxnResponse } from 'etcd3'
import type { Timestamp } from '../../protocol/agent-link.ts'
import type { KeptOutcome } from '../outcome.ts'
import type { DecisionRecord } from './txn-log.ts'

interface Kept {
  readonly commitTs: Timestamp
  readonly atMs: number
}

/** Below etcd's own `--max-txn-ops` (128). */
const forgetMax = 100

/**
 * The commits that recovery has concluded, in etcd: `kept/<txn id>` each, and `forgotten`, the highest timestamp of those
 * that are gone. Both change in one transaction, so that who finds nothing knows whether there could have been something.
 */
export class EtcdKept {
  private readonly prefix: string
  private readonly keptMs: number

  /** Keys begin with `prefix`. */
  constructor(prefix: string, keptMs: number) {
    this.prefix = prefix
    this.keptMs = keptMs
  }

  /** Beside the deletion of its record. */
  keepOp({ txnId, commitTs }: DecisionRecord): IRequestOp {
    const value = Buffer.from(JSON.stringify({ commitTs: commitTs.toString(), atMs: Date.now() }))
    return { request_put: { key: this.key(txnId), value } }
  }

  /** To be read at one revision with the record. */
  readOps(txnId: string): IRequestOp[] {
    return [{ request_range: { key: this.key(txnId) } }, { request_range: { key: this.forgottenKey } }]
  }

  outcomeOf(responses: readonly (IResponseOp | undefined)[]): KeptOutcome {
    const [kept, forgotten] = responses.map((response) => response?.response_range?.kvs[0])
    return { isKept: kept !== undefined, forgottenTs: timestampOf(forgotten?.value) }
  }

  /** Forgets what was kept for long enough; some at a time. */
  async forget(txn: (request: ITxnRequest) => Promise<ITxnResponse>): Promise<void> {
    const first = this.key('')
    const end = Buffer.from(first)
    end[end.length - 1] = (end[end.length - 1] ?? 0) + 1
    const range = { key: first, range_end: end, limit: 10 * forgetMax }
    const { responses } = await txn({
      success: [{ request_range: range }, { request_range: { key: this.forgottenKey } }],
    })
    const before = responses[1]?.response_range?.kvs[0]
    const dueMs = Date.now() - this.keptMs
    const due = (responses[0]?.response_range?.kvs ?? [])
      .map(({ key, value }) => ({ key, kept: keptOf(value) }))
      .filter(({ kept }) => kept.atMs < dueMs)
      .slice(0, forgetMax)
    if (due.length === 0) return
    let highest = timestampOf(before?.value)
    for (const { kept } of due) if (kept.commitTs > highest) highest = kept.commitTs
    const value = Buffer.from(highest.toString())
    // Another node may be at it: then it is done, and what is left comes next time.
    const unchanged: ICompare = {
      key: this.forgottenKey,
      target: 'Mod',
      result: 'Equal',
      mod_revision: before?.mod_revision ?? 0,
    }
    await txn({
      compare: [unchanged],
      success: [
        ...due.map(({ key }) => ({ request_delete_range: { key } })),
        { request_put: { key: this.forgottenKey, value } },
      ],
    })
  }

  private key(txnId: string): Buffer {
    return Buffer.from(`${this.prefix}kept/${txnId}`)
  }

  private get forgottenKey(): Buffer {
    return Buffer.from(`${this.prefix}forgotten`)
  }
}

function timestampOf(value: Buffer | undefined): Timestamp {
  return value === undefined ? 0n : BigInt(value.toString())
}

function keptOf(value: Buffer): Kept {
  const { commitTs, atMs } = JSON.parse(value.toString()) as { commitTs: string; atMs: number }
  return { commitTs: BigInt(commitTs), atMs }
}
