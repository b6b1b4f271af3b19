import { indexOf } from '../../history/calls.ts'
import type { Judge } from '../judge.ts'
import { listWords, type Txn } from '../txns.ts'

/** What a transaction found in a list that others had put there, its own appends taken off. */
export interface ListRead {
  readonly txn: Txn
  /** Which of its micro-ops. */
  readonly at: number
  readonly key: number
  readonly values: readonly number[]
}

/** What a history tells of its lists. */
export interface Lists {
  readonly txns: readonly Txn[]
  readonly reads: readonly ListRead[]
  /** The longest that was read of each list: the order of its appends. */
  readonly orders: ReadonlyMap<number, readonly number[]>
  /** Committed appends that nobody has read, for each list. */
  readonly unseen: ReadonlyMap<number, readonly { readonly txn: Txn; readonly value: number }[]>
  writerOf(key: number, value: number): Txn | undefined
  /** Acknowledged, or with an unknown end but something of it was read. */
  counts(txn: Txn): boolean
}

/** Values that are appended to one list twice tell nothing: that is a mistake of the workload, not of the database. */
export function readLists(txns: readonly Txn[], judge: Judge): Lists {
  const writers = new Map<number, Map<number, Txn>>()
  for (const txn of txns) {
    for (const [f, key, value] of txn.ops) {
      if (f !== 'append') continue
      const list = writers.get(key) ?? new Map<number, Txn>()
      if (list.has(value)) throw new Error(`${value} is appended to ${key} twice: values must be unique`)
      writers.set(key, list.set(value, txn))
    }
  }
  const writerOf = (key: number, value: number): Txn | undefined => writers.get(key)?.get(value)
  const reads = txns.flatMap((txn) => (txn.outcome === 'ok' ? readsOf(txn, writerOf, judge) : []))
  const orders = new Map<number, readonly number[]>()
  for (const { key, values } of reads) {
    if (values.length > (orders.get(key)?.length ?? -1)) orders.set(key, values)
  }
  const seen = new Set<Txn>()
  const unseen = new Map<number, { txn: Txn; value: number }[]>()
  for (const [key, order] of orders) {
    const there = new Set(order)
    const never: { txn: Txn; value: number }[] = []
    for (const [value, txn] of writers.get(key) ?? []) {
      if (there.has(value)) seen.add(txn)
      else if (txn.outcome === 'ok') never.push({ txn, value })
    }
    if (never.length > 0) unseen.set(key, never)
  }
  const counts = (txn: Txn): boolean => txn.outcome === 'ok' || (txn.outcome === 'info' && seen.has(txn))
  return { txns, reads, orders, unseen, writerOf, counts }
}

/** The reads of a transaction; what it has itself appended has to be at the end of them. */
function readsOf(
  txn: Txn,
  writerOf: (key: number, value: number) => Txn | undefined,
  judge: Judge,
): ListRead[] {
  const own = new Map<number, number[]>()
  const reads: ListRead[] = []
  txn.ops.forEach(([f, key, value], at) => {
    const mine = own.get(key) ?? []
    if (f === 'append') {
      own.set(key, [...mine, value as number])
    } else if (f === 'r') {
      const values = (value ?? []) as readonly number[]
      const external = values.slice(0, Math.max(0, values.length - mine.length))
      const isInternal = mine.every((item, i) => values[external.length + i] === item)
      const isMixed =
        own.size > 0 && external.some((item) => mine.includes(item) && writerOf(key, item) === txn)
      if (!isInternal || isMixed) {
        judge.find(
          'internal',
          `op ${indexOf(txn.call)} has appended ${listWords(mine)} to ${key} and reads ${listWords(values)}`,
          [indexOf(txn.call)],
        )
      }
      reads.push({ txn, at, key, values: external })
    }
  })
  return reads
}
