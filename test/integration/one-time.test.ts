import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { COPY_DONE, copyData, query as protocolQuery } from '../../protocol/wire/frontend-messages.ts'
import { BINARY_HEADER, BINARY_TRAILER } from '../../sql/copy/binary-rows.ts'
import { useTestCluster } from '../helpers/cluster.ts'
import { misplaced } from '../helpers/placement.ts'
import { connectTo, query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'

/** One time for all shards and statements of a transaction (docs/decisions/0017-one-time.md). */
const cluster = useTestCluster()
let weft: pg.Client
let plain: pg.Client

const TABLES = [
  [
    `CREATE TABLE s (k int PRIMARY KEY, v text, at timestamptz DEFAULT now(), d date DEFAULT CURRENT_DATE,
    soon timestamptz DEFAULT date_trunc('day', now()) + interval '1 day', l timestamp(3) DEFAULT LOCALTIMESTAMP)`,
    'k',
  ],
  ['CREATE TABLE u (k int PRIMARY KEY, "At" timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP)', 'k'],
  ['CREATE TABLE r (k int PRIMARY KEY, at timestamptz DEFAULT now())', undefined],
] as const

beforeAll(async () => {
  weft = await connectTo(cluster.current.weftUrl)
  plain = await connectTo(cluster.current.plainUrl)
  for (const [sql, key] of TABLES) {
    await plain.query(sql)
    await weft.query(`${sql} WITH (${key === undefined ? 'reference' : `shard_key = '${key}'`})`)
  }
  await weft.query('CREATE VIEW young AS SELECT * FROM s WHERE at > now()')
  await weft.query('CREATE TABLE local (k int, at timestamptz)')
})
beforeEach(async () => {
  await weft.query('ROLLBACK; RESET ALL; TRUNCATE s; TRUNCATE u; TRUNCATE r; TRUNCATE local')
})
afterAll(() => Promise.all([weft.end(), plain.end()]))

async function rows(sql: string, values: unknown[] = [], client = weft): Promise<unknown[][]> {
  return (await client.query({ text: sql, values, rowMode: 'array' })).rows as unknown[][]
}
/** The first column, as text. */
const texts = async (sql: string, values: unknown[] = []) => (await rows(sql, values)).map(([v]) => String(v))
const now = async () => (await texts('SELECT now()::text'))[0]!
const distinct = (list: readonly string[]) => [...new Set(list)]
const KEYS = Array.from({ length: 12 }, (_, i) => i + 1)
const fill = () => weft.query(`INSERT INTO s (k) VALUES ${KEYS.map((k) => `(${k})`).join(', ')}`)

const EXPRESSIONS = `now(), transaction_timestamp(), statement_timestamp(), CURRENT_TIMESTAMP, CURRENT_TIMESTAMP(0),
  CURRENT_TIMESTAMP(6) AS six, CURRENT_DATE, CURRENT_TIME, CURRENT_TIME(2), LOCALTIME, LOCALTIME(1), LOCALTIMESTAMP,
  LOCALTIMESTAMP(4), now()::date, now() + interval '1 day', CASE WHEN true THEN now() END, coalesce(now(), 'infinity'),
  CURRENT_DATE + 1, age('2000-01-01'::date), age('2000-01-01 00:00'::timestamp), age('3'::xid) > 0, (SELECT now()),
  (SELECT x FROM (VALUES (CURRENT_DATE)) v (x)), extract(epoch FROM now()), ARRAY[LOCALTIME], pg_typeof(CURRENT_TIME(3))`

describe('as in Postgres', () => {
  test.each(['', 's', 'r'])('types, type modifiers and labels, in a block: FROM %s', async (table) => {
    await fill()
    await weft.query('INSERT INTO r VALUES (1)')
    await weft.query('BEGIN')
    const sql = `SELECT ${EXPRESSIONS} ${table && `FROM ${table}`}`
    const described = async (client: pg.Client, values: unknown[]) =>
      (await client.query({ text: values.length > 0 ? `${sql} WHERE $1` : sql, values })).fields.map(
        ({ name, dataTypeID, dataTypeModifier }) => ({ name, dataTypeID, dataTypeModifier }),
      )
    for (const values of [[], [true]])
      expect(await described(weft, values)).toEqual(await described(plain, values))
  })

  test.each(['UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Kiritimati', '<+01:30>-01:30'])(
    'all say the same moment, TimeZone %s',
    async (zone) => {
      const sql = `SELECT CURRENT_TIMESTAMP = now(), LOCALTIMESTAMP = now() AT TIME ZONE current_setting('TimeZone'),
        CURRENT_DATE = (now() AT TIME ZONE current_setting('TimeZone'))::date, LOCALTIME = now()::timestamp::time,
        CURRENT_TIME = now()::timetz, CURRENT_TIMESTAMP(2) = now()::timestamptz(2), LOCALTIMESTAMP(1) = now()::timestamp(1),
        age('2000-01-01'::date) = age(CURRENT_DATE::timestamptz, '2000-01-01'::date), transaction_timestamp() = now(),
        statement_timestamp() >= now(), clock_timestamp() >= statement_timestamp()`
      for (const client of [weft, plain]) {
        await client.query(`BEGIN; SET LOCAL TimeZone = '${zone}'`)
        expect((await rows(sql, [], client))[0]!.filter((is) => is !== true)).toEqual([])
        await client.query('ROLLBACK')
      }
      await weft.query(`BEGIN; SET LOCAL TimeZone = '${zone}'`)
      await fill()
      const wrong = `at <> now() OR d <> CURRENT_DATE OR l <> LOCALTIMESTAMP(3) OR soon <> date_trunc('day', now()) + interval '1 day'`
      expect(await rows(`SELECT * FROM s WHERE ${wrong}`)).toEqual([])
      await weft.query('COMMIT')
    },
  )

  test('errors point into the text as the client wrote it', async () => {
    const failure = (client: pg.Client, sql: string, values?: unknown[]) =>
      client.query(sql, values).then(
        () => undefined,
        ({ code, position }: pg.DatabaseError) => ({ code, position }),
      )
    for (const [sql, values] of [
      ["SELECT now(), 'ä', nothing FROM s", undefined],
      ["SELECT k FROM s WHERE at > now() AND 'x'::int = 1", undefined],
      ['SELECT now(), nothing FROM s WHERE k = $1', [1]],
      ['SELECT CURRENT_TIMESTAMP(-1)', undefined],
    ] as const) {
      await weft.query('BEGIN')
      expect(await failure(weft, sql, values?.slice())).toEqual(await failure(plain, sql, values?.slice()))
      await weft.query('ROLLBACK')
    }
  })

  test.each([
    ["UPDATE s SET at = 'now', soon = 'tomorrow', d = 'today', l = 'yesterday', v = 'now'", undefined],
    [
      "UPDATE s SET at = E' NOW ', soon = 'tomorrow'::timestamptz, d = date 'today', l = 'yesterday', v = 'now'",
      [],
    ],
    [
      "UPDATE s SET (at, soon, d, l, v) = (timestamptz 'now', 'tomorrow', 'today', 'yesterday', 'now') WHERE k > $1",
      [0],
    ],
    [
      `INSERT INTO s (k, at, soon, d, l, v) VALUES ${KEYS.map((k) => `(${k}, 'now', 'tomorrow', 'today', 'yesterday', 'now')`)}
       ON CONFLICT (k) DO UPDATE SET at = 'now', soon = 'tomorrow', d = 'today', l = 'yesterday', v = 'now'`,
      undefined,
    ],
    [
      `INSERT INTO s (k, at, soon, d, l, v) SELECT k, 'now', 'tomorrow', 'today', 'yesterday', 'now' FROM u`,
      undefined,
    ],
  ] as const)('words that are read as a time: %s', async (sql, values) => {
    if (sql.includes('FROM u')) await weft.query(`INSERT INTO u SELECT generate_series(1, 12)`)
    else await fill()
    // A plan of this fingerprint is there.
    await weft
      .query(sql.replaceAll(/'( ?now ?|today|tomorrow|yesterday)'/gi, "'2020-01-01'"), values?.slice())
      .catch(() => {})
    if (sql.includes('FROM u')) await weft.query('TRUNCATE s')
    await weft.query('BEGIN')
    await weft.query(sql, values?.slice())
    const wrong = `at <> now() OR soon <> CURRENT_DATE + 1 OR d <> CURRENT_DATE OR l <> CURRENT_DATE - 1 OR v <> 'now'`
    expect(await rows(`SELECT * FROM s WHERE ${wrong}`)).toEqual([])
    await weft.query('ROLLBACK')
    await weft.query(sql, values?.slice())
    expect(
      await rows('SELECT count(*)::int, count(DISTINCT at)::int, count(DISTINCT l)::int FROM s'),
    ).toEqual([[12, 1, 1]])
    expect(await rows("SELECT count(DISTINCT 'now'::timestamptz)::int FROM s")).toEqual([[1]])
  })

  test.each([
    `at = 'now'`,
    `'now' = at`,
    `s.at >= 'now' AND NOT s.at < 'now'`,
    `at IN ('2020-01-01', 'now')`,
    `at BETWEEN 'now' AND 'now'`,
    `at IS NOT DISTINCT FROM 'now'`,
    `d = 'today' AND d > 'yesterday' AND d < 'tomorrow'`,
    `at::date = 'today'`,
    `date_trunc('day', at) < 'now' AND soon = 'tomorrow'`,
    `coalesce(at, 'now') = now() AND greatest(at, 'now') = now()`,
    `at = (SELECT max(at) FROM s i WHERE i.at = 'now' AND i.k < s.k + 99)`,
    `EXISTS (SELECT FROM r WHERE r.at = 'now' AND s.at = 'now')`,
    `k IN (SELECT k FROM u WHERE "At" = 'now')`,
    `v IS DISTINCT FROM 'now' AND at = 'now'`,
  ])('what is compared with a time: %s', async (condition) => {
    await weft.query('BEGIN')
    await fill()
    await weft.query('INSERT INTO u (k) SELECT generate_series(1, 12)')
    await weft.query('INSERT INTO r (k) VALUES (1)')
    expect(await rows(`SELECT count(*)::int FROM s WHERE ${condition}`)).toEqual([[12]])
    expect(await rows(`SELECT k FROM s WHERE NOT coalesce(${condition}, false)`)).toEqual([])
    expect((await weft.query(`UPDATE s SET v = 'a' WHERE ${condition}`)).rowCount).toBe(12)
    await weft.query('ROLLBACK')
  })

  test('in MERGE: what it writes and what it compares', async () => {
    await fill()
    await weft.query('BEGIN')
    await weft.query(
      `MERGE INTO s USING (SELECT generate_series(7, 18) AS k) n ON s.k = n.k
       WHEN MATCHED AND s.at < 'now' THEN UPDATE SET at = 'now', d = 'tomorrow', v = 'now'
       WHEN NOT MATCHED THEN INSERT (k, at, l, v) VALUES (n.k, 'now', 'today', 'now')`,
    )
    expect(await rows(`SELECT count(*)::int FROM s WHERE at = now() AND v = 'now'`)).toEqual([[12]])
    await weft.query('ROLLBACK')
  })

  test('DDL keeps its text', async () => {
    await weft.query('BEGIN; CREATE TABLE fresh (k int, at timestamptz DEFAULT now())')
    await weft.query('CREATE VIEW later AS SELECT now()')
    const [[expression]] = (await rows(
      `SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'fresh'::regclass`,
    )) as [[string]]
    expect(expression).toBe('now()')
    expect((await texts("SELECT pg_get_viewdef('later'::regclass)"))[0]).toContain('now()')
    await weft.query('ROLLBACK')
  })
})

describe('one time in a transaction', () => {
  test('it is that of BEGIN, on every shard, in every statement and protocol', async () => {
    const before = (await rows('SELECT clock_timestamp()', [], plain))[0]![0] as Date
    await weft.query('BEGIN')
    const after = (await rows('SELECT clock_timestamp()', [], plain))[0]![0] as Date
    const t = await now()
    expect(new Date(t) >= before && new Date(t) <= after).toBe(true)
    await fill()
    await weft.query('INSERT INTO s (k, at) VALUES ($1, now()), ($2, CURRENT_TIMESTAMP)', [21, 22])
    await weft.query({ name: 'one', text: 'INSERT INTO s (k) VALUES ($1)', values: [23] })
    await weft.query({ name: 'one', text: 'INSERT INTO s (k) VALUES ($1)', values: [24] })
    await weft.query('INSERT INTO s VALUES (25, NULL, DEFAULT), (26, NULL, now())')
    await weft.query('SAVEPOINT p')
    await weft.query('INSERT INTO u (k) SELECT k FROM s')
    await weft.query('INSERT INTO u SELECT k + 100 FROM generate_series(1, 9) k')
    await weft.query('INSERT INTO r (k) VALUES (1), (2)')
    await weft.query('INSERT INTO local VALUES (1, now())')
    await weft.query('ROLLBACK TO p; RELEASE p')
    await weft.query('INSERT INTO u (k) SELECT k FROM s')
    await weft.query('INSERT INTO u SELECT k + 100 FROM generate_series(1, 9) k')
    await weft.query('INSERT INTO r (k) VALUES (1), (2)')
    await weft.query('INSERT INTO local SELECT 1, now()')
    await weft.query("UPDATE r SET at = now() + interval '1 s' WHERE k = 2")
    await weft.query('UPDATE s SET at = DEFAULT WHERE k < 4')
    await weft.query(
      'MERGE INTO u USING (VALUES (501)) n (k) ON u.k = n.k AND u.k = 501 WHEN NOT MATCHED THEN INSERT VALUES (501, DEFAULT)',
    )
    const all = `SELECT at::text FROM s UNION ALL SELECT "At"::text FROM u`
    const found: string[] = []
    for (const part of all.split(' UNION ALL ')) found.push(...(await texts(part)))
    expect(found).toHaveLength(18 + 18 + 9 + 1)
    expect(distinct(found)).toEqual([t])
    expect(await texts('SELECT at::text FROM local')).toEqual([t])
    expect(await rows(`SELECT k, at - now() = (k - 1) * interval '1 s' FROM r ORDER BY k`)).toEqual([
      [1, true],
      [2, true],
    ])
    expect(await now()).toBe(t)
    await weft.query('COMMIT')
    expect((await now()) > t).toBe(true)
    expect(await misplaced(cluster.current, 'public')).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/copies/)]),
    )
  })

  test('a text of several statements is one transaction; its time is when it came', async () => {
    const results = (await weft.query(
      'SELECT now()::text AS t; SELECT pg_sleep(0.01); SELECT now()::text AS t, statement_timestamp()::text AS s',
    )) as unknown as pg.QueryResult[]
    const [first, , last] = results.map(({ rows: [row] }) => row as { t: string; s: string })
    expect(last).toEqual({ t: first!.t, s: first!.t })
    const [, begun] = (await weft.query('BEGIN; SELECT now()::text AS t')) as unknown as pg.QueryResult[]
    expect(await now()).toBe((begun!.rows[0] as { t: string }).t)
    await weft.query('ROLLBACK')
  })

  test('COMMIT AND CHAIN begins another', async () => {
    await weft.query('BEGIN')
    const t = await now()
    await weft.query('COMMIT AND CHAIN')
    const next = await now()
    expect(next > t).toBe(true)
    expect(await now()).toBe(next)
    await weft.query('ROLLBACK')
  })

  test('statement_timestamp() moves on in a block, and is one for all shards', async () => {
    await fill()
    await weft.query('BEGIN')
    const t = await now()
    const s = async () => distinct(await texts('SELECT statement_timestamp()::text FROM s'))
    const [one, two] = [await s(), await s()]
    expect([one.length, two.length]).toEqual([1, 1])
    expect(one[0]! > t && two[0]! > one[0]!).toBe(true)
    await weft.query('ROLLBACK')
  })

  test('REPEATABLE READ and SERIALIZABLE', async () => {
    await fill()
    for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
      await weft.query(`BEGIN ISOLATION LEVEL ${level}`)
      const t = await now()
      expect(distinct(await texts('SELECT now()::text FROM s'))).toEqual([t])
      await weft.query('ROLLBACK')
    }
  })
})

describe('one time in a statement by itself over several shards', () => {
  test('SELECT, aggregates, UPDATE, DELETE', async () => {
    await fill()
    const [t] = distinct(await texts('SELECT at::text FROM s'))
    expect(distinct(await texts('SELECT at::text FROM s'))).toHaveLength(1)
    expect(distinct(await texts('SELECT now()::text FROM s'))).toHaveLength(1)
    expect(distinct(await texts('SELECT now()::text FROM s WHERE $1', [true]))).toHaveLength(1)
    expect(
      await rows(`SELECT count(*)::int, min(at)::text FROM s WHERE at > now() - interval '1 day'`),
    ).toEqual([[12, t]])
    expect(await rows('SELECT count(*)::int FROM s WHERE at > now()')).toEqual([[0]])
    expect(await rows('SELECT count(*)::int, now() > min(at) FROM s WHERE $1', [true])).toEqual([[12, true]])
    await weft.query('UPDATE s SET v = now()::text, at = DEFAULT')
    expect(distinct(await texts('SELECT v FROM s'))).toEqual(distinct(await texts('SELECT at::text FROM s')))
    expect(distinct(await texts('SELECT at::text FROM s'))).toHaveLength(1)
    const deleted = await weft.query(
      `DELETE FROM s WHERE at BETWEEN now() - interval '1 hour' AND now() RETURNING now()`,
    )
    expect(deleted.rowCount).toBe(12)
  })

  test('INSERT of rows with defaults and from queries', async () => {
    await fill()
    await weft.query('INSERT INTO u (k) SELECT k FROM s')
    expect(distinct(await texts('SELECT "At"::text FROM u'))).toHaveLength(1)
    await weft.query('INSERT INTO u (k) SELECT 100 + g FROM generate_series(1, 9) g')
    expect(distinct(await texts('SELECT "At"::text FROM u WHERE k > 100'))).toHaveLength(1)
    await weft.query(
      'INSERT INTO u (k) VALUES ($1), ($2), ($3), ($4) ON CONFLICT (k) DO UPDATE SET "At" = DEFAULT',
      [1, 2, 3, 4],
    )
    expect(distinct(await texts('SELECT "At"::text FROM u WHERE k < 5'))).toHaveLength(1)
  })

  test('COPY (query) TO, cursors, EXPLAIN, PREPARE and EXECUTE', async () => {
    await fill()
    await weft.query('PREPARE p (timestamptz) AS SELECT now()::text, $1 <= now() FROM s')
    const prepared = await rows('EXECUTE p(now())')
    expect(distinct(prepared.map((row) => row.join()))).toHaveLength(1)
    await weft.query('BEGIN')
    const t = await now()
    expect(distinct((await rows('EXECUTE p(now())')).map((row) => row.join()))).toEqual([`${t},true`])
    await weft.query('DECLARE c CURSOR FOR SELECT now()::text FROM s WHERE k = 3')
    expect(await rows('FETCH ALL FROM c')).toEqual([[t]])
    await weft.query('CREATE TABLE made AS SELECT now() AS at')
    expect(await texts('SELECT at::text FROM made')).toEqual([t])
    expect((await texts('EXPLAIN SELECT * FROM s WHERE at > now()')).join('\n')).toContain(`at > '${t}`)
    await weft.query('ROLLBACK')
  })

  test.each(['text', 'csv', 'binary'] as const)('COPY FROM, %s', async (format) => {
    const { host, port } = cluster.current.weft
    const client = await WireClient.connect({ host, port, parameters: { TimeZone: 'Asia/Kathmandu' } })
    const row = (k: number) => Buffer.from([0, 1, 0, 0, 0, 4, 0, 0, 0, k])
    const data =
      format === 'binary'
        ? Buffer.concat([BINARY_HEADER, ...KEYS.map(row), BINARY_TRAILER])
        : Buffer.from(KEYS.map((k) => `${k}\n`).join(''))
    const run = async (sql: string, more: readonly Buffer[] = []) => {
      client.write(Buffer.concat([protocolQuery(sql), ...more]))
      const said = await client.until('ReadyForQuery')
      expect(said.filter(({ name }) => name === 'ErrorResponse')).toEqual([])
    }
    const copy = (table: string) =>
      run(`COPY ${table} (k) FROM STDIN (FORMAT ${format})`, [copyData(data), COPY_DONE])
    await copy('s')
    const same = `SELECT DISTINCT at, l = (at AT TIME ZONE 'Asia/Kathmandu')::timestamp(3), d = (at AT TIME ZONE 'Asia/Kathmandu')::date
      FROM s WHERE k = ANY ($1)`
    const each = await Promise.all(KEYS.map((k) => rows(`${same} AND k = ${k}`, [[k]])))
    expect(distinct(each.map((found) => JSON.stringify(found)))).toHaveLength(1)
    expect(each[0]![0]!.slice(1)).toEqual([true, true])
    await run('TRUNCATE s; BEGIN')
    for (const table of ['s', 'u', 'r']) await copy(table)
    await run('UPDATE s SET v = now()::text WHERE at = now()')
    await run('COMMIT')
    expect(await rows('SELECT count(*)::int FROM s WHERE v IS NOT NULL')).toEqual([[12]])
    const [[at]] = (await rows('SELECT at::text FROM s WHERE k = 1')) as [[string]]
    expect(
      distinct([...(await texts('SELECT "At"::text FROM u')), ...(await texts('SELECT at::text FROM r'))]),
    ).toEqual([at])
    client.end()
  })

  test('a view that tells the time: one time on all shards', async () => {
    await weft.query('CREATE VIEW told AS SELECT k, now() AS told_at FROM s')
    expect(await rows('SELECT * FROM young')).toEqual([])
    expect(await rows('SELECT * FROM young WHERE k = 1')).toEqual([])
    await weft.query('BEGIN; INSERT INTO s (k) SELECT generate_series(301, 312)')
    const told = 'SELECT count(*)::int, bool_and(told_at = now()) FROM told WHERE k > 300'
    expect(await rows(told)).toEqual([[12, true]])
    await weft.query('ROLLBACK')
  })

  test('a key that is the time', async () => {
    await weft.query(
      `CREATE TABLE moments (at timestamptz DEFAULT now() PRIMARY KEY, v int) WITH (shard_key = 'at')`,
    )
    await weft.query('BEGIN; INSERT INTO moments (v) VALUES (1)')
    await expect(weft.query('INSERT INTO moments VALUES (now(), 2)')).rejects.toMatchObject({ code: '23505' })
    await weft.query('ROLLBACK; INSERT INTO moments VALUES (now(), 2)')
    await weft.query('INSERT INTO moments (v) VALUES (3), (4) ON CONFLICT DO NOTHING')
    expect(await rows('SELECT count(*)::int FROM moments WHERE at <= now()')).toEqual([[2]])
    expect(await query(cluster.current.weftUrl, 'SELECT v FROM moments WHERE at = now()')).toEqual([])
    const refused = { code: '0A000', routine: 'time_word_key' }
    await expect(weft.query('INSERT INTO moments VALUES ($1, 5)', ['now'])).rejects.toMatchObject(refused)
    await expect(weft.query('SELECT v FROM moments WHERE at = $1', ['today'])).rejects.toMatchObject(refused)
  })
})
