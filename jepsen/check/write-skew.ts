import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, okCalls } from './elements.ts'
import { explainCycle } from './graph/explain.ts'
import { groupBy } from './group.ts'
import { Judge } from './judge.ts'
import type { Insert, InsertRead } from './ops.ts'
import type { Txn } from './txns.ts'
import type { Check } from './verdict.ts'

/**
 * G2, Adya's anti-dependency cycle by predicate: of two transactions that each insert a row only if there is none, both
 * commit. Only SERIALIZABLE forbids it. Operations: `Insert`, `InsertRead` of ops.ts.
 */
export const writeSkew: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const inserts = groupBy(callsTo(calls, 'insert'), ({ invoke }) => (invoke.value as Insert)[0])
  const reads = new Map(okCalls(calls, 'read').map((call) => [told<InsertRead>(call)[0], call]))
  let pairs = 0
  for (const [key, all] of inserts) {
    const read = reads.get(key)
    const there = new Set(((read?.end?.value as InsertRead | undefined)?.[1] ?? []) as readonly number[])
    const committed = all.filter(
      (call) => call.outcome === 'ok' || (call.outcome === 'info' && there.has(idOf(call))),
    )
    if (all.length > 1) pairs++
    if (committed.length > 1) findSkew(key, committed, judge)
    if (read !== undefined) checkRead(key, all, read, there, judge)
  }
  judge.count('keys', inserts.size)
  judge.count('keys with several inserts', pairs)
  judge.count('inserts ok', okCalls(calls, 'insert').length)
  if (pairs === 0) judge.doubt('No key had two inserts, so nothing is known.')
  return judge.verdict(options)
}

function idOf({ invoke }: Call): number {
  const [, [one, other]] = invoke.value as Insert
  return (one ?? other) as number
}

function findSkew(key: number, committed: readonly Call[], judge: Judge): void {
  const txns = committed.map((call, id): Txn => {
    const ops = [['w', key, idOf(call)] as const]
    return { id, call, ops, outcome: call.outcome, isFinal: false, statements: undefined }
  })
  const steps = [0, 1].map((from) => {
    const to = txns[1 - from] as Txn
    return { from, to: to.id, kind: 'rw' as const, why: { key, value: idOf(to.call) } }
  })
  const { text, svg, ops } = explainCycle({ kind: 'G2', steps }, (id) => txns[id] as Txn, 'predicate')
  judge.find('G2', text, ops, svg)
}

function checkRead(
  key: number,
  all: readonly Call[],
  read: Call,
  there: ReadonlySet<number>,
  judge: Judge,
): void {
  const byId = new Map(all.map((call) => [idOf(call), call]))
  for (const id of there) {
    const outcome = byId.get(id)?.outcome
    if (outcome !== undefined && outcome !== 'fail') continue
    const kind = outcome === undefined ? 'garbage' : 'G1a'
    judge.find(kind, `op ${indexOf(read)} finds ${id} of ${key}, which nobody has inserted`, [indexOf(read)])
  }
  for (const [id, call] of byId) {
    if (call.outcome !== 'ok' || there.has(id) || indexOf(call) > read.invoke.index) continue
    const ops = [indexOf(call), indexOf(read)]
    judge.find('lost', `op ${ops[1]} does not find ${id} of ${key}, which op ${ops[0]} had inserted`, ops)
  }
}
