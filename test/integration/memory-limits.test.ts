import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  bind,
  COPY_DONE,
  close,
  copyData,
  execute,
  parse,
  query,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query as ask } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'

const MB = 1 << 20
const SESSION_MB = 8

const cluster = useTestCluster({ shards: 2, memory: { nodeMb: 20, sessionMb: SESSION_MB } })
const clients: WireClient[] = []
/** Somebody else, who is served all the time. */
let other: pg.Client

beforeAll(async () => {
  await createTwins(cluster.current, 'CREATE TABLE blobs (id int PRIMARY KEY, data text)', {
    shard_key: 'id',
  })
  other = new pg.Client({ connectionString: cluster.current.weftUrl })
  await other.connect()
})
afterAll(() => other.end())

/** Whatever a test did: the others are served, and nothing of it is left when its clients are gone. */
afterEach(async () => {
  expect((await other.query('SELECT count(*)::int AS n FROM blobs WHERE id < 0')).rows).toEqual([{ n: 0 }])
  for (const client of clients.splice(0)) client.end()
  await expect.poll(async () => (await status()).sessions).toBe(1)
  expect((await status()).memory.usedBytes).toBe(0)
})

interface Status {
  readonly sessions: number
  readonly memory: { readonly usedBytes: number; readonly refusals: number }
}

async function status(): Promise<Status> {
  const answer = await fetch(`${cluster.current.weft.adminUrl}/api/status`)
  const all = (await answer.json()) as Status & { coordinator?: Status }
  return all.coordinator ?? all
}

async function connect(): Promise<WireClient> {
  const { host, port } = cluster.current.weft
  const client = await WireClient.connect({ host, port })
  clients.push(client)
  return client
}

/** SQLSTATEs of errors, and tags of commands, up to the next ReadyForQuery. */
async function answers(client: WireClient, ...messages: Buffer[]): Promise<string[]> {
  client.write(Buffer.concat(messages))
  const got = await client.until('ReadyForQuery')
  return got.flatMap(({ name, text }) => {
    if (name === 'ErrorResponse') return [/ C=(\w+)/.exec(text)![1]!]
    return name === 'CommandComplete' ? [text] : []
  })
}

/** Sends what `message` makes until it is refused; answers how often it was not. */
async function untilRefused(
  client: WireClient,
  message: (i: number) => Buffer[],
  max: number,
): Promise<number> {
  for (let i = 0; i < max; i++) {
    const said = await answers(client, ...message(i))
    if (said.length > 0 && /^[0-9A-Z]{5}$/.test(said.at(-1)!)) {
      expect(said.at(-1)).toBe('53200')
      return i
    }
  }
  return max
}

const works = async (client: WireClient): Promise<void> => {
  expect(await answers(client, query('SELECT 1'))).toEqual([expect.stringContaining('SELECT 1')])
}

describe('one session', () => {
  test('settings: 300 large ones: as many as a megabyte takes, and it goes on with those', async () => {
    const client = await connect()
    const value = 'x'.repeat(30_000)
    const taken = await untilRefused(client, (i) => [query(`SET my.s${i} = '${value}'`)], 300)
    expect(taken).toBe(17)
    await works(client)
    expect(await answers(client, query('RESET ALL; SET my.s0 = 1'))).toHaveLength(2)
  })

  test('settings of a transaction with savepoints: counted with those that would come back', async () => {
    const client = await connect()
    await answers(client, query(`BEGIN; SET my.long = '${'x'.repeat(200_000)}'`))
    const taken = await untilRefused(client, (i) => [query(`SAVEPOINT s${i}; SET my.x = ${i}`)], 300)
    expect(taken).toBeLessThan(25)
    await answers(client, query('ROLLBACK'))
    await works(client)
    // The names stay, as placeholders in a Postgres backend do.
    expect((await status()).memory.usedBytes).toBeLessThan(1000)
  })

  test('prepared statements: up to the limit, DEALLOCATE gives back', async () => {
    const client = await connect()
    const text = `SELECT '${'x'.repeat(100_000)}' WHERE $1 = 1`
    const taken = await untilRefused(client, (i) => [parse(`p${i}`, text), SYNC], 300)
    expect(taken).toBe(10)
    expect((await status()).memory.usedBytes).toBeGreaterThan(7 * MB)
    await answers(client, close('S', 'p0'), SYNC)
    expect(await answers(client, parse('again', text), SYNC)).toEqual([])
    await answers(client, query('DEALLOCATE ALL'))
    expect((await status()).memory.usedBytes).toBe(0)
    await works(client)
  })

  test('portals of a transaction: up to the limit, the end of it gives back', async () => {
    const client = await connect()
    await answers(client, query('BEGIN'))
    await answers(client, parse('p', 'SELECT $1::text'), SYNC)
    const value = 'x'.repeat(200_000)
    const make = (i: number) => [bind({ portal: `c${i}`, statement: 'p', params: [value] }), SYNC]
    expect(await untilRefused(client, make, 300)).toBeGreaterThan(30)
    await answers(client, query('ROLLBACK'))
    await answers(client, query('DEALLOCATE ALL'))
    expect((await status()).memory.usedBytes).toBe(0)
    await works(client)
  })

  test('NOTIFYs of a transaction: up to the limit', async () => {
    const client = await connect()
    const notify = (i: number) => `NOTIFY c, '${'x'.repeat(5000)}${i}'`
    const some = (i: number) => [query(Array.from({ length: 100 }, (_, j) => notify(i * 100 + j)).join(';'))]
    await answers(client, query('BEGIN'))
    expect(await untilRefused(client, some, 100)).toBe(16)
    await answers(client, query('ROLLBACK'))
    expect((await status()).memory.usedBytes).toBe(0)
  })
})

describe('large messages', () => {
  test('a Query larger than the session’s share: 53200, and the next is served', async () => {
    const client = await connect()
    expect(await answers(client, query(`SELECT '${'x'.repeat(SESSION_MB * MB)}'`))).toEqual(['53200'])
    await works(client)
    expect((await status()).memory.usedBytes).toBe(0)
  })

  test('a parameter larger than that: 53200 in its place, skipped up to Sync', async () => {
    const client = await connect()
    const params = ['x'.repeat(SESSION_MB * MB)]
    const messages = [parse('', 'SELECT length($1)'), bind({ params }), execute(), SYNC]
    expect(await answers(client, ...messages)).toEqual(['53200'])
    await works(client)
  })

  test('in a transaction: it has failed, ROLLBACK ends it', async () => {
    const client = await connect()
    await answers(client, query('BEGIN'))
    expect(await answers(client, query(`SELECT '${'x'.repeat(SESSION_MB * MB)}'`))).toEqual(['53200'])
    expect(await answers(client, query('SELECT 1'))).toEqual(['25P02'])
    await answers(client, query('ROLLBACK'))
    await works(client)
  })

  test('a parameter that fits: taken, and given back', async () => {
    const client = await connect()
    const params = ['1', 'x'.repeat(5 * MB)]
    const messages = [parse('', 'INSERT INTO blobs VALUES ($1, $2)'), bind({ params }), execute(), SYNC]
    expect(await answers(client, ...messages)).toEqual([expect.stringContaining('INSERT 0 1')])
    expect((await status()).memory.usedBytes).toBe(0)
  })

  test('COPY with messages of three megabytes: all of them, one at a time', async () => {
    const client = await connect()
    const row = (id: number) => copyData(Buffer.from(`${id}\t${'x'.repeat(3 * MB)}\n`))
    client.write(query('COPY blobs FROM STDIN'))
    await client.until('CopyInResponse')
    const said = await answers(client, ...[10, 11, 12, 13, 14].map(row), COPY_DONE)
    expect(said).toEqual([expect.stringContaining('COPY 5')])
    expect((await status()).memory.usedBytes).toBe(0)
  })

  test.each(['blobs', 'notes'])(
    'COPY %s with a message that is too large: 53200, and it goes on',
    async (table) => {
      await other.query('CREATE TABLE IF NOT EXISTS notes (id int PRIMARY KEY, data text)')
      const client = await connect()
      const row = (id: number, bytes: number) => copyData(Buffer.from(`${id}\t${'x'.repeat(bytes)}\n`))
      for (const begin of [
        [query(`COPY ${table} FROM STDIN`)],
        [parse('', `COPY ${table} FROM STDIN`), bind({}), execute(), SYNC],
      ]) {
        client.write(Buffer.concat(begin))
        await client.until('CopyInResponse')
        const isSimple = begin.length === 1
        const sent = [row(90, 10), row(91, 9 * MB), row(92, 9 * MB), row(93, 10), COPY_DONE]
        expect(await answers(client, ...sent, ...(isSimple ? [] : [SYNC]))).toEqual(['53200'])
        expect(await answers(client, query(`SELECT FROM ${table} WHERE id >= 90`))).toEqual([
          'CommandComplete SELECT 0',
        ])
      }
      expect((await status()).memory.usedBytes).toBe(0)
    },
  )

  test('a text that fits and is too long to parse: 54000', async () => {
    const client = await connect()
    expect(await answers(client, query(`SELECT ${'1,'.repeat(260_000)}1`))).toEqual(['54000'])
    await works(client)
  })
})

describe('many sessions', () => {
  test('node: full of several sessions’ state: the next is refused, and served when they are gone', async () => {
    const fill = async (client: WireClient): Promise<void> => {
      const text = `SELECT '${'x'.repeat(100_000)}' WHERE $1 = 1`
      await untilRefused(client, (i) => [parse(`p${i}`, text), SYNC], 300)
    }
    const full = await Promise.all([connect(), connect(), connect()])
    for (const client of full) await fill(client)
    const next = await connect()
    expect(await answers(next, parse('p', `SELECT '${'x'.repeat(400_000)}'`), SYNC)).toEqual(['53200'])
    await works(next)
    for (const client of full) client.end()
    await expect.poll(async () => (await status()).sessions).toBe(2)
    expect(await answers(next, parse('p', `SELECT '${'x'.repeat(400_000)}'`), SYNC)).toEqual([])
  })

  test('all limits at once, of many sessions: each is told, nobody else is kept, and all of it comes back', async () => {
    const text = `SELECT '${'x'.repeat(100_000)}' WHERE $1 = 1`
    const large = 'x'.repeat(9 * MB)
    const flood = Buffer.concat(Array.from({ length: 500 }, () => query("SELECT repeat('x', 10000)")))
    const refused = async (...messages: Buffer[]): Promise<string> => {
      const client = await connect()
      const said = await answers(client, ...messages)
      await works(client)
      return said.join()
    }
    const silents: WireClient[] = []
    const attacks = Array.from({ length: 4 }, async (_, i) => {
      const [settings, prepared, silent] = await Promise.all([connect(), connect(), connect()])
      silent.pause()
      silent.write(flood)
      silents.push(silent)
      return Promise.all([
        untilRefused(settings, (n) => [query(`SET my.s${n} = '${'x'.repeat(30_000)}'`)], 300),
        untilRefused(prepared, (n) => [parse(`p${n}`, text), SYNC], 300),
        refused(query(`SELECT '${large}'`)),
        refused(parse('', 'SELECT $1::text'), bind({ params: [large] }), execute(), SYNC),
        refused(query('COPY blobs FROM STDIN'), copyData(Buffer.from(large)), COPY_DONE),
        refused(query(`SELECT ${'1,'.repeat(260_000 + i)}1`)),
      ])
    })
    for (let i = 0; i < 50; i++) await other.query('SELECT 1')
    for (const [settings, prepared, ...codes] of await Promise.all(attacks)) {
      expect([settings < 300, prepared < 300]).toEqual([true, true])
      expect(codes.slice(0, 3)).toEqual(['53200', '53200', '53200'])
      // Too long to parse, or for what the others have left.
      expect(['54000', '53200']).toContain(codes[3])
    }
    // What is on its way to them would be waited for.
    for (const silent of silents) silent.destroy()
  })

  test('clients that never read: they wait, nobody else does', async () => {
    const { host, port } = cluster.current.weft
    const before = heap()
    const flood = Buffer.concat(Array.from({ length: 2000 }, () => query("SELECT repeat('x', 10000)")))
    const silent = await Promise.all(Array.from({ length: 5 }, () => WireClient.connect({ host, port })))
    for (const client of silent) client.pause()
    for (const client of silent) for (let i = 0; i < 200; i++) client.write(flood)
    for (let i = 0; i < 200; i++) await other.query('SELECT 1')
    // Of two gigabytes of answers hardly any were made.
    for (const client of silent) expect(client.unsentBytes).toBeGreaterThan(0)
    expect(heap() - before).toBeLessThan(100 * MB)
    for (const client of silent) client.destroy()
  })
})

/** What is in use, on the heap and beside it. */
function heap(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe('rows that a query gathers from the shards', () => {
  beforeAll(async () => {
    await other.query(`INSERT INTO blobs SELECT i, repeat('x', 200000) FROM generate_series(10001, 10060) i`)
  })
  afterAll(() => other.query('DELETE FROM blobs WHERE id > 10000'))

  const large = 'SELECT data, count(*) FROM blobs GROUP BY data'
  const small = 'SELECT max(id) FROM blobs HAVING count(*) > 1'

  test('more than the session may keep: the query is refused, the session goes on', async () => {
    const client = await connect()
    expect(await answers(client, query(large))).toEqual(['53200'])
    expect(await answers(client, query(small))).toEqual(['CommandComplete SELECT 1'])
    expect(await answers(client, parse('', large), bind({}), execute('', 0), SYNC)).toEqual(['53200'])
    expect(await answers(client, query(small))).toEqual(['CommandComplete SELECT 1'])
  })

  test('in a block, which fails', async () => {
    const client = await connect()
    expect(await answers(client, query('BEGIN'))).toEqual(['CommandComplete BEGIN'])
    expect(await answers(client, query(large))).toEqual(['53200'])
    expect(await answers(client, query(small))).toEqual(['25P02'])
    expect(await answers(client, query('ROLLBACK'))).toEqual(['CommandComplete ROLLBACK'])
    expect(await answers(client, query(small))).toEqual(['CommandComplete SELECT 1'])
  })

  test('weft.max_gathered: less is allowed', async () => {
    const client = await connect()
    const grouped = 'SELECT data, count(*) FROM blobs WHERE id BETWEEN 10000 AND 10002 GROUP BY data'
    expect(await answers(client, query('SHOW weft.max_gathered'))).toEqual(['CommandComplete SHOW'])
    expect(await answers(client, query("SET weft.max_gathered = '100kB'"))).toEqual(['CommandComplete SET'])
    expect(await answers(client, query(grouped))).toEqual(['54000'])
    expect(await answers(client, query("SET weft.max_gathered = '1GB'"))).toEqual(['22023'])
    expect(await answers(client, query("SET weft.max_gathered = 'much'"))).toEqual(['22023'])
    expect(await answers(client, query('BEGIN'))).toEqual(['CommandComplete BEGIN'])
    expect(await answers(client, query("SET LOCAL weft.max_gathered = '4MB'"))).toEqual([
      'CommandComplete SET',
    ])
    expect(await answers(client, query(grouped))).toEqual(['CommandComplete SELECT 1'])
    expect(await answers(client, query('COMMIT'))).toEqual(['CommandComplete COMMIT'])
    expect(await answers(client, query(grouped))).toEqual(['54000'])
    expect(await answers(client, query('RESET weft.max_gathered'))).toEqual(['CommandComplete RESET'])
    expect(await answers(client, query(grouped))).toEqual(['CommandComplete SELECT 1'])
  })

  test('the client leaves in the midst', async () => {
    const client = await connect()
    client.write(query('SELECT a.data FROM blobs a, blobs b ORDER BY pg_sleep(0.1)'))
    client.end()
  })
})

describe('rows of an INSERT … SELECT', () => {
  /** Three times what a session may keep. */
  const large = (shift: number) =>
    `SELECT i + ${shift}, repeat('x', 200000) FROM generate_series(30001, 30120) i`
  beforeAll(async () => {
    await other.query('CREATE TABLE blob_copies (id int PRIMARY KEY, data text) WITH (reference = true)')
  })
  afterAll(() => other.query('DELETE FROM blobs WHERE id > 30000'))

  test('into a sharded table: what belongs to home stays there', async () => {
    const client = await connect()
    expect(await answers(client, query(`INSERT INTO blobs ${large(0)}`))).toEqual([
      'CommandComplete INSERT 0 120',
    ])
    const { rows } = await other.query('SELECT count(*)::int AS n FROM blobs WHERE id > 30000')
    expect(rows).toEqual([{ n: 120 }])
  })

  test('more than the session may keep, where they have to wait: 53200, and it goes on', async () => {
    const client = await connect()
    expect(await answers(client, query(`INSERT INTO blob_copies ${large(0)}`))).toEqual(['53200'])
    expect(await answers(client, query(`INSERT INTO blobs ${large(1000)} RETURNING id`))).toEqual(['53200'])
    const updating = 'ON CONFLICT (id) DO UPDATE SET data = excluded.data'
    expect(await answers(client, query(`INSERT INTO blobs ${large(1000)} ${updating}`))).toEqual(['53200'])
    expect((await status()).memory.usedBytes).toBe(0)
    expect(await answers(client, query("INSERT INTO blob_copies SELECT 1, 'x'"))).toEqual([
      'CommandComplete INSERT 0 1',
    ])
    const { rows } = await other.query(
      'SELECT count(*)::int AS n, (SELECT count(*)::int FROM blobs WHERE id > 31000) AS m FROM blob_copies',
    )
    expect(rows).toEqual([{ n: 1, m: 0 }])
  })
})

describe('results of which the client takes a part', () => {
  /** Half a gigabyte, of some kilobytes of rows. */
  const results: readonly (readonly [string, string])[] = [
    [
      'concatenated',
      "SELECT b.id, repeat('x', 1000) FROM blobs b, generate_series(1, 50000) WHERE b.id > 40000",
    ],
    [
      'put together from what was gathered',
      "SELECT b.id, repeat('x', 1000) FROM blobs b JOIN blobs c ON c.data = b.data AND c.id > 40000, generate_series(1, 5000) WHERE b.id > 40000",
    ],
    [
      'by groups',
      "SELECT b.data, g, repeat('x', 1000), count(*) FROM blobs b, generate_series(1, 500000) g WHERE b.id > 40000 AND b.id < 40002 + g % 2 GROUP BY 1, 2 HAVING g < 5000",
    ],
  ]
  beforeAll(() => other.query(`INSERT INTO blobs SELECT i, 'y' FROM generate_series(40001, 40010) i`))
  afterAll(() => other.query('DELETE FROM blobs WHERE id > 40000'))

  test.each(results)('%s: portals and cursors keep nothing here', async (_, sql) => {
    const client = await connect()
    const bound = [parse('', sql), bind({ portal: 'p' })]
    expect(await answers(client, query('BEGIN'))).toEqual(['CommandComplete BEGIN'])
    expect(await answers(client, ...bound, SYNC)).toEqual([])
    for (let i = 0; i < 3; i++) expect(await answers(client, execute('p', 1000), SYNC)).toEqual([])
    expect(await answers(client, query('FETCH 10 FROM p'))).toEqual(['CommandComplete FETCH 10'])
    const declared = await answers(client, query(`DECLARE c CURSOR FOR ${sql}`))
    expect(declared).toEqual(['CommandComplete DECLARE CURSOR'])
    expect(await answers(client, query('FETCH 1000 FROM c'))).toEqual(['CommandComplete FETCH 1000'])
    // The transaction itself, and what was bound.
    expect((await status()).memory.usedBytes).toBeLessThan(10_000)
    expect(await answers(client, query('ROLLBACK'))).toEqual(['CommandComplete ROLLBACK'])
  })

  const fetched = (sql: string) => `BEGIN; DECLARE c SCROLL CURSOR FOR ${sql}; FETCH ALL FROM c`
  const stopping: readonly (readonly [string, string, number])[] = [
    ['concatenated', results[0]![1], 2],
    ['put together from what was gathered', results[1]![1], 1],
    ['of a cursor', fetched(results[0]![1]), 1],
  ]
  test.each(stopping)('%s: a client that stops reading stops the shards', async (_, sql, count) => {
    const client = await connect()
    const before = heap()
    client.pause()
    client.write(query(sql))
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"
    const stopped = async () =>
      (await Promise.all(cluster.current.weft.shards.map(({ url }) => ask(url, waiting)))).filter(
        (rows) => rows.length > 0,
      ).length
    await expect.poll(stopped, { timeout: 60_000 }).toBe(count)
    expect((await status()).memory.usedBytes).toBeLessThan(100_000)
    expect(heap() - before).toBeLessThan(30 * MB)
    client.destroy()
  })
})
