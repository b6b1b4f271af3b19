/**
 * What was added, and what was there when somebody looked: the heart of several checkers, in the way of Jepsen's set-full.
 * An element is known from when its addition was acknowledged, or from when somebody had seen it.
 */
import { type Call, indexOf } from '../history/calls.ts'
import type { Judge } from './judge.ts'
import type { CheckOptions } from './verdict.ts'

export interface Added {
  readonly element: number
  readonly call: Call
}

export interface Look {
  readonly call: Call
  readonly elements: readonly number[]
  readonly isFinal: boolean
}

export function callsTo(calls: readonly Call[], f: string): Call[] {
  return calls.filter(({ invoke }) => invoke.f === f)
}

export function okCalls(calls: readonly Call[], f: string): Call[] {
  return calls.filter(({ invoke, outcome }) => invoke.f === f && outcome === 'ok')
}

export function isFinal({ invoke, end }: Call): boolean {
  return invoke.final === true || end?.final === true
}

/** Counts the additions and judges what was seen of them; linear in the size of the history. */
export function checkElements(
  added: readonly Added[],
  looks: readonly Look[],
  options: CheckOptions,
  judge: Judge,
  what = 'element',
): void {
  const adds = new Map(added.map((add) => [add.element, add]))
  for (const look of looks) checkLook(adds, look, judge, what)
  const known = knownSince(added, looks)
  checkAbsent(adds, known, looks, options, judge, what)
  const seen = new Set(looks.flatMap(({ elements }) => elements))
  for (const outcome of ['ok', 'fail', 'info'] as const) {
    judge.count(`${what}s added ${outcome}`, added.filter(({ call }) => call.outcome === outcome).length)
  }
  judge.count(
    'never read',
    added.filter(({ element, call }) => call.outcome === 'ok' && !seen.has(element)).length,
  )
  judge.count('reads', looks.length)
  if (looks.length === 0) judge.doubt('Nothing was read, so nothing is known.')
  else if (!looks.some((look) => look.isFinal))
    judge.note('There is no final read: what was lost last may have been missed.')
}

function checkLook(
  adds: ReadonlyMap<number, Added>,
  { call, elements }: Look,
  judge: Judge,
  what: string,
): void {
  const there = new Set<number>()
  for (const element of elements) {
    if (there.has(element)) {
      judge.find('duplicate', `op ${indexOf(call)} reads ${what} ${element} twice`, [indexOf(call)])
    }
    there.add(element)
    const add = adds.get(element)
    if (add === undefined) {
      judge.find('garbage', `op ${indexOf(call)} reads ${what} ${element}, which nobody added`, [
        indexOf(call),
      ])
    } else if (add.call.outcome === 'fail') {
      judge.find(
        'aborted-read',
        `op ${indexOf(call)} reads ${what} ${element}, whose addition, op ${indexOf(add.call)}, had failed`,
        [indexOf(add.call), indexOf(call)],
      )
    } else if (call.end !== undefined && call.end.index < add.call.invoke.index) {
      judge.find('garbage', `op ${indexOf(call)} reads ${what} ${element} before it was added`, [
        indexOf(call),
      ])
    }
  }
}

/** From which place in the history on each element is known to be there. */
function knownSince(added: readonly Added[], looks: readonly Look[]): Map<number, number> {
  const known = new Map<number, number>()
  for (const { element, call } of added) if (call.outcome === 'ok') known.set(element, indexOf(call))
  for (const { call, elements } of looks) {
    const index = indexOf(call)
    for (const element of elements) {
      if (index < (known.get(element) ?? Number.POSITIVE_INFINITY)) known.set(element, index)
    }
  }
  return known
}

/**
 * From the last look to the first: `always` are the elements that all later ones have. What falls out was missed last by
 * this one; so each look is compared with no more than what the one after it had.
 */
function checkAbsent(
  adds: ReadonlyMap<number, Added>,
  known: ReadonlyMap<number, number>,
  looks: readonly Look[],
  options: CheckOptions,
  judge: Judge,
  what: string,
): void {
  const inOrder = looks.toSorted((one, other) => other.call.invoke.index - one.call.invoke.index)
  const always = new Set(known.keys())
  let after: ReadonlySet<number> = new Set()
  for (const look of inOrder) {
    const there = new Set(look.elements)
    for (const element of always) {
      if (there.has(element)) continue
      always.delete(element)
      const since = known.get(element) as number
      if (since >= look.call.invoke.index) continue
      // What all later looks have was in the next one; after the last there is none.
      const isLost = !after.has(element)
      if (!options.realtime && !(isLost && look.isFinal)) continue
      const add = adds.get(element)
      judge.find(
        isLost ? 'lost' : 'stale',
        `op ${indexOf(look.call)} does not see ${what} ${element}, which op ${since} had ${since === (add && indexOf(add.call)) ? 'added' : 'seen'}`,
        [since, indexOf(look.call)],
      )
    }
    after = there
  }
}

/** Additions and looks of a history whose values are the elements themselves. */
export function lookOf(call: Call, elements: readonly number[]): Look {
  return { call, elements, isFinal: isFinal(call) }
}
