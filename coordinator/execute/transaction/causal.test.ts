import { expect, test } from 'vitest'
import { Causal } from './causal.ts'

const causalOf = (hasSnapshot = false): Causal =>
  new Causal({ hasSnapshot }, { undecidedAreUnseen: true }, new Map<string, string>())

test('causal: nothing seen: nothing to wait for', () => {
  const causal = causalOf()
  expect(causal.before(0)).toBeUndefined()
  expect(causal.token).toBe(0n)
})

test('causal: seen on one shard: only the others wait', () => {
  const causal = causalOf()
  causal.saw(1, 10n)
  expect(causal.before(1)).toBeUndefined()
  expect(causal.before(0)).toBe(10n)
})

test('causal: seen on several shards: each waits for the highest of the others', () => {
  const causal = causalOf()
  causal.saw(0, 10n)
  causal.saw(1, 20n)
  causal.saw(2, 15n)
  expect([0, 1, 2].map((shard) => causal.before(shard))).toEqual([20n, 15n, 20n])
  causal.saw(0, 30n)
  expect([0, 1, 2].map((shard) => causal.before(shard))).toEqual([20n, 30n, 30n])
  causal.saw(0, 5n)
  expect(causal.token).toBe(30n)
})

test('causal: told by another session: every shard waits', () => {
  const causal = causalOf()
  causal.saw(0, 10n)
  causal.told(12n)
  expect([0, 1].map((shard) => causal.before(shard))).toEqual([12n, 12n])
  expect(causal.token).toBe(12n)
})

test('causal: in a transaction with its snapshot: nothing to wait for', () => {
  const causal = causalOf(true)
  causal.saw(0, 10n)
  expect(causal.before(1)).toBeUndefined()
})

test('causal: told by another session: it may have seen what this coordinator does not know to be decided', () => {
  const causal = causalOf()
  causal.saw(0, 10n)
  causal.adopt(11n)
  expect(causal.ownUnseen).toBe(true)
  causal.told(9n)
  expect(causal.ownUnseen).toBe(false)
})

test('causal: consistent reads given up: nothing to wait for, but the token is kept up', () => {
  const settings = new Map([['weft.consistent_reads', 'off']])
  const causal = new Causal({ hasSnapshot: false }, { undecidedAreUnseen: true }, settings)
  causal.saw(1, 10n)
  expect(causal.before(0)).toBeUndefined()
  expect(causal.token).toBe(10n)
  settings.set('weft.consistent_reads', 'on')
  expect(causal.before(0)).toBe(10n)
})
