import { loadModule } from 'libpg-query'
import { beforeAll, expect, it } from 'vitest'
import { parseStatements } from '../parse/parse.ts'
import { printed } from './printed.ts'
import { EXPRESSIONS, OPERATIONS } from './testdata.ts'

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

it.each([
  `SELECT * FROM t, LATERAL JSON_TABLE(a FORMAT JSON, '$[*]' AS p PASSING 1 AS x, t.b AS "Y"
     COLUMNS (x int PATH '$.x' DEFAULT 0 ON EMPTY, n FOR ORDINALITY, e bool EXISTS PATH '$.e' FALSE ON ERROR,
       j jsonb FORMAT JSON PATH '$.j' WITH CONDITIONAL WRAPPER OMIT QUOTES EMPTY ARRAY ON EMPTY,
       NESTED PATH '$.k[*]' AS q COLUMNS ("Z" text)) ERROR ON ERROR) AS j(a, b)`,
  `SELECT JSON_QUERY(a || b, 'lax $.x' || c PASSING d + 1 AS v RETURNING jsonb FORMAT JSON WITHOUT WRAPPER KEEP QUOTES
     NULL ON EMPTY EMPTY OBJECT ON ERROR)`,
  `SELECT JSON_EXISTS(a, '$.x' UNKNOWN ON ERROR), JSON_VALUE(a, '$' RETURNING numeric(5,2) DEFAULT 1 + 1 ON EMPTY)`,
  `SELECT x.* FROM t, XMLTABLE(XMLNAMESPACES('http://x' AS "X", DEFAULT 'http://y'), ('/a/' || t.b) PASSING BY REF d
     COLUMNS id int PATH '@id' DEFAULT 3 NOT NULL, n FOR ORDINALITY, whole xml) AS x`,
  'SELECT a FROM t ORDER BY b FETCH FIRST 3 ROWS WITH TIES',
  'SELECT a FROM t GROUP BY DISTINCT ROLLUP (a, b), CUBE (a)',
])('prints %s', (sql) => {
  expect(printed(parsed(sql)!.node)).toBeDefined()
})
