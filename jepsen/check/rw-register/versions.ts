/** The versions of registers, and what a history tells of their order. */
import { indexOf } from '../../history/calls.ts'
import type { Judge } from '../judge.ts'
import type { Txn } from '../txns.ts'

export interface Version {
  readonly key: number
  /** Null: the register was never written. */
  readonly value: number | null
  readonly writer: Txn | undefined
  /** Transactions that found it there. */
  readonly readers: Txn[]
  /** Readers that then wrote the register. */
  readonly updaters: Txn[]
  /** Versions that are known to come later. */
  readonly later: Set<Version>
}

export class Registers {
  readonly keys = new Map<number, Map<number | null, Version>>()
  readonly seen = new Set<Txn>()

  counts(txn: Txn | undefined): txn is Txn {
    return txn !== undefined && (txn.outcome === 'ok' || (txn.outcome === 'info' && this.seen.has(txn)))
  }

  version(key: number, value: number | null, writer?: Txn): Version {
    const versions = this.keys.get(key) ?? new Map<number | null, Version>()
    this.keys.set(key, versions)
    const known = versions.get(value)
    if (known !== undefined) return known
    const version: Version = { key, value, writer, readers: [], updaters: [], later: new Set() }
    versions.set(value, version)
    return version
  }
}

/** Values that are written to one register twice tell nothing: that is a mistake of the workload. */
export function readRegisters(txns: readonly Txn[], judge: Judge): Registers {
  const registers = new Registers()
  for (const txn of txns) {
    for (const [f, key, value] of txn.ops) {
      if (f !== 'w') continue
      if (
        registers.version(key, value as number, txn).writer !== txn ||
        hasTwice(txn, key, value as number)
      ) {
        throw new Error(`${value} is written to ${key} twice: values must be unique`)
      }
    }
  }
  for (const txn of txns) if (txn.outcome === 'ok') readOne(txn, registers, judge)
  for (const txn of txns) if (registers.counts(txn) && txn.outcome === 'info') orderOwnWrites(txn, registers)
  return registers
}

function hasTwice(txn: Txn, key: number, value: number): boolean {
  return txn.ops.filter(([f, k, v]) => f === 'w' && k === key && v === value).length > 1
}

/** What it read; and that what it wrote comes after what it had read or written there before. */
function readOne(txn: Txn, registers: Registers, judge: Judge): void {
  const known = new Map<number, { version: Version; isOwn: boolean }>()
  for (const [f, key, told] of txn.ops) {
    const value = told as number | null
    const before = known.get(key)
    const version = registers.version(key, value)
    if (f === 'w') {
      before?.version.later.add(version)
      if (before?.isOwn === false) before.version.updaters.push(txn)
      known.set(key, { version, isOwn: true })
      continue
    }
    if (before !== undefined && before.version !== version) {
      const what = `op ${indexOf(txn.call)} reads ${value} from ${key}, where it had ${before.isOwn ? 'written' : 'read'} ${before.version.value}`
      // To read something else the second time is what READ COMMITTED is about: that is an edge like others.
      if (before.isOwn) judge.find('internal', what, [indexOf(txn.call)])
    }
    if (before?.version === version) continue
    if (version.writer !== txn) version.readers.push(txn)
    if (version.writer !== undefined) registers.seen.add(version.writer)
    known.set(key, { version, isOwn: false })
  }
}

function orderOwnWrites(txn: Txn, registers: Registers): void {
  const last = new Map<number, Version>()
  for (const [f, key, value] of txn.ops) {
    if (f !== 'w') continue
    const version = registers.version(key, value as number)
    last.get(key)?.later.add(version)
    last.set(key, version)
  }
}

/**
 * If each register by itself is linearizable: what a transaction found or left there comes before what one that began after
 * its end finds or leaves. Only the newest of what had ended is looked at.
 */
export function orderByTime(txns: readonly Txn[], registers: Registers): void {
  const newest = new Map<number, Set<Version>>()
  const begun = new Map<Txn, Map<number, readonly Version[]>>()
  const events = txns.flatMap((txn) => {
    if (!registers.counts(txn)) return []
    const begin = { index: txn.call.invoke.index, txn, isEnd: false }
    return txn.outcome === 'ok' ? [begin, { index: indexOf(txn.call), txn, isEnd: true }] : [begin]
  })
  events.sort((one, other) => one.index - other.index)
  for (const { txn, isEnd } of events) {
    const touched = touchedBy(txn, registers)
    if (!isEnd) {
      const before = new Map([...touched.keys()].map((key) => [key, [...(newest.get(key) ?? [])]]))
      begun.set(txn, before)
      if (txn.outcome === 'info')
        for (const [key, version] of touched) addAfter(before.get(key) ?? [], version.first)
      continue
    }
    for (const [key, { first, last }] of touched) {
      const before = begun.get(txn)?.get(key) ?? []
      addAfter(before, first)
      const now = newest.get(key) ?? new Set<Version>()
      newest.set(key, now)
      for (const version of before) now.delete(version)
      now.add(last)
    }
    begun.delete(txn)
  }
}

function addAfter(before: readonly Version[], version: Version): void {
  for (const one of before) if (one !== version) one.later.add(version)
}

/** The first version of each register that a transaction met or made, and the last. */
function touchedBy(txn: Txn, registers: Registers): Map<number, { first: Version; last: Version }> {
  const touched = new Map<number, { first: Version; last: Version }>()
  for (const [f, key, value] of txn.ops) {
    if (f === 'r' && txn.outcome !== 'ok') continue
    const version = registers.version(key, value as number | null)
    touched.set(key, { first: touched.get(key)?.first ?? version, last: version })
  }
  return touched
}

/** Nothing comes before the register was written: null is before all of which nothing else is known. */
export function orderInitial(registers: Registers): void {
  for (const [key, versions] of registers.keys) {
    const follows = new Set([...versions.values()].flatMap(({ later }) => [...later]))
    const initial = registers.version(key, null)
    for (const version of versions.values()) {
      if (version !== initial && !follows.has(version)) initial.later.add(version)
    }
  }
}
