import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, checkElements, lookOf, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { ChildInsert, FamilyRead } from './ops.ts'
import type { Check, CheckOptions } from './verdict.ts'

/** No child is ever seen without its parent. Operations: `ChildInsert`, `FamilyRead` of ops.ts. */
export const foreignKeys: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const reads = okCalls(calls, 'read')
  for (const read of reads) checkOrphans(read, judge)
  checkDeleted(calls, reads, options, judge)
  checkKept(calls, reads, options, judge)
  return judge.verdict()
}

function familyOf(read: Call): FamilyRead {
  return told<FamilyRead>(read)
}

function checkOrphans(read: Call, judge: Judge): void {
  const { parents, children } = familyOf(read)
  const there = new Set(parents)
  for (const [child, parent] of children) {
    if (there.has(parent)) continue
    judge.find('orphan', `op ${indexOf(read)} sees child ${child} and not its parent ${parent}`, [
      indexOf(read),
    ])
  }
}

/** Numbers are used once: what was deleted stays so. */
function checkDeleted(
  calls: readonly Call[],
  reads: readonly Call[],
  options: CheckOptions,
  judge: Judge,
): void {
  const deletions = [
    ...okCalls(calls, 'delete-parent').map((call) => ({ call, what: 'parent' as const })),
    ...okCalls(calls, 'delete-child').map((call) => ({ call, what: 'child' as const })),
  ]
  const gone = {
    parent: new Map(
      deletions.flatMap(({ call, what }) => (what === 'parent' ? [[call.invoke.value as number, call]] : [])),
    ),
    child: new Map(
      deletions.flatMap(({ call, what }) => (what === 'child' ? [[call.invoke.value as number, call]] : [])),
    ),
  }
  for (const read of reads) {
    const { parents, children } = familyOf(read)
    const rows = [
      ...parents.map((id) => ({ what: 'parent' as const, id })),
      ...children.map(([id]) => ({ what: 'child' as const, id })),
    ]
    for (const { what, id } of rows) {
      const deletion = gone[what].get(id)
      if (deletion === undefined || indexOf(deletion) > read.invoke.index) continue
      if (!options.realtime && read.invoke.final !== true) continue
      const ops = [indexOf(deletion), indexOf(read)]
      judge.find('undeleted', `op ${ops[1]} sees ${what} ${id}, which op ${ops[0]} had deleted`, ops)
    }
  }
}

/** What was inserted, and nobody tried to delete, is there. */
function checkKept(
  calls: readonly Call[],
  reads: readonly Call[],
  options: CheckOptions,
  judge: Judge,
): void {
  const tried = (f: string) =>
    new Set(
      callsTo(calls, f)
        .filter(({ outcome }) => outcome !== 'fail')
        .map(({ invoke }) => invoke.value),
    )
  const goneParents = tried('delete-parent')
  const goneChildren = tried('delete-child')
  const parents = callsTo(calls, 'insert-parent').map((call) => ({
    element: call.invoke.value as number,
    call,
  }))
  const children = callsTo(calls, 'insert-child').map((call) => {
    const [element, parent] = call.invoke.value as ChildInsert
    return { element, parent, call }
  })
  const cascaded = (parent: number): boolean => options.cascade === true && goneParents.has(parent)
  const keptParents = parents.filter(({ element }) => !goneParents.has(element))
  const keptChildren = children.filter(
    ({ element, parent }) => !goneChildren.has(element) && !cascaded(parent),
  )
  const notKept = new Set(
    children.filter((child) => !keptChildren.includes(child)).map(({ element }) => element),
  )
  const parentLooks = reads.map((read) =>
    lookOf(
      read,
      familyOf(read).parents.filter((id) => !goneParents.has(id)),
    ),
  )
  const childLooks = reads.map((read) =>
    lookOf(
      read,
      familyOf(read).children.flatMap(([id]) => (notKept.has(id) ? [] : [id])),
    ),
  )
  checkElements(keptParents, parentLooks, options, judge, 'parent')
  checkElements(keptChildren, childLooks, options, judge, 'child')
  judge.count('parents', parents.length)
  judge.count('children', children.length)
  judge.count('refused', calls.filter(({ end }) => end?.error?.sqlstate === '23503').length)
}
