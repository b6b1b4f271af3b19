import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { SequentialRead, SequentialWrite } from './ops.ts'
import type { Check } from './verdict.ts'

/**
 * One client writes the parts of a key one after the other; who reads them in the opposite order, and has seen one, sees all
 * that were written before it. Operations: `SequentialWrite`, `SequentialRead` of ops.ts.
 */
export const sequential: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const writes = new Map(callsTo(calls, 'write').map((call) => [call.invoke.value as SequentialWrite, call]))
  const reads = okCalls(calls, 'read')
  const counts = { all: 0, some: 0, none: 0 }
  for (const read of reads) {
    const [key, parts] = told<SequentialRead>(read)
    const there = (parts ?? []).filter((part) => part !== null).length
    counts[there === 0 ? 'none' : there === parts?.length ? 'all' : 'some']++
    checkParts(key, parts ?? [], read, judge)
    checkKey(key, there, parts?.length ?? 0, read, writes.get(key), options.realtime, judge)
  }
  judge.count('reads', reads.length)
  for (const [what, count] of Object.entries(counts)) judge.count(`reads of ${what} parts`, count)
  if (counts.some + counts.all === 0) judge.doubt('No part of a key was seen, so nothing is known.')
  return judge.verdict()
}

function checkParts(key: number, parts: readonly (number | null)[], read: Call, judge: Judge): void {
  const first = parts.findIndex((part) => part !== null)
  const gap = first < 0 ? -1 : parts.indexOf(null, first)
  if (gap < 0) return
  const [seen, missed] = [parts.length - 1 - first, parts.length - 1 - gap]
  judge.find(
    'out-of-order',
    `op ${indexOf(read)} sees part ${seen} of key ${key} and then not part ${missed}, which was written before it`,
    [indexOf(read)],
  )
}

function checkKey(
  key: number,
  there: number,
  parts: number,
  read: Call,
  write: Call | undefined,
  realtime: boolean,
  judge: Judge,
): void {
  const at = indexOf(read)
  if (write === undefined) {
    if (there > 0) judge.find('garbage', `op ${at} sees key ${key}, which nobody wrote`, [at])
    return
  }
  if (!realtime || write.outcome !== 'ok' || indexOf(write) > read.invoke.index || there === parts) return
  judge.find('stale', `op ${at} does not see all of key ${key}, which op ${indexOf(write)} had written`, [
    indexOf(write),
    at,
  ])
}
