import { readFileSync } from 'node:fs'
import { loadModule } from 'libpg-query'
import { beforeAll, expect, it } from 'vitest'
import { parseStatements } from '../parse/parse.ts'
import { printed } from './printed.ts'
import { EXPRESSIONS, OPERATIONS } from './testdata/expressions.ts'

beforeAll(() => loadModule())

/** Undefined: the grammar does not take it. */
function parsed(sql: string) {
  try {
    return parseStatements(sql)[0]
  } catch {
    return undefined
  }
}

it('prints every expression as an operand of every operation', () => {
  const texts = EXPRESSIONS.flatMap((expression) =>
    OPERATIONS.map((operation) => `SELECT ${operation.replaceAll('%', () => expression)} AS v FROM t`),
  )
  const statements = texts.map(parsed).filter((statement) => statement !== undefined)
  expect(statements.length).toBeGreaterThan(10_000)
  // What is printed has been parsed again, and compared.
  const missing = statements.filter(({ node }) => printed(node) === undefined)
  expect(missing.map(({ text }) => text)).toEqual([])
})

const statements = readFileSync(new URL('testdata/statements.sql', import.meta.url), 'utf8')

it.each(statements.trimEnd().split('\n'))('prints %s', (sql) => {
  expect(printed(parsed(sql)!.node)).toBeDefined()
})
