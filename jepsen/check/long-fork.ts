import { indexOf } from '../history/calls.ts'
import { explainCycle } from './graph/explain.ts'
import { groupBy } from './group.ts'
import { Judge } from './judge.ts'
import { type Txn, txnsOf } from './txns.ts'
import type { Check, CheckOptions } from './verdict.ts'

/**
 * Two writes that are seen in different orders: one reader sees the first and not the second, another the second and not the
 * first. Of the readers of a group each has to see all that one who sees less does: sorted by how much they see, each is
 * compared with the next. Operations: `TxnValue` of ops.ts.
 */
export const longFork: Check = (history, options) => {
  const judge = new Judge()
  const txns = txnsOf(history)
  const writers = new Map(
    txns.flatMap((txn) => txn.ops.flatMap(([f, key]) => (f === 'w' ? [[key, txn] as const] : []))),
  )
  const readers = txns.filter(({ outcome, ops }) => outcome === 'ok' && ops.some(([f]) => f === 'r'))
  const atOneCut = readers.filter((txn) => isOneCut(txn, options))
  for (const reader of readers) checkValues(reader, writers, options, judge)
  const groups = groupBy(atOneCut, ({ ops }) =>
    ops
      .map(([, key]) => key)
      .toSorted((a, b) => a - b)
      .join(),
  )
  for (const group of groups.values()) checkGroup(group, writers, txns, judge)
  judge.count('writes', writers.size)
  judge.count('reads', readers.length)
  judge.count('groups', groups.size)
  if (atOneCut.length < readers.length)
    judge.note('Reads of several statements are no cut at READ COMMITTED: left out.')
  if (atOneCut.length === 0) judge.doubt('Nothing was read, so nothing is known.')
  return judge.verdict()
}

/** At READ COMMITTED only what one statement reads. */
function isOneCut({ statements, ops }: Txn, { isolation }: CheckOptions): boolean {
  if (isolation !== 'read committed' || ops.length < 2) return true
  return statements !== undefined && new Set(statements).size === 1
}

function seenBy({ ops }: Txn): Set<number> {
  return new Set(ops.flatMap(([f, key, value]) => (f === 'r' && value !== null ? [key] : [])))
}

function checkValues(
  reader: Txn,
  writers: ReadonlyMap<number, Txn>,
  { realtime }: CheckOptions,
  judge: Judge,
): void {
  const at = indexOf(reader.call)
  for (const [, key, value] of reader.ops) {
    const writer = writers.get(key)
    if (value === null) {
      if (!realtime || writer?.outcome !== 'ok' || indexOf(writer.call) > reader.call.invoke.index) continue
      const ops = [indexOf(writer.call), at]
      judge.find('stale', `op ${at} does not see ${key}, which op ${ops[0]} had written before`, ops)
    } else if (writer === undefined)
      judge.find('garbage', `op ${at} reads ${value} from ${key}, which nobody wrote`, [at])
    else if (writer.outcome === 'fail') {
      judge.find('G1a', `op ${at} reads ${key}, whose writer, op ${indexOf(writer.call)}, had failed`, [at])
    }
  }
}

function checkGroup(
  group: readonly Txn[],
  writers: ReadonlyMap<number, Txn>,
  txns: readonly Txn[],
  judge: Judge,
): void {
  const sorted = group
    .map((reader) => ({ reader, seen: seenBy(reader) }))
    .toSorted((one, other) => one.seen.size - other.seen.size)
  sorted.forEach(({ reader, seen }, i) => {
    const next = sorted[i + 1]
    const missed = next === undefined ? undefined : [...seen].find((key) => !next.seen.has(key))
    if (next === undefined || missed === undefined) return
    const other = [...next.seen].find((key) => !seen.has(key)) as number
    const first = writers.get(missed)
    const second = writers.get(other)
    if (first === undefined || second === undefined) return
    const step = (from: Txn, to: Txn, kind: 'wr' | 'rw', key: number) => {
      return { from: from.id, to: to.id, kind, why: { key, value: 1, before: null } }
    }
    const steps = [
      step(first, reader, 'wr', missed),
      step(reader, second, 'rw', other),
      step(second, next.reader, 'wr', other),
      step(next.reader, first, 'rw', missed),
    ]
    const { text, svg, ops } = explainCycle({ kind: 'long-fork', steps }, (id) => txns[id] as Txn, 'register')
    judge.find('long-fork', text, ops, svg)
  })
}
