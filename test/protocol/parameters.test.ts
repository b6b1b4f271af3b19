import { beforeAll, describe, test } from 'vitest'
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { compare, type Step } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

/** `t (k int PRIMARY KEY, v text)` is sharded, `r` has copies, `l` is local. Of each: the parameters that it takes. */
const statements: Readonly<Record<string, readonly (string | null)[]>> = {
  // One shard, as written.
  'SELECT v FROM t WHERE k = $1 AND v = $2': ['1', 'one'],
  'SELECT v FROM t WHERE k = 1 AND v = $1': ['one'],
  'SELECT v FROM t WHERE v = $1 AND k = $2': ['one', '1'],
  'SELECT k FROM t WHERE k = 1': [],
  'UPDATE t SET v = $2 WHERE k = $1 RETURNING v': ['1', 'one'],
  'INSERT INTO t VALUES ($1, $2)': ['101', 'x'],
  'SELECT $1::int, $2::int': ['1', '2'],
  'SELECT $2::int': ['1', '2'],
  'SELECT v FROM l WHERE k = $1 AND v IS NOT DISTINCT FROM $2': ['1', null],
  // Several shards.
  'SELECT k FROM t WHERE v = $1 OR v = $2': ['one', 'two'],
  'SELECT k FROM t WHERE k IN ($1, $2, $3)': ['1', '2', '3'],
  'SELECT k FROM t WHERE v IS DISTINCT FROM $1': ['one'],
  'UPDATE t SET v = $1 WHERE v = $2': ['one', 'one'],
  'DELETE FROM t WHERE v IS NOT DISTINCT FROM $1': ['none'],
  'SELECT count(*), max(v) FROM t WHERE v IS DISTINCT FROM $1': ['one'],
  'SELECT count(*) + $1::int FROM t': ['1'],
  // Gathered.
  'SELECT v, count(*) FROM t WHERE v IS DISTINCT FROM $1 GROUP BY v ORDER BY v LIMIT $2': ['one', '3'],
  'SELECT v, count(*) FROM t GROUP BY v HAVING count(*) > $1 ORDER BY 1': ['0'],
  'SELECT a.v FROM t a JOIN t b ON a.v = b.v WHERE b.v IS DISTINCT FROM $1 ORDER BY 1': ['one'],
  // Rewritten.
  'INSERT INTO t VALUES ($1, $2), ($3, $4), ($5, $6)': ['201', 'a', '202', 'b', '203', 'c'],
  "INSERT INTO t VALUES ($1, 'x'), (302, $2) RETURNING v": ['301', 'x'],
  'INSERT INTO t SELECT k + $1, v FROM t WHERE v IS DISTINCT FROM $2': ['1000', 'one'],
  'INSERT INTO t (v, k) VALUES ($1, abs($2::int))': ['v', '401'],
  'INSERT INTO made (v) VALUES ($1), ($2)': ['a', 'b'],
  'INSERT INTO r VALUES ($1, $2)': ['1', 'x'],
  'UPDATE r SET v = $1 WHERE v IS NOT DISTINCT FROM $2': ['a', 'b'],
  'SELECT k FROM r WHERE v = $1 FOR UPDATE': ['a'],
  // What the coordinator does itself.
  "SELECT set_config('my.name', $1, false)": ['x'],
  "SELECT set_config('my.name', $1, $2)": ['x', 'false'],
  'SELECT pg_backend_pid() = $1': ['1'],
  'SELECT count(*) FROM pg_stat_activity WHERE usename = $1': ['nobody'],
  'INSERT INTO l VALUES (extract(year FROM now())::int - $1::int, $2)': ['1', 'x'],
  'INSERT INTO r VALUES (extract(year FROM now())::int - $1::int, $2)': ['2', 'x'],
  // Statements that take none, and those that hold a query.
  'SET my.name = 1': [],
  'SHOW work_mem': [],
  BEGIN: [],
  'DECLARE c CURSOR FOR SELECT v FROM t WHERE v IS DISTINCT FROM $1': ['one'],
  'DECLARE c CURSOR FOR SELECT v FROM t WHERE k = $1 AND v IS DISTINCT FROM $2': ['1', 'two'],
  'EXPLAIN (COSTS OFF) SELECT v FROM l WHERE k = $1': ['1'],
  'CREATE TEMP TABLE made_as AS SELECT v FROM l WHERE k = $1': ['1'],
  'CALL does_nothing($1, $2)': ['1', '2'],
  'FETCH 1 FROM nothing': [],
  'VACUUM l': [],
  'LOCK TABLE l': [],
  "NOTIFY n, 'x'": [],
  '': [],
}

const withParams = Object.entries(statements).filter(([, params]) => params.length > 0)

const e = execute('', 0)
const dP = describeMessage('P', '')

/** Every number of parameters but the right one; what was said is all said before any of it runs. */
function wrong(sql: string, params: readonly (string | null)[]): Step[] {
  const numbers = [0, params.length - 1, params.length + 1].filter((n) => n >= 0 && n !== params.length)
  const lists = [...new Set(numbers)].map((n) => [...params, 'more'].slice(0, n))
  return lists.flatMap((given): Step[] => [
    [parse('', sql), bind({ params: given }), dP, e, SYNC],
    [parse('', sql), bind({ params: given }), SYNC],
    [bind({ statement: 'named', params: given }), dP, e, SYNC],
    ['BEGIN', bind({ statement: 'named', params: given, portal: 'p' }), SYNC],
    ['ROLLBACK'],
  ])
}

describe('parameters', () => {
  beforeAll(async () => {
    const { current } = cluster
    await createTwins(current, 'CREATE TABLE t (k int PRIMARY KEY, v text)', { shard_key: 'k' })
    await createTwins(current, 'CREATE TABLE made (k serial PRIMARY KEY, v text)', { shard_key: 'k' })
    await createTwins(current, 'CREATE TABLE r (k int PRIMARY KEY, v text)', { reference: true })
    await compare(current, [
      'CREATE TABLE l (k int PRIMARY KEY, v text)',
      "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'two'), (4, NULL)",
      "CREATE PROCEDURE does_nothing(a int, b int) LANGUAGE plpgsql AS 'BEGIN NULL; END'",
    ])
  })

  test.each(Object.entries(statements))('too few, too many: %s', async (sql, params) => {
    const more = params.length === 0 ? [] : [params.slice(0, -1)]
    await compare(cluster.current, [
      [parse('named', sql), SYNC],
      ...wrong(sql, params),
      // Once more with what the plan cache and the backends know by then.
      ...more.map((given): Step => [bind({ statement: 'named', params: given }), dP, e, SYNC]),
      'SELECT count(*) FROM l',
      'SELECT count(*) FROM t',
      'SELECT count(*) FROM r',
    ])
  })

  test.each(withParams)('there is none in a Query: %s', async (sql) => {
    await compare(cluster.current, [
      ...[sql, sql, 'BEGIN', sql, 'ROLLBACK', `SELECT 1; ${sql}`],
      ...[`EXPLAIN ${sql}`, `PREPARE s AS ${sql}`, 'DEALLOCATE s'],
    ])
  })

  test.each(withParams)('formats that are not one for each: %s', async (sql, params) => {
    const paramFormats = params.map(() => 0).concat(0, 0)
    await compare(cluster.current, [[parse('', sql), bind({ params, paramFormats }), dP, e, SYNC]])
  })

  test.each([
    'SELECT $1::int + k FROM t WHERE k = 1',
    'SELECT count(*) FROM t WHERE k > $1',
    'INSERT INTO t VALUES ($1, $1), (900, NULL)',
    'SET my.name = 1',
    'SHOW work_mem',
    'BEGIN',
    'CREATE TABLE IF NOT EXISTS l (k int)',
  ])('more are declared than there are: %s', async (sql) => {
    const steps = [[], ['1'], ['1', '2'], ['1', '2', '3']].map(
      (params): Step => [parse('', sql, [23, 25]), bind({ params }), dP, e, SYNC],
    )
    const named = [['1'], ['1', '2']].map((params): Step => [bind({ statement: 's', params }), e, SYNC])
    const describeS = describeMessage('S', 's')
    await compare(cluster.current, [
      ...steps,
      'ROLLBACK',
      [parse('s', sql, [23, 25]), describeS, SYNC],
      ...named,
    ])
  })
})
