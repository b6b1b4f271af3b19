import { beforeAll, describe, expect, test } from 'vitest'
import { bind, close, execute, FLUSH, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { compare, on, type Step, transcript, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

const p = (sql: string): Buffer => parse('', sql)
const run = (sql: string): Step => [p(sql), bind({}), execute(), SYNC]

const scripts = (t: string): Readonly<Record<string, readonly Step[]>> => ({
  'a closed portal is gone': [
    'BEGIN',
    [p('SELECT generate_series(1, 5)'), bind({ portal: 'p' }), execute('p', 2), SYNC],
    [close('P', 'p'), SYNC],
    [execute('p', 2), SYNC],
    'ROLLBACK',
    'BEGIN',
    [p('SELECT generate_series(1, 5)'), bind({ portal: 'p' }), close('P', 'p'), execute('p', 2), SYNC],
    'ROLLBACK',
    [
      p('SELECT generate_series(1, 5)'),
      bind({ portal: 'p' }),
      execute('p', 2),
      FLUSH,
      until('PortalSuspended'),
    ],
    [close('P', 'p'), SYNC],
    'SELECT 1',
  ],
  'comments ahead of what ends a failed block': [
    'BEGIN',
    'SELECT 1/0',
    run('/* a */ ROLLBACK'),
    'BEGIN',
    'SELECT 1/0',
    run('/* a /* nested * */ */ -- b\n COMMIT'),
    'BEGIN',
    'SAVEPOINT s',
    'SELECT 1/0',
    run('/* a */ SAVEPOINT t'),
    run('/* a */ ROLLBACK TO s'),
    run('COMMIT'),
  ],
  'arguments for no parameters': [
    'PREPARE p AS SELECT 1',
    'EXECUTE p(5)',
    'EXECUTE p(5, 6)',
    'EXECUTE p',
    'PREPARE q(int) AS SELECT $1',
    'EXECUTE q',
    'EXECUTE q(1, 2)',
    'EXECUTE q(1)',
  ],
  'EXPLAIN of parentheses': [
    'EXPLAIN (SELECT 1)',
    'EXPLAIN (COSTS off) (SELECT 1)',
    'EXPLAIN /* c */ (COSTS off) SELECT 1',
    'EXPLAIN ((SELECT 1))',
    'EXPLAIN VERBOSE (SELECT 1)',
  ],
  'a chained transaction has the modes of the one before': [
    'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE',
    'COMMIT AND CHAIN',
    'SHOW transaction_isolation',
    'SHOW transaction_read_only',
    'SHOW transaction_deferrable',
    `SELECT count(*) FROM ${t}`,
    'COMMIT AND CHAIN',
    'SHOW transaction_deferrable',
    'ROLLBACK AND CHAIN',
    'SHOW transaction_deferrable',
    'ROLLBACK',
    'BEGIN; SET default_transaction_isolation = serializable; COMMIT AND CHAIN',
    'SHOW transaction_isolation',
    'ROLLBACK; RESET default_transaction_isolation',
  ],
  'an UPDATE of pg_settings is a SET': [
    "UPDATE pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone'",
    'SHOW TimeZone',
    on('b', 'SHOW TimeZone'),
    on('c', "SELECT timestamptz '2024-01-01 00:00+00'"),
    `SELECT count(*), min(timestamptz '2024-01-01 00:00+00') FROM ${t}`,
    'BEGIN',
    "UPDATE pg_catalog.pg_settings SET setting = 'Europe/Paris' WHERE name = 'TimeZone'",
    `SELECT count(*), min(timestamptz '2024-01-01 00:00+00') FROM ${t}`,
    'ROLLBACK',
    'SHOW TimeZone',
    `CREATE VIEW ${t}_settings AS SELECT * FROM pg_settings`,
    `UPDATE ${t}_settings SET setting = 'Europe/Rome' WHERE name = 'TimeZone'`,
    'SHOW TimeZone',
    `DO $$ BEGIN UPDATE ${t}_settings SET setting = 'Asia/Kolkata' WHERE name = 'TimeZone'; END $$`,
    'SHOW TimeZone',
    on('b', 'SHOW TimeZone'),
    on('c', 'SHOW TimeZone'),
    'RESET TimeZone',
    'SHOW TimeZone',
  ],
  'SET TRANSACTION in a message of several statements': [
    'SET TRANSACTION READ ONLY; SHOW transaction_read_only',
    'SHOW transaction_read_only',
    `SET TRANSACTION READ ONLY; INSERT INTO ${t} VALUES (101, NULL)`,
    `SELECT 1; SET TRANSACTION READ ONLY; INSERT INTO ${t} VALUES (101, NULL)`,
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation',
    'SELECT 1; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 2',
    'SET TRANSACTION READ ONLY; COMMIT AND CHAIN',
    'SET TRANSACTION READ ONLY; ROLLBACK AND CHAIN',
    'SET TRANSACTION READ ONLY; BEGIN; SHOW transaction_read_only; COMMIT',
    'SET TRANSACTION READ ONLY',
    run('SET TRANSACTION READ ONLY'),
    [
      p('SET TRANSACTION READ ONLY'),
      bind({}),
      execute(),
      p('SHOW transaction_read_only'),
      bind({}),
      execute(),
      SYNC,
    ],
  ],
  'READ ONLY and back': [
    'BEGIN',
    'SET TRANSACTION READ ONLY',
    'SET TRANSACTION READ WRITE',
    `INSERT INTO ${t} VALUES (100, NULL)`,
    'SET TRANSACTION READ ONLY',
    'SET TRANSACTION READ WRITE',
    'ROLLBACK',
    'BEGIN READ ONLY',
    'SAVEPOINT s',
    'SET TRANSACTION READ WRITE',
    'ROLLBACK',
    'BEGIN',
    'SAVEPOINT s',
    'SET TRANSACTION READ ONLY',
    'ROLLBACK TO s',
    'SHOW transaction_read_only',
    `INSERT INTO ${t} VALUES (100, NULL)`,
    'ROLLBACK',
    'BEGIN',
    'SAVEPOINT s',
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    'ROLLBACK',
    'BEGIN',
    'SELECT 1',
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    'ROLLBACK',
    'BEGIN',
    'SELECT 1',
    'SET TRANSACTION DEFERRABLE',
    'ROLLBACK',
    'BEGIN',
    'SAVEPOINT s',
    'SET TRANSACTION DEFERRABLE',
    'ROLLBACK',
  ],
})

describe.each(['local', 'sharded'] as const)('%s tables', (kind) => {
  const t = `t_${kind}`
  beforeAll(() =>
    createTwins(
      cluster.current,
      `CREATE TABLE ${t} (id int PRIMARY KEY, v text)`,
      kind === 'sharded' ? { shard_key: 'id' } : {},
    ),
  )

  test('ROLLBACK takes as long as it takes', async () => {
    await compare(cluster.current, [
      `TRUNCATE ${t}`,
      'BEGIN',
      `INSERT INTO ${t} VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')`,
      "SET LOCAL statement_timeout = '1ms'",
      '/* not the short way */ ROLLBACK',
      `TABLE ${t}`,
    ])
  })

  test.each(Object.entries(scripts(t)))('%s', async (_name, script) => {
    await compare(cluster.current, [`TRUNCATE ${t}`, ...script])
  })
})

describe('EXPLAIN over several shards', () => {
  test.each([
    'EXPLAIN (SELECT count(*) FROM t_sharded)',
    'EXPLAIN /* c */ (ANALYZE, COSTS off) SELECT count(*) FROM t_sharded',
    'EXPLAIN /* c */ ANALYZE VERBOSE (SELECT count(*) FROM t_sharded)',
    '/* c */ EXPLAIN VERBOSE SELECT count(*) FROM t_sharded',
  ])('%s', async (sql) => {
    const { weft } = cluster.current
    const lines = await transcript({ host: weft.host, port: weft.port }, [sql])
    expect(lines.filter((line) => line.includes('->  Shard'))).toHaveLength(3)
    expect(lines.join('\n').includes('actual')).toBe(sql.includes('ANALYZE'))
    expect(lines.filter((line) => line.includes('ErrorResponse'))).toEqual([])
  })
})
