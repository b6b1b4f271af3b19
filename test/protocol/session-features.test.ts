import { beforeAll, describe, test } from 'vitest'
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { compare, on, type Step, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

const notified = until('NotificationResponse')

const notify: Readonly<Record<string, readonly Step[]>> = {
  'to oneself': [
    'LISTEN chan',
    'NOTIFY chan',
    "NOTIFY chan, 'payload'",
    "SELECT pg_notify('chan', 'by function')",
    "NOTIFY other, 'unheard'",
    'UNLISTEN chan',
    "NOTIFY chan, 'unheard'",
  ],
  'to another session': [
    'LISTEN chan; LISTEN "Other Chan"',
    on('b', "NOTIFY chan, 'one'"),
    [notified],
    on('b', 'NOTIFY "Other Chan"'),
    [notified],
    on('b', "SELECT pg_notify('chan', repeat('x', 5000))"),
    [notified],
    'UNLISTEN *',
    on('b', "NOTIFY chan, 'unheard'"),
    'SELECT 1',
  ],
  'in transactions': [
    'LISTEN chan',
    on('b', 'BEGIN'),
    on('b', "NOTIFY chan, 'committed'"),
    on('b', "NOTIFY chan, 'committed'"),
    on('b', "NOTIFY chan, 'second'"),
    'SELECT 1',
    on('b', 'COMMIT'),
    [until('NotificationResponse', 2)],
    on('b', "BEGIN; NOTIFY chan, 'rolled back'; ROLLBACK"),
    on('b', "NOTIFY chan, 'after'"),
    [notified],
    on('b', "BEGIN; NOTIFY chan, 'kept'; SAVEPOINT s; NOTIFY chan, 'gone'; ROLLBACK TO s; COMMIT"),
    [notified],
    on('b', "NOTIFY chan, 'a'; NOTIFY chan, 'b'; SELECT 1/0"),
    on('b', "NOTIFY chan, 'end'"),
    [notified],
  ],
  'LISTEN in a transaction': [
    'BEGIN',
    'LISTEN chan',
    on('b', "NOTIFY chan, 'too early'"),
    'COMMIT',
    on('b', "NOTIFY chan, 'heard'"),
    [notified],
    'BEGIN; LISTEN more; ROLLBACK',
    on('b', "NOTIFY more, 'unheard'; NOTIFY chan, 'heard again'"),
    [notified],
    'SELECT * FROM pg_listening_channels()',
  ],
  'notifications wait for the end of a transaction': [
    'LISTEN chan',
    'BEGIN',
    on('b', "NOTIFY chan, 'waits'"),
    'SELECT 1',
    'COMMIT',
    'SELECT 2',
  ],
  'over the extended protocol': [
    [parse('', 'LISTEN chan'), bind({}), execute(), SYNC],
    [
      parse('', "NOTIFY chan, 'one'"),
      bind({}),
      execute(),
      parse('', "NOTIFY chan, 'two'"),
      bind({}),
      execute(),
      SYNC,
    ],
    [parse('', 'SELECT pg_notify($1, $2)'), bind({ params: ['chan', 'three'] }), execute(), SYNC],
  ],
  'too long': ["SELECT pg_notify('chan', repeat('x', 8000))", "SELECT pg_notify('', 'x')"],
}

const prepared: Readonly<Record<string, readonly Step[]>> = {
  'what is given to EXECUTE is assigned to its parameters': [
    'PREPARE n (int) AS SELECT $1',
    'EXECUTE n(true::text)',
    'EXECUTE n( true )',
    "EXECUTE n('2020-01-01'::date)",
    'EXECUTE n(1.5)',
    "EXECUTE n(('7'))",
    "EXECUTE n(E'\\x37')",
    'EXECUTE n($$7$$)',
    "EXECUTE n('7' || '8')",
    'EXECUTE n(true::date)',
    'EXECUTE n(1 / 0)',
    'PREPARE m (text, date, int[], json) AS SELECT $1, $2, $3, $4',
    "EXECUTE m(1, now(), ARRAY[1, 2.5], '{}')",
    "EXECUTE m(false, '2020-01-01', '{3}', NULL)",
    "EXECUTE m('a', 'now'::text, '{3}', NULL)",
    "EXECUTE m('a', NULL, ARRAY['1'::text], NULL)",
    "EXECUTE m('a', NULL, NULL, '{}'::text)",
    "EXECUTE m('a', true, NULL, NULL)",
    "EXECUTE m('a', NULL, 1, NULL)",
    'DEALLOCATE n; DEALLOCATE m',
  ],
  'PREPARE and EXECUTE': [
    'PREPARE one AS SELECT $1::int + 1 AS n',
    'EXECUTE one(41)',
    "EXECUTE one('7')",
    'EXECUTE one(1 + 2 * 3)',
    'EXECUTE one',
    'EXECUTE one(1, 2)',
    "EXECUTE one('x')",
    'PREPARE one AS SELECT 2',
    'PREPARE two (int, text) AS SELECT $1, $2',
    "EXECUTE two(1, 'x')",
    'EXECUTE two(NULL, NULL)',
    'PREPARE bad AS SELECT nope',
    'PREPARE bad (nosuchtype) AS SELECT $1',
    'PREPARE untyped AS SELECT $1',
    'EXECUTE none',
    'DEALLOCATE one',
    'EXECUTE one(1)',
    'DEALLOCATE one',
    'DEALLOCATE PREPARE two',
    'PREPARE a AS SELECT 1; PREPARE b AS SELECT 2; EXECUTE a; EXECUTE b',
    'DEALLOCATE ALL',
    'EXECUTE a',
  ],
  'on tables': [
    'PREPARE ins AS INSERT INTO t VALUES ($1, $2) RETURNING id',
    "EXECUTE ins(1, 'one')",
    "EXECUTE ins(2, 'two'); EXECUTE ins(3, 'three')",
    "EXECUTE ins(3, 'dup')",
    'PREPARE sel (int) AS SELECT v FROM t WHERE id = $1',
    'EXECUTE sel(1)',
    'EXECUTE sel(3)',
    'EXECUTE sel(99)',
    'EXECUTE sel(NULL)',
    'PREPARE upd AS UPDATE t SET v = $2 WHERE id = $1',
    "EXECUTE upd(1, 'changed')",
    'PREPARE del AS DELETE FROM t',
    'BEGIN; EXECUTE del; ROLLBACK',
    'EXECUTE sel(1)',
    'PREPARE cnt AS SELECT count(*) FROM t',
    'EXECUTE cnt',
  ],
  'transactions do not undo PREPARE': [
    'BEGIN; PREPARE p AS SELECT 5; ROLLBACK',
    'EXECUTE p',
    'BEGIN; SELECT 1/0',
    'EXECUTE p',
    'ROLLBACK',
    'EXECUTE p',
  ],
  'one namespace with the protocol': [
    'PREPARE s AS SELECT $1::int',
    [bind({ statement: 's', params: ['5'] }), execute(), SYNC],
    [describeMessage('S', 's'), SYNC],
    [parse('proto', 'SELECT $1::text'), SYNC],
    "EXECUTE proto('by SQL')",
    'DEALLOCATE proto',
    [bind({ statement: 'proto', params: ['5'] }), execute(), SYNC],
    [parse('', 'EXECUTE s(6)'), bind({}), describeMessage('P', ''), execute(), SYNC],
    [parse('', 'PREPARE inner1 AS SELECT 7'), bind({}), execute(), SYNC],
    [parse('', 'EXECUTE inner1'), bind({}), execute(), SYNC],
  ],
  'with tags and rows of all kinds': [
    'PREPARE v AS VALUES (1), (2)',
    'EXECUTE v',
    "PREPARE u AS UPDATE t SET v = 'x' WHERE id < 0",
    'EXECUTE u',
  ],
}

const cursors: Readonly<Record<string, readonly Step[]>> = {
  'cursors in a block': [
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT generate_series(1, 10) AS n',
    'FETCH c',
    'FETCH 3 FROM c',
    'MOVE 2 IN c',
    'FETCH FORWARD 2 FROM c',
    'FETCH ALL c',
    'FETCH c',
    'CLOSE c',
    'FETCH c',
    'ROLLBACK',
  ],
  scrolling: [
    'BEGIN',
    'DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 5)',
    'FETCH LAST c',
    'FETCH PRIOR c',
    'FETCH ABSOLUTE 2 c',
    'FETCH RELATIVE 2 c',
    'FETCH BACKWARD ALL c',
    'MOVE FORWARD ALL c',
    'FETCH FIRST c',
    'COMMIT',
    'FETCH c',
  ],
  mistakes: [
    'DECLARE c CURSOR FOR SELECT 1',
    'FETCH c',
    'CLOSE c',
    'BEGIN; DECLARE c CURSOR FOR SELECT 1; DECLARE c CURSOR FOR SELECT 2',
    'ROLLBACK',
    'BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT generate_series(1, 3); FETCH 2 c; FETCH BACKWARD c',
    'ROLLBACK',
    'BEGIN; DECLARE c CURSOR FOR SELECT nope',
    'ROLLBACK',
  ],
  'over savepoints': [
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT generate_series(1, 9)',
    'FETCH c',
    'SAVEPOINT s',
    'FETCH c',
    'DECLARE d CURSOR FOR SELECT 1',
    'ROLLBACK TO s',
    'FETCH c',
    'FETCH d',
    'ROLLBACK',
  ],
  'several at once': [
    'BEGIN',
    'DECLARE a CURSOR FOR SELECT generate_series(1, 4); DECLARE b CURSOR FOR SELECT generate_series(11, 14)',
    'FETCH a; FETCH 2 b; FETCH a',
    "SELECT name || '' FROM pg_cursors ORDER BY 1",
    'CLOSE ALL',
    'FETCH a',
    'ROLLBACK',
  ],
  'WITH HOLD': [
    'DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 4)',
    'FETCH h',
    'BEGIN; SELECT 1; COMMIT',
    'FETCH 2 h',
    'CLOSE h',
    'FETCH h',
    'BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT 1; ROLLBACK',
    'FETCH h',
  ],
  'on a table by key': [
    'BEGIN',
    "INSERT INTO t VALUES (21, 'a'), (22, 'b')",
    'DECLARE c CURSOR FOR SELECT v FROM t WHERE id = 21',
    'DECLARE d CURSOR FOR SELECT v FROM t WHERE id = 22',
    'FETCH c',
    'FETCH ALL d',
    'FETCH c',
    'CLOSE c',
    'CLOSE d',
    'ROLLBACK',
  ],
  'over the extended protocol': [
    'BEGIN',
    [
      parse('', 'DECLARE c CURSOR FOR SELECT generate_series(1, $1::int) AS n'),
      bind({ params: ['4'] }),
      execute(),
      SYNC,
    ],
    [
      parse('f', 'FETCH 2 FROM c'),
      describeMessage('S', 'f'),
      bind({ statement: 'f' }),
      describeMessage('P', ''),
      execute(),
      SYNC,
    ],
    [bind({ statement: 'f', resultFormats: [1] }), execute(), SYNC],
    [bind({ statement: 'f' }), execute(), SYNC],
    [parse('', 'CLOSE c'), bind({}), execute(), SYNC],
    'COMMIT',
  ],
}

const locks: Readonly<Record<string, readonly Step[]>> = {
  'advisory locks': [
    'SELECT pg_advisory_lock(42)',
    on('b', 'SELECT pg_try_advisory_lock(42)'),
    'SELECT pg_advisory_unlock(42)',
    on('b', 'SELECT pg_try_advisory_lock(42)'),
    'SELECT pg_try_advisory_lock(42)',
    on('b', 'SELECT pg_advisory_unlock_all()'),
    'SELECT pg_try_advisory_lock(42)',
    'BEGIN; SELECT pg_advisory_xact_lock(43)',
    on('b', 'SELECT pg_try_advisory_lock(43)'),
    'COMMIT',
    on('b', 'SELECT pg_try_advisory_lock(43)'),
    'SELECT pg_advisory_unlock(99)',
  ],
  'row locks': [
    "INSERT INTO t VALUES (31, 'a')",
    'BEGIN; SELECT v FROM t WHERE id = 31 FOR UPDATE',
    on('b', 'SELECT v FROM t WHERE id = 31 FOR UPDATE NOWAIT'),
    on('b', 'SELECT v FROM t WHERE id = 31 FOR UPDATE SKIP LOCKED'),
    on('b', "SET lock_timeout = '20ms'; UPDATE t SET v = 'b' WHERE id = 31"),
    'COMMIT',
    on('b', "UPDATE t SET v = 'b' WHERE id = 31"),
    'DELETE FROM t WHERE id = 31',
  ],
  statement_timeout: [
    'BEGIN',
    "SET LOCAL statement_timeout = '20ms'",
    'SELECT pg_sleep(10)',
    'ROLLBACK',
    'SELECT pg_sleep(0.05)',
    "SET statement_timeout = '1h'",
    "BEGIN; SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(10)",
    'ROLLBACK',
    'SELECT pg_sleep(0.05)',
    'RESET statement_timeout',
    "SET statement_timeout = '20ms'",
    // Nothing comes after it that would have to be as quick.
    'SELECT pg_sleep(10)',
  ],
  'sequences in a session': [
    'CREATE SEQUENCE seq',
    "SELECT nextval('seq'), currval('seq'), lastval()",
    "SELECT setval('seq', 10); SELECT nextval('seq')",
    'DROP SEQUENCE seq',
  ],
}

const groups = Object.entries({ NOTIFY: notify, PREPARE: prepared, cursors, locks })

describe.each(['local', 'sharded'])('%s', (kind) => {
  const tables = groups.flatMap(([group, scripts]) =>
    Object.entries(scripts).map(([name, script], i) => ({
      name: `${group}: ${name}`,
      script,
      table: `${kind}_${group.toLowerCase()}${i}`,
    })),
  )
  // Scripts without a table are the same for both kinds.
  const cases =
    kind === 'local'
      ? tables
      : tables.filter(({ script }) => /\bt\b (WHERE|VALUES)/.test(JSON.stringify(script)))

  beforeAll(async () => {
    for (const { table } of cases) {
      const ddl = `CREATE TABLE ${table} (id int PRIMARY KEY, v text)`
      await createTwins(cluster.current, ddl, kind === 'sharded' ? { shard_key: 'id' } : {})
    }
  })

  test.each(cases)('$name', async ({ script, table }) => {
    await compare(
      cluster.current,
      script.map((step) => withTable(step, table)),
      { unordered: true },
    )
  })
})

function withTable(step: Step, table: string): Step {
  if (typeof step === 'string') return step.replace(/\b(FROM|INTO|UPDATE) t\b/g, `$1 ${table}`)
  return 'session' in step ? on(step.session, withTable(step.step, table) as string) : step
}
