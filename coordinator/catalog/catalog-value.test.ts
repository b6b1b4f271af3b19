import { describe, expect, test } from 'vitest'
import type { Relation } from '../../sql/catalog.ts'
import { makeCatalog } from './catalog-value.ts'

const relation = (schema: string, name: string, kind: Relation['kind'] = 'local'): Relation => ({
  oid: 1,
  schema,
  name,
  kind,
  columns: [],
})

const catalog = makeCatalog({
  version: 7,
  shardCount: 2,
  slots: new Uint16Array(4096),
  relations: [
    relation('public', 'orders', 'sharded'),
    relation('app', 'orders', 'reference'),
    relation('public', 'pg_class'),
  ],
  systemNames: new Set(['pg_class', 'pg_tables']),
  functionBodies: new Map([['pay', '']]),
})

describe('catalog resolve', () => {
  test('resolve: a bare name: the first schema of the path that has it', () => {
    expect(catalog.resolve(undefined, 'orders', ['app', 'public'])?.kind).toBe('reference')
    expect(catalog.resolve(undefined, 'orders', ['nowhere', 'public'])?.kind).toBe('sharded')
    expect(catalog.resolve(undefined, 'orders', [])).toBeUndefined()
  })
  test('resolve: a qualified name: that schema only', () => {
    expect(catalog.resolve('public', 'orders', ['app'])?.kind).toBe('sharded')
    expect(catalog.resolve('nowhere', 'orders', ['public'])).toBeUndefined()
  })
  test('resolve: a name that pg_catalog has too: pg_catalog wins unless the path lists it later', () => {
    expect(catalog.resolve(undefined, 'pg_class', ['public'])).toBeUndefined()
    expect(catalog.resolve(undefined, 'pg_class', ['pg_catalog', 'public'])).toBeUndefined()
    expect(catalog.resolve(undefined, 'pg_class', ['public', 'pg_catalog'])?.schema).toBe('public')
    expect(catalog.resolve('public', 'pg_class', [])?.schema).toBe('public')
  })
  test('distributed and isUserFunction: as loaded', () => {
    expect(catalog.distributed.map((r) => r.schema)).toEqual(['public', 'app'])
    expect(catalog.isUserFunction('pay')).toBe(true)
    expect(catalog.isUserFunction('now')).toBe(false)
  })
})
