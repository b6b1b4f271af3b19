import { describe, expect, test } from 'vitest'
import type { MicroOp, Op } from '../../history/op.ts'
import {
  atOnce,
  by,
  failed,
  final,
  inStatements,
  inTurn,
  judged,
  STRICT,
  txn,
  unknown,
} from '../testing/histories.ts'
import { inOrder, ORDERED, PHENOMENA } from '../testing/phenomena.ts'
import type { CheckOptions } from '../verdict.ts'
import { listAppend } from './list-append.ts'

const append = (key: number, value: number): MicroOp => ['append', key, value]
const read = (key: number, ...values: readonly number[]): MicroOp => ['r', key, values]
const kinds = (history: readonly Op[], options: Partial<CheckOptions> = {}) =>
  judged(listAppend, history, options)
const textOf = (history: readonly Op[], kind: string) =>
  listAppend(history, STRICT).anomalies.find((found) => found.kind === kind)?.text

const X = 1
const Y = 2
const Z = 3
const READ_COMMITTED = { isolation: 'read committed' } as const
const SNAPSHOT = { isolation: 'repeatable read' } as const

describe('list-append: valid', () => {
  test('a serial history', () => {
    const history = inTurn(
      txn(append(X, 1), append(Y, 2)),
      txn(read(X, 1), append(X, 3)),
      txn(read(X, 1, 3), read(Y, 2), append(Y, 4), read(Y, 2, 4)),
      final(txn(read(X, 1, 3), read(Y, 2, 4))),
    )
    expect(listAppend(history, STRICT)).toMatchObject({ valid: true, anomalies: [], allowed: [], notes: [] })
    expect(kinds(history, READ_COMMITTED)).toEqual([])
  })

  test('a read that misses what is written at the same time', () => {
    expect(kinds(atOnce(txn(append(X, 1)), txn(read(X)), txn(read(X, 1))))).toEqual([])
  })

  test('what nobody has seen comes after what its own transaction read', () => {
    expect(kinds(atOnce(txn(read(X), append(X, 1)), txn(read(X)), txn(read(Y), append(Y, 1))))).toEqual([])
  })

  test('nothing was read: unknown', () => {
    expect(listAppend(inTurn(txn(append(X, 1))), STRICT).valid).toBe('unknown')
    expect(listAppend([], STRICT).valid).toBe('unknown')
  })

  test('unknown outcomes: they count when something of them was seen, and need not have been', () => {
    const both = unknown('txn', [append(X, 1), append(Y, 2)])
    expect(kinds(atOnce(both, txn(read(X, 1), read(Y)), txn(read(Y, 2))))).toEqual(['G-single'])
    expect(kinds(inTurn(both, txn(read(X), read(Y))))).toEqual([])
    expect(kinds(inTurn(both, txn(read(X), read(Y)), final(txn(read(X, 1), read(Y, 2)))))).toEqual([])
  })
})

describe('list-append: lists', () => {
  test('internal: own appends are not read, or not last', () => {
    expect(kinds(atOnce(txn(append(X, 1), read(X))))).toContain('internal')
    expect(kinds(atOnce(txn(append(X, 1)), txn(append(X, 2), read(X, 2, 1))))).toContain('internal')
  })

  test('incompatible-order: of two reads neither is the beginning of the other', () => {
    const history = atOnce(txn(append(X, 1)), txn(append(X, 2)), txn(read(X, 1, 2)), txn(read(X, 2)))
    expect(kinds(history)).toContain('incompatible-order')
  })

  test('garbage: what nobody appended, or only to another list', () => {
    expect(kinds(atOnce(txn(read(X, 9))))).toEqual(['garbage'])
    expect(kinds(atOnce(txn(append(X, 1)), txn(read(Y, 1))))).toContain('garbage')
  })

  test('duplicate-elements', () => {
    expect(kinds(atOnce(txn(append(X, 1)), txn(read(X, 1, 1))))).toEqual(['duplicate-elements'])
  })

  test('lost-append: acknowledged, and not there in the end', () => {
    const history = inTurn(txn(append(X, 1)), txn(append(X, 2)), final(txn(read(X, 2))))
    expect(kinds(history, READ_COMMITTED)).toContain('lost-append')
  })

  test('lost without a final read: the real-time order tells', () => {
    expect(kinds(inTurn(txn(append(X, 1)), txn(read(X))))).toEqual(['G-single-realtime'])
  })

  test('dirty-update: committed on top of what was rolled back', () => {
    const history = atOnce(failed('txn', [append(X, 1)]), txn(append(X, 2)), txn(read(X, 1, 2)))
    expect(kinds(history, READ_COMMITTED)).toEqual(['G1a', 'dirty-update'])
  })

  test('values that are appended twice are refused: they tell nothing', () => {
    expect(() => kinds(atOnce(txn(append(X, 1)), txn(append(X, 1))))).toThrow('must be unique')
  })
})

describe('list-append: phenomena of one moment', () => {
  test.each(PHENOMENA)('$kind is found, and forbidden where it should be', ({ kind, history, ...at }) => {
    expect(kinds(history)).toContain(kind)
    expect(kinds(history, { realtime: false })).toContain(kind)
    expect(kinds(history, SNAPSHOT).includes(kind)).toBe(at.snapshot === true)
    expect(kinds(history, READ_COMMITTED).includes(kind)).toBe(at.readCommitted === true)
  })

  test('nothing else is found beside a cycle', () => {
    for (const { kind, history } of PHENOMENA.filter((one) => !['G0', 'G1b'].includes(one.kind))) {
      expect(kinds(history)).toEqual([kind])
    }
  })

  test('G-single: lost update: both read the same, one overwrites the other', () => {
    const history = atOnce(txn(read(X), append(X, 1)), txn(read(X), append(X, 2)), txn(read(X, 1, 2)))
    expect(kinds(history)).toEqual(['G-single'])
  })

  test('G2-item: write skew that nobody has seen the end of', () => {
    expect(kinds(atOnce(txn(read(X), append(Y, 1)), txn(read(Y), append(X, 2))))).toEqual(['G2-item'])
  })

  test('G2-item: the read-only anomaly', () => {
    const history = atOnce(
      txn(read(X), read(Y), append(X, 1)),
      txn(read(Y), append(Y, 2)),
      txn(read(X), read(Y, 2)),
      txn(read(X, 1), read(Y, 2)),
    )
    expect(kinds(history)).toEqual(['G2-item'])
    expect(kinds(history, SNAPSHOT)).toEqual([])
  })

  test('G2-item: a cycle of three', () => {
    const history = atOnce(
      txn(read(X), append(Y, 1)),
      txn(read(Y), append(Z, 2)),
      txn(read(Z), append(X, 3)),
      txn(read(X, 3), read(Y, 1), read(Z, 2)),
    )
    expect(kinds(history)).toEqual(['G2-item'])
  })

  test('two G-singles that share a transaction are no G-nonadjacent', () => {
    const history = atOnce(
      txn(append(X, 1), append(Y, 2)),
      txn(read(X), read(Y, 2)),
      txn(read(X, 1), read(Y)),
    )
    expect(kinds(history)).toEqual(['G-single'])
  })

  test('of two cycles in one component the smaller is told', () => {
    const history = atOnce(
      txn(read(X), append(Y, 1)),
      txn(read(Y), append(Z, 2)),
      txn(read(Z), append(X, 3), read(Y)),
      txn(read(X, 3), read(Y, 1), read(Z, 2)),
    )
    const text = textOf(history, 'G2-item') ?? ''
    expect(text.split('\n').filter((line) => line.includes('because'))).toHaveLength(2)
  })
})

describe('list-append: phenomena of order', () => {
  test.each(ORDERED)('$kind-realtime, of different processes', ({ kind, made }) => {
    const history = inTurn(...made)
    expect(kinds(history)).toEqual([`${kind}-realtime`])
    expect(kinds(history, { realtime: false })).toEqual([])
    expect(kinds(history, { realtime: false, session: true })).toEqual([])
  })

  test.each(ORDERED)('$kind-process, of one process', ({ kind, made }) => {
    const history = inTurn(...made.map((one) => by(1, one)))
    expect(kinds(history, { realtime: false, session: true })).toEqual([`${kind}-process`])
    expect(kinds(history)).toContain(`${kind}-process`)
    expect(kinds(history, { realtime: false })).toEqual([])
  })

  test('G-nonadjacent-process: two sessions see two writes in different orders', () => {
    const history = inOrder('G-nonadjacent-process')
    expect(kinds(history, { realtime: false, session: true })).toEqual(['G-nonadjacent-process'])
    expect(kinds(history, { realtime: false })).toEqual([])
  })

  test('G-nonadjacent-realtime', () => {
    const history = inOrder('G-nonadjacent-realtime')
    expect(kinds(history, SNAPSHOT)).toContain('G-nonadjacent-realtime')
    expect(kinds(history, { realtime: false })).toEqual([])
  })

  test('G2-item-realtime and -process: the read-only anomaly, with an order where it read the rest', () => {
    expect(kinds(inOrder('G2-item-realtime'))).toEqual(['G2-item-realtime'])
    expect(kinds(inOrder('G2-item-process'), { realtime: false, session: true })).toEqual(['G2-item-process'])
    expect(kinds(inOrder('G2-item-realtime'), SNAPSHOT)).toEqual([])
    expect(kinds(inOrder('G2-item-realtime'), { realtime: false })).toEqual([])
  })
})

describe('list-append: READ COMMITTED, statement by statement', () => {
  const writer = txn(append(X, 1), append(Y, 2))
  const last = txn(read(X, 1), read(Y, 2), read(Z))

  test('skew between statements is allowed, within one it is not', () => {
    const between = inStatements([0, 0, 1, 1], txn(read(X), read(Z), read(Y, 2), read(Z)))
    const within = inStatements([0, 0], txn(read(X), read(Y, 2)))
    expect(kinds(atOnce(writer, between, last), READ_COMMITTED)).toEqual([])
    expect(listAppend(atOnce(writer, between, last), { ...STRICT, ...READ_COMMITTED }).allowed).toMatchObject(
      [{ kind: 'G-single' }],
    )
    expect(kinds(atOnce(writer, within, last), READ_COMMITTED)).toEqual(['statement-G-single'])
  })

  test('what the transaction appended itself is no contradiction', () => {
    const reader = inStatements([0, 1, 1], txn(append(X, 1), read(X, 1), read(Y)))
    expect(
      kinds(
        atOnce(reader, txn(append(Y, 2)), inStatements([0, 0], txn(read(X, 1), read(Y, 2)))),
        READ_COMMITTED,
      ),
    ).toEqual([])
  })

  test('a session does not go back; an acknowledged write is seen', () => {
    const back = inStatements([0, 0, 1, 1], txn(read(X, 1), read(Y, 2), read(X), read(Y)))
    expect(kinds(atOnce(writer, back), READ_COMMITTED)).toContain('statement-G-single-process')
    const stale = inStatements([0, 0], txn(read(X), read(Y)))
    expect(kinds(inTurn(writer, stale, last), READ_COMMITTED)).toEqual(['statement-G-single-realtime'])
  })

  test('reads of one list count when each asks all shards', () => {
    const history = inTurn(txn(append(X, 1)), txn(read(X)), txn(read(X, 1)))
    expect(kinds(history, READ_COMMITTED)).toEqual([])
    expect(kinds(history, { ...READ_COMMITTED, scatteredReads: true })).toEqual([
      'statement-G-single-realtime',
    ])
  })
})

describe('list-append: words and pictures', () => {
  test('every edge has its reason', () => {
    const history = atOnce(
      txn(append(X, 1), append(Y, 2)),
      txn(append(X, 3), append(Y, 4)),
      txn(read(X, 1, 3), read(Y, 4, 2)),
    )
    expect(textOf(history, 'G0')).toBe(
      [
        'T1 = op 3, process 1000: append 1 1, append 2 2',
        'T2 = op 4, process 1001: append 1 3, append 2 4',
        'T1 < T2, because T2 appended 3 to 1 after T1 had appended 1.',
        'However, T2 < T1, because T1 appended 2 to 2 after T2 had appended 4: a contradiction.',
      ].join('\n'),
    )
    const [found] = listAppend(PHENOMENA[4]!.history, STRICT).anomalies
    expect(found?.text).toMatch(
      /because T1 did not see T2's append of 1 to 1\.\nHowever, T2 < T1, because T1 saw T2's append of 2 to 2/,
    )
    expect(found?.svg).toMatch(/^<svg .*rw 1.*wr 2.*<\/svg>$/)
    expect(found?.ops).toEqual([4, 3])
  })

  test('time, and a process, are reasons too', () => {
    expect(textOf(inTurn(...ORDERED[0]!.made), 'G0-realtime')).toContain(
      'T2 was acknowledged 1 ms before T1 began',
    )
    const history = inTurn(...ORDERED[1]!.made.map((one) => by(7, one)))
    expect(textOf(history, 'G1c-process')).toContain('process 7 ran')
  })

  test('an append that nobody saw is named', () => {
    expect(textOf(inTurn(txn(append(X, 7)), txn(read(X))), 'G-single-realtime')).toContain(
      "did not see T2's append of 7 to 1",
    )
  })
})
