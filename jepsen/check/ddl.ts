import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, checkElements, isFinal, lookOf, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { Ddl, DdlRead } from './ops.ts'
import { addedBy } from './set.ts'
import type { Check } from './verdict.ts'

/**
 * Columns come and go while rows are added: no row is lost, and all shards end with the same columns. Ops: `Ddl`,
 * `DdlRead`.
 */
export const ddl: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const reads = okCalls(calls, 'read')
  checkElements(
    callsTo(calls, 'add').map(addedBy),
    reads.map((call) => lookOf(call, told<DdlRead>(call).rows)),
    options,
    judge,
    'row',
  )
  const changes = callsTo(calls, 'ddl')
  for (const read of reads) {
    const { columns } = told<DdlRead>(read)
    if (columns === undefined) continue
    checkSame(columns, read, judge)
    if (isFinal(read)) checkColumns(columns, changes, read, judge)
  }
  judge.count('changes ok', changes.filter(({ outcome }) => outcome === 'ok').length)
  judge.count('changes not ok', changes.filter(({ outcome }) => outcome !== 'ok').length)
  if (!reads.some((read) => isFinal(read) && told<DdlRead>(read).columns !== undefined)) {
    judge.doubt('The columns were not read at the end.')
  }
  return judge.verdict()
}

type Columns = NonNullable<DdlRead['columns']>

function checkSame(columns: Columns, read: Call, judge: Judge): void {
  const [[first, expected] = ['', []], ...others] = Object.entries(columns)
  for (const [shard, found] of others) {
    if (found.toSorted().join() === expected.toSorted().join()) continue
    const text = `op ${indexOf(read)}: shard ${first} has columns ${expected.join(', ')}, shard ${shard} ${found.join(', ')}`
    judge.find('torn-schema', text, [indexOf(read)])
  }
}

function checkColumns(columns: Columns, changes: readonly Call[], read: Call, judge: Judge): void {
  const dropped = new Map<string, Call>()
  for (const call of changes) {
    const { drop } = call.invoke.value as Ddl
    if (drop !== undefined && call.outcome !== 'fail') dropped.set(drop, call)
  }
  const found = new Set(Object.values(columns).flat())
  for (const call of changes) {
    const { add } = call.invoke.value as Ddl
    if (add === undefined) continue
    const drop = dropped.get(add)
    const mustBe = call.outcome === 'ok' && drop === undefined
    const mustNotBe = call.outcome === 'fail' || drop?.outcome === 'ok'
    const ops = [indexOf(call), indexOf(read)]
    if (mustBe && !found.has(add))
      judge.find('lost-column', `column ${add}, added by op ${ops[0]}, is not there`, ops)
    if (mustNotBe && found.has(add)) {
      judge.find(
        'undropped-column',
        `column ${add} is there, which op ${indexOf(drop ?? call)} ${drop === undefined ? 'did not add' : 'dropped'}`,
        ops,
      )
    }
  }
}
