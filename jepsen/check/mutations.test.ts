/** Valid random histories are valid; with one thing changed they are not, and it is found as what it is. */
import { describe, expect, test } from 'vitest'
import type { MicroOp, Op } from '../history/op.ts'
import { Random } from '../run/random.ts'
import { listAppend } from './list-append/list-append.ts'
import { rwRegister } from './rw-register/rw-register.ts'
import { judged, STRICT } from './testing/histories.ts'
import { inOrder, PHENOMENA } from './testing/phenomena.ts'
import { merged, randomHistory } from './testing/store.ts'

const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1)
const TXNS = 80

type Mutation = (history: readonly Op[], random: Random) => Op[] | undefined

const txnOf = ({ value }: Op): readonly MicroOp[] => value as readonly MicroOp[]
const valuesOf = ([, , value]: MicroOp): readonly number[] => (value ?? []) as readonly number[]

/** Changes one read that fits, chosen at random. */
function changeRead(
  fits: (values: readonly number[], op: Op, at: number) => boolean,
  change: (values: readonly number[], op: Op) => readonly number[],
): Mutation {
  return (history, random) => {
    const places = history.flatMap((op) =>
      op.type !== 'ok'
        ? []
        : txnOf(op).flatMap((micro, at) =>
            micro[0] === 'r' && fits(valuesOf(micro), op, at) ? [{ op, at }] : [],
          ),
    )
    if (places.length === 0) return undefined
    const place = random.pick(places)
    return history.map((op) => {
      if (op !== place.op) return op
      const value = txnOf(op).map((micro, at): MicroOp => {
        return at === place.at ? ['r', micro[1], change(valuesOf(micro), op)] : micro
      })
      return { ...op, value }
    })
  }
}

const ownOf = (op: Op, at: number): readonly number[] => {
  const key = txnOf(op)[at]?.[1]
  return txnOf(op)
    .slice(0, at)
    .flatMap(([f, list, value]) => (f === 'append' && list === key ? [value as number] : []))
}
const withoutLast = (values: readonly number[]): readonly number[] => values.slice(0, -1)
const lastTwoSwapped = (values: readonly number[]): readonly number[] => [
  ...values.slice(0, -2),
  ...values.slice(-2).reverse(),
]

/** The end of a transaction that appended, and was acknowledged and seen, becomes another. */
const failSeen: Mutation = (history, random) => {
  const seen = new Set(
    history.flatMap((op) =>
      op.type === 'ok'
        ? txnOf(op)
            .filter(([f]) => f === 'r')
            .flatMap(valuesOf)
        : [],
    ),
  )
  const writers = history.filter(
    (op) => op.type === 'ok' && txnOf(op).some(([f, , value]) => f === 'append' && seen.has(value as number)),
  )
  const one = random.pick(writers)
  return history.map((op): Op => (op === one ? { ...op, type: 'fail' } : op))
}

/** No read has one acknowledged append. */
const forget: Mutation = (history, random) => {
  const appends = history.flatMap((op) => (op.type === 'ok' ? txnOf(op).filter(([f]) => f === 'append') : []))
  const lost = random.pick(appends)[2]
  return history.map((op) => {
    const value = txnOf(op).map((micro): MicroOp => {
      if (micro[0] !== 'r' || micro[2] === null) return micro
      return ['r', micro[1], valuesOf(micro).filter((each) => each !== lost)]
    })
    return { ...op, value }
  })
}

const MUTATIONS: readonly { readonly kind: string; readonly mutate: Mutation }[] = [
  { kind: 'G1a', mutate: failSeen },
  { kind: 'lost-append', mutate: forget },
  {
    kind: 'garbage',
    mutate: changeRead(
      (_, op) => op.final === true,
      (values) => [...values, 77],
    ),
  },
  {
    kind: 'duplicate-elements',
    mutate: changeRead(
      (values, op) => op.final === true && values.length > 0,
      (values) => [...values, values[0] as number],
    ),
  },
  {
    kind: 'incompatible-order',
    mutate: changeRead((values, op) => op.final === undefined && values.length > 1, lastTwoSwapped),
  },
  { kind: 'internal', mutate: changeRead((_, op, at) => ownOf(op, at).length > 0, withoutLast) },
  {
    // Acknowledged long ago, and not seen.
    kind: 'G-single-realtime',
    mutate: changeRead(
      (values, op, at) => values.length > 8 && op.final === undefined && txnOf(op).length === 1 && at === 0,
      (values) => values.slice(0, 1),
    ),
  },
]

describe.each(SEEDS)('seed %i', (seed) => {
  const history = randomHistory('list', seed, TXNS)

  test('list-append: valid at every level, strictly', () => {
    for (const isolation of ['serializable', 'repeatable read', 'read committed'] as const) {
      const options = { ...STRICT, isolation, scatteredReads: true }
      expect(listAppend(history, options)).toMatchObject({ valid: true, anomalies: [], allowed: [] })
    }
  })

  test('list-append: one thing changed is found', () => {
    const random = new Random(seed)
    for (const { kind, mutate } of MUTATIONS) {
      const mutated = mutate(history, random)
      if (mutated !== undefined) expect(judged(listAppend, mutated)).toContain(kind)
    }
  })

  test('list-append: each phenomenon, among others, is found as what it is', () => {
    const random = new Random(seed)
    for (const { kind, history: small } of PHENOMENA) {
      const found = judged(listAppend, merged(small, history, random))
      expect(found).toContain(kind)
      expect(
        found.filter((other) => other !== kind && !['G1a', 'G1b', 'G0', 'G-single'].includes(kind)),
      ).toEqual([])
    }
  })

  test.each(['G0', 'G1c', 'G-single', 'G-nonadjacent', 'G2-item'])('list-append: %s by order', (base) => {
    const random = new Random(seed)
    const realtime = judged(listAppend, merged(inOrder(`${base}-realtime`), history, random))
    expect(realtime).toContain(`${base}-realtime`)
    const options = { realtime: false, session: true }
    const session = judged(listAppend, merged(inOrder(`${base}-process`), history, random), options)
    expect(session).toEqual([`${base}-process`])
  })

  test('rw-register: valid; what it read from a failed one, or from nobody, is found', () => {
    const registers = randomHistory('register', seed, TXNS)
    for (const linearizableKeys of [false, true]) {
      expect(rwRegister(registers, { ...STRICT, linearizableKeys })).toMatchObject({
        valid: true,
        allowed: [],
      })
    }
    const reads = registers.filter((op) => op.type === 'ok' && txnOf(op)[0]?.[0] === 'r')
    const one = new Random(seed).pick(reads)
    const change = (value: number): Op[] =>
      registers.map((op) =>
        op === one
          ? { ...op, value: [['r', txnOf(op)[0]?.[1] as number, value], ...txnOf(op).slice(1)] }
          : op,
      )
    expect(judged(rwRegister, change(7))).toContain('garbage')
    const failed = registers.find((op) => op.type === 'fail' && txnOf(op).some(([f]) => f === 'w'))
    const [, key, value] = (failed && txnOf(failed).find(([f]) => f === 'w')) ?? []
    if (key !== txnOf(one)[0]?.[1]) return
    expect(judged(rwRegister, change(value as number))).toContain('G1a')
  })
})

test('every mutation has fitted some of the histories', () => {
  for (const { kind, mutate } of MUTATIONS) {
    const fitting = SEEDS.filter(
      (seed) => mutate(randomHistory('list', seed, TXNS), new Random(seed)) !== undefined,
    )
    expect({ kind, fits: fitting.length > 3 }).toEqual({ kind, fits: true })
  }
})
