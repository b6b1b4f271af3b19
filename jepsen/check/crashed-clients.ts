import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, checkElements, lookOf, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { CrashRead, CrashWrite } from './ops.ts'
import type { Check } from './verdict.ts'

/**
 * What a client leaves behind that dies is done on all shards or on none. Operations: `CrashWrite`, `CrashRead` of
 * ops.ts.
 */
export const crashedClients: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const writes = callsTo(calls, 'write')
  const byId = new Map(writes.map((call) => [(call.invoke.value as CrashWrite).id, call]))
  const reads = okCalls(calls, 'read')
  for (const read of reads) checkWhole(read, byId, judge)
  checkElements(
    [...byId].map(([element, call]) => ({ element, call })),
    reads.map((call) => lookOf(call, [...new Set(Object.values(told<CrashRead>(call)).flat())])),
    options,
    judge,
    'write',
  )
  judge.count(
    'crashes',
    writes.filter(({ invoke }) => (invoke.value as CrashWrite).crash !== undefined).length,
  )
  return judge.verdict()
}

function checkWhole(read: Call, byId: ReadonlyMap<number, Call>, judge: Judge): void {
  const value = told<CrashRead>(read)
  const places = new Map<number, Set<number>>()
  for (const [key, ids] of Object.entries(value)) {
    if (new Set(ids).size < ids.length)
      judge.find('duplicate', `op ${indexOf(read)} sees a write twice under key ${key}`, [indexOf(read)])
    for (const id of ids) places.set(id, (places.get(id) ?? new Set()).add(Number(key)))
  }
  for (const [id, keys] of places) {
    const write = byId.get(id)
    const missing =
      (write?.invoke.value as CrashWrite | undefined)?.keys.filter((key) => !keys.has(key)) ?? []
    if (write === undefined || missing.length === 0) continue
    const ops = [indexOf(write), indexOf(read)]
    judge.find(
      'torn-write',
      `op ${ops[1]} sees write ${id} under ${[...keys].join(', ')} and not under ${missing.join(', ')}`,
      ops,
    )
  }
}
