import { describe, expect, test } from 'vitest'
import { type AnomalyKind, check, FORBIDDEN, type Op, statementsApart, type Txn } from './list-append.ts'

const append = (key: number, value: number): Op => ({ kind: 'append', key, value })
const read = (...lists: readonly [number, readonly number[]][]): Op => ({
  kind: 'read',
  lists: lists.map(([key, values]) => ({ key, values })),
})

function history(...txns: readonly (readonly Op[] | Txn)[]): Txn[] {
  return txns.map((txn, i) => ('ops' in txn ? txn : { id: i + 1, ops: txn, outcome: 'committed' }))
}

const kinds = (txns: readonly Txn[]): AnomalyKind[] =>
  [...new Set(check(txns).map(({ kind }) => kind))].sort()

const X = 1
const Y = 2
const Z = 3

describe('list-append checker', () => {
  test('serial history: nothing', () => {
    const txns = history(
      [append(X, 1), append(Y, 2)],
      [read([X, [1]]), append(X, 3)],
      [read([X, [1, 3]], [Y, [2]]), append(Y, 4), read([Y, [2, 4]])],
      [read([X, [1, 3]], [Y, [2, 4]])],
    )
    expect(check(txns)).toEqual([])
    expect(check(statementsApart(txns))).toEqual([])
  })

  test('a stale read alone is serializable', () => {
    expect(check(history([append(X, 1)], [read([X, []])], [read([X, [1]])]))).toEqual([])
  })

  test('G0: two lists have the writes of two transactions in different orders', () => {
    const txns = history(
      [append(X, 1), append(Y, 2)],
      [append(X, 3), append(Y, 4)],
      [read([X, [1, 3]], [Y, [4, 2]])],
    )
    expect(kinds(txns)).toContain('G0')
    expect(check(txns).find(({ kind }) => kind === 'G0')?.text).toBe('T1 -ww 1-> T2 -ww 2-> T1')
  })

  test('G1a: an aborted append is read', () => {
    const txns = history({ id: 1, ops: [append(X, 1)], outcome: 'aborted' }, [], [read([X, [1]])])
    expect(kinds(txns)).toEqual(['G1a'])
  })

  test('G1b: half of what a transaction appended is read', () => {
    expect(kinds(history([append(X, 1), append(X, 2)], [read([X, [1]])]))).toContain('G1b')
  })

  test('G1c: each reads what the other wrote', () => {
    const txns = history([append(X, 1), read([Y, [2]])], [append(Y, 2), read([X, [1]])])
    expect(kinds(txns)).toEqual(['G1c'])
  })

  test('G-single: read skew: one list before, the other after a transaction', () => {
    const txns = history([append(X, 1), append(Y, 2)], [read([X, []]), read([Y, [2]])], [read([X, [1]])])
    expect(kinds(txns)).toEqual(['G-single'])
    expect(kinds(history([append(X, 1), append(Y, 2)], [read([X, []], [Y, [2]])], [read([X, [1]])]))).toEqual(
      ['G-single'],
    )
  })

  test('G-single: lost update: both read the same, one overwrites the other', () => {
    const txns = history([read([X, []]), append(X, 1)], [read([X, []]), append(X, 2)], [read([X, [1, 2]])])
    expect(kinds(txns)).toEqual(['G-single'])
  })

  test('G-nonadjacent: long fork: two readers see two writes in different orders', () => {
    const txns = history(
      [append(X, 1)],
      [append(Y, 2)],
      [read([X, [1]], [Y, []])],
      [read([X, []], [Y, [2]])],
      [read([X, [1]], [Y, [2]])],
    )
    expect(kinds(txns)).toEqual(['G-nonadjacent'])
  })

  test('G2: write skew', () => {
    const txns = history(
      [read([X, []]), append(Y, 1)],
      [read([Y, []]), append(X, 2)],
      [read([X, [2]], [Y, [1]])],
    )
    expect(kinds(txns)).toEqual(['G2'])
  })

  test('G2: the read-only anomaly', () => {
    const txns = history(
      [read([X, []], [Y, []]), append(X, 1)],
      [read([Y, []]), append(Y, 2)],
      [read([X, []], [Y, [2]])],
      [read([X, [1]], [Y, [2]])],
    )
    expect(kinds(txns)).toEqual(['G2'])
  })

  test('G2: a cycle of three', () => {
    const txns = history(
      [read([X, []]), append(Y, 1)],
      [read([Y, []]), append(Z, 2)],
      [read([Z, []]), append(X, 3)],
      [read([X, [3]], [Y, [1]], [Z, [2]])],
    )
    expect(kinds(txns)).toEqual(['G2'])
  })

  test('internal: own appends are not read, or not last', () => {
    expect(kinds(history([append(X, 1), read([X, []])]))).toContain('internal')
    expect(kinds(history([append(X, 1)], [append(X, 2), read([X, [2, 1]])]))).toContain('internal')
  })

  test('reads of a list that contradict each other; what nobody wrote; twice; in another list', () => {
    const two = history([append(X, 1)], [append(X, 2)], [read([X, [1, 2]])], [read([X, [2]])])
    expect(kinds(two)).toContain('incompatible-order')
    expect(kinds(history([read([X, [9]])]))).toContain('garbage')
    expect(kinds(history([append(X, 1)], [read([X, [1, 1]])]))).toContain('garbage')
    expect(kinds(history([append(X, 1)], [read([Y, [1]])]))).toContain('garbage')
  })

  test('a committed append that is not there in the end', () => {
    expect(kinds(history([append(X, 1)], [append(X, 2)], [read([X, [2]])]))).toContain('lost-append')
  })

  test('unknown outcome: counts when it was seen, and need not have been', () => {
    const unknown: Txn = { id: 1, ops: [append(X, 1), append(Y, 2)], outcome: 'unknown' }
    expect(kinds(history(unknown, [], [read([X, [1]], [Y, []])], [read([Y, [2]])]))).toContain('G-single')
    expect(kinds(history(unknown, [], [read([X, []], [Y, []])]))).toEqual([])
  })

  test('statements apart: skew between statements is left out, within one it is not', () => {
    const writer = [append(X, 1), append(Y, 2)]
    const last = [read([X, [1]], [Y, [2]], [Z, []])]
    const between = history(writer, [read([X, []], [Z, []]), read([Y, [2]], [Z, []])], last)
    expect(kinds(between)).toEqual(['G-single'])
    expect(kinds(statementsApart(between))).toEqual([])
    const within = history(writer, [read([X, []], [Y, [2]])], last)
    expect(kinds(statementsApart(within))).toEqual(['G-single'])
  })

  test('statements apart: what the transaction appended itself is no contradiction', () => {
    const txns = history([append(X, 1), read([X, [1]], [Y, []])], [append(Y, 2)], [read([X, [1]], [Y, [2]])])
    expect(check(statementsApart(txns))).toEqual([])
  })

  test('levels: each forbids what the one below does', () => {
    expect(FORBIDDEN.serializable).toEqual(expect.arrayContaining([...FORBIDDEN['repeatable read']]))
    expect(FORBIDDEN['repeatable read']).toEqual(expect.arrayContaining([...FORBIDDEN['read committed']]))
  })
})
