import { describe, expect, it } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { parseStatements } from '../../sql/parse/parse.ts'
import { currentParser, useParser } from '../../sql/parse/parser.ts'
import { ParserSupply } from './parser-supply.ts'

const DEEP = `select 1${'+1'.repeat(20_000)}`

describe('parser supply', () => {
  it('parser supply: same answers as libpg-query itself', async () => {
    const supply = await ParserSupply.open()
    const before = currentParser()
    const texts = [
      "select 'é', $1 from t; insert into t values (1)",
      'create function f() returns int return 1',
    ]
    const expected = texts.map((sql) => JSON.stringify(parseStatements(sql)))
    const tokens = before.scan('select 1 -- x')
    useParser(supply)
    expect(texts.map((sql) => JSON.stringify(parseStatements(sql)))).toEqual(expected)
    expect(supply.scan('select 1 -- x')).toEqual(tokens)
    useParser(before)
    expect(supply.discarded).toBe(0)
  })

  it('parser supply: a syntax error: told with its place, the instance stays', async () => {
    const supply = await ParserSupply.open()
    expect(() => supply.parse('select from from')).toThrow('syntax error at or near "from"')
    expect(supply.discarded).toBe(0)
  })

  it('parser supply: an instance that ran out of stack: never used again', async () => {
    const supply = await ParserSupply.open()
    for (let i = 1; i <= 3; i++) {
      expect(() => supply.parse(DEEP)).toThrow(RangeError)
      expect(supply.discarded).toBe(i)
      expect(supply.parse('select 1').stmts).toHaveLength(1)
      await supply.refilled()
    }
  })

  it('parser supply: an instance whose memory has grown: its memory is given back', async () => {
    const supply = await ParserSupply.open(undefined, 1)
    for (let i = 1; i <= 3; i++) {
      expect(supply.parse('select 1').stmts).toHaveLength(1)
      expect(supply.discarded).toBe(i)
      await supply.refilled()
    }
  })

  it('parser supply: two thrown away in one turn: 53200, and it comes back', async () => {
    const supply = await ParserSupply.open()
    for (let i = 0; i < 2; i++) expect(() => supply.parse(DEEP)).toThrow(RangeError)
    expect(() => supply.parse('select 1')).toThrow(PgError)
    await supply.refilled()
    expect(supply.parse('select 1').stmts).toHaveLength(1)
  })
})
