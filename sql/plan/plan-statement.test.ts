import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadModule } from 'libpg-query'
import { beforeAll, describe, expect, it } from 'vitest'
import { testCatalog } from '../../test/helpers/catalog.ts'
import { literalPlaces } from '../lex/literal-places.ts'
import { type ParsedStatement, parseStatements } from '../parse/parse.ts'
import type { Plan, PlanContext } from './plan.ts'
import { planStatement } from './plan-statement.ts'
import { printPlan } from './testing/print-plan.ts'

/** Scripts of `plan`, a statement, `----`, and its plan. UPDATE=1 rewrites what is expected: read the difference. */
const DIRECTORY = new URL('./testdata/', import.meta.url)
const CONTEXT: PlanContext = { searchPath: ['public'], tempTables: new Set(['scratch']), paramTypes: [] }

beforeAll(() => loadModule())

interface Case {
  readonly sql: string
  readonly expected: string
}

function readCases(file: string): Case[] {
  const text = readFileSync(new URL(file, DIRECTORY), 'utf8')
  return text
    .split(/^plan\n/m)
    .slice(1)
    .map((block) => {
      const [sql = '', expected = ''] = block.split(/^----\n?/m)
      return { sql: sql.trimEnd(), expected: expected.trim() }
    })
}

function plan(stmt: ParsedStatement): Plan {
  return planStatement(stmt, literalPlaces(stmt.text), testCatalog(), CONTEXT)
}

function outcome(sql: string): string {
  const stmt = parseStatements(sql)[0]!
  const printed = printPlan(plan(stmt), stmt.text)
  // Whatever is built for the shards has to be SQL.
  for (const [, built] of printed.matchAll(/^(?:built|partial|combine): ([\s\S]*?)(?: \[[\d,]+\])?$/gm)) {
    expect(parseStatements(built!.replace('__WEFT_PARTIALS__', '(VALUES (1))'))).toHaveLength(1)
  }
  return printed
}

describe.each(readdirSync(DIRECTORY).filter((f) => f.endsWith('.txt')))('plan: %s', (file) => {
  const cases = readCases(file)
  if (process.env.UPDATE) {
    it('rewrites', () => {
      const blocks = cases.map(({ sql }) => `plan\n${sql}\n----\n${outcome(sql)}\n`)
      writeFileSync(new URL(file, DIRECTORY), blocks.join('\n'))
    })
    return
  }
  it.each(cases)('plan: $sql', ({ sql, expected }) => {
    expect(outcome(sql)).toBe(expected)
  })
})

/** `n` queries, each of the one before it, twice. */
const twiceOf = (first: string, n: number): string =>
  Array.from({ length: n }, (_, i) =>
    i === 0 ? `c0 AS (${first})` : `c${i} AS (SELECT a.k FROM c${i - 1} a JOIN c${i - 1} b USING (k))`,
  ).join(', ')

describe('what planning takes', () => {
  it.each([
    Array.from({ length: 200 }, (_, i) => `SELECT ${i} AS a, ${i} AS b, 'x' AS c`).join(' UNION ALL '),
    `WITH ${twiceOf('SELECT customer_id AS k FROM orders', 60)} SELECT * FROM c59`,
    `WITH ${twiceOf('SELECT 1 AS k', 60)} SELECT * FROM c59, orders WHERE customer_id = 3`,
  ])('does not double with every level: %#', (sql) => {
    expect(plan(parseStatements(sql)[0]!).kind).toBe('forward')
  })

  it('is a text that grows with the arms of a set operation, not with their square', () => {
    const lengthOf = (arms: number) => {
      const sql = Array.from({ length: arms }, () => 'SELECT customer_id, note FROM orders').join(
        ' UNION ALL ',
      )
      const made = plan(parseStatements(`SELECT note, max(customer_id) FROM (${sql}) t GROUP BY note`)[0]!)
      return made.kind === 'forward' && made.onSeveral.kind === 'gather'
        ? made.onSeveral.gather.part.sql.length
        : Number.NaN
    }
    expect(lengthOf(200)).toBeLessThan(2.2 * lengthOf(100))
  })
})
