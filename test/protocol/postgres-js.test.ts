import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { picked } from '../helpers/picked.ts'

const cluster = useTestCluster()
type Sql = postgres.Sql
const opened: Sql[] = []

function open(url: string, options: postgres.Options<Record<string, never>> = {}): Sql {
  const sql = postgres(url, { max: 4, onnotice: () => {}, ...options })
  opened.push(sql)
  return sql
}

function weft(options: postgres.Options<Record<string, never>> = {}): Sql {
  return open(cluster.current.weftUrl, options)
}

async function settled(work: PromiseLike<unknown>): Promise<unknown> {
  try {
    const rows = (await work) as unknown
    if (!Array.isArray(rows)) return rows
    const { count, command, columns } = rows as unknown as {
      count: number
      command: string
      columns: unknown[]
    }
    const shown = columns as { name: string; type: number }[] | undefined
    return {
      rows: [...rows].sort(byText),
      count,
      command,
      columns: shown?.map(({ name, type }) => [name, type]),
    }
  } catch (error) {
    return picked(error as Error, ERROR_FIELDS)
  }
}

const ERROR_FIELDS = [
  'message',
  'code',
  'detail',
  'hint',
  'position',
  'table_name',
  'constraint_name',
  'column_name',
  'severity',
  'where',
]

function byText(a: unknown, b: unknown): number {
  const text = (value: unknown) =>
    JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))
  const [x, y] = [text(a), text(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

async function same(
  work: (sql: Sql) => Promise<unknown>,
  options: postgres.Options<Record<string, never>> = {},
) {
  const plain = await work(open(cluster.current.plainUrl, options))
  const ours = await work(weft(options))
  expect(ours).toEqual(plain)
  return ours
}

beforeAll(async () => {
  const { current } = cluster
  await createTwins(
    current,
    'CREATE TABLE items (id int PRIMARY KEY, name text UNIQUE, price numeric, at timestamptz)',
    {},
  )
  await createTwins(
    current,
    'CREATE TABLE users (id bigint PRIMARY KEY, name text, tags text[], data jsonb)',
    { shard_key: 'id' },
  )
})
afterAll(async () => {
  await Promise.all(opened.map((sql) => sql.end({ timeout: 5 })))
})

const behaviours: Readonly<Record<string, (sql: Sql) => Promise<unknown>>> = {
  'tagged templates: insert, select, update, delete by key': async (sql) => [
    await settled(
      sql`insert into users ${sql([
        { id: 1, name: 'Ada' },
        { id: 2, name: 'Bob' },
        { id: 3, name: 'Cy' },
      ])} returning id`,
    ),
    await settled(sql`select name from users where id = ${2}`),
    await settled(sql`select name from users where id in ${sql([1, 3])}`),
    await settled(sql`update users set ${sql({ name: 'Adah' }, 'name')} where id = ${1} returning *`),
    await settled(
      sql`update users set tags = ${['a', 'b']}, data = ${sql.json({ deep: [1] })} where id = ${2}`,
    ),
    await settled(sql`select * from users where id = ${2}`),
    await settled(sql`select count(*)::int, max(name) from users`),
    await settled(sql`delete from users where id = ${3}`),
    await settled(sql`select id, name from users`),
  ],
  'errors with their fields': async (sql) => [
    await settled(sql`insert into users (id) values (${1})`),
    await settled(sql`select nope from users where id = ${1}`),
    await settled(sql`select ${'x'}::int`),
    await settled(sql`insert into items (id, name) values (1, 'a'), (2, 'a')`),
    await settled(sql`select 1`),
  ],
  'unsafe: several statements, parameters': async (sql) => [
    (await sql.unsafe('select 1 as a; select 2 as b')).map((rows) =>
      Array.isArray(rows) ? [...rows] : rows,
    ),
    await settled(sql.unsafe('select $1::int + $2::int as sum', [1, 2])),
    await settled(sql.unsafe('select name from users where id = $1', [1], { prepare: true })),
    await settled(sql.unsafe('select name from users where id = $1', [2], { prepare: true })),
  ],
  'simple, values, raw, describe': async (sql) => [
    await settled(sql`select 1 as one`.simple()),
    [...(await sql`select id, name from users where id = ${1}`.values())],
    ((await sql`select id, name from users where id = ${1}`.raw()) as unknown as Buffer[][]).map((row) =>
      row.map(String),
    ),
    (await sql`select id, name from users where id = ${1}`.describe()).columns.map(({ name, type }) => [
      name,
      type,
    ]),
    (await sql`insert into users values (${1})`.describe()).types,
  ],
  'many at once on few connections': async (sql) => {
    const queries = Array.from({ length: 300 }, (_, i) =>
      i % 50 === 49
        ? settled(sql`select 1 / ${0}::int`)
        : settled(sql`select ${i}::int as i, name from users where id = ${1 + (i % 2)}`),
    )
    return Promise.all(queries)
  },
  transactions: async (sql) => {
    const results: unknown[] = []
    await sql.begin(async (tx) => {
      await tx`insert into users (id, name) values (10, 'ten')`
      await tx`insert into users (id, name) values (11, 'eleven')`
      results.push(await settled(tx`select count(*)::int from users where id in (10, 11)`))
    })
    const undone = sql.begin(async (tx) => {
      await tx`delete from users where id = 10`
      await tx`delete from users where id = 11`
      throw new Error('undone')
    })
    results.push(await undone.catch((error: Error) => error.message))
    await sql.begin(async (tx) => {
      await tx
        .savepoint(async (sp) => {
          await sp`insert into users (id, name) values (12, 'twelve')`
          await sp`select 1 / 0`
        })
        .catch((error: Error) => results.push(error.message))
      await tx`insert into users (id, name) values (13, 'thirteen')`
    })
    results.push(await sql.begin((tx) => [tx`select 1 as a`, tx`select name from users where id = 11`]))
    results.push(await settled(sql`select id from users where id >= 10`))
    results.push(await settled(sql`delete from users where id >= 10`))
    return results
  },
  cursors: async (sql) => {
    const seen: unknown[] = []
    await sql`select * from generate_series(1, 7) as n`.cursor(3, (rows) => {
      seen.push(rows.map((row) => row.n as number))
    })
    for await (const rows of sql`select u.id, g from users u, generate_series(1, 4) g where u.id = ${1}`.cursor(
      2,
    )) {
      seen.push([...rows])
    }
    for await (const [row] of sql`select * from generate_series(1, 5) as n`.cursor()) {
      seen.push(row)
      if (row?.n === 2) break
    }
    await sql`select 9 as n`.forEach((row) => void seen.push(row))
    return seen
  },
  types: async (sql) => [
    await settled(sql`insert into items values (7, 'seven', ${'1.50'}, ${new Date(0)}) returning *`),
    await settled(
      sql`select ${true}::bool as b, ${null}::int as n, ${'2020-01-01'}::date as d, ${String(1n)}::bigint as big`,
    ),
    await settled(sql`select ${sql.array([1, 2, 3])}::int[] as a, ${Buffer.from('raw')}::bytea as bytes`),
    await settled(sql`select * from items where at <= ${new Date(1)} and price < ${2}`),
    await settled(sql`delete from items`),
  ],
  'copy in and out': async (sql) => {
    const rows = Array.from({ length: 2000 }, (_, i) => `${100 + i}\tname ${i}\n`).join('')
    await pipeline(Readable.from([rows]), await sql`copy users (id, name) from stdin`.writable())
    const loaded = await settled(sql`select count(*)::int, max(name) from users where id >= 100`)
    await sql`delete from users where id >= 110`
    let text = ''
    for await (const chunk of await sql`copy users (id, name) to stdout`.readable()) text += String(chunk)
    const lines = text.split('\n').filter((line) => Number(line.split('\t')[0]) >= 100)
    return [loaded, lines.sort(), await settled(sql`delete from users where id >= 100`)]
  },
}

describe('postgres.js', () => {
  test.each(Object.entries(behaviours))('%s', async (_name, work) => {
    await same(work)
  })

  test.each(Object.entries(behaviours).slice(0, 5))('without prepared statements: %s', async (name, work) => {
    for (const url of [cluster.current.plainUrl, cluster.current.weftUrl])
      await open(url)`truncate users, items`.simple()
    expect(name).toBeTruthy()
    await same(work, { prepare: false })
  })

  test('pipelining: one connection, answers in order', async () => {
    const work = async (sql: Sql) => {
      const queries = Array.from({ length: 100 }, (_, i) =>
        settled(sql`select ${i}::int as i, name from users where id = ${i % 4}`),
      )
      return Promise.all(queries)
    }
    await same(work, { max: 1, max_pipeline: 100 } as postgres.Options<Record<string, never>>)
  })

  test('cancellation: the query rejects with 57014, its connection goes on', async () => {
    const sql = weft({ max: 1 })
    const query = sql`select pg_sleep(60)`
    const ended = query.execute().then(
      () => undefined,
      (error: postgres.PostgresError) => error.code,
    )
    const watch = open(cluster.current.weft.shards[0]!.url)
    while (
      (
        await watch`select 1 from pg_stat_activity where query like ${'%pg_sleep(60)%'} and state = 'active' and pid <> pg_backend_pid()`
      ).length === 0
    );
    query.cancel()
    expect(await ended).toBe('57014')
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  })

  test('listen and notify: across clients', async () => {
    const [listener, sender] = [weft(), weft()]
    const heard: string[] = []
    let wake = () => {}
    const both = new Promise<void>((done) => {
      wake = done
    })
    const { unlisten } = await listener.listen('news', (payload) => {
      heard.push(payload)
      if (heard.length === 2) wake()
    })
    await sender.notify('news', 'one')
    await sender.begin(async (tx) => {
      await tx`insert into users (id) values (501)`
      await tx`insert into users (id) values (502)`
      await tx`select pg_notify('elsewhere', 'nobody')`
      await tx.notify('news', 'two')
    })
    await both
    expect(heard).toEqual(['one', 'two'])
    await unlisten()
    await sender`delete from users where id in (501, 502)`
  })

  test('reserved connections: session state stays on one, and only there', async () => {
    const sql = weft({ max: 2 })
    const [a, b] = [await sql.reserve(), await sql.reserve()]
    await a`set application_name = 'reserved a'`
    await a`create temp table mine as select 1 as x`
    expect(await a`select current_setting('application_name') as name, x from mine`).toEqual([
      { name: 'reserved a', x: 1 },
    ])
    await expect(b`select * from mine`).rejects.toMatchObject({ code: '42P01' })
    expect(await b`select current_setting('application_name') as name`).toEqual([{ name: 'postgres.js' }])
    await a`drop table mine`
    a.release()
    b.release()
  })
})
