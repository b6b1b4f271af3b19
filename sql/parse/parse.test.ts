import { loadModule } from 'libpg-query'
import { beforeAll, describe, expect, it } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { as, at, functionsOf, paramsOf, relationsOf, walk } from './ast.ts'
import { parseStatements } from './parse.ts'

beforeAll(() => loadModule())

function fieldsOf(sql: string): PgError['fields'] {
  try {
    parseStatements(sql)
  } catch (error) {
    if (error instanceof PgError) return error.fields
    throw error
  }
  throw new Error('expected an error')
}

describe('parseStatements', () => {
  it('parse: several statements with comments: text and offsets of each', () => {
    const sql = "select 1;  -- é\n select 'é', $1 ; /* x */ insert into t values (1)"
    const got = parseStatements(sql)
    expect(got.map((s) => [s.kind, s.text, sql.slice(s.start, s.end) === s.text])).toEqual([
      ['SelectStmt', 'select 1', true],
      ['SelectStmt', "select 'é', $1 ", true],
      ['InsertStmt', 'insert into t values (1)', true],
    ])
  })
  it('parse: white space, comments and semicolons: no statement', () => {
    expect(['', '  \n', ';;', '-- hi', '/* a */ ;'].flatMap((s) => parseStatements(s))).toEqual([])
  })
  it('parse: text beyond ASCII: locations count UTF-16 units of the statement', () => {
    const sql = "select '😀é'; select '😀é€' as \"ß\", abc from t where k = $1"
    const [, second] = parseStatements(sql)
    const found: string[] = []
    walk(second!.node, (kind, body) => {
      if (kind === 'ColumnRef' || kind === 'ParamRef' || kind === 'RangeVar')
        found.push(
          second!.text
            .slice(at(body as { location?: number }))
            .slice(0, 3)
            .trim(),
        )
    })
    expect(found).toEqual(['abc', 't w', 'k =', '$1'])
  })
  it.each([
    ['selec 1', '42601', 'syntax error at or near "selec"', 1],
    ['select * from', '42601', 'syntax error at end of input', 14],
    ["/* é😀 */ select 'é' from ;", '42601', 'syntax error at or near ";"', 26],
    ["select 'abc", '42601', 'unterminated quoted string at or near "\'abc"', 8],
    ['select 1 /* x', '42601', 'unterminated /* comment at or near "/* x"', 10],
    ['select ""', '42601', 'zero-length delimited identifier at or near """"', 8],
  ])('parse: %s: the error Postgres prints', (sql, code, message, position) => {
    expect(fieldsOf(sql)).toMatchObject({ code, message, position, severity: 'ERROR' })
  })
})

describe('walk', () => {
  it('walk: every place a relation can hide: found', () => {
    const sql = `with a as (select * from t1), b as (insert into t2 select * from t3 returning *)
      select (select 1 from t4), sum(x) over (partition by (select 1 from t5)) from t6 join lateral
      (select * from t7) s on exists (select 1 from t8) where y in (select z from t9) group by (select 1 from t10)
      having (select true from t11) window w as (order by (select 1 from t12)) union select * from t13
      order by (select 1 from t14) limit (select 1 from t15) for update of t6`
    const names = new Set(relationsOf(parseStatements(sql)[0]!.node).map((r) => r.relname))
    for (let i = 1; i <= 15; i++) expect(names).toContain(`t${i}`)
  })
  it('walk: conflict, merge and utility statements: reached', () => {
    const text = `insert into a values (f($1)) on conflict (k) do update set x = (select g($2) from b) returning h($2);
      merge into a using c on a.k = c.k when matched then update set x = i($1) when not matched then insert values (j($1));
      copy (select l(1) from d) to stdout; explain select m(1) from e; prepare p as select n(1) from f`
    const all = parseStatements(text)
    const functions = all
      .flatMap((s) => functionsOf(s.node))
      .map((f) => as(f.funcname?.at(-1), 'String')?.sval)
    expect(functions.sort()).toEqual(['f', 'g', 'h', 'i', 'j', 'l', 'm', 'n'])
    expect([...paramsOf(all[0]!.node)]).toEqual([
      [1, 1],
      [2, 2],
    ])
  })
})
