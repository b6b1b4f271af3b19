import { expect, test } from 'vitest'
import { changedUnlike, type Link, LOCK, overreach, type Uses } from './overreach.ts'

const { read, lockRows, write, more } = LOCK
const kinds = new Map([
  ['s.orders', 'sharded'],
  ['s.lines', 'sharded'],
  ['s.log', 'sharded'],
  ['s.ref', 'reference'],
] as const)
const NOTHING = { tables: [], onCopies: false }
const ORDERS = { tables: ['s.orders'], onCopies: false }
const COPIES = { tables: [], onCopies: true }

const said = (
  after: Uses,
  allowed = NOTHING as typeof ORDERS,
  before: Uses = {},
  linked: Link[] = [],
  partitions: [string, string][] = [],
) => {
  const found = overreach({ before, after, linked, partitions }, kinds, allowed)
  return found && `${found.did} ${found.table}`
}

test('what is locked anew was read or changed', () => {
  expect(said({})).toBe(undefined)
  expect(said({ 's.orders': [read, 0, 0, 0, 0] })).toBe('read s.orders')
  expect(said({ 's.orders': [lockRows, 1, 0, 0, 0] })).toBe('read s.orders')
  expect(said({ 's.orders': [write, 1, 0, 0, 2] })).toBe('changed s.orders')
  expect(said({ 's.orders': [write, 1, 0, 0, 0] })).toBe('read s.orders')
  expect(said({ 's.orders': [more, 0, 0, 0, 0] })).toBe('changed s.orders')
  expect(said({ 's.ref': [read | lockRows, 3, 0, 0, 0] })).toBe(undefined)
  expect(said({ 's.ref': [write, 0, 0, 0, 0] })).toBe('changed s.ref')
})

test('rows that are inserted are where they belong', () => {
  expect(said({ 's.orders': [write, 0, 5, 0, 0] })).toBe(undefined)
})

test('the own tables are the statement’s; what was there before counts for nothing', () => {
  const used = { 's.orders': [read | write, 4, 1, 1, 0], 's.ref': [read | write, 1, 1, 0, 0] } as const
  expect(said({ 's.orders': used['s.orders'] }, ORDERS)).toBe(undefined)
  expect(said(used, NOTHING, used)).toBe(undefined)
  expect(said({ ...used, 's.orders': [read | write, 5, 1, 1, 0] }, NOTHING, used)).toBe('read s.orders')
  expect(said({ ...used, 's.ref': [read | write, 1, 2, 0, 0] }, NOTHING, used)).toBe('changed s.ref')
})

test('checks and actions of foreign keys stay with the rows', () => {
  const links: Link[] = [
    ['s.lines', 's.orders', 'c', 'a'],
    ['s.orders', 's.ref', 'a', 'a'],
  ]
  const after = { 's.orders': [write, 1, 0, 0, 1], 's.lines': [write, 1, 0, 0, 3] } as const
  expect(said(after, ORDERS, {}, links)).toBe(undefined)
  expect(said(after, ORDERS)).toBe('changed s.lines')
  expect(said({ ...after, 's.lines': [read | write, 1, 0, 0, 3] }, ORDERS, {}, links)).toBe('read s.lines')
  expect(
    said({ 's.log': [write, 0, 1, 0, 0], 's.lines': [lockRows, 1, 0, 0, 0] }, ORDERS, {}, [
      ['s.log', 's.lines', 'a', 'a'],
    ]),
  ).toBe(undefined)
})

test('a foreign key of its own is no excuse for who writes a table', () => {
  const links: Link[] = [
    ['s.lines', 's.orders', 'c', 'c'],
    ['s.log', 's.orders', 'n', 'a'],
  ]
  for (const table of ['s.orders', 's.lines', 's.log']) {
    expect(said({ [table]: [write, 1, 0, 2, 0] }, NOTHING, {}, links)).toBe(`changed ${table}`)
    expect(said({ [table]: [write, 1, 0, 0, 2] }, NOTHING, {}, links)).toBe(`changed ${table}`)
    expect(said({ [table]: [write, 1, 0, 0, 0] }, NOTHING, {}, links)).toBe(`read ${table}`)
  }
  const deletes = (after: Uses) => said({ 's.orders': [write, 1, 0, 0, 1], ...after }, ORDERS, {}, links)
  expect(deletes({ 's.lines': [write, 1, 0, 0, 2], 's.log': [write, 1, 0, 2, 0] })).toBe(undefined)
  expect(deletes({ 's.lines': [write, 1, 0, 1, 0] })).toBe('changed s.lines')
  expect(deletes({ 's.log': [write, 1, 0, 0, 2] })).toBe('changed s.log')
  // Nothing of the parent was changed.
  const inserts = (after: Uses) => said({ 's.orders': [write, 0, 1, 0, 0], ...after }, ORDERS, {}, links)
  expect(inserts({ 's.lines': [write, 1, 0, 0, 2] })).toBe('changed s.lines')
  expect(inserts({ 's.lines': [write, 1, 0, 0, 0] })).toBe('read s.lines')
  expect(inserts({ 's.lines': [lockRows, 1, 0, 0, 0] })).toBe(undefined)
})

test('what the transaction has written before is no excuse for who looks into what belongs to it', () => {
  const links: Link[] = [['s.lines', 's.orders', 'c', 'c']]
  const before = { 's.orders': [write | read, 3, 0, 9, 0], 's.lines': [read, 2, 0, 0, 0] } as const
  expect(said({ ...before, 's.lines': [read, 3, 0, 0, 0] }, NOTHING, before, links)).toBe('read s.lines')
  expect(said({ ...before, 's.lines': [read, 3, 0, 0, 0] }, ORDERS, before, links)).toBe('read s.lines')
})

test('beside all copies of a reference table only what foreign keys do is changed', () => {
  const links: Link[] = [['s.orders', 's.ref', 'n', 'c']]
  const after = { 's.ref': [write, 0, 0, 1, 0], 's.orders': [write, 1, 0, 4, 0] } as const
  expect(said(after, COPIES, {}, links)).toBe(undefined)
  expect(said(after, COPIES)).toBe('changed s.orders')
  expect(said({ ...after, 's.ref': [write, 0, 1, 0, 0] }, COPIES, {}, links)).toBe('changed s.orders')
  expect(said({ 's.ref': [write, 0, 1, 0, 0], 's.orders': [read, 1, 0, 0, 0] }, COPIES)).toBe('read s.orders')
})

test('rows of what is partitioned are those of its partitions', () => {
  const parts: [string, string][] = [
    ['s.orders', 's.lines'],
    ['s.orders', 's.log'],
  ]
  const all: Uses = {
    's.orders': [read, 0, 0, 0, 0],
    's.lines': [read, 1, 0, 0, 0],
    's.log': [read, 1, 0, 0, 0],
  }
  expect(said(all, ORDERS, {}, [], parts)).toBe(undefined)
  expect(said(all, NOTHING, {}, [], parts)).toBe('read s.lines')
  // A partition's bounds are checked; its siblings are not its own.
  const lines = { tables: ['s.lines'], onCopies: false }
  expect(said({ ...all, 's.log': [0, 0, 0, 0, 0] }, lines, {}, [], parts)).toBe(undefined)
  expect(said(all, lines, {}, [], parts)).toBe('read s.log')
  expect(said({ 's.orders': [more, 0, 0, 0, 0] }, lines, {}, [], parts)).toBe('changed s.orders')
  const target = { ...ORDERS, target: { table: 's.orders', changes: false, removes: false } }
  expect(said({ 's.orders': [write, 0, 0, 0, 0], 's.log': [write, 0, 1, 0, 0] }, target, {}, [], parts)).toBe(
    undefined,
  )
  expect(
    said({ 's.orders': [write, 0, 0, 0, 0], 's.log': [write | read, 1, 1, 0, 0] }, target, {}, [], parts),
  ).toBe('read s.log')
})

test('what every copy did to a reference table is the same, but for what they read', () => {
  const on = (after: Uses, before: Uses = {}) => ({ before, after, linked: [], partitions: [] })
  const one = on({ 's.ref': [write, 1, 2, 0, 1], 's.orders': [write, 0, 0, 0, 4] })
  expect(changedUnlike([one, on({ 's.ref': [write, 7, 2, 0, 1] }), one], kinds)).toBe(undefined)
  expect(
    changedUnlike([one, on({ 's.ref': [write, 1, 5, 3, 3] }, { 's.ref': [write, 0, 3, 3, 2] })], kinds),
  ).toBe(undefined)
  for (const other of [on({}), on({ 's.ref': [write, 1, 1, 0, 1] })])
    expect(changedUnlike([one, other], kinds)).toEqual({ table: 's.ref', kind: 'reference', did: 'changed' })
})

test('a definition locks and reads what it names, and the other ends of its foreign keys', () => {
  const defines = { tables: ['s.orders'], onCopies: false, defines: 'plain' } as typeof ORDERS
  const checked = { ...defines, defines: 'checked' } as typeof ORDERS
  const links: Link[] = [['s.orders', 's.log', 'c', 'a']]
  const before = { 'link ["s.orders","s.log"]': [1, 0, 0, 0, 0] } as unknown as Uses
  expect(said({ 's.orders': [more | read, 4, 0, 0, 0] }, defines)).toBe(undefined)
  expect(said({ 's.orders': [more, 0, 0, 1, 0] }, defines)).toBe('changed s.orders')
  expect(said({ 's.log': [more, 0, 0, 0, 0] }, defines)).toBe('changed s.log')
  expect(said({ 's.log': [more, 0, 0, 0, 0] }, defines, {}, links)).toBe(undefined)
  expect(said({ 's.log': [more, 0, 0, 0, 0] }, defines, before)).toBe(undefined)
  expect(said({ 's.log': [more | read, 1, 0, 0, 0] }, defines, {}, links)).toBe('read s.log')
  expect(said({ 's.log': [more | read, 1, 0, 0, 0] }, checked, {}, links)).toBe(undefined)
  expect(said({ 's.log': [write, 0, 0, 0, 0] }, checked, {}, links)).toBe('changed s.log')
  expect(said({ 's.ref': [read, 1, 0, 0, 0] }, defines)).toBe(undefined)
  expect(said({ 's.ref': [more, 0, 0, 0, 0] }, defines)).toBe('changed s.ref')
  const beside = { 'beside s.ref': [1, 0, 0, 0, 0] } as unknown as Uses
  expect(said({ 's.ref': [more, 0, 0, 0, 0] }, defines, beside)).toBe(undefined)
  expect(said({ 's.ref': [more, 0, 0, 0, 1] }, defines, beside)).toBe('changed s.ref')
})
