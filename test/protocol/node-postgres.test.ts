import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTwins, type TestCluster, useTestCluster } from '../helpers/cluster.ts'
import { picked } from '../helpers/picked.ts'

const cluster = useTestCluster()
const clients: pg.Client[] = []

async function connect(url = cluster.current.weftUrl, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, ...config })
  client.on('error', () => {})
  await client.connect()
  clients.push(client)
  return client
}

interface Outcome {
  readonly rows?: unknown
  readonly rowCount?: number | null
  readonly command?: string
  readonly fields?: unknown
  readonly error?: Record<string, unknown>
}

/** What a driver's user gets to see of a result, or of an error. */
async function outcome(work: Promise<pg.QueryResult>): Promise<Outcome> {
  try {
    const { rows, rowCount, command, fields } = await work
    const shown = fields.map((f) => [f.name, f.dataTypeID, f.columnID, f.dataTypeModifier, f.format])
    return { rows: [...rows].sort(byText), rowCount, command, fields: shown }
  } catch (error) {
    return { error: picked(error as Error, ERROR_FIELDS) }
  }
}

const ERROR_FIELDS = [
  'message',
  'code',
  'severity',
  'detail',
  'hint',
  'position',
  'where',
  'schema',
  'table',
  'column',
  'constraint',
  'dataType',
]

function byText(a: unknown, b: unknown): number {
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

/** The same work on plain Postgres and on Weft has the same outcome. */
async function same(work: (client: pg.Client) => Promise<unknown>): Promise<unknown> {
  const plain = await work(await connect(cluster.current.plainUrl))
  const weft = await work(await connect())
  expect(weft).toEqual(plain)
  return weft
}

beforeAll(async () => {
  const { current } = cluster
  await createTwins(
    current,
    'CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, age int CHECK (age > 0))',
    {
      shard_key: 'id',
    },
  )
  await createTwins(
    current,
    'CREATE TABLE posts (user_id bigint, id int, body text, PRIMARY KEY (user_id, id))',
    { shard_key: 'user_id', colocate_with: 'users' },
  )
  await createTwins(current, 'CREATE TABLE tokens (token uuid PRIMARY KEY, data jsonb)', {
    shard_key: 'token',
  })
  await createTwins(current, 'CREATE TABLE kinds (kind text PRIMARY KEY, label text)', { reference: true })
  await createTwins(current, 'CREATE TABLE blobs (k bytea PRIMARY KEY, v bytea)', { shard_key: 'k' })
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()))
})

type Work = (client: pg.Client) => Promise<unknown>

const behaviours: Readonly<Record<string, Work>> = {
  'parameters: insert, update, delete by key': async (c) => [
    await outcome(c.query('INSERT INTO users VALUES ($1, $2, $3) RETURNING *', [1, 'Ada', 36])),
    await outcome(
      c.query('INSERT INTO users VALUES ($1, $2, $3), ($4, $5, $6)', [2, 'Bob', null, 3, 'Cy', 20]),
    ),
    await outcome(c.query('UPDATE users SET age = $2 WHERE id = $1', ['2', 41])),
    await outcome(c.query('SELECT * FROM users WHERE id = $1', [2n])),
    await outcome(c.query('SELECT * FROM users WHERE id = ANY($1)', [[1, 3]])),
    await outcome(c.query('SELECT * FROM users WHERE id IN ($1, $2)', [1, 3])),
    await outcome(c.query('DELETE FROM users WHERE id = $1 RETURNING name', [3])),
    await outcome(c.query('SELECT count(*), sum(age), avg(age), min(name), max(id) FROM users')),
    await outcome(c.query('SELECT * FROM users')),
  ],
  'no parameters: simple protocol, several results': async (c) => {
    const results = (await c.query(
      'SELECT 1 AS a; SELECT 2 AS b; SELECT name FROM users WHERE id = 1',
    )) as unknown
    return (results as pg.QueryResult[]).map(({ rows, command }) => ({ rows, command }))
  },
  'errors with all their fields': async (c) => [
    await outcome(c.query('SELECT nope FROM users')),
    await outcome(c.query('SELECT * FROM users WHERE id = $1 AND nope', [1])),
    await outcome(c.query('INSERT INTO users VALUES ($1, $2, $3)', [1, 'dup', 1])),
    await outcome(c.query('INSERT INTO users VALUES ($1, $2, $3)', [4, 'young', -1])),
    await outcome(c.query('INSERT INTO users VALUES ($1, $2, $3)', [4, null, 1])),
    await outcome(c.query('SELECT * FROM users WHERE id = $1', ['not a number'])),
    await outcome(c.query('SELECT * FROM users WHERE id = $1', ['99999999999999999999'])),
    await outcome(c.query('SELECT $1::int / 0', [1])),
    await outcome(c.query('SELEKT')),
    await outcome(c.query('SELECT 1')),
  ],
  'named statements': async (c) => {
    const byId = (id: number) =>
      c.query({ name: 'by-id', text: 'SELECT name FROM users WHERE id = $1', values: [id] })
    const put = (id: number) =>
      c.query({
        name: 'put',
        text: 'INSERT INTO posts VALUES ($1, 1, $2) RETURNING id',
        values: [id, `by ${id}`],
      })
    const results: unknown[] = []
    for (const id of [1, 2, 3, 1, 2]) results.push(await outcome(byId(id)))
    for (const id of [1, 2, 3, 4, 1]) results.push(await outcome(put(id)))
    results.push(await outcome(c.query({ name: 'by-id', text: 'SELECT 2', values: [] })))
    return results
  },
  'binary results': async (c) => [
    await outcome(
      c.query({
        text: 'SELECT id, age FROM users WHERE id = $1',
        values: [1],
        binary: true,
      } as pg.QueryConfig),
    ),
    await outcome(
      c.query({
        text: 'SELECT $1::float8 AS f, $2::bool AS b',
        values: [1.5, true],
        binary: true,
      } as pg.QueryConfig),
    ),
    await outcome(c.query({ text: 'SELECT id, age FROM users', values: [], binary: true } as pg.QueryConfig)),
  ],
  'row mode': async (c) => [
    await outcome(c.query({ text: 'SELECT id, name FROM users', rowMode: 'array' })),
    await outcome(c.query({ text: 'SELECT name FROM users WHERE id = $1', values: [1], rowMode: 'array' })),
  ],
  types: async (c) => [
    await outcome(
      c.query('INSERT INTO tokens VALUES ($1, $2), ($3, $4) RETURNING *', [
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        { nested: [1, { two: null }] },
        'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a22',
        'null',
      ]),
    ),
    await outcome(
      c.query('SELECT data FROM tokens WHERE token = $1', ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11']),
    ),
    await outcome(
      c.query('INSERT INTO blobs VALUES ($1, $2)', [Buffer.from([0, 1, 255]), Buffer.from('value')]),
    ),
    await outcome(c.query('SELECT v FROM blobs WHERE k = $1', [Buffer.from([0, 1, 255])])),
    await outcome(c.query('SELECT $1::date AS d, $2::timestamptz AS t', ['2020-02-29', new Date(0)])),
    await outcome(
      c.query('SELECT $1::text[] AS a, $2::int[] AS b', [
        ['a', 'b "c"', null],
        [1, null],
      ]),
    ),
    await outcome(c.query('SELECT $1 AS untyped, $2::numeric AS n, $3::bool AS b', ['x', '1.10', false])),
  ],
  transactions: async (c) => {
    const results: unknown[] = []
    const run = async (text: string, values?: unknown[]) => results.push(await outcome(c.query(text, values)))
    await run('BEGIN')
    await run('INSERT INTO users VALUES ($1, $2)', [10, 'ten'])
    await run('INSERT INTO users VALUES ($1, $2)', [11, 'eleven'])
    await run('INSERT INTO posts VALUES (10, 1, $1), (11, 1, $1)', ['both'])
    await run('SELECT u.name, p.body FROM users u JOIN posts p ON p.user_id = u.id WHERE u.id = $1', [10])
    await run('ROLLBACK')
    await run('SELECT count(*) FROM users WHERE id IN (10, 11)')
    await run('BEGIN')
    await run('INSERT INTO users VALUES ($1, $2)', [10, 'ten'])
    await run('SAVEPOINT s')
    await run('INSERT INTO users VALUES ($1, $2)', [10, 'dup'])
    await run('SELECT 1')
    await run('ROLLBACK TO s')
    await run('INSERT INTO users VALUES ($1, $2)', [12, 'twelve'])
    await run('COMMIT')
    await run('SELECT id FROM users WHERE id IN (10, 11, 12)')
    await run('DELETE FROM users WHERE id IN (10, 12)')
    return results
  },
  'reference tables': async (c) => [
    await outcome(c.query('INSERT INTO kinds VALUES ($1, $2), ($3, $4)', ['a', 'Alpha', 'b', 'Beta'])),
    await outcome(c.query('UPDATE kinds SET label = upper(label) WHERE kind = $1 RETURNING *', ['a'])),
    await outcome(
      c.query('SELECT u.name, k.label FROM users u, kinds k WHERE u.id = $1 AND k.kind = $2', [1, 'a']),
    ),
    await outcome(c.query('DELETE FROM kinds')),
  ],
  'many queries queued at once': async (c) => {
    const queued = Array.from({ length: 200 }, (_, i) => {
      if (i % 50 === 49) return outcome(c.query('SELECT 1 / $1::int AS x', [0]))
      return outcome(c.query('SELECT $1::int AS i, (SELECT name FROM users WHERE id = 1) AS name', [i]))
    })
    return Promise.all(queued)
  },
  'queued writes to all shards': async (c) => {
    const ids = Array.from({ length: 100 }, (_, i) => 1000 + i)
    await Promise.all(ids.map((id) => c.query('INSERT INTO users VALUES ($1, $2)', [id, `n${id}`])))
    return [
      await outcome(c.query('SELECT count(*), min(id), max(id) FROM users WHERE id >= 1000')),
      await outcome(c.query('DELETE FROM users WHERE id >= 1000')),
    ]
  },
  notices: async (c) => {
    const notices: unknown[] = []
    c.on('notice', ({ message, code, severity, hint }) => notices.push({ message, code, severity, hint }))
    await c.query(`DO $$ BEGIN RAISE WARNING 'w' USING HINT = 'h'; RAISE NOTICE 'n'; END $$`)
    await c.query('DROP TABLE IF EXISTS nothing_of_the_kind')
    return notices
  },
  'session settings': async (c) => [
    await outcome(c.query("SET TIME ZONE 'Asia/Tokyo'")),
    await outcome(c.query("SELECT '2020-01-01 00:00+00'::timestamptz::text AS t")),
    await outcome(c.query("SELECT set_config('app.user', $1, false)", ['me'])),
    await outcome(c.query("SELECT current_setting('app.user') AS u, name FROM users WHERE id = 1")),
    await outcome(c.query("SELECT current_setting('app.user') AS u, name FROM users WHERE id = 2")),
  ],
}

describe('node-postgres', () => {
  test.each(Object.entries(behaviours))('%s', async (_name, work) => {
    await same(work)
  })

  test('pipelining: queries are sent without waiting for answers, the answers come in order', async () => {
    const work = async (url: string): Promise<unknown> => {
      const client = await connect(url, { pipeline: true } as pg.ClientConfig)
      const queued = Array.from({ length: 100 }, (_, i) => {
        if (i % 10 === 3)
          return outcome(client.query('INSERT INTO users VALUES ($1, $2)', [2000 + i, 'piped']))
        if (i % 10 === 7) return outcome(client.query('SELECT 1 / $1::int AS x', [0]))
        if (i % 10 === 8) return outcome(client.query('SELECT 1 AS simple'))
        return outcome(client.query('SELECT $1::int AS i, name FROM users WHERE id = $2', [i, 1 + (i % 2)]))
      })
      const answers = await Promise.all(queued)
      return [answers, await outcome(client.query('DELETE FROM users WHERE id >= 2000'))]
    }
    expect(await work(cluster.current.weftUrl)).toEqual(await work(cluster.current.plainUrl))
  })

  test('LISTEN: a notification of another client arrives with channel and payload', async () => {
    const [listener, sender] = [await connect(), await connect()]
    const heard = new Promise<pg.Notification>((done) => listener.once('notification', done))
    await listener.query('LISTEN news')
    await sender.query('SELECT pg_notify($1, $2)', ['news', 'payload'])
    expect(await heard).toMatchObject({ channel: 'news', payload: 'payload' })
  })

  test('cancellation: pg_cancel by key ends the statement, the session goes on', async () => {
    const client = await connect()
    const slow = outcome(client.query('SELECT pg_sleep(60)'))
    await running(cluster.current, 'pg_sleep(60)')
    await cancel(client)
    expect((await slow).error).toMatchObject({
      code: '57014',
      message: 'canceling statement due to user request',
    })
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('statement_timeout: the statement ends with 57014', async () => {
    const client = await connect(undefined, { statement_timeout: 50 })
    expect((await outcome(client.query('SELECT pg_sleep(60)'))).error).toMatchObject({ code: '57014' })
  })

  test('pool: 40 clients, mixed work, nothing mixed up', async () => {
    const pool = new pg.Pool({ connectionString: cluster.current.weftUrl, max: 40 })
    try {
      const work = Array.from({ length: 400 }, async (_, i) => {
        const { rows } = await pool.query('SELECT $1::int AS i, name FROM users WHERE id = $2', [
          i,
          1 + (i % 2),
        ])
        return rows[0] as { i: number; name: string }
      })
      const rows = await Promise.all(work)
      expect(rows.map((row) => row.i)).toEqual(Array.from({ length: 400 }, (_, i) => i))
      expect(new Set(rows.map((row) => row.name))).toEqual(new Set(['Ada', 'Bob']))
    } finally {
      await pool.end()
    }
  })

  test('connecting: wrong database, options, application name', async () => {
    const wrong = new pg.Client({ connectionString: cluster.current.weftUrl.replace(/postgres$/, 'nowhere') })
    await expect(wrong.connect()).rejects.toMatchObject({ code: '3D000', severity: 'FATAL' })
    const named = await connect(undefined, {
      application_name: 'my app',
      options: '-c work_mem=7MB -c timezone=Asia/Tokyo',
    })
    const { rows } = await named.query(
      "SELECT current_setting('application_name') AS a, current_setting('work_mem') AS w, current_setting('timezone') AS t",
    )
    expect(rows).toEqual([{ a: 'my app', w: '7MB', t: 'Asia/Tokyo' }])
  })
})

/** Until a statement with this text runs on the home shard. */
async function running({ weft }: TestCluster, text: string): Promise<void> {
  const home = await connect(weft.shards[0]!.url)
  for (;;) {
    const { rowCount } = await home.query(
      "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()",
      [`%${text}%`],
    )
    if (rowCount !== 0) return
  }
}

/** node-postgres' own way to cancel: a second connection that sends the key. */
async function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  const { host, port } = cluster.current.weft
  const other = new pg.Connection()
  await new Promise<void>((done, fail) => {
    other.on('connect', () => {
      ;(other as unknown as { cancel(pid: number, key: number): void }).cancel(processID, secretKey)
    })
    other.on('error', fail)
    other.on('end', done)
    ;(other as unknown as { connect(port: number, host: string): void }).connect(port, host)
  })
}
