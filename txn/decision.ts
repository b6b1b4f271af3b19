import type { DecisionRecord } from './log/txn-log.ts'

export type DecodedRecord =
  | { readonly kind: 'record'; readonly record: DecisionRecord }
  /** Written by a newer Weft: it must not be guessed at, the transaction stays as it is. */
  | { readonly kind: 'unknown-version'; readonly version: unknown }
  | { readonly kind: 'corrupt'; readonly why: string }

/** A record as bytes: JSON, so that a person with psql or etcdctl can read it. */
export function encodeRecord(record: DecisionRecord): Buffer {
  return Buffer.from(JSON.stringify({ ...record, commitTs: record.commitTs.toString() }))
}

export function decodeRecord(bytes: Buffer): DecodedRecord {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    return { kind: 'corrupt', why: 'not JSON' }
  }
  if (!isObject(value)) return { kind: 'corrupt', why: 'not an object' }
  if (value.version !== 1) return { kind: 'unknown-version', version: value.version }
  const why = flawOf(value)
  if (why !== undefined) return { kind: 'corrupt', why }
  return {
    kind: 'record',
    record: {
      version: 1,
      txnId: value.txnId as string,
      decision: value.decision as 'commit' | 'abort',
      commitTs: BigInt(value.commitTs as string),
      participants: value.participants as number[],
      writer: value.writer as string,
    },
  }
}

function flawOf(value: Record<string, unknown>): string | undefined {
  if (typeof value.txnId !== 'string' || value.txnId === '') return 'no txnId'
  if (value.decision !== 'commit' && value.decision !== 'abort') return 'no decision'
  if (typeof value.commitTs !== 'string' || !/^[0-9]{1,20}$/.test(value.commitTs)) return 'no commitTs'
  if (!Array.isArray(value.participants) || !value.participants.every(isShard)) return 'no participants'
  if (typeof value.writer !== 'string') return 'no writer'
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isShard(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0
}
