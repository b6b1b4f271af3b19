import { describe, expect, test } from 'vitest'
import { callsOf, indexOf, isBefore } from './calls.ts'
import { toEdn } from './edn.ts'
import { readEdn } from './edn-reader.ts'
import { toJson } from './jsonl.ts'
import type { Op } from './op.ts'
import { readHistory } from './read.ts'

const OPS: readonly Op[] = [
  {
    index: 0,
    time: 5,
    type: 'invoke',
    process: 0,
    f: 'txn',
    value: [
      ['append', 1, 2],
      ['r', 3, null],
    ],
    node: 'n1',
  },
  {
    index: 1,
    time: 6,
    type: 'info',
    process: 'nemesis',
    f: 'kill-coordinator',
    value: { node: 'c "1"\n', at: null },
  },
  {
    index: 2,
    time: 12,
    type: 'ok',
    process: 0,
    f: 'txn',
    value: [
      ['append', 1, 2],
      ['r', 3, [1, 2]],
    ],
    statements: [0, 0],
  },
  { index: 3, time: 20, type: 'invoke', process: 1, f: 'read', value: null, final: true },
  {
    index: 4,
    time: 25,
    type: 'ok',
    process: 1,
    f: 'read',
    value: { accounts: { 0: 10, 1: -20 }, transfers: [] },
  },
  { index: 5, time: 26, type: 'invoke', process: 2, f: 'add', value: -1.5 },
  {
    index: 6,
    time: 27,
    type: 'fail',
    process: 2,
    f: 'add',
    value: -1.5,
    error: { sqlstate: '40001', message: 'é "no"' },
  },
  { index: 7, time: 28, type: 'invoke', process: 3, f: 'ddl', value: { add: 'r', 'odd key': [true, false] } },
  { index: 8, time: 29, type: 'info', process: 3, f: 'ddl', value: 'append', error: { message: 'gone' } },
]

describe('EDN', () => {
  test('is what Jepsen writes', () => {
    expect(OPS.slice(0, 5).map(toEdn)).toEqual([
      '{:index 0, :time 5, :type :invoke, :process 0, :f :txn, :value [[:append 1 2] [:r 3 nil]], :node "n1"}',
      '{:index 1, :time 6, :type :info, :process :nemesis, :f :kill-coordinator, :value {:node "c \\"1\\"\\n", :at nil}}',
      '{:index 2, :time 12, :type :ok, :process 0, :f :txn, :value [[:append 1 2] [:r 3 [1 2]]], :statements [0 0]}',
      '{:index 3, :time 20, :type :invoke, :process 1, :f :read, :value nil, :final? true}',
      '{:index 4, :time 25, :type :ok, :process 1, :f :read, :value {:accounts {0 10, 1 -20}, :transfers []}}',
    ])
  })

  test('round trip, line by line and as one vector', () => {
    expect(readHistory(OPS.map(toEdn).join('\n'))).toEqual(OPS)
    expect(readHistory(`[${OPS.map(toEdn).join('\n')}]`)).toEqual(OPS)
  })

  test('a history of Jepsen itself: tags, comments, big numbers, no index', () => {
    const text = `; a comment
      #jepsen.history.Op{:process 0 :type :invoke :f :read :value nil #_ignored :time 3N}
      {:process 0, :type :ok, :f :read, :value #{1 2}, :error [:pg "gone"]}`
    expect(readHistory(text)).toEqual([
      { index: 0, time: 3, type: 'invoke', process: 0, f: 'read', value: null },
      {
        index: 1,
        time: 0,
        type: 'ok',
        process: 0,
        f: 'read',
        value: [1, 2],
        error: { message: '["pg","gone"]' },
      },
    ])
  })

  test('what is broken is refused with its line', () => {
    expect(() => readEdn('{:a 1}\n{:a')).toThrow('EDN ends too early, at line 2')
    expect(() => readEdn('{:a}')).toThrow('a key but no value')
    expect(() => readEdn('"abc')).toThrow('a string without an end')
    expect(() => readEdn(']')).toThrow('has ] in the wrong place')
    expect(() => readHistory('{:type :maybe}')).toThrow('operation 0 of the history has no type')
  })
})

describe('JSON lines', () => {
  test('round trip', () => {
    expect(readHistory(`${OPS.map(toJson).join('\n')}\n`)).toEqual(OPS)
  })

  test('what is broken is refused with its line', () => {
    expect(() => readHistory(`${toJson(OPS[0] as Op)}\n{"a`)).toThrow('line 2 is no JSON')
    expect(() => readHistory('{"type":"ok","process":0}')).toThrow('has no f')
  })
})

describe('calls', () => {
  test('an invocation and its completion are one; without a completion it is possibly done', () => {
    const calls = callsOf(OPS.slice(0, 8))
    expect(calls.map((call) => [call.process, call.outcome, indexOf(call)])).toEqual([
      [0, 'ok', 2],
      [1, 'ok', 4],
      [2, 'fail', 6],
      [3, 'info', 7],
    ])
    expect(isBefore(calls[0]!, calls[1]!)).toBe(true)
    expect(isBefore(calls[2]!, calls[3]!)).toBe(false)
  })
})
