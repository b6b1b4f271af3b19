import { loadModule } from 'libpg-query'
import { beforeAll, describe, expect, it } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { flattened, TOKENS_MAX } from './flatten.ts'
import { parseStatements } from './parse.ts'

beforeAll(() => loadModule())

/** Makes a text one that is looked at, without a token. */
const PADDING = ' '.repeat(1024)

function refusal(sql: string): PgError['fields'] {
  try {
    parseStatements(sql)
  } catch (error) {
    if (error instanceof PgError) return error.fields
    throw error
  }
  throw new Error('expected an error')
}

describe('flattened', () => {
  it('flattened: nested comments: one comment of the same size', () => {
    const nested = `${'/*'.repeat(1000)}é${'*/'.repeat(1000)}`
    const flat = flattened(`select 1 ${nested} as "ü"`)
    expect(flat).toMatch(/^select 1 \/\* +é +\*\/ as "ü"$/)
    expect(Buffer.byteLength(flat)).toBe(Buffer.byteLength(`select 1 ${nested} as "ü"`))
  })

  it.each([
    ["select 'a' -- x\n 'b'", "select 'a'     \n 'b'"],
    ["select 'a'\n--x 'y'\n\t--\n'b' --z", "select 'a'\n       \n\t  \n'b' --z"],
    ["select e'a\\'' --\n'b', 'it''s'\n--\n'c' ", "select e'a\\''   \n'b', 'it''s'\n  \n'c' "],
    ["select 'a' --x", "select 'a' --x"],
    ["select 'a' -- x\n'b' ! /*", "select 'a' -- x\n'b' ! /*"],
    ["select 'a' as \"'\" --x\n, 'b'", "select 'a' as \"'\" --x\n, 'b'"],
  ])('flattened: comments between the parts of a string: %s', (sql, flat) => {
    expect(flattened(sql)).toBe(flat)
  })

  it('flattened: comments in a row: one', () => {
    expect(flattened(`select 1${'/**//*a*/'.repeat(200)}`)).toMatch(/^select 1\/\* +\*\/$/)
  })

  it.each([
    ['string', "select '/* /* ', 1"],
    ['escape string', "select e'\\'/* /* ', 1"],
    ['identifier', 'select 1 as "/* /* "'],
    ['Unicode identifier', 'select 1 as U&"/* /* "'],
    ['dollar quotes', 'select $a$ /* /* $b$ $a$, 1'],
    ['line comment', 'select 1 -- /* /* '],
    ['operator', 'select 1 */-1'],
  ])('flattened: what looks like a comment in a %s: left alone', (_, sql) => {
    expect(flattened(sql + PADDING)).toBe(sql + PADDING)
  })

  it('flattened: 100,000 nested comments ahead of a statement: places are those of the text', () => {
    const before = `${'/*'.repeat(100_000)}é${'*/'.repeat(100_000)}`
    const [statement] = parseStatements(`${before} select nothing`)
    expect([statement?.text, statement?.start]).toEqual([`${before} select nothing`, 0])
    expect(refusal(`${before} select from from`).position).toBe(before.length + ' select from '.length + 1)
  })

  it('flattened: a comment without an end: the words of Postgres', () => {
    const sql = `${PADDING}select 'é' ${'/*'.repeat(100_000)}`
    expect(refusal(sql)).toMatchObject({
      code: '42601',
      message: `unterminated /* comment at or near "${'/*'.repeat(100_000)}"`,
      position: sql.indexOf('/*') + 1,
    })
  })

  it('flattened: operator characters that no operator can have: 54001', () => {
    expect(refusal(`${PADDING}select ${'+'.repeat(1_000_000)}1`).code).toBe('54001')
    expect(refusal(`${PADDING}select 1${'/**/+'.repeat(100_000)}1`).code).toBe('54001')
  })

  it('flattened: a banner of stars, and signs with spaces between them: taken', () => {
    expect(parseStatements(`/*${'*'.repeat(5000)}*/ select 1`)).toHaveLength(1)
    expect(parseStatements(`${PADDING}select ${'+ '.repeat(500)}1`)).toHaveLength(1)
  })

  it('flattened: more tokens than are parsed at a time: 54000', () => {
    expect(refusal(`select 1${',1'.repeat(TOKENS_MAX / 2)}`)).toMatchObject({
      code: '54000',
      message: 'statement is too long: 500000 words, values and signs are allowed',
    })
  })

  it('flattened: as many parameters as a Bind can bring, each with its type: taken', () => {
    const params = Array.from({ length: 0xffff }, (_, i) => `($${i + 1}::text)`)
    expect(() => flattened(`values ${params.join(', ')}`)).not.toThrow()
  })
})
