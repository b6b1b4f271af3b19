import { expect, test } from 'vitest'
import { describeAddress, parsePostgresUrl } from './address.ts'

test('address: everything given: everything read', () => {
  expect(parsePostgresUrl('postgresql://us%40er:p%2Fw@[::1]:6000/my%20db?sslmode=verify-full')).toEqual({
    host: '::1',
    port: 6000,
    database: 'my db',
    user: 'us@er',
    password: 'p/w',
    sslMode: 'verify-full',
    sslCa: undefined,
  })
})

test('address: little given: the defaults of libpq', () => {
  const address = parsePostgresUrl('postgres://joe@db.internal')
  expect(address).toMatchObject({
    host: 'db.internal',
    port: 5432,
    database: 'joe',
    user: 'joe',
    sslMode: 'prefer',
  })
  expect(address.password).toBe(undefined)
})

test('address: host in the query: a unix socket', () => {
  const address = parsePostgresUrl('postgres://joe@/db?host=/run/pg&port=5433')
  expect(describeAddress(address)).toBe('/run/pg/.s.PGSQL.5433')
})

test('address: not an address: refused in one line', () => {
  expect(() => parsePostgresUrl('localhost:5432')).toThrow('a shard is given as postgres://')
  expect(() => parsePostgresUrl('postgres://h/db?sslmode=maybe')).toThrow('sslmode "maybe" is not one of')
})
