import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, checkElements, lookOf, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { DeclaredRead } from './ops.ts'
import { addedBy } from './set.ts'
import type { Check } from './verdict.ts'

/**
 * A table becomes distributed while rows are added: each is there once, on one shard. Operations: `DeclaredRead`
 * of ops.ts.
 */
export const declaring: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const reads = okCalls(calls, 'read')
  checkElements(
    callsTo(calls, 'add').map(addedBy),
    reads.map((call) => lookOf(call, told<DeclaredRead>(call).rows)),
    options,
    judge,
    'row',
  )
  for (const read of reads) checkShards(read, judge)
  const declared = callsTo(calls, 'declare')
  judge.count('declarations ok', declared.filter(({ outcome }) => outcome === 'ok').length)
  judge.count('declarations not ok', declared.filter(({ outcome }) => outcome !== 'ok').length)
  if (!declared.some(({ outcome }) => outcome === 'ok'))
    judge.doubt('The table was never declared, so nothing is known.')
  return judge.verdict()
}

function checkShards(read: Call, judge: Judge): void {
  const { rows, shards } = told<DeclaredRead>(read)
  if (shards === undefined) return
  const places = new Map<number, string>()
  for (const [shard, held] of Object.entries(shards)) {
    for (const row of held) {
      const other = places.get(row)
      if (other !== undefined) {
        judge.find('doubled', `op ${indexOf(read)}: row ${row} is on shard ${other} and on ${shard}`, [
          indexOf(read),
        ])
      }
      places.set(row, shard)
    }
  }
  const homeless = rows.find((row) => !places.has(row))
  if (homeless !== undefined) {
    judge.find('homeless', `op ${indexOf(read)}: row ${homeless} is read and on no shard`, [indexOf(read)])
  }
}
