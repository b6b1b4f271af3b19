import { loadModule } from 'libpg-query'
import { beforeAll, describe, expect, test } from 'vitest'
import { testCatalog } from '../../../test/helpers/catalog.ts'
import { Lexed } from '../../lex/lexed.ts'
import { lexStatement } from '../../lex/scan.ts'
import { offsetMap } from '../../parse/offsets.ts'
import { parseStatements } from '../../parse/parse.ts'
import type { PlanContext } from '../plan.ts'
import { planStatement } from '../plan-statement.ts'
import { timedText } from './timed-text.ts'

beforeAll(() => loadModule())

const CONTEXT: PlanContext = { searchPath: ['public'], tempTables: new Set(['scratch']), paramTypes: [] }

function lexed(sql: string): { bytes: Buffer; tokens: Lexed } {
  const bytes = Buffer.from(sql)
  const tokens = new Lexed()
  lexStatement(bytes, 0, bytes.length, tokens)
  return { bytes, tokens }
}

function timesOf(sql: string) {
  const { tokens } = lexed(sql)
  const map = offsetMap(sql)
  const literals = Array.from({ length: tokens.literalCount }, (_, i) => ({
    start: map.toUtf16(tokens.starts[i]!),
    end: map.toUtf16(tokens.ends[i]!),
  }))
  const plan = planStatement(parseStatements(sql)[0]!, literals, testCatalog(), CONTEXT)
  if (plan.kind === 'refused') throw plan.error
  return plan.times ?? []
}

/** `T` is the transaction's time, `S` the statement's. `as`: another text with the same fingerprint. */
function timed(sql: string, as = sql) {
  const { bytes, tokens } = lexed(as)
  return timedText(as, bytes, tokens, timesOf(sql), (clock) => (clock === 'transaction' ? 'T' : 'S'))
}

describe('calls', () => {
  test.each([
    ['SELECT now()', 'SELECT weft.now(T)'],
    ['SELECT now() AS n, transaction_timestamp()', 'SELECT T AS n, weft.transaction_timestamp(T)'],
    ['SELECT statement_timestamp()', 'SELECT weft.statement_timestamp(S)'],
    ['SELECT pg_catalog . "now" ( /* ) */ ) + $1', 'SELECT weft.now(T) + $1'],
    [
      'SELECT CURRENT_TIMESTAMP, current_timestamp ( 3 )',
      'SELECT weft."current_timestamp"(T), weft."current_timestamp"(T)::pg_catalog.timestamptz ( 3 )',
    ],
    [
      'SELECT 1 WHERE CURRENT_DATE > $1 AND localtime(2) < LOCALTIMESTAMP',
      'SELECT 1 WHERE T::pg_catalog.date > $1 AND T::pg_catalog.time(2) < T::pg_catalog.timestamp',
    ],
    ['SELECT * FROM current_date, now() AS x', 'SELECT * FROM weft."current_date"(T), weft.now(T) AS x'],
    [
      'SELECT * FROM current_timestamp(3) WITH ORDINALITY, LOCALTIME (0) AS x',
      'SELECT * FROM CAST(T AS pg_catalog.timestamptz(3)) WITH ORDINALITY AS "current_timestamp", ' +
        'CAST(T AS pg_catalog.time (0)) AS x',
    ],
    ["SELECT age('2000-01-01'::date)", "SELECT weft.age('2000-01-01'::date, T)"],
    [
      'SELECT age(now(), $1), clock_timestamp(), timeofday(), random()',
      'SELECT age(weft.now(T), $1), clock_timestamp(), timeofday(), random()',
    ],
    [
      'UPDATE orders SET (note, created_at) = (now()::text, now())',
      'UPDATE orders SET (note, created_at) = (T::text, T)',
    ],
    [
      'SELECT \'now()\', now.now, "now" FROM (SELECT 1 AS now) now',
      'SELECT \'now()\', now.now, "now" FROM (SELECT 1 AS now) now',
    ],
    ['SELECT public.now(), now(1)', 'SELECT public.now(), now(1)'],
    ['EXPLAIN SELECT now()', 'EXPLAIN SELECT weft.now(T)'],
    ['DECLARE c CURSOR FOR SELECT now()', 'DECLARE c CURSOR FOR SELECT weft.now(T)'],
    ['COPY (SELECT now()) TO STDOUT', 'COPY (SELECT weft.now(T)) TO STDOUT'],
    ['EXECUTE p(now())', 'EXECUTE p(T)'],
    ['CREATE TABLE x AS SELECT now()', 'CREATE TABLE x AS SELECT weft.now(T)'],
  ])('%s', (sql, expected) => expect(timed(sql).sql).toBe(expected))

  test.each([
    'CREATE TABLE x (at timestamptz DEFAULT now())',
    'CREATE VIEW x AS SELECT now()',
    'CREATE MATERIALIZED VIEW x AS SELECT now()',
    'CREATE INDEX ON orders (id) WHERE created_at > now()',
    'ALTER TABLE orders ALTER created_at SET DEFAULT now()',
    'PREPARE p AS SELECT now()',
    "DO 'BEGIN PERFORM now(); END'",
  ])('keeps its text: %s', (sql) => expect(timesOf(sql)).toEqual([]))

  test('CURRENT_TIMESTAMP(n) in ROWS FROM: refused', () => {
    expect(() => timesOf('SELECT * FROM ROWS FROM (current_timestamp(3))')).toThrow(
      'CURRENT_TIMESTAMP with a precision in ROWS FROM',
    )
  })
})

describe('defaults', () => {
  test.each([
    [
      'INSERT INTO orders (customer_id) VALUES (1), (2) RETURNING *',
      'INSERT INTO orders (customer_id, "created_at") VALUES (1, T), (2, T) RETURNING *',
    ],
    [
      'INSERT INTO orders VALUES (1, 2)',
      'INSERT INTO orders ("customer_id", "id", "created_at") VALUES (1, 2, T)',
    ],
    [
      "INSERT INTO orders VALUES (1, 2, 3, 4, 'x', '2000-01-01')",
      "INSERT INTO orders VALUES (1, 2, 3, 4, 'x', '2000-01-01')",
    ],
    [
      "INSERT INTO orders AS o (created_at, customer_id) VALUES (DEFAULT, 1), ('2000-01-01', 2)",
      "INSERT INTO orders AS o (created_at, customer_id) VALUES (T, 1), ('2000-01-01', 2)",
    ],
    [
      'INSERT INTO orders (customer_id, id) SELECT id, 1 FROM customers WHERE id IS DISTINCT FROM 3',
      'INSERT INTO orders (customer_id, id, "created_at") SELECT id, 1, T FROM customers WHERE id IS DISTINCT FROM 3',
    ],
    [
      'INSERT INTO orders (customer_id, id) SELECT r.id AS order, (SELECT 1 FROM rates LIMIT 1) FROM rates r UNION ALL SELECT 5, 6',
      'INSERT INTO orders (customer_id, id, "created_at") SELECT r.id AS order, (SELECT 1 FROM rates LIMIT 1), T FROM rates r UNION ALL SELECT 5, 6, T',
    ],
    [
      'INSERT INTO orders (customer_id) SELECT 1 ON CONFLICT DO NOTHING',
      'INSERT INTO orders (customer_id, "created_at") SELECT 1, T ON CONFLICT DO NOTHING',
    ],
    [
      'INSERT INTO rates AS r DEFAULT /* VALUES */ VALUES RETURNING id',
      'INSERT INTO rates AS r ("seen") VALUES (T) RETURNING id',
    ],
    [
      'UPDATE orders SET (created_at, qty) = (DEFAULT, 1), note = DEFAULT',
      'UPDATE orders SET (created_at, qty) = (T, 1), note = DEFAULT',
    ],
    [
      'INSERT INTO orders (customer_id, id) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET created_at = DEFAULT',
      'INSERT INTO orders (customer_id, id, "created_at") VALUES (1, 2, T) ON CONFLICT (id) DO UPDATE SET created_at = T',
    ],
    [
      'WITH x AS (INSERT INTO orders (customer_id, id) VALUES (1, 2) RETURNING *) SELECT now() FROM x',
      'WITH x AS (INSERT INTO orders (customer_id, id, "created_at") VALUES (1, 2, T) RETURNING *) SELECT weft.now(T) FROM x',
    ],
  ])('%s', (sql, expected) => expect(timed(sql).sql).toBe(expected))

  test('a temporary table of the name is another one', () => {
    expect(timesOf('INSERT INTO scratch VALUES (1)')).toEqual([])
  })
})

test('places hold for every text with the same fingerprint, whatever its literals', () => {
  const sql =
    "UPDATE orders SET note = 'ä', created_at = now() WHERE customer_id = 1 AND created_at < CURRENT_DATE"
  const as =
    "UPDATE orders SET note = '€€€ now()', created_at = now() WHERE customer_id = 12345 AND created_at < CURRENT_DATE"
  expect(timed(sql, as).sql).toBe(
    "UPDATE orders SET note = '€€€ now()', created_at = T WHERE customer_id = 12345 AND created_at < T::pg_catalog.date",
  )
})

test("an error's position is found again in the text as it was, in characters", () => {
  const sql = "SELECT now(), '😀', nothing FROM orders"
  const { sql: after, positionBefore } = timed(sql)
  const position = [...after.slice(0, after.indexOf('nothing'))].length + 1
  expect([...sql][positionBefore(position) - 1]).toBe('n')
  expect([...sql].slice(positionBefore(position) - 1).join('')).toBe('nothing FROM orders')
})
