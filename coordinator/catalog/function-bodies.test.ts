import { describe, expect, test } from 'vitest'
import type { Relation } from '../../sql/catalog.ts'
import { tablesInFunctions } from './function-bodies.ts'

const relation = (name: string, kind: Relation['kind'], definition?: string): Relation => ({
  oid: 1,
  schema: 'public',
  name,
  kind,
  columns: [],
  ...(definition === undefined ? {} : { definition }),
})

const relations = [
  relation('orders', 'sharded'),
  relation('Odd "name"', 'sharded'),
  relation('countries', 'reference'),
  relation('notes', 'local'),
  relation('order_view', 'view', 'SELECT * FROM orders'),
  relation('view_of_view', 'view', 'SELECT * FROM order_view'),
]

describe('functions that name tables', () => {
  test.each([
    ['SELECT count(*) FROM orders', 'orders'],
    ['SELECT count(*) FROM public.ORDERS o', 'orders'],
    ["EXECUTE format('DELETE FROM %I', 'orders')", 'orders'],
    ['SELECT 1 FROM "Odd ""name"""', 'Odd "name"'],
    ['SELECT 1 FROM view_of_view', 'view_of_view'],
    ['SELECT name FROM countries', undefined],
    ['INSERT INTO countries VALUES (1)', 'countries'],
    ['SELECT * FROM notes, orders_archive', undefined],
    ['', undefined],
    ['SELECT row($1, $2)::orders', undefined],
    ['SELECT a::public . "orders", b:: "Odd ""name""" , 1::int', undefined],
    ['SELECT (a::orders).id FROM orders', 'orders'],
    ['SELECT a::int, b FROM orders', 'orders'],
  ])('%s: %s', (body, table) => {
    expect(tablesInFunctions(new Map([['f', body]]), relations).get('f')).toBe(table)
  })

  test('through other functions, whatever their order', () => {
    const bodies = new Map([
      ['a', 'SELECT b()'],
      ['b', 'SELECT c(1)'],
      ['c', 'SELECT 1 FROM orders'],
      ['d', 'SELECT 1'],
    ])
    expect([...tablesInFunctions(bodies, relations).keys()].sort()).toEqual(['a', 'b', 'c'])
  })
})
