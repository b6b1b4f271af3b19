import { describe, expect, test } from 'vitest'
import type { OpValue } from '../history/op.ts'
import { bank } from './bank.ts'
import { counter } from './counter.ts'
import { crashedClients } from './crashed-clients.ts'
import { ddl } from './ddl.ts'
import { declaring } from './declaring.ts'
import { foreignKeys } from './foreign-keys.ts'
import { longFork } from './long-fork.ts'
import { monotonic } from './monotonic.ts'
import { readYourWrites } from './read-your-writes.ts'
import { sequential } from './sequential.ts'
import { set } from './set.ts'
import {
  around,
  atOnce,
  by,
  done,
  failed,
  final,
  inStatements,
  inTurn,
  judged,
  type Made,
  phases,
  STRICT,
  txn,
  unknown,
} from './testing/histories.ts'
import { uniqueIds } from './unique-ids.ts'
import { writeSkew } from './write-skew.ts'

const add = (value: number): Made => done('add', value)
const read = (value: OpValue): Made => done('read', value, null)
const LAX = { realtime: false } as const

describe('set', () => {
  test('valid', () => {
    const history = phases(
      [add(1), read([])],
      [add(2), read([1])],
      [unknown('add', 3), failed('add', 4)],
      [final(read([1, 2, 3]))],
    )
    expect(set(history, STRICT)).toMatchObject({ valid: true, notes: [] })
    expect(set(inTurn(add(1)), STRICT).valid).toBe('unknown')
  })

  test('lost: acknowledged, or seen once, and not there in the end', () => {
    expect(judged(set, inTurn(add(1), add(2), final(read([2]))))).toEqual(['lost'])
    expect(judged(set, inTurn(unknown('add', 1), read([1]), final(read([]))), LAX)).toEqual(['lost'])
    expect(judged(set, inTurn(unknown('add', 1), final(read([]))))).toEqual([])
  })

  test('stale: missed and there later', () => {
    const history = inTurn(add(1), read([]), final(read([1])))
    expect(judged(set, history)).toEqual(['stale'])
    expect(judged(set, history, LAX)).toEqual([])
    expect(judged(set, inTurn(add(1), read([1]), read([]), final(read([1]))))).toEqual(['stale'])
  })

  test('what failed, what nobody added, what is there twice', () => {
    expect(judged(set, inTurn(failed('add', 1), final(read([1]))))).toEqual(['aborted-read'])
    expect(judged(set, inTurn(final(read([1]))))).toEqual(['garbage'])
    expect(judged(set, inTurn(read([1]), add(1), final(read([1]))))).toContain('garbage')
    expect(judged(set, inTurn(add(1), final(read([1, 1]))))).toEqual(['duplicate'])
  })
})

describe('bank', () => {
  const options = { bank: { accounts: { 0: 10, 1: 10 } } }
  const transfer = (id: number, amount: number): Made => done('transfer', { from: 0, to: 1, amount, id })
  const balances = (one: number, two: number, more: Record<string, OpValue> = {}): Made =>
    read({ accounts: { 0: one, 1: two }, ...more })

  test('valid', () => {
    const history = phases(
      [transfer(1, 3), balances(10, 10), balances(7, 13, { total: 20 })],
      [
        unknown('transfer', { from: 1, to: 0, amount: 13, id: 2 }),
        failed('transfer', { from: 0, to: 1, amount: 99, id: 3 }),
      ],
      [final(balances(20, 0, { transfers: [2, 1] }))],
    )
    expect(bank(history, { ...STRICT, ...options })).toMatchObject({ valid: true, notes: [] })
  })

  test.each([
    ['wrong-total', [transfer(1, 3), balances(7, 10)]],
    ['torn-total', [balances(10, 10, { total: 17 })]],
    ['negative-balance', [balances(-1, 21)]],
    ['missing-account', [read({ accounts: { 0: 20 } })]],
    ['torn-transfer', [transfer(1, 3), final(balances(10, 10, { transfers: [1] }))]],
    ['lost', [transfer(1, 3), final(balances(10, 10, { transfers: [] }))]],
    [
      'aborted-read',
      [failed('transfer', { from: 0, to: 1, amount: 3, id: 1 }), final(balances(7, 13, { transfers: [1] }))],
    ],
    ['duplicate', [transfer(1, 3), final(balances(7, 13, { transfers: [1, 1] }))]],
  ])('%s', (kind, made) => {
    expect(judged(bank, inTurn(...made), options)).toEqual([kind])
  })
})

describe('long-fork', () => {
  const fork = (...readers: readonly Made[]) =>
    around([txn(['w', 1, 1]), txn(['w', 2, 1])], atOnce(...readers))
  const first = txn(['r', 1, 1], ['r', 2, null])
  const second = txn(['r', 2, 1], ['r', 1, null])

  test('valid', () => {
    expect(
      judged(longFork, fork(first, txn(['r', 1, 1], ['r', 2, 1]), txn(['r', 1, null], ['r', 2, null]))),
    ).toEqual([])
  })

  test('two readers see two writes in different orders', () => {
    const { anomalies } = longFork(fork(first, second), { ...STRICT, isolation: 'repeatable read' })
    expect(anomalies).toMatchObject([{ kind: 'long-fork' }])
    expect(anomalies[0]?.text.match(/because/g)).toHaveLength(4)
  })

  test('at READ COMMITTED only within one statement', () => {
    const level = { isolation: 'read committed' } as const
    expect(judged(longFork, fork(first, second), level)).toEqual([])
    expect(judged(longFork, fork(inStatements([0, 0], first), inStatements([0, 0], second)), level)).toEqual([
      'long-fork',
    ])
  })

  test('an acknowledged write that is missed; what failed; what nobody wrote', () => {
    expect(judged(longFork, inTurn(txn(['w', 1, 1]), txn(['r', 1, null])))).toEqual(['stale'])
    expect(judged(longFork, inTurn(failed('txn', [['w', 1, 1]]), txn(['r', 1, 1])))).toEqual(['G1a'])
    expect(judged(longFork, inTurn(txn(['r', 1, 1])))).toEqual(['garbage'])
  })
})

describe('write-skew', () => {
  const one = done('insert', [7, [1, null]])
  const other = done('insert', [7, [null, 2]])

  test('one of two commits: valid', () => {
    const history = phases(
      [one, failed('insert', [7, [null, 2]])],
      [final(done('read', [7, [1]], [7, null]))],
    )
    expect(writeSkew(history, STRICT)).toMatchObject({ valid: true })
    expect(writeSkew(inTurn(one), STRICT).valid).toBe('unknown')
  })

  test('G2: both commit', () => {
    const { anomalies } = writeSkew(atOnce(one, other), STRICT)
    expect(anomalies).toMatchObject([{ kind: 'G2' }])
    expect(anomalies[0]?.text).toContain('because T1 found no row of 7 and so not the 2 that T2 inserted.')
    const allowed = writeSkew(atOnce(one, other), { ...STRICT, isolation: 'repeatable read' })
    expect(allowed).toMatchObject({ valid: true, allowed: [{ kind: 'G2' }] })
  })

  test('one whose end is not known counts when it is there', () => {
    const history = phases(
      [one, unknown('insert', [7, [null, 2]])],
      [final(done('read', [7, [1, 2]], [7, null]))],
    )
    expect(judged(writeSkew, history)).toEqual(['G2'])
  })

  test('lost, rolled back', () => {
    const last = final(done('read', [7, []], [7, null]))
    expect(judged(writeSkew, inTurn(one, last), { isolation: 'read committed' })).toEqual(['lost'])
    expect(
      judged(writeSkew, inTurn(failed('insert', [7, [1, null]]), final(done('read', [7, [1]], [7, null])))),
    ).toEqual(['G1a'])
  })
})

describe('monotonic', () => {
  const grow = (value: number): Made => done('add', { value }, null)

  test('valid', () => {
    const history = phases(
      [grow(1), read([])],
      [grow(2), grow(3)],
      [by(1, read([1, 2, 3]))],
      [final(read([3, 1, 2]))],
    )
    expect(monotonic(history, STRICT)).toMatchObject({ valid: true })
  })

  test('not-monotonic, duplicate, lost, went-back', () => {
    expect(judged(monotonic, inTurn(grow(2), grow(1), final(read([1, 2]))))).toEqual(['not-monotonic'])
    expect(judged(monotonic, phases([grow(1), grow(1)], [final(read([1]))]))).toEqual(['duplicate'])
    expect(
      judged(monotonic, phases([grow(1), grow(1)], [final(read([1, 1]))]), { isolation: 'repeatable read' }),
    ).toEqual([])
    expect(judged(monotonic, inTurn(grow(1), final(read([]))))).toEqual(['lost'])
    const back = around([grow(1)], inTurn(by(1, read([1])), by(1, read([]))))
    expect(judged(monotonic, back, { realtime: false, session: true })).toEqual(['went-back'])
  })
})

describe('sequential', () => {
  const look = (...parts: readonly (number | null)[]): Made => done('read', [1, parts], [1, null])

  test('valid, and a part that is missed before one that is there', () => {
    const write = done('write', 1)
    expect(
      judged(sequential, around([write], atOnce(look(null, null, 1), look(null, null, null), look(1, 1, 1)))),
    ).toEqual([])
    expect(judged(sequential, around([write], atOnce(look(1, null, 1))))).toEqual(['out-of-order'])
    expect(judged(sequential, inTurn(write, look(null, 1, 1)))).toEqual(['stale'])
    expect(judged(sequential, inTurn(look(1, 1, 1)))).toEqual(['garbage'])
  })
})

describe('read-your-writes', () => {
  const write = (value: number) => by(1, done('write', [5, value]))
  const look = (process: number, value: number | null, after?: number) =>
    by(
      process,
      done('read', { key: 5, value, ...(after === undefined ? {} : { after }) }, { key: 5, value: null }),
    )

  test('valid', () => {
    const history = inTurn(
      look(1, null),
      write(1),
      look(1, 1),
      look(2, null),
      write(2),
      look(2, 1, 1),
      look(1, 2),
    )
    expect(judged(readYourWrites, history)).toEqual([])
  })

  test('an own write, one of the token, one that was seen is missed', () => {
    expect(judged(readYourWrites, inTurn(write(1), look(1, null)))).toEqual(['own-write-missed'])
    expect(judged(readYourWrites, inTurn(write(1), write(2), look(2, 1, 2)))).toEqual(['token-missed'])
    expect(judged(readYourWrites, inTurn(write(1), look(2, 1), look(2, null)))).toEqual(['went-back'])
    const half = by(2, done('read', { key: 5, value: 1, first: 2 }, { key: 5, value: null }))
    expect(judged(readYourWrites, inTurn(write(1), write(2), half))).toEqual(['went-back'])
    expect(judged(readYourWrites, inTurn(look(2, 9)))).toEqual(['garbage'])
    expect(judged(readYourWrites, inTurn(by(3, failed('write', [5, 9])), look(2, 9)))).toEqual([
      'aborted-read',
    ])
  })
})

describe('counter', () => {
  test('between what was acknowledged and what was tried', () => {
    const history = phases(
      [add(1), add(-2), read(-1), read(1), read(-2)],
      [unknown('add', 5), failed('add', 100)],
      [read(-1), read(4)],
    )
    expect(judged(counter, history)).toEqual([])
  })

  test('out of bounds', () => {
    expect(judged(counter, inTurn(add(1), add(2), read(2)))).toEqual(['out-of-bounds'])
    expect(judged(counter, inTurn(add(1), add(2), read(4)))).toEqual(['out-of-bounds'])
    expect(judged(counter, inTurn(failed('add', 3), read(3)))).toEqual(['out-of-bounds'])
    expect(judged(counter, inTurn(add(1), read(0)), LAX)).toEqual([])
    expect(judged(counter, inTurn(add(1), final(read(0))), LAX)).toEqual(['out-of-bounds'])
  })
})

describe('unique-ids', () => {
  test('no number twice', () => {
    expect(judged(uniqueIds, atOnce(done('generate', 1, null), done('generate', [2, 3], null)))).toEqual([])
    expect(judged(uniqueIds, inTurn(done('generate', [1, 2], null), done('generate', 2, null)))).toEqual([
      'duplicate',
    ])
    expect(uniqueIds(inTurn(failed('generate', null)), STRICT).valid).toBe('unknown')
  })
})

describe('foreign-keys', () => {
  const parent = (id: number) => done('insert-parent', id)
  const child = (id: number, of: number) => done('insert-child', [id, of])
  const family = (parents: readonly number[], children: readonly (readonly [number, number])[]) =>
    read({ parents, children })

  test('valid', () => {
    const history = phases(
      [parent(1), parent(2)],
      [child(10, 1), failed('insert-child', [11, 3]), family([1, 2], [])],
      [done('delete-parent', 2), unknown('delete-child', 10)],
      [final(family([1], [[10, 1]]))],
    )
    expect(foreignKeys(history, STRICT)).toMatchObject({ valid: true })
  })

  test('orphan; what was deleted is there; what was not is gone', () => {
    expect(
      judged(
        foreignKeys,
        inTurn(parent(1), child(10, 1), done('delete-parent', 1), final(family([], [[10, 1]]))),
      ),
    ).toEqual(['orphan'])
    expect(judged(foreignKeys, inTurn(parent(1), done('delete-parent', 1), final(family([1], []))))).toEqual([
      'undeleted',
    ])
    expect(judged(foreignKeys, inTurn(parent(1), child(10, 1), final(family([1], []))))).toEqual(['lost'])
  })

  test('cascade: children go with their parent', () => {
    const history = inTurn(parent(1), child(10, 1), done('delete-parent', 1), final(family([], [])))
    expect(judged(foreignKeys, history, { cascade: true })).toEqual([])
    expect(judged(foreignKeys, history)).toEqual(['lost'])
  })
})

describe('ddl', () => {
  const last = (columns: Record<string, readonly string[]>, rows: readonly number[] = [1]) =>
    final(read({ rows, columns }))
  const change = (value: { add?: string; drop?: string }) => done('ddl', value)

  test('valid', () => {
    const history = inTurn(
      add(1),
      change({ add: 'a' }),
      change({ add: 'b' }),
      change({ drop: 'a' }),
      unknown('ddl', { add: 'c' }),
      last({ s1: ['id', 'b'], s2: ['b', 'id'] }),
    )
    expect(ddl(history, STRICT)).toMatchObject({ valid: true })
    expect(ddl(inTurn(add(1), final(read({ rows: [1] }))), STRICT).valid).toBe('unknown')
  })

  test('torn, lost, undropped, a lost row', () => {
    expect(judged(ddl, inTurn(add(1), last({ s1: ['id', 'a'], s2: ['id'] })))).toEqual(['torn-schema'])
    expect(judged(ddl, inTurn(add(1), change({ add: 'a' }), last({ s1: ['id'] })))).toEqual(['lost-column'])
    expect(
      judged(ddl, inTurn(add(1), change({ add: 'a' }), change({ drop: 'a' }), last({ s1: ['a'] }))),
    ).toEqual(['undropped-column'])
    expect(judged(ddl, inTurn(add(1), failed('ddl', { add: 'a' }), last({ s1: ['a'] })))).toEqual([
      'undropped-column',
    ])
    expect(judged(ddl, inTurn(add(1), last({}, [])))).toEqual(['lost'])
  })
})

describe('declaring', () => {
  const last = (rows: readonly number[], shards: Record<string, readonly number[]>) =>
    final(read({ rows, shards }))
  const declare = done('declare', null)

  test('valid; lost; on two shards; on none', () => {
    expect(judged(declaring, phases([add(1), declare, add(2)], [last([1, 2], { a: [1], b: [2] })]))).toEqual(
      [],
    )
    expect(judged(declaring, inTurn(add(1), declare, last([], {})))).toEqual(['lost'])
    expect(judged(declaring, inTurn(add(1), declare, last([1], { a: [1], b: [1] })))).toEqual(['doubled'])
    expect(judged(declaring, inTurn(add(1), declare, last([1], { a: [], b: [] })))).toEqual(['homeless'])
    expect(declaring(inTurn(add(1), final(read({ rows: [1] }))), STRICT).valid).toBe('unknown')
  })
})

describe('crashed-clients', () => {
  const value = { id: 1, keys: [1, 2], crash: 'at-commit' }

  test('on all keys or on none', () => {
    for (const seen of [
      { 1: [1], 2: [1] },
      { 1: [], 2: [] },
    ]) {
      expect(judged(crashedClients, inTurn(unknown('write', value), final(read(seen))))).toEqual([])
    }
    expect(judged(crashedClients, inTurn(unknown('write', value), final(read({ 1: [1], 2: [] }))))).toEqual([
      'torn-write',
    ])
    expect(judged(crashedClients, inTurn(failed('write', value), final(read({ 1: [1], 2: [1] }))))).toEqual([
      'aborted-read',
    ])
    expect(judged(crashedClients, inTurn(done('write', value), final(read({ 1: [], 2: [] }))))).toEqual([
      'lost',
    ])
  })
})
