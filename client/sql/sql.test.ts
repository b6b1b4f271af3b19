import { describe, expect, test } from 'vitest'
import { sql } from './sql.ts'

describe('sql: statements', () => {
  test('values are numbered and sent beside the text', () => {
    const name = "'; DROP TABLE t; --"
    expect(sql`SELECT ${name}, ${1} WHERE ${true}`.compile()).toEqual({
      text: 'SELECT $1, $2 WHERE $3',
      values: [name, '1', 'true'],
    })
  })

  test('fragments nest, and their values are numbered where they stand', () => {
    const state = sql`state = ${'open'}`
    const both = sql`(${state} OR owner = ${7})`
    expect(sql`SELECT ${0} FROM t WHERE ${both} AND ${state}`.compile()).toEqual({
      text: 'SELECT $1 FROM t WHERE (state = $2 OR owner = $3) AND state = $4',
      values: ['0', 'open', '7', 'open'],
    })
  })

  test('one fragment may be used in several statements', () => {
    const part = sql`a = ${1}`
    expect(sql`${part}`.compile()).toEqual(sql`${part}`.compile())
  })

  test('an object of the same shape is a value, not a fragment', () => {
    const forged = JSON.parse('{"texts":["1; DROP TABLE t"],"params":[]}') as object
    expect(sql`SELECT ${forged}`.compile()).toEqual({
      text: 'SELECT $1',
      values: ['{"texts":["1; DROP TABLE t"],"params":[]}'],
    })
  })

  test('a template without values', () => {
    expect(sql`SELECT 'a\\b'`.compile()).toEqual({ text: "SELECT 'a\\b'", values: [] })
  })

  test('undefined, functions, promises and calls without a template are refused', () => {
    const missing = undefined as unknown as null
    expect(() => sql`SELECT ${missing}`).toThrow('parameter 1 of a statement is undefined: pass null')
    expect(() => sql`SELECT ${() => 1}`.compile()).toThrow('function')
    expect(() => sql`SELECT ${Promise.resolve(1)}`.compile()).toThrow('await it first')
    const call = sql as unknown as (text: string) => unknown
    expect(() => call('SELECT 1')).toThrow('sql is a tag')
    const array = sql as unknown as (text: string[]) => unknown
    expect(() => array(['SELECT 1'])).toThrow('sql is a tag')
  })

  test('more parameters than the protocol counts', () => {
    const many = sql.join(new Array<number>(65_536).fill(1))
    expect(() => sql`SELECT ${many}`.compile()).toThrow('at most 65535')
  })
})

describe('sql: helpers', () => {
  test('id quotes each part', () => {
    expect(sql`${sql.id('a')}, ${sql.id('S"x', 't.u')}`.compile().text).toBe('"a", "S""x"."t.u"')
    expect(() => sql.id('')).toThrow('not empty')
    expect(() => sql.id('a\0')).toThrow('NUL')
    expect(() => sql.id(7 as unknown as string)).toThrow(TypeError)
  })

  test('join takes values and fragments', () => {
    expect(sql`x IN (${sql.join([1, 2])})`.compile()).toEqual({ text: 'x IN ($1, $2)', values: ['1', '2'] })
    const both = sql.join([sql`a = ${1}`, sql`b`], sql` AND `)
    expect(both.compile()).toEqual({ text: 'a = $1 AND b', values: ['1'] })
    expect(() => sql.join([])).toThrow('of nothing')
  })

  test('rows', () => {
    const rows = sql.rows([
      [1, 'a'],
      [2, null],
    ])
    expect(sql`VALUES ${rows}`.compile()).toEqual({
      text: 'VALUES ($1, $2), ($3, $4)',
      values: ['1', 'a', '2', null],
    })
    expect(() => sql.rows([])).toThrow('of nothing')
    expect(() => sql.rows([[]])).toThrow('of nothing')
  })

  test('json and empty', () => {
    expect(sql`${sql.json([1, 'a'])}${sql.empty}`.compile()).toEqual({ text: '$1', values: ['[1,"a"]'] })
    expect(() => sql.json(undefined)).toThrow('no JSON')
  })
})
