import { loadModule } from 'libpg-query'
import { beforeAll, expect, it } from 'vitest'
import { testCatalog } from '../../test/helpers/catalog.ts'
import { FileExplainer } from './explained.ts'

beforeAll(() => loadModule())

const systemNames = new Set(['pg_class'])

function explain(file: string): string[] {
  const explainer = new FileExplainer(testCatalog(), { searchPath: ['public'], systemNames })
  return [...explainer.explain(file)].map(
    ({ line, reach, id }) => `${line} ${reach}${id === undefined ? '' : ` ${id}`}`,
  )
}

function mergeOf(row: string): string {
  return `MERGE INTO items USING (VALUES ${row}) v (a, b) ON customer_id = a
    WHEN NOT MATCHED THEN INSERT (customer_id, order_id) VALUES (a, b)`
}

const reachOf = (sql: string): string => explain(sql)[0]!.slice(2)

it.each([
  ['SELECT * FROM orders WHERE customer_id = $1', 'one'],
  ['SELECT * FROM orders o JOIN items i USING (customer_id) WHERE o.customer_id = 7', 'one'],
  ['SELECT * FROM orders WHERE customer_id IN ($1, $2)', 'some'],
  ['SELECT count(*) FROM orders', 'all'],
  ['SELECT * FROM orders', 'all'],
  ['SELECT qty, count(*) FROM orders GROUP BY qty', 'all'],
  ['SELECT count(DISTINCT qty) FROM orders', 'all'],
  ['SELECT id FROM orders ORDER BY qty LIMIT 10', 'all'],
  ['SELECT string_agg(note, note ORDER BY id) FROM orders', 'moves'],
  ['SELECT o.id FROM orders o JOIN users u ON u.name = o.note', 'moves'],
  ['SELECT * FROM countries', 'one'],
  ['UPDATE countries SET name = $1', 'all'],
  ['SELECT * FROM settings', 'local'],
  ['SELECT relname FROM pg_class', 'local'],
  ['SELECT * FROM orders, settings', 'moves'],
  ['INSERT INTO orders (customer_id) VALUES ($1)', 'one'],
  ['INSERT INTO orders (customer_id) VALUES (1), (2)', 'some'],
  ['INSERT INTO items (customer_id, order_id) SELECT customer_id, id FROM orders', 'all'],
  ['INSERT INTO users (id, name) SELECT gen_random_uuid(), note FROM orders', 'moves'],
  ['UPDATE orders SET qty = 1', 'all'],
  ['UPDATE orders SET customer_id = 2 WHERE customer_id = 1', 'moves'],
  ['DELETE FROM orders WHERE customer_id = $1', 'one'],
  ['CREATE INDEX ON orders (id)', 'all'],
  ['BEGIN', 'local'],
  ['SET work_mem = 1', 'local'],
  ['EXPLAIN SELECT * FROM orders', 'all'],
  [mergeOf('(31, 5)'), 'one'],
  [mergeOf('($1::bigint, $2)'), 'one'],
  ['SELECT * FROM orders WHERE customer_id IN ($1, $1)', 'one'],
  ['SELECT * FROM orders WHERE customer_id IN (7, 7)', 'one'],
  ['SELECT * FROM orders WHERE customer_id IN (7, -7)', 'some'],
  ['INSERT INTO orders (customer_id, note) VALUES (1, $1), (1, $2)', 'one'],
  ['INSERT INTO users (name) VALUES ($1), ($2)', 'some'],
  ['COPY orders FROM STDIN', 'all'],
  ["SELECT create_distributed_table('settings', 'name')", 'moves'],
  ['PREPARE p (bigint) AS SELECT * FROM orders WHERE customer_id = $1', 'one'],
  ['ALTER TABLE orders ADD UNIQUE (id)', 'refused unique_without_key'],
  ['SELECT * FROM ordres', 'refused 42P01'],
  ['WITH x AS (SELECT 1) SELECT * FROM x', 'local'],
  ['SELEC 1', 'refused 42601'],
])('explain: %s: %s', (sql, expected) => {
  expect(reachOf(sql)).toBe(expected)
})

it.each([
  ['SELECT * FROM orders WHERE customer_id = $1', ['on the shard of the key', '  rows of orders']],
  ['SELECT count(*) FROM orders', [/^on one shard: partial/, /^ {2}on all shards \| SELECT /]],
  [
    'SELECT o.id FROM orders o JOIN users u ON u.name = o.note',
    [/^on one shard: rows/, /^ {2}on all shards: gives rows of orders, users \| /],
  ],
  ['SELECT * FROM settings', ['on the home shard']],
  ['UPDATE orders SET qty = 1', [/^each shard changes/, '  on all shards']],
  [
    'INSERT INTO users (id, name) SELECT gen_random_uuid(), note FROM orders',
    [
      /^on the shards of the keys: rows into users/,
      /^ {2}rows of the query/,
      /^ {4}on all shards: the query/,
    ],
  ],
  ['CREATE INDEX ON orders (id)', [/^CREATE INDEX: /, '  on all shards']],
  ['BEGIN', []],
  ['SELECT * FROM ordres', []],
])('explain: %s: in these steps', (sql, expected) => {
  const explainer = new FileExplainer(testCatalog(), { searchPath: ['public'], systemNames })
  const [{ steps = [] } = {}] = [...explainer.explain(sql)]
  const told = steps.map(
    ({ depth, what, sql: text }) => `${'  '.repeat(depth)}${what}${text ? ` | ${text}` : ''}`,
  )
  expect(told).toEqual(expected.map((one) => (one instanceof RegExp ? expect.stringMatching(one) : one)))
})

it('explain: a file: each statement at the line of its first word, whatever is wrong with others', () => {
  const file = `-- what the shop asks
\\set id 1
SELECT 1; /* é */ SELECT * FROM orders
  WHERE customer_id = ';' || $1;

SELEC ';';
CREATE TABLE fresh (id int);
SELECT * FROM fresh;
CREATE TEMP TABLE orders (id int);
SELECT * FROM orders;
PREPARE one AS SELECT * FROM items WHERE customer_id = $1;
EXECUTE one (7);
`
  expect(explain(file)).toEqual([
    '3 local',
    '3 all',
    '6 refused 42601',
    '7 local',
    '8 local',
    '9 local',
    '10 local',
    '11 one',
    '12 one',
  ])
  expect(explain('')).toEqual([])
  expect(explain("SELECT 'never ends")).toEqual(['1 refused 42601'])
})
