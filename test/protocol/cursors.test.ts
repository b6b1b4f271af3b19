import { beforeAll, describe, expect, test } from 'vitest'
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  parse,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'
import { compare, on, type Step, transcript } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

/** One statement of the extended protocol. */
const run = (sql: string, params: readonly (string | null)[] = [], resultFormats: readonly number[] = []) => [
  ...[parse('', sql), bind({ params, resultFormats }), describeMessage('P', ''), execute('', 0), SYNC],
]

const BACK = [
  ...[
    'FETCH 4',
    'FETCH PRIOR',
    'FETCH BACKWARD 1',
    'FETCH 0',
    'FETCH BACKWARD ALL',
    'FETCH PRIOR',
    'FETCH 0',
  ],
  ...[
    'FETCH ALL',
    'FETCH 0',
    'FETCH BACKWARD 3',
    'MOVE BACKWARD ALL',
    'FETCH ABSOLUTE 7',
    'FETCH ABSOLUTE -3',
  ],
  ...[
    'FETCH LAST',
    'FETCH NEXT',
    'FETCH RELATIVE -4',
    'FETCH RELATIVE 0',
    'FETCH FIRST',
    'MOVE 6',
    'MOVE -4',
  ],
  ...['FETCH FORWARD -1', 'FETCH BACKWARD -5', 'MOVE ABSOLUTE 0', 'FETCH 10', 'FETCH BACKWARD 10', 'MOVE 0'],
  ...['FETCH ABSOLUTE 10', 'FETCH ABSOLUTE 11', 'FETCH ABSOLUTE 5', 'FETCH RELATIVE 2', 'FETCH ABSOLUTE -11'],
].map((words) => `${words} FROM c`)

const DECLARED = 'SELECT name, statement, is_binary, is_scrollable FROM pg_cursors ORDER BY name'
const PLAIN = 'DECLARE c CURSOR FOR SELECT v FROM parts'
const JOINED = 'SELECT p.v, o.n FROM parts p JOIN others o ON p.k = o.k'

const scripts: Readonly<Record<string, readonly Step[]>> = {
  'back over the shards': ['BEGIN', PLAIN, DECLARED, ...BACK, 'COMMIT'],
  'back over the shards, extended protocol': [
    run('BEGIN'),
    run(PLAIN),
    ...BACK.map((words) => run(words)),
    run('ROLLBACK'),
  ],
  'REPEATABLE READ': ['BEGIN ISOLATION LEVEL REPEATABLE READ', PLAIN, ...BACK, 'COMMIT'],
  SERIALIZABLE: ['BEGIN ISOLATION LEVEL SERIALIZABLE', run(PLAIN), ...BACK, 'COMMIT'],
  'without a cut': ['SET weft.consistent_reads = off', 'BEGIN', PLAIN, ...BACK, 'COMMIT'],
  'a plan that goes no way back': [
    ...[
      'BEGIN',
      `DECLARE c CURSOR FOR ${JOINED}`,
      DECLARED,
      'FETCH 3 FROM c',
      'FETCH PRIOR FROM c',
      'ROLLBACK',
    ],
    ...['BEGIN', `DECLARE c CURSOR FOR ${JOINED}`, 'MOVE ALL FROM c', 'MOVE FIRST FROM c', 'ROLLBACK'],
  ],
  'SCROLL: each shard keeps what its plan cannot give again': [
    ...['BEGIN', `DECLARE c SCROLL CURSOR FOR ${JOINED}`, DECLARED, ...BACK, 'COMMIT'],
  ],
  'some of the shards, with parameters': [
    'BEGIN',
    run('DECLARE c SCROLL CURSOR FOR SELECT v, $2 AS t FROM parts WHERE k IN (1, 2, 3) AND v < $1', [
      '3',
      'x',
    ]),
    [describeMessage('P', 'c'), execute('c', 1), SYNC],
    run('FETCH ALL FROM c', [], [1, 0]),
    run('FETCH BACKWARD 1 FROM c', [], [1]),
    run('FETCH BACKWARD ALL FROM c'),
    [execute('c', 0), execute('c', 0), SYNC],
    run('FETCH LAST FROM c'),
    [close('P', 'c'), SYNC],
    DECLARED,
    'COMMIT',
  ],
  'prepared, and declared again and again': [
    'BEGIN',
    [parse('d', 'DECLARE c CURSOR FOR SELECT v FROM parts WHERE v > $1'), SYNC],
    ...['2', '5', '8'].flatMap((param) => [
      [bind({ statement: 'd', params: [param] }), execute('', 0), SYNC],
      ...['FETCH ALL FROM c', 'FETCH BACKWARD ALL FROM c', 'CLOSE c'],
    ]),
    [bind({ statement: 'd', params: ['no number'] }), execute('', 0), SYNC],
    'ROLLBACK',
    'FETCH ALL FROM c',
  ],
  binary: [
    'BEGIN',
    'DECLARE c BINARY SCROLL CURSOR FOR SELECT 258 AS v FROM parts',
    DECLARED,
    ...['FETCH 2 FROM c', 'FETCH LAST FROM c', 'FETCH PRIOR FROM c'],
    run('FETCH 1 FROM c'),
    run('FETCH PRIOR FROM c', [], [1]),
    [describeMessage('P', 'c'), execute('c', 1), SYNC],
    'COMMIT',
  ],
  'several statements in one message': [
    `BEGIN; ${PLAIN}; FETCH 4 FROM c; FETCH BACKWARD 2 FROM c; CLOSE c; COMMIT`,
    `${PLAIN}; FETCH 4 FROM c; FETCH BACKWARD 2 FROM c`,
    'FETCH c',
    PLAIN,
    run(PLAIN),
  ],
  'a name that is taken': [
    ...['BEGIN', PLAIN, 'SAVEPOINT s', PLAIN, 'ROLLBACK TO s', run(PLAIN), 'ROLLBACK TO s'],
    ...['FETCH 3 FROM c', 'FETCH PRIOR FROM c', 'CLOSE c', PLAIN, 'FETCH 5 FROM c', 'ROLLBACK'],
  ],
  'what is declared after a savepoint goes with it': [
    ...['BEGIN', 'SAVEPOINT s', PLAIN, 'FETCH 7 FROM c', 'ROLLBACK TO s', 'SAVEPOINT t', 'FETCH 1 FROM c'],
    ...['ROLLBACK TO t', PLAIN, 'FETCH ALL FROM c', 'RELEASE t', 'FETCH BACKWARD ALL FROM c', 'SAVEPOINT u'],
    ...['SELECT 1 / 0', 'ROLLBACK TO u', 'FETCH 2 FROM c', 'CLOSE ALL', 'FETCH 1 FROM c', 'ROLLBACK'],
  ],
  'errors while rows come': [
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT 1 / (v - 20) AS q FROM parts',
    'SAVEPOINT s',
    'FETCH ALL FROM c',
    'INSERT INTO parts VALUES (11, 20)',
    'FETCH BACKWARD ALL FROM c',
    'CLOSE c',
    'DECLARE c CURSOR FOR SELECT 1 / (v - 20) AS q FROM parts WHERE v > 10',
    'SAVEPOINT t',
    'FETCH ALL FROM c',
    'FETCH ALL FROM c',
    'ROLLBACK TO t',
    'FETCH ALL FROM c',
    'ROLLBACK',
  ],
  'the state is that of the DECLARE': [
    'BEGIN',
    PLAIN,
    on('b', 'INSERT INTO parts SELECT i, i FROM generate_series(100, 120) i'),
    'SELECT count(*) FROM parts',
    ...['FETCH ALL FROM c', 'FETCH BACKWARD ALL FROM c', 'CLOSE c', PLAIN, 'MOVE ALL FROM c'],
    on('b', 'DELETE FROM parts WHERE k >= 100'),
    ...['MOVE BACKWARD ALL FROM c', 'FETCH ALL FROM c', 'COMMIT'],
  ],
  'rows are locked as they are fetched': [
    'BEGIN',
    `${PLAIN} FOR UPDATE`,
    on('b', 'SELECT v FROM parts FOR UPDATE SKIP LOCKED'),
    'FETCH 4 FROM c',
    on('b', 'SELECT v FROM parts FOR UPDATE SKIP LOCKED'),
    'MOVE 3 FROM c',
    on('b', 'SELECT v FROM parts FOR UPDATE SKIP LOCKED'),
    [execute('c', 1), SYNC],
    on('b', 'SELECT v FROM parts FOR UPDATE SKIP LOCKED'),
    ...['UPDATE parts SET v = v WHERE CURRENT OF c', 'FETCH ALL FROM c', 'COMMIT'],
    on('b', 'SELECT v FROM parts FOR UPDATE SKIP LOCKED'),
  ],
  'rows that others have changed since are looked at again': [
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT v FROM parts WHERE v < 1000 FOR UPDATE',
    on('b', 'UPDATE parts SET v = 2000 + v WHERE k < 4'),
    ...['FETCH ALL FROM c', 'COMMIT'],
    on('b', 'UPDATE parts SET v = v - 2000 WHERE k < 4'),
  ],
  'rows that others have changed since, in REPEATABLE READ': [
    'BEGIN ISOLATION LEVEL REPEATABLE READ',
    'DECLARE c CURSOR FOR SELECT v FROM parts WHERE k IN (1, 2, 3) FOR UPDATE',
    on('b', 'UPDATE parts SET v = v WHERE k < 4'),
    ...['FETCH ALL FROM c', 'ROLLBACK'],
  ],
}

/** Which rows come first over several shards nobody has said; how many do is the same. */
const anyRow = (line: string): string => line.replace(/^DataRow .*/, 'DataRow')

describe('cursors over several shards', () => {
  beforeAll(async () => {
    await createTwins(cluster.current, 'CREATE TABLE parts (k int PRIMARY KEY, v int)', { shard_key: 'k' })
    await createTwins(cluster.current, 'CREATE TABLE others (k int PRIMARY KEY, n int)', {
      shard_key: 'k',
      colocate_with: 'parts',
    })
    for (const url of [cluster.current.plainUrl, cluster.current.weftUrl]) {
      await query(url, 'INSERT INTO parts SELECT i, i FROM generate_series(1, 10) i')
      await query(url, 'INSERT INTO others SELECT i, i FROM generate_series(1, 10) i')
    }
  })

  test.each(Object.entries(scripts))('%s', async (_, script) => {
    const { plain, weft } = cluster.current
    await compare({ plain, weft }, script, { mask: anyRow })
  })

  test.each(['', 'SCROLL '])(
    '%sthe same rows come in the same order, whichever way they are asked for',
    async (scroll) => {
      const lines = await transcript(cluster.current.weft, [
        'BEGIN',
        `DECLARE c ${scroll}CURSOR FOR SELECT v FROM parts`,
        ...['FETCH ALL FROM c', 'FETCH BACKWARD ALL FROM c'],
        ...Array.from({ length: 10 }, () => 'FETCH NEXT FROM c'),
        ...Array.from({ length: 10 }, (_, i) => `FETCH ABSOLUTE ${i + 1} FROM c`),
        ...Array.from({ length: 10 }, (_, i) => `FETCH ABSOLUTE ${i - 10} FROM c`),
        ...Array.from({ length: 9 }, () => 'FETCH PRIOR FROM c'),
        'ROLLBACK',
      ])
      const rows = lines
        .filter((line) => line.includes('DataRow'))
        .map((line) => Number(/\d+/.exec(line)![0]))
      const all = rows.slice(0, 10)
      const back = [...all].reverse()
      expect(rows).toEqual([...all, ...back, ...all, ...all, ...all, ...back.slice(1)])
      expect(all.sort((a, z) => a - z)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    },
  )
})
