import { expect, test } from 'vitest'
import { misfits } from './pool-room.ts'

const settings = (prepared: number, connections: number, reserved = 0): Map<string, string> =>
  new Map(
    Object.entries({
      max_prepared_transactions: prepared,
      max_connections: connections,
      superuser_reserved_connections: 3,
      reserved_connections: reserved,
    }).map(([name, value]) => [name, String(value)]),
  )

test('pool room: a server as the documents want it: nothing to say', () => {
  expect(misfits(settings(200, 100), 20)).toEqual([])
  expect(misfits(settings(40, 28), 20)).toEqual([])
})

test('pool room: too few connections, those that are kept for others included', () => {
  expect(misfits(settings(200, 27), 20)).toMatchObject([
    { found: expect.stringContaining('leaves 24 connections') },
  ])
  expect(misfits(settings(200, 28, 1), 20)).toMatchObject([
    { found: expect.stringContaining('leaves 24 connections') },
  ])
})

test('pool room: no prepared transactions, the default of Postgres', () => {
  expect(misfits(settings(0, 100), 20)).toMatchObject([
    { found: 'max_prepared_transactions is 0; 40 may be needed' },
  ])
})
