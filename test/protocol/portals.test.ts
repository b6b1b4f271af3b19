import { beforeAll, describe, expect, test } from 'vitest'
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  FLUSH,
  parse,
  query as queryMessage,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'
import { compare, type Step, transcript, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

const p = (sql: string, name = ''): Buffer => parse(name, sql)
const b = (
  portal = '',
  params: readonly (string | null)[] = [],
  resultFormats: readonly number[] = [],
): Buffer => bind({ params, portal, resultFormats })
const e = (portal = '', maxRows = 0): Buffer => execute(portal, maxRows)
const dP = (name = ''): Buffer => describeMessage('P', name)
const cP = (name = ''): Buffer => close('P', name)
/** A portal of its own for one statement. */
const open = (sql: string, portal: string, params: readonly (string | null)[] = []): Buffer[] => [
  p(sql),
  b(portal, params),
]

const FIVE = 'SELECT generate_series(1, 5) AS n'

const portals: Readonly<Record<string, readonly Step[]>> = {
  'a portal that ran to its end is closed': [
    'BEGIN',
    [...open(FIVE, 'c'), e('c', 10), SYNC],
    [cP('c'), SYNC],
    [...open('SELECT 7 AS other', 'c'), dP('c'), e('c', 10), SYNC],
    [cP('c'), ...open('SELECT 8 AS third', 'c'), dP('c'), e('c'), cP('c'), SYNC],
    [e('c'), SYNC],
    'ROLLBACK',
  ],
  'a closed portal no longer uses its table': [
    'BEGIN',
    'CREATE TABLE used (n int)',
    'INSERT INTO used VALUES (1), (2), (3)',
    [...open('SELECT * FROM used', 'c'), e('c', 1), SYNC],
    [cP('c'), SYNC],
    [...open('SELECT * FROM used', 'd'), e('d', 10), SYNC],
    [cP('d'), SYNC],
    'DROP TABLE used',
    'COMMIT',
  ],
  'an open portal uses its table': [
    'BEGIN',
    'CREATE TABLE used (n int)',
    'INSERT INTO used VALUES (1), (2), (3)',
    [...open('SELECT * FROM used', 'c'), e('c', 1), SYNC],
    'DROP TABLE used',
    'ROLLBACK',
  ],
  'the way of pg-cursor': [
    [...open(FIVE, 'C_1'), dP('C_1'), FLUSH, until('RowDescription')],
    [e('C_1', 2), FLUSH, until('PortalSuspended')],
    [e('C_1', 2), FLUSH, until('PortalSuspended')],
    [cP('C_1'), SYNC],
    [...open(FIVE, 'C_1'), dP('C_1'), FLUSH, until('RowDescription')],
    [e('C_1', 9), FLUSH, until('CommandComplete')],
    [cP('C_1'), SYNC],
    [e('C_1', 9), SYNC],
  ],
  'what a Bind cannot take is told in place of BindComplete': [
    [p('SELECT $1::int AS n'), b('c', ['x']), dP('c'), FLUSH, until('ErrorResponse')],
    [SYNC],
    'BEGIN',
    [p('SELECT $1::int AS n'), b('c', ['x']), SYNC],
    'ROLLBACK',
  ],
  'a name that is taken': [
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT 1',
    [...open('SELECT 2', 'c'), SYNC],
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT 2', 'c'), SYNC],
    'DECLARE c CURSOR FOR SELECT 1',
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT 2', 'c'), SYNC],
    [...open('SELECT 3', 'c'), SYNC],
    'ROLLBACK',
  ],
  'a cursor is described, executed and closed': [
    'BEGIN',
    "DECLARE c SCROLL CURSOR FOR SELECT n, 'row ' || n AS t FROM generate_series(1, 5) n",
    [dP('c'), SYNC],
    [e('c', 2), SYNC],
    'FETCH 1 FROM c',
    [e('c'), SYNC],
    'FETCH BACKWARD 1 FROM c',
    [cP('c'), SYNC],
    [dP('c'), SYNC],
    'ROLLBACK',
    'BEGIN',
    'DECLARE b BINARY CURSOR FOR SELECT 258 AS n',
    [dP('b'), e('b'), SYNC],
    'CLOSE b',
    [dP('b'), SYNC],
    'ROLLBACK',
    [dP('b'), SYNC],
    [e('b'), SYNC],
    [cP('b'), SYNC],
  ],
  'the way of psycopg': [
    'BEGIN',
    [
      p('DECLARE "c" CURSOR FOR SELECT $1::int AS n, s FROM generate_series(1, 3) s'),
      b('', ['5']),
      dP(),
      e(),
      SYNC,
    ],
    [dP('c'), SYNC],
    [p('FETCH FORWARD 2 FROM "c"'), b(), dP(), e(), SYNC],
    [p('FETCH FORWARD 2 FROM "c"'), b(), dP(), e(), SYNC],
    [p('MOVE ABSOLUTE 0 FROM "c"'), b(), dP(), e(), SYNC],
    'CLOSE "c"',
    'COMMIT',
  ],
  'cursors WITH HOLD': [
    'DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 4) AS n',
    [dP('h'), SYNC],
    'FETCH 1 FROM h',
    [e('h', 1), SYNC],
    [p('FETCH 1 FROM h'), b(), dP(), e(), SYNC],
    'BEGIN',
    [dP('h'), SYNC],
    [...open('SELECT 1', 'h'), SYNC],
    'ROLLBACK',
    'FETCH ALL FROM h',
    [cP('h'), SYNC],
    'FETCH 1 FROM h',
    'DECLARE h CURSOR WITH HOLD FOR SELECT 1',
    'CLOSE ALL',
    [dP('h'), SYNC],
  ],
  'portals are cursors': [
    'BEGIN',
    [...open(FIVE, 'C 1'), SYNC],
    'FETCH 2 FROM "C 1"',
    [e('C 1', 2), SYNC],
    'MOVE 1 FROM "C 1"',
    'FETCH 1 FROM "C 1"',
    'FETCH BACKWARD 1 FROM "C 1"',
    'ROLLBACK',
    'BEGIN',
    [...open(FIVE, 'q'), SYNC],
    'CLOSE q',
    [e('q'), SYNC],
    'ROLLBACK',
    'BEGIN',
    [...open(FIVE, 'q'), SYNC],
    [...open(FIVE, 'r'), e('r', 1), SYNC],
    'CLOSE ALL',
    [e('q'), SYNC],
    'ROLLBACK',
    'BEGIN',
    [...open(FIVE, 'r'), e('r', 1), SYNC],
    'CLOSE r',
    [...open('SELECT 9', 'r'), e('r'), SYNC],
    'COMMIT',
  ],
  'a portal that ran to its end is a cursor at its end': [
    'BEGIN',
    'CREATE TABLE drained (n int)',
    'COMMIT',
    'BEGIN',
    [...open(FIVE, 'c'), e('c'), SYNC],
    'FETCH 2 FROM c',
    'FETCH ALL FROM c',
    'MOVE 3 FROM c',
    'FETCH NEXT FROM c; MOVE ALL FROM c',
    [p('FETCH 2 FROM c'), b(), dP(), e(), SYNC],
    [p('FETCH 2 FROM c'), b(), e(), SYNC],
    [e('c', 1), SYNC],
    'CLOSE c',
    'FETCH 2 FROM c',
    'ROLLBACK',
    'BEGIN',
    [...open('EXPLAIN (COSTS off) SELECT 1', 'u'), e('u'), SYNC],
    'FETCH 1 FROM u',
    [...open('SHOW work_mem', 's'), e('s'), SYNC],
    'FETCH 1 FROM s',
    [...open('INSERT INTO drained VALUES (1) RETURNING n AS m', 'r'), e('r'), SYNC],
    'FETCH 1 FROM r',
    [...open("SELECT 1 AS one, 'two' AS two", 'binary', []), e('binary'), SYNC],
    'FETCH 1 FROM binary',
    [...open('INSERT INTO drained VALUES (1)', 'w'), e('w'), SYNC],
    'FETCH 1 FROM w',
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT 1/0', 'bad'), SYNC],
    'ROLLBACK',
    'FETCH 1 FROM bad',
    'DROP TABLE drained',
  ],
  'cursors of functions': [
    "CREATE FUNCTION opens(refcursor) RETURNS refcursor LANGUAGE plpgsql AS 'BEGIN OPEN $1 FOR SELECT generate_series(1, 3) AS n; RETURN $1; END'",
    'BEGIN',
    "SELECT opens('f')",
    [dP('f'), SYNC],
    'FETCH 1 FROM f',
    [e('f', 1), SYNC],
    [cP('f'), SYNC],
    'FETCH 1 FROM f',
    'ROLLBACK',
    'DROP FUNCTION opens',
  ],
  'portals and savepoints': [
    'BEGIN',
    [...open(FIVE, 'outer'), e('outer', 1), SYNC],
    'SAVEPOINT s',
    [...open(FIVE, 'inner'), e('inner', 1), SYNC],
    'ROLLBACK TO s',
    [e('outer', 1), SYNC],
    [...open('SELECT 2 AS again', 'inner'), e('inner', 1), SYNC],
    'RELEASE s',
    [e('inner', 1), SYNC],
    'SAVEPOINT t',
    [...open('SELECT 1', 'late'), SYNC],
    'ROLLBACK TO t',
    [e('late'), SYNC],
    'ROLLBACK',
  ],
  'a portal keeps the snapshot of its Bind': [
    'CREATE TABLE watched (n int)',
    'BEGIN',
    [...open('SELECT count(*) FROM watched', 'c'), SYNC],
    { session: 'other', step: 'INSERT INTO watched VALUES (1)' },
    [e('c'), SYNC],
    'SELECT count(*) FROM watched',
    'COMMIT',
    'DROP TABLE watched',
  ],
  'portals of statements that write': [
    'CREATE TABLE written (n int)',
    'BEGIN',
    [...open('INSERT INTO written VALUES (1), (2), (3) RETURNING n', 'w'), SYNC],
    [e('w', 2), SYNC],
    [e('w', 2), SYNC],
    [e('w', 2), SYNC],
    [cP('w'), SYNC],
    [...open('DELETE FROM written', 'w'), e('w', 1), SYNC],
    [e('w', 1), SYNC],
    'ROLLBACK',
    'DROP TABLE written',
  ],
}

const LIST =
  'SELECT name, statement, parameter_types, result_types, from_sql, generic_plans, custom_plans FROM pg_prepared_statements ORDER BY name'
const OPEN = 'SELECT name, statement, is_holdable, is_binary, is_scrollable FROM pg_cursors ORDER BY name'

const lists: Readonly<Record<string, readonly Step[]>> = {
  pg_prepared_statements: [
    LIST,
    'PREPARE b(int, text) AS SELECT $1 + 1 AS n, $2 AS t;',
    'PREPARE a AS SELECT 1',
    [parse('c', 'SELECT $1::date, now()'), parse('d', 'INSERT INTO pg_temp.t VALUES ($1)'), SYNC],
    [parse('e', 'SELECT now() WHERE $1', [16]), SYNC],
    LIST,
    "EXECUTE b(1, 'x')",
    'EXECUTE a',
    [bind({ statement: 'c', params: ['2024-01-01'] }), SYNC],
    LIST,
    { session: 'other', step: LIST },
    [p(LIST), b(), dP(), e(), SYNC],
    'SELECT count(*) FROM pg_catalog.pg_prepared_statements AS s WHERE s.from_sql',
    'DEALLOCATE b',
    [close('S', 'c'), SYNC],
    LIST,
    'DEALLOCATE ALL',
    LIST,
  ],
  pg_cursors: [
    OPEN,
    'BEGIN',
    'DECLARE c SCROLL CURSOR FOR SELECT 1',
    'DECLARE b BINARY CURSOR FOR SELECT 2',
    [...open(FIVE, 'p'), e('p', 1), SYNC],
    [...open(FIVE, 'q'), SYNC],
    [...open(FIVE, 'r'), e('r'), SYNC],
    OPEN,
    [p(OPEN), b(), dP(), e(), SYNC],
    [...open(OPEN, 's'), e('s'), SYNC],
    'CLOSE c',
    [cP('p'), SYNC],
    OPEN,
    'COMMIT',
    OPEN,
    'DECLARE h CURSOR WITH HOLD FOR SELECT 1',
    OPEN,
    { session: 'other', step: OPEN },
    'CLOSE h',
    OPEN,
  ],
}

describe('what a session has is listed', () => {
  test.each(Object.entries(lists))('%s', async (_, script) => {
    const { plain, weft } = cluster.current
    // They are functions of Weft's: their columns are those of no relation.
    await compare({ plain, weft }, script, { mask: (line) => line.replace(/@\d+/g, '') })
  })
})

const sharded: Readonly<Record<string, readonly Step[]>> = {
  'row limits on several shards': [
    'BEGIN',
    [...open('SELECT v FROM parts', 'c'), dP('c'), e('c', 3), SYNC],
    [e('c', 3), SYNC],
    [e('c', 3), SYNC],
    [e('c'), SYNC],
    [e('c'), SYNC],
    'COMMIT',
    [...open('SELECT v FROM parts', ''), dP(), e('', 4), SYNC],
    [...open('SELECT v FROM parts', ''), dP(), e('', 4), FLUSH, until('PortalSuspended')],
    [e('', 6), FLUSH, until('PortalSuspended')],
    [e('', 6), FLUSH, until('CommandComplete')],
    [SYNC],
    [...open('SELECT v FROM parts', ''), e('', 10), e('', 10), SYNC],
    [...open('SELECT v FROM parts', ''), e('', 11), SYNC],
    [...open('SELECT v FROM parts WHERE v > 100', ''), e('', 1), SYNC],
    'BEGIN ISOLATION LEVEL REPEATABLE READ',
    [...open('SELECT v FROM parts', 'c'), e('c', 9), SYNC],
    [e('c', 9), SYNC],
    [cP('c'), SYNC],
    'COMMIT',
  ],
  'row limits on what is put together': [
    [...open('SELECT count(*) FROM parts', ''), dP(), e('', 1), SYNC],
    [...open('SELECT count(*) FROM parts', ''), dP(), e('', 1), e('', 1), SYNC],
    [...open('SELECT count(*) FROM parts', ''), dP(), e('', 2), e('', 2), SYNC],
  ],
  'row limits on RETURNING': [
    // A snapshot that a busy machine gives up would end the block with 40001.
    'SET weft.consistent_reads = off',
    'BEGIN',
    [
      ...open('INSERT INTO parts SELECT 100 + i, i FROM generate_series(1, 6) i RETURNING v', 'c'),
      dP('c'),
      e('c', 4),
      SYNC,
    ],
    [e('c', 4), SYNC],
    [e('c', 4), SYNC],
    [cP('c'), SYNC],
    [
      ...open('INSERT INTO parts VALUES (201, 1), (202, 2), (203, 3), (204, 4) RETURNING k', 'c'),
      dP('c'),
      e('c', 3),
      SYNC,
    ],
    'SELECT count(*) FROM parts WHERE k > 100',
    [e('c', 1), SYNC],
    [e('c', 1), SYNC],
    [e('c', 1), SYNC],
    [cP('c'), SYNC],
    [...open('UPDATE parts SET v = 0 WHERE k > 100 RETURNING v', 'c'), dP('c'), e('c', 7), SYNC],
    'SELECT count(*) FROM parts WHERE v = 0',
    [e('c'), SYNC],
    [...open('DELETE FROM parts WHERE k > 100 RETURNING v', 'd'), dP('d'), e('d', 9), SYNC],
    [e('d', 9), SYNC],
    [e('d', 9), SYNC],
    'COMMIT',
    [...open('UPDATE parts SET v = v + 1 RETURNING 1', ''), e('', 2), SYNC],
    'SELECT sum(v) FROM parts',
    [...open('UPDATE parts SET v = v - 1 RETURNING 1', ''), e('', 2), e('', 2), e('', 50), SYNC],
    'SELECT sum(v) FROM parts',
    [...open("INSERT INTO copies VALUES (1, 'a'), (2, 'b') RETURNING id", ''), e('', 1), SYNC],
    [...open('DELETE FROM copies RETURNING id', ''), e('', 1), e('', 9), SYNC],
  ],
  'row limits and locks on copies': [
    "INSERT INTO copies VALUES (1, 'a'), (2, 'b')",
    'BEGIN',
    [...open('SELECT id FROM copies ORDER BY id FOR UPDATE', 'c'), e('c', 1), SYNC],
    [e('c', 1), SYNC],
    [e('c', 1), SYNC],
    'COMMIT',
    'DELETE FROM copies',
  ],
  'cursors over several shards': [
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT v FROM parts',
    [dP('c'), SYNC],
    'FETCH 3 FROM c',
    'FETCH NEXT FROM c',
    'MOVE FORWARD 2 FROM c',
    [e('c', 1), SYNC],
    [p('FETCH FORWARD 2 FROM c'), b('', [], [1]), dP(), e(), SYNC],
    'FETCH ALL FROM c',
    'FETCH FROM c',
    'MOVE ALL FROM c',
    'CLOSE c',
    'FETCH FROM c',
    'ROLLBACK',
    'DECLARE c CURSOR FOR SELECT v FROM parts',
    'BEGIN',
    [p('DECLARE c CURSOR FOR SELECT v FROM parts WHERE v > $1'), b('', ['4']), dP(), e(), SYNC],
    'FETCH 4 FROM c',
    'DECLARE c CURSOR FOR SELECT v FROM parts',
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT v FROM parts', 'p'), SYNC],
    'FETCH 4 FROM p',
    [e('p', 4), SYNC],
    'CLOSE ALL',
    [e('p', 4), SYNC],
    'ROLLBACK',
  ],
  'cursors over several shards go no way back': [
    'BEGIN',
    'DECLARE c NO SCROLL CURSOR FOR SELECT v FROM parts',
    'FETCH 0 FROM c',
    'FETCH RELATIVE 3 FROM c',
    'FETCH ABSOLUTE 7 FROM c',
    'MOVE 0 FROM c',
    'MOVE RELATIVE 2 FROM c',
    'FETCH RELATIVE 1 FROM c',
    'MOVE ABSOLUTE 30 FROM c',
    'FETCH RELATIVE 0 FROM c',
    'MOVE 0 FROM c',
    'FETCH BACKWARD -3 FROM c',
    'FETCH NEXT FROM c',
    'SAVEPOINT s',
    'FETCH PRIOR FROM c',
    'ROLLBACK',
    ...['FETCH PRIOR', 'FETCH BACKWARD ALL', 'FETCH FIRST', 'FETCH FORWARD 0', 'MOVE BACKWARD ALL'].flatMap(
      (words) => [
        'BEGIN',
        'DECLARE c NO SCROLL CURSOR FOR SELECT v FROM parts',
        `${words} FROM c`,
        'FETCH 4 FROM c',
        `${words} FROM c`,
        'ROLLBACK',
      ],
    ),
    'BEGIN',
    'DECLARE c NO SCROLL CURSOR FOR SELECT v FROM parts',
    'FETCH LAST FROM c',
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT v FROM parts', 'p'), e('p', 4), SYNC],
    'MOVE ABSOLUTE 6 FROM p',
    [e('p', 3), SYNC],
    'MOVE ABSOLUTE 10 FROM p',
    'FETCH RELATIVE 1 FROM p',
    'FETCH RELATIVE -1 FROM p',
    'ROLLBACK',
    'BEGIN',
    'DECLARE b BINARY NO SCROLL CURSOR FOR SELECT 7 AS seven FROM parts',
    'FETCH 1 FROM b',
    [p('FETCH 1 FROM b'), b('', [], []), dP(), e(), SYNC],
    [p('FETCH 1 FROM b'), b('', [], [1]), dP(), e(), SYNC],
    [dP('b'), e('b', 1), SYNC],
    'COMMIT',
  ],
  'cursors WITH HOLD over one shard': [
    'BEGIN',
    ...[1, 2, 3, 4, 5, 6].map(
      (k) => `DECLARE h${k} SCROLL CURSOR WITH HOLD FOR SELECT k, v FROM parts WHERE k = ${k}`,
    ),
    'UPDATE parts SET v = v',
    'COMMIT',
    ...[1, 2, 3, 4, 5, 6].map((k) => `FETCH ALL FROM h${k}`),
    'FETCH PRIOR FROM h3',
    'CLOSE ALL',
  ],
  'cursors over what is gathered': [
    'BEGIN',
    'DECLARE c SCROLL CURSOR FOR SELECT v, count(*) FROM parts GROUP BY v ORDER BY v',
    [dP('c'), SYNC],
    [p('FETCH 2 FROM c'), b('', [], [1]), dP(), e(), SYNC],
    'FETCH LAST FROM c',
    'FETCH PRIOR FROM c',
    [e('c', 1), SYNC],
    [p('DECLARE d BINARY CURSOR FOR SELECT v FROM parts WHERE v > $1'), b('', ['4']), dP(), e(), SYNC],
    'FETCH ALL FROM d',
    'DECLARE d CURSOR FOR SELECT v FROM parts ORDER BY v',
    'ROLLBACK',
    'BEGIN',
    [p('DECLARE h CURSOR WITH HOLD FOR SELECT v FROM parts ORDER BY v DESC'), b(), dP(), e(), SYNC],
    'COMMIT',
    'FETCH 2 FROM h',
    'CLOSE h',
  ],
  'parts of what is gathered': [
    'BEGIN',
    [...open('SELECT v FROM parts ORDER BY v DESC', 'c'), dP('c'), e('c', 3), SYNC],
    [e('c', 4), e('c', 9), e('c', 1), SYNC],
    [...open('SELECT v FROM parts WHERE v > $1 ORDER BY v', '', ['7']), e('', 2), e('', 2), SYNC],
    'COMMIT',
  ],
  'what is put together is bound where it is, and given in parts': [
    'BEGIN',
    [...open('SELECT v, k FROM parts ORDER BY v DESC', 'c'), dP('c'), SYNC],
    [...open('SELECT count(*), sum(v) FROM parts', 'a'), SYNC],
    [...open('SELECT k % 2 AS odd, count(*) FROM parts GROUP BY 1 ORDER BY 1', 'g'), SYNC],
    'UPDATE parts SET v = v + 100',
    [e('c', 2), SYNC],
    'FETCH 2 FROM c',
    [p('FETCH 1 FROM c'), b('', [], [1]), dP(), e(), SYNC],
    'MOVE 1 FROM c',
    [e('c', 1), SYNC],
    'FETCH 0 FROM c',
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT v FROM parts ORDER BY v', 'c'), e('c', 2), SYNC],
    'FETCH BACKWARD 1 FROM c',
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT count(*), sum(v) FROM parts', 'a'), SYNC],
    [...open('SELECT k % 2 AS odd, count(*) FROM parts GROUP BY 1 ORDER BY 1', 'g'), SYNC],
    "SELECT name || '', statement || '' FROM pg_cursors ORDER BY 1",
    'FETCH ALL FROM g',
    [e('a', 5), SYNC],
    'CLOSE a',
    [e('a', 5), SYNC],
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT v FROM parts ORDER BY v', 'outer'), e('outer', 1), SYNC],
    'SAVEPOINT s',
    [...open('SELECT v FROM parts ORDER BY v DESC', 'inner'), e('inner', 1), SYNC],
    'ROLLBACK TO s',
    [e('outer', 1), SYNC],
    [e('inner', 1), SYNC],
    'ROLLBACK',
    [...open('SELECT v FROM parts ORDER BY v', ''), e('', 4), FLUSH, until('PortalSuspended')],
    [e('', 4), FLUSH, until('PortalSuspended')],
    [e('', 4), FLUSH, until('CommandComplete')],
    [SYNC],
    'BEGIN ISOLATION LEVEL REPEATABLE READ',
    [...open("SELECT v, now() > '2001-01-01' AS late FROM parts ORDER BY 1", 'c'), e('c', 9), SYNC],
    [...open('SELECT 10 / (v - 5) AS q FROM parts ORDER BY v', 'd'), e('d', 3), SYNC],
    [e('d', 3), SYNC],
    'ROLLBACK',
    'BEGIN',
    [...open('SELECT nothing FROM parts ORDER BY v', 'c'), SYNC],
    'ROLLBACK',
  ],
  'cursors of one shard': [
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT v FROM parts WHERE k = 3',
    [dP('c'), SYNC],
    [p('FETCH FORWARD ALL FROM c'), b(), dP(), e(), SYNC],
    [p('DECLARE d CURSOR FOR SELECT v FROM parts WHERE k = $1'), b('', ['4']), dP(), e(), SYNC],
    [p('FETCH FORWARD ALL FROM d'), b(), dP(), e(), SYNC],
    'FETCH ALL FROM c',
    [...open('SELECT v FROM parts WHERE k = 5', 'p'), SYNC],
    'UPDATE parts SET v = v WHERE k = 5',
    'FETCH ALL FROM p',
    'CLOSE c',
    [cP('p'), SYNC],
    'COMMIT',
  ],
}

/** Which rows come first over several shards nobody has said; how many do is the same. */
const anyRow = (line: string): string => line.replace(/^DataRow .*/, 'DataRow')

const refused: readonly string[] = ['DECLARE c SCROLL CURSOR FOR SELECT ctid FROM parts']

describe('portals and cursors of sharded tables', () => {
  beforeAll(async () => {
    await createTwins(cluster.current, 'CREATE TABLE parts (k int PRIMARY KEY, v int)', { shard_key: 'k' })
    await createTwins(cluster.current, 'CREATE TABLE copies (id int PRIMARY KEY, t text)', {
      reference: true,
    })
    for (const url of [cluster.current.plainUrl, cluster.current.weftUrl]) {
      await query(url, 'INSERT INTO parts SELECT i, i FROM generate_series(1, 10) i')
    }
  })

  test.each(Object.entries(sharded))('%s', async (_, script) => {
    const { plain, weft } = cluster.current
    await compare({ plain, weft }, script, { mask: anyRow })
  })

  test('all rows of several shards come, each once', async () => {
    const { weft } = cluster.current
    const lines = await transcript(weft, [
      'BEGIN',
      [...open('SELECT v FROM parts', 'c'), e('c', 3), e('c', 4), e('c', 9), SYNC],
      'DECLARE d CURSOR FOR SELECT v FROM parts',
      'FETCH 3 FROM d; MOVE 0 FROM d',
      'FETCH RELATIVE 2 FROM d; FETCH ABSOLUTE 8 FROM d',
      'ROLLBACK',
    ])
    const rows = lines.filter((line) => line.includes('DataRow')).map((line) => Number(/\d+/.exec(line)![0]))
    expect(rows.slice(0, 10).sort((a, z) => a - z)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(rows.slice(10)).toEqual([...rows.slice(0, 3), rows[4], rows[7]])
  })

  test.each(refused)('refused, and the session stays usable: %s', async (sql) => {
    const lines = await transcript(cluster.current.weft, ['BEGIN', sql, 'ROLLBACK', 'SELECT 1'])
    expect(lines.join('\n')).toMatch(
      /ErrorResponse .*C=0A000[\s\S]*CommandComplete ROLLBACK[\s\S]*DataRow "1"/,
    )
  })
})

describe('portals and cursors', () => {
  test.each(Object.entries(portals))('%s', async (_, script) => {
    const { plain, weft } = cluster.current
    await compare({ plain, weft }, script)
  })
})

test('no result of a message is sent while a later statement of it waits', async () => {
  const { weft } = cluster.current
  const [holder, waiter] = [await WireClient.connect(weft), await WireClient.connect(weft)]
  try {
    holder.write(queryMessage('SELECT pg_advisory_lock(7)'))
    await holder.until('ReadyForQuery')
    waiter.write(queryMessage('SELECT 1; SELECT 2; SELECT pg_advisory_lock(7)'))
    await isWaiting('advisory')
    expect(waiter.names()).toEqual([])
    holder.write(queryMessage('SELECT pg_advisory_unlock(7)'))
    const names = (await waiter.until('ReadyForQuery')).map(({ name }) => name)
    expect(names.filter((name) => name === 'CommandComplete')).toHaveLength(3)
    holder.write(queryMessage('SELECT pg_advisory_lock(7)'))
    await holder.until('ReadyForQuery')
    // A notice goes out at once, with all that is ahead of it.
    waiter.write(queryMessage("SELECT 1; DO $$BEGIN RAISE NOTICE 'n'; END$$; SELECT pg_advisory_lock(7)"))
    expect((await waiter.until('NoticeResponse')).map(({ name }) => name)).toContain('CommandComplete')
    holder.write(queryMessage('SELECT pg_advisory_unlock(7)'))
    await waiter.until('ReadyForQuery')
  } finally {
    holder.end()
    waiter.end()
  }
})

/** Resolves once somebody waits for a lock of this kind on the home shard. */
async function isWaiting(kind: string): Promise<void> {
  const waits = `SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = '${kind}'`
  while ((await query(cluster.current.weft.shards[0]!.url, waits)).length === 0);
}

test('idle_session_timeout: the client is told, and no backend of the pool has it', async () => {
  const { weft, plain } = cluster.current
  const shown = 'SHOW idle_session_timeout'
  await compare({ plain, weft }, [
    shown,
    "SET idle_session_timeout = '90min'",
    shown,
    'BEGIN',
    'SET LOCAL idle_session_timeout = 2000',
    shown,
    'COMMIT',
    shown,
    'SET idle_session_timeout = -5',
    'RESET idle_session_timeout',
    shown,
  ])
  const parameters = { idle_session_timeout: '60000' }
  await compare({ plain, weft }, [shown], { parameters })
  const lines = await transcript(weft, [
    'LISTEN here',
    "SET idle_session_timeout = '1h'",
    "SELECT current_setting('idle_session_timeout')",
    'BEGIN',
    "SET LOCAL idle_session_timeout = '2h'",
    'COMMIT',
    "SELECT current_setting('idle_session_timeout')",
  ])
  expect(lines.filter((line) => line.includes('DataRow'))).toEqual(['  DataRow "0"', '  DataRow "0"'])
  const client = await WireClient.connect(weft)
  client.write(queryMessage("SET idle_session_timeout = '1ms'"))
  const texts = (await client.until('closed')).map(({ text }) => text)
  expect(texts.join('\n')).toMatch(/FATAL .*C=57P05 M=terminating connection due to idle-session timeout/)
})
