import { loadModule } from 'libpg-query'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseStatements } from '../parse/parse.ts'
import { BEGUN, begunText } from './begun-text.ts'

beforeAll(() => loadModule())

const B = BEGUN

/** Each one must parse, before and after. */
const texts: readonly [string, string][] = [
  ['UPDATE t SET a = 1', `UPDATE t SET a = 1 WHERE ${B}`],
  ['UPDATE t SET a = 1 -- all\n', `UPDATE t SET a = 1 WHERE ${B} -- all\n`],
  ['UPDATE t SET a = 1 WHERE b OR c', `UPDATE t SET a = 1 WHERE ${B} AND ( b OR c)`],
  ['update t set a=1 where(b)or c--x', `update t set a=1 where ${B} AND ((b)or c)--x`],
  [
    "UPDATE t SET a = 'where' WHERE x = $1 RETURNING a AS returning, t.where",
    `UPDATE t SET a = 'where' WHERE ${B} AND ( x = $1) RETURNING a AS returning, t.where`,
  ],
  [
    'UPDATE t SET a = (SELECT 1 WHERE true) FROM u JOIN v ON u.a = v.a RETURNING *',
    `UPDATE t SET a = (SELECT 1 WHERE true) FROM u JOIN v ON u.a = v.a WHERE ${B} RETURNING *`,
  ],
  [
    'WITH update AS (SELECT 1 WHERE true), delete AS (SELECT 2) UPDATE t SET a = 1 WHERE "where"',
    `WITH update AS (SELECT 1 WHERE true), delete AS (SELECT 2) UPDATE t SET a = 1 WHERE ${B} AND ( "where")`,
  ],
  ['DELETE FROM t', `DELETE FROM t WHERE ${B}`],
  [
    'DELETE FROM ONLY t AS x USING u WHERE x.id = u.id',
    `DELETE FROM ONLY t AS x USING u WHERE ${B} AND ( x.id = u.id)`,
  ],
  [
    '/* where */ DELETE FROM t WHERE a[1] = ANY(ARRAY[1]) RETURNING a',
    `/* where */ DELETE FROM t WHERE ${B} AND ( a[1] = ANY(ARRAY[1])) RETURNING a`,
  ],
  ['INSERT INTO t SELECT id, $$where$$ FROM s', `INSERT INTO t SELECT id, $$where$$ FROM s WHERE ${B}`],
  [
    'INSERT INTO t AS x (a, b) SELECT k, count(*) FROM s WHERE c OR d GROUP BY k ON CONFLICT DO NOTHING',
    `INSERT INTO t AS x (a, b) SELECT k, count(*) FROM s WHERE ${B} AND ( c OR d) GROUP BY k ON CONFLICT DO NOTHING`,
  ],
  [
    'INSERT INTO t (a) (SELECT a FROM s JOIN r ON r.a = s.a ORDER BY 1) RETURNING a',
    `INSERT INTO t (a) (SELECT a FROM s JOIN r ON r.a = s.a WHERE ${B} ORDER BY 1) RETURNING a`,
  ],
  [
    'INSERT INTO t (a) SELECT a FROM s ON CONFLICT (a) DO UPDATE SET a = 1 WHERE t.a > 1',
    `INSERT INTO t (a) SELECT a FROM s WHERE ${B} ON CONFLICT (a) DO UPDATE SET a = 1 WHERE t.a > 1`,
  ],
  [
    'INSERT INTO t WITH q AS (SELECT 1) SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM s',
    `INSERT INTO t WITH q AS (SELECT 1) SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM s WHERE ${B}`,
  ],
  [
    'WITH q AS (SELECT 1) INSERT INTO t SELECT a FROM s FOR SHARE',
    `WITH q AS (SELECT 1) INSERT INTO t SELECT a FROM s WHERE ${B} FOR SHARE`,
  ],
  [
    'INSERT INTO t SELECT a FROM s UNION ALL SELECT b FROM s WHERE c',
    `INSERT INTO t SELECT * FROM (SELECT a FROM s UNION ALL SELECT b FROM s WHERE c) AS weft_q WHERE ${B}`,
  ],
  [
    'COPY (SELECT a FROM t WHERE b OR c) TO STDOUT (FORMAT csv)',
    `COPY (SELECT a FROM t WHERE ${B} AND ( b OR c)) TO STDOUT (FORMAT csv)`,
  ],
  ['COPY (TABLE t) TO STDOUT', `COPY (SELECT * FROM (TABLE t) AS weft_q WHERE ${B}) TO STDOUT`],
  ['INSERT INTO t TABLE s', `INSERT INTO t SELECT * FROM (TABLE s) AS weft_q WHERE ${B}`],
]

describe('the text of a write that tells when it has begun', () => {
  test.each(texts)('%s', (text, expected) => {
    expect(parseStatements(text)).toHaveLength(1)
    expect(parseStatements(expected)).toHaveLength(1)
    expect(begunText(text)?.text).toBe(expected)
  })

  test.each([
    'INSERT INTO t VALUES (1)',
    'INSERT INTO t (a) VALUES ((SELECT 1 WHERE true)) RETURNING a',
    'INSERT INTO t DEFAULT VALUES',
    'UPDATE t SET a = 1 WHERE CURRENT OF c',
    'SELECT a FROM t WHERE b',
    'TABLE t',
    'COPY t (a) TO STDOUT',
  ])('%s: none', (text) => {
    expect(parseStatements(text)).toHaveLength(1)
    expect(begunText(text)).toBeUndefined()
  })

  test('COPY of a query: the query is told too', () => {
    expect(begunText('copy (SELECT (1)) TO STDOUT')?.query).toBe('      SELECT (1)')
  })

  test('positions of errors: those of the text as it was', () => {
    const text = "UPDATE t SET a = '😀' WHERE b = c RETURNING d"
    const begun = begunText(text)!
    const place = (where: string, of: string): number => [...of.slice(0, of.indexOf(where))].length + 1
    for (const word of ['UPDATE', 'WHERE', 'b =', 'c RET', 'RETURNING', ' d']) {
      const there = word === 'c RET' ? 'c) RET' : word
      expect(begun.positionBefore(place(there, begun.text)), word).toBe(place(word, text))
    }
  })
})
