import { callsOf, indexOf, told } from '../history/calls.ts'
import { okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { Generated } from './ops.ts'
import type { Check } from './verdict.ts'

/** No number of a sequence is given twice. Operations: `Generated` of ops.ts. */
export const uniqueIds: Check = (history) => {
  const judge = new Judge()
  const calls = okCalls(callsOf(history), 'generate')
  const firsts = new Map<number, number>()
  for (const call of calls) {
    for (const id of [told<NonNullable<Generated>>(call)].flat()) {
      const first = firsts.get(id)
      if (first === undefined) firsts.set(id, indexOf(call))
      else
        judge.find('duplicate', `ops ${first} and ${indexOf(call)} were both given ${id}`, [
          first,
          indexOf(call),
        ])
    }
  }
  judge.count('calls', calls.length)
  judge.count('ids', firsts.size)
  if (firsts.size === 0) judge.doubt('No id was given, so nothing is known.')
  return judge.verdict()
}
