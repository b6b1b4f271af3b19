/** What is wrong with lists by themselves, before anybody asks for cycles. */
import { indexOf, isBefore } from '../../history/calls.ts'
import type { Judge } from '../judge.ts'
import { listWords, type Txn } from '../txns.ts'
import type { ListRead, Lists } from './lists.ts'

export function checkStructure(lists: Lists, judge: Judge): void {
  const longest = new Set<readonly number[]>(lists.orders.values())
  for (const read of lists.reads) {
    const order = lists.orders.get(read.key) ?? []
    const isPrefix = read.values.every((value, i) => value === order[i])
    if (!isPrefix) {
      judge.find(
        'incompatible-order',
        `list ${read.key}: op ${indexOf(read.txn.call)} reads ${listWords(read.values)}, another read is ${listWords(order)}`,
        [indexOf(read.txn.call)],
      )
    }
    // What is the beginning of the longest read has no other elements.
    if (!isPrefix || longest.has(read.values)) checkElements(lists, read, judge)
    checkAborted(lists, read, judge)
    checkIntermediate(lists, read, judge)
  }
  for (const [key, order] of lists.orders) checkDirtyUpdate(lists, key, order, judge)
  checkLost(lists, judge)
}

function checkElements(lists: Lists, { txn, key, values }: ListRead, judge: Judge): void {
  const ops = [indexOf(txn.call)]
  const strange = values.find((value) => lists.writerOf(key, value) === undefined)
  if (strange !== undefined) {
    judge.find('garbage', `list ${key}: op ${ops[0]} reads ${strange}, which nobody appended to it`, ops)
  }
  if (new Set(values).size === values.length) return
  const twice = values.find((value, i) => values.indexOf(value) < i)
  judge.find(
    'duplicate-elements',
    `list ${key}: op ${ops[0]} reads ${twice} twice: ${listWords(values)}`,
    ops,
  )
}

function checkAborted(lists: Lists, { txn, key, values }: ListRead, judge: Judge): void {
  const aborted = values.find((value) => lists.writerOf(key, value)?.outcome === 'fail')
  const writer = aborted === undefined ? undefined : lists.writerOf(key, aborted)
  if (writer === undefined) return
  judge.find(
    'G1a',
    `op ${indexOf(txn.call)} reads ${aborted} of list ${key}, which op ${indexOf(writer.call)} appended and did not commit`,
    [indexOf(writer.call), indexOf(txn.call)],
  )
}

function checkIntermediate(lists: Lists, { txn, key, values }: ListRead, judge: Judge): void {
  const last = values.at(-1)
  const writer = last === undefined ? undefined : lists.writerOf(key, last)
  if (writer === undefined || writer === txn) return
  const final = writer.ops.findLast(([f, list]) => f === 'append' && list === key)?.[2]
  if (final === last) return
  judge.find(
    'G1b',
    `op ${indexOf(txn.call)} reads list ${key} up to ${last}, and op ${indexOf(writer.call)} appended ${final} after it`,
    [indexOf(writer.call), indexOf(txn.call)],
  )
}

/** A committed append on top of one that was rolled back. */
function checkDirtyUpdate(lists: Lists, key: number, order: readonly number[], judge: Judge): void {
  let aborted: { value: number; writer: Txn } | undefined
  for (const value of order) {
    const writer = lists.writerOf(key, value)
    if (writer?.outcome === 'fail') aborted = { value, writer }
    if (aborted === undefined || writer === undefined || !lists.counts(writer)) continue
    judge.find(
      'dirty-update',
      `list ${key}: op ${indexOf(writer.call)} appended ${value} to what has ${aborted.value}, which was not committed`,
      [indexOf(aborted.writer.call), indexOf(writer.call)],
    )
    return
  }
}

/** The final read of a list has everything that was acknowledged. */
function checkLost(lists: Lists, judge: Judge): void {
  const finals = new Map<number, { txn: Txn; there: Set<number> }>()
  for (const txn of lists.txns) {
    if (!txn.isFinal || txn.outcome !== 'ok') continue
    for (const [f, key, values] of txn.ops) {
      if (f === 'r') finals.set(key, { txn, there: new Set((values ?? []) as readonly number[]) })
    }
  }
  for (const txn of lists.txns) {
    if (txn.outcome !== 'ok') continue
    for (const [f, key, value] of txn.ops) {
      const final = f === 'append' ? finals.get(key) : undefined
      if (final === undefined || final.there.has(value as number) || !isBefore(txn.call, final.txn.call))
        continue
      judge.find(
        'lost-append',
        `list ${key}: ${value}, acknowledged to op ${indexOf(txn.call)}, is not in the final read, op ${indexOf(final.txn.call)}`,
        [indexOf(txn.call), indexOf(final.txn.call)],
      )
    }
  }
  if (finals.size === 0)
    judge.note('No list was read at the end, so appends that were lost last may have been missed.')
}
