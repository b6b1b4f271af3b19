/** Statements, rows and errors, on a plain Postgres and through Weft. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Canceled,
  CheckViolation,
  Closed,
  DatabaseError,
  type Db,
  ForeignKeyViolation,
  LoginRefused,
  NoRow,
  NotNullViolation,
  OutcomeUnknown,
  Refused,
  SeveralRows,
  sql,
  TimedOut,
  UniqueViolation,
  Unreachable,
  weft,
} from '../../client/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { servers, useServers } from './servers.ts'

const cluster = useServers()

describe.each(servers)('on %s', (server) => {
  let db: Db
  beforeAll(async () => {
    db = weft({ urls: cluster.url(server), poolMax: 4 })
    await cluster.create(
      server,
      'CREATE TABLE items (id int PRIMARY KEY, tags text[], data jsonb, n int CHECK (n > 0))',
      'id',
    )
    await cluster.create(
      server,
      'CREATE TABLE parts (id int REFERENCES items, k int NOT NULL, PRIMARY KEY (id, k))',
      'id',
      'items',
    )
  })
  afterAll(() => db.close())

  test('values come back as they went', async () => {
    const when = new Date('2024-02-29T12:34:56.789Z')
    const row = await db.one(sql<
      Record<string, unknown>
    >`SELECT ${'a\\b\'"\n'}::text AS t, ${7}::int AS i, ${8n}::bigint AS b,
      ${true}::bool AS y, ${null}::int AS z, ${when}::timestamptz AS w, ${when}::timestamp AS l, ${Buffer.from([0, 255])}::bytea AS x,
      ${[1, null, 3]}::int[] AS a, ${['a"b', '\\', 'NULL', '']}::text[] AS s, ${[]}::int[] AS e, ${{ k: [1, 'é'] }}::jsonb AS j,
      ${sql.json([1, 2])}::jsonb AS ja, ${[[1, 2], [3, 4]]}::int[] AS aa, ${[Buffer.from('é')]}::bytea[] AS xx`)
    expect(row).toEqual({
      ...{ t: 'a\\b\'"\n', i: 7, b: '8', y: true, z: null, w: when, l: when, x: Buffer.from([0, 255]) },
      ...{ a: [1, null, 3], s: ['a"b', '\\', 'NULL', ''], e: [], j: { k: [1, 'é'] }, ja: [1, 2] },
      ...{
        aa: [
          [1, 2],
          [3, 4],
        ],
        xx: [Buffer.from('é')],
      },
    })
  })

  test('query, many, maybe, one', async () => {
    const inserted = await db.query(
      sql`INSERT INTO items (id, n) VALUES ${sql.rows([
        [1, 10],
        [2, 20],
        [3, 30],
      ])}`,
    )
    expect(inserted).toEqual({ rows: [], count: 3, command: 'INSERT' })
    const table = sql.id('public', 'items')
    expect(await db.many(sql`SELECT id FROM ${table} WHERE id = ANY(${[1, 3]}) ORDER BY id`)).toEqual([
      { id: 1 },
      { id: 3 },
    ])
    expect(
      await db.many(sql`SELECT id FROM items WHERE id IN (${sql.join([2, 3])}) ORDER BY id`),
    ).toHaveLength(2)
    expect(await db.maybe(sql`SELECT n FROM items WHERE id = ${2}`)).toEqual({ n: 20 })
    expect(await db.maybe(sql`SELECT n FROM items WHERE id = ${99}`)).toBeUndefined()
    expect(await db.one(sql`SELECT count(*) AS n FROM items`)).toEqual({ n: '3' })
    await expect(db.one(sql`SELECT n FROM items WHERE id = ${99}`)).rejects.toThrow(NoRow)
    await expect(db.maybe(sql`SELECT n FROM items`)).rejects.toThrow(SeveralRows)
    expect((await db.query(sql`SELECT 1`)).command).toBe('SELECT')
    expect(await db.query(sql`CREATE TABLE nothing ()`)).toEqual({
      rows: [],
      count: 0,
      command: 'CREATE TABLE',
    })
  })

  test('a prepared statement is one for all its values, on all connections', async () => {
    const read = (id: number): Promise<unknown> =>
      db.maybe(sql`SELECT n FROM items WHERE id = ${id} AND ${true}`, { prepare: true })
    const rows = await Promise.all([1, 2, 3, 1, 2, 3, 4].map(read))
    expect(rows).toEqual([{ n: 10 }, { n: 20 }, { n: 30 }, { n: 10 }, { n: 20 }, { n: 30 }, undefined])
  })

  test('a second statement behind a semicolon, and a text, are no statements', async () => {
    await expect(db.query(sql`SELECT 1; SELECT 2`)).rejects.toMatchObject({ sqlstate: '42601' })
    await expect(async () => db.query('SELECT 1' as never)).rejects.toThrow('not as a text')
  })

  test('errors are classes by SQLSTATE, with their fields', async () => {
    const insert = (id: number | null, n: number | null): Promise<unknown> =>
      db.query(sql`INSERT INTO items (id, n) VALUES (${id}, ${n})`)
    const unique = await insert(1, 1).catch((error: unknown) => error)
    expect(unique).toBeInstanceOf(UniqueViolation)
    expect(unique).toMatchObject({
      name: 'UniqueViolation',
      sqlstate: '23505',
      constraint: 'items_pkey',
      table: 'items',
    })
    expect((unique as UniqueViolation).detail).toContain('(id)=(1)')
    expect((unique as UniqueViolation).fields.statement).toBe('INSERT INTO items (id, n) VALUES ($1, $2)')
    await expect(insert(5, -1)).rejects.toThrow(CheckViolation)
    await expect(insert(null, 1)).rejects.toThrow(NotNullViolation)
    await expect(db.query(sql`INSERT INTO parts VALUES (${77}, ${1})`)).rejects.toThrow(ForeignKeyViolation)
    const syntax = await db.query(sql`SELEC 1`).catch((error: unknown) => error)
    expect(syntax).toMatchObject({ sqlstate: '42601', fields: { position: 1 } })
    await expect(db.query(sql`SELECT 1 / ${0}::int`)).rejects.toMatchObject({ sqlstate: '22012' })
    await expect(db.one(sql`SELECT 'ok' AS v`)).resolves.toEqual({ v: 'ok' })
  })

  test('a value that cannot be read is the error of its parser', async () => {
    const types = {
      getTypeParser: () => (): never => {
        throw new RangeError('unreadable')
      },
    }
    const odd = weft({ urls: cluster.url(server), types })
    await expect(odd.one(sql`SELECT 1 AS n`)).rejects.toThrow(RangeError)
    await odd.close()
  })

  test('bigint columns as bigints', async () => {
    const exact = weft({ urls: cluster.url(server), int8: 'bigint' })
    expect(await exact.one(sql`SELECT 9007199254740993 AS n, 7::int AS i, ARRAY[1]::int[] AS a`)).toEqual({
      ...{ n: 9007199254740993n, i: 7, a: [1] },
    })
    await exact.close()
  })

  test('settings and the application name are those of all sessions', async () => {
    const set = weft({
      urls: cluster.url(server),
      settings: { 'app.who': 'a b\\c', statement_timeout: '9s' },
      applicationName: 'shop',
    })
    const shown = sql`SELECT current_setting('app.who') AS w, current_setting('statement_timeout') AS t, current_setting('application_name') AS a`
    expect(await set.one(shown)).toEqual({ w: 'a b\\c', t: '9s', a: 'shop' })
    await set.close()
    expect(() => weft({ urls: cluster.url(server), poolMax: 0 })).toThrow(TypeError)
  })

  test('a timeout cancels the statement on the server', async () => {
    const slow = db.query(sql`SELECT pg_sleep(${60})`, { timeoutMs: 100 })
    await expect(slow).rejects.toThrow(TimedOut)
    await cluster.expectQuiet(server, 'pg_sleep')
    await expect(db.one(sql`SELECT 1 AS n`)).resolves.toEqual({ n: 1 })
  })

  test('a signal cancels the statement on the server', async () => {
    const stop = new AbortController()
    const slow = db.query(sql`SELECT pg_sleep(${60})`, { signal: stop.signal })
    await cluster.expectBusy(server, 'pg_sleep')
    stop.abort(new Error('enough'))
    const error = await slow.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Canceled)
    expect((error as Error).cause).toEqual(new Error('enough'))
    await cluster.expectQuiet(server, 'pg_sleep')
    await expect(db.query(sql`SELECT 1`, { signal: AbortSignal.abort() })).rejects.toThrow(Canceled)
  })

  test('who waits for a connection gives up by its signal, and by its time', async () => {
    const small = weft({ urls: cluster.url(server), poolMax: 1, acquireTimeoutMs: 200 })
    const stop = new AbortController()
    const holds = small.query(sql`SELECT pg_sleep(${60})`, { signal: stop.signal })
    holds.catch(() => undefined)
    await cluster.expectBusy(server, 'pg_sleep')
    const giveUp = new AbortController()
    const waits = small.query(sql`SELECT 1`, { signal: giveUp.signal })
    giveUp.abort()
    await expect(waits).rejects.toThrow(Canceled)
    await expect(small.query(sql`SELECT 1`)).rejects.toThrow('no connection came free within 200 ms')
    stop.abort()
    await expect(holds).rejects.toThrow(Canceled)
    await small.close()
  })

  test('a statement whose connection is lost: its outcome is unknown, and it is not run again', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft(url)
    const error = far.query(sql`SELECT pg_sleep(${60})`).catch((reason: unknown) => reason)
    await cluster.expectBusy(server, 'pg_sleep')
    proxy.cut()
    expect(await error).toBeInstanceOf(OutcomeUnknown)
    await cluster.endAll(server, 'pg_sleep')
    expect(await far.one(sql`SELECT 1 AS n`)).toEqual({ n: 1 })
    await far.close()
  })

  test('a transaction begun by hand goes to nobody else', async () => {
    const one = weft({ urls: cluster.url(server), poolMax: 1 })
    const pid = sql`SELECT pg_backend_pid() AS pid`
    const before = await one.one(pid)
    expect(await one.one(pid)).toEqual(before)
    await one.query(sql`BEGIN`)
    expect(await one.one(pid)).not.toEqual(before)
    await one.close()
  })

  test('a server that is not there, a login that is refused, a Db that is closed', async () => {
    const nowhere = weft(`postgres://postgres@127.0.0.1:${await freePort()}/postgres`)
    await expect(nowhere.query(sql`SELECT 1`)).rejects.toThrow(Unreachable)
    await nowhere.close()
    const stranger = weft(cluster.url(server).replace('//postgres@', '//nobody_at_all@'))
    const refused = await stranger.query(sql`SELECT 1`).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(LoginRefused)
    await stranger.close()
    await expect(stranger.query(sql`SELECT 1`)).rejects.toThrow(Closed)
    expect(() => weft([])).toThrow('name one server')
    expect(() => weft('not a url:password')).toThrow(/^(?!.*password)/)
  })
})

test('what Weft refuses has its id', async () => {
  const db = weft(cluster.url('weft'))
  const error = await db.query(sql`CREATE DATABASE other`).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(Refused)
  expect(error).toBeInstanceOf(DatabaseError)
  expect((error as Refused).refusalId).toMatch(/^\w+$/)
  await db.close()
})
