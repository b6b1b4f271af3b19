import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  bind,
  COPY_DONE,
  cancelRequest,
  close,
  copyData,
  copyFail,
  describe as describeMessage,
  execute,
  FLUSH,
  parse,
  query as queryMessage,
  SSL_REQUEST,
  SYNC,
  startup,
  TERMINATE,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'
import { type Step, transcript } from '../helpers/wire-script.ts'
import { Rng } from '../sim/rng.ts'

const cluster = useTestCluster()
let control: pg.Client

beforeAll(async () => {
  await createTwins(cluster.current, 'CREATE TABLE shards (id int PRIMARY KEY, v text)', { shard_key: 'id' })
  await createTwins(cluster.current, 'CREATE TABLE local (id int PRIMARY KEY, v text)', {})
  control = new pg.Client({ connectionString: cluster.current.weftUrl })
  await control.connect()
})
afterAll(() => control.end())

/** The node serves, and what the clients that were here held is free again. */
async function isWell(): Promise<void> {
  expect((await control.query('SELECT count(*) >= 0 AS ok FROM shards')).rows).toEqual([{ ok: true }])
  const { weft } = cluster.current
  for (;;) {
    const answer = await fetch(`${weft.adminUrl}/api/status`)
    const now = (await answer.json()) as {
      sessions: number
      openTransactions: number
      pinnedSessions: number
      shards: { busy: number; waiting: number; prepared: number }[]
    }
    const left = [now.sessions - 1, now.openTransactions, now.pinnedSessions]
    for (const shard of now.shards) left.push(shard.busy, shard.waiting, shard.prepared)
    if (left.every((count) => count === 0)) break
    await new Promise((done) => setImmediate(done))
  }
  for (const { url } of weft.shards) {
    const held = await query(
      url,
      `SELECT state, query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
         AND state IN ('active', 'idle in transaction', 'idle in transaction (aborted)')
         AND application_name NOT IN ('weft', 'weft log')`,
    )
    expect(held).toEqual([])
  }
}

// Messages that make sense, in any order: the same as on plain Postgres.

const statements: Readonly<
  Record<string, { sql: string; params: (rng: Rng) => readonly (string | null)[] }>
> = {
  one: { sql: 'SELECT 1 AS one', params: () => [] },
  series: { sql: 'SELECT generate_series(1, $1::int) AS n', params: (rng) => [String(rng.below(6))] },
  empty: { sql: '', params: () => [] },
  zero: { sql: 'SELECT 1 / 0 AS x', params: () => [] },
  insert: { sql: 'INSERT INTO shards VALUES ($1, $2)', params: (rng) => [String(rng.below(12)), 'v'] },
  insertLocal: {
    sql: 'INSERT INTO local VALUES ($1, $2) RETURNING id',
    params: (rng) => [String(rng.below(12)), null],
  },
  byKey: { sql: 'SELECT v FROM shards WHERE id = $1', params: (rng) => [String(rng.below(12))] },
  count: { sql: 'SELECT count(*), sum(id) FROM shards', params: () => [] },
  all: { sql: 'SELECT id FROM shards', params: () => [] },
  update: {
    sql: "UPDATE shards SET v = v || 'x' WHERE id = $1 RETURNING id, v",
    params: (rng) => [String(rng.below(12))],
  },
  remove: { sql: 'DELETE FROM shards', params: () => [] },
  removeLocal: { sql: 'DELETE FROM local WHERE id = $1', params: (rng) => [String(rng.below(12))] },
  begin: { sql: 'BEGIN', params: () => [] },
  commit: { sql: 'COMMIT', params: () => [] },
  rollback: { sql: 'ROLLBACK', params: () => [] },
  set: { sql: "SET application_name = 'fuzz'", params: () => [] },
  show: { sql: 'SHOW application_name', params: () => [] },
}
const names = Object.keys(statements)

function step(rng: Rng): Step {
  const name = rng.pick(names)
  const { sql, params } = statements[name]!
  const named = rng.below(2) === 0
  const statement = named ? name : ''
  switch (rng.below(9)) {
    case 0:
      return params(rng).length === 0 && name !== 'empty' ? [queryMessage(sql)] : [queryMessage('SELECT 2')]
    case 1:
      return [parse(name, sql), SYNC]
    case 2:
      return [
        bind({ statement: name, portal: name, params: params(rng) }),
        describeMessage('P', name),
        execute(name),
        SYNC,
      ]
    case 3:
      return [describeMessage('S', name), SYNC]
    case 4:
      return [close('S', name), close('P', name), SYNC]
    case 5:
      return [execute('series', 1 + rng.below(3)), execute('series', 0), SYNC]
    case 6:
      return [
        ...(named ? [] : [parse('', sql)]),
        bind({ statement, params: params(rng) }),
        ...(rng.below(2) === 0 ? [describeMessage('P', '')] : []),
        execute(),
        SYNC,
      ]
    case 7: {
      const pipeline = Array.from({ length: 1 + rng.below(4) }, () => {
        const each = statements[rng.pick(names)]!
        return [parse('', each.sql), bind({ params: each.params(rng) }), describeMessage('P', ''), execute()]
      })
      return [...pipeline.flat(), ...(rng.below(3) === 0 ? [FLUSH] : []), SYNC]
    }
    default:
      return [
        parse('', statements.series!.sql),
        bind({ portal: 'series', params: ['5'] }),
        execute('series', 2),
        SYNC,
      ]
  }
}

describe('well-formed messages in any order', () => {
  test.each(Array.from({ length: 60 }, (_, i) => i + 1))(
    'seed %i: the same as on plain Postgres',
    async (seed) => {
      const rng = new Rng(seed)
      const script = [
        ...Array.from({ length: 40 }, () => step(rng)),
        [queryMessage('ROLLBACK')],
        [queryMessage('SELECT 1')],
      ]
      const reset = 'DELETE FROM shards; DELETE FROM local'
      // A transaction that Weft itself fails takes its settings back when the client ends it.
      const options = { unordered: true, without: ['ParameterStatus'] }
      const plain = await transcript(cluster.current.plain, [reset, ...script], options)
      const weft = await transcript(cluster.current.weft, [reset, ...script], options)
      expect(weft, `seed ${seed}`).toEqual(plain)
    },
  )

  test('afterwards: nothing is held', isWell)
})

// Bytes that make less and less sense.

const corpus: readonly Buffer[] = [
  queryMessage("INSERT INTO shards VALUES (500, 'a'); SELECT * FROM shards; SELECT 1/0"),
  Buffer.concat([
    parse('s', 'SELECT v FROM shards WHERE id = $1', [23]),
    bind({ statement: 's', params: ['5'] }),
    execute(),
    SYNC,
  ]),
  Buffer.concat([
    parse('', 'SELECT $1::int8, $2::text'),
    bind({ params: [Buffer.alloc(8), 'x'], paramFormats: [1, 0], resultFormats: [1] }),
    describeMessage('P', ''),
    execute('', 3),
    FLUSH,
    SYNC,
  ]),
  Buffer.concat([
    queryMessage('BEGIN'),
    queryMessage('UPDATE shards SET v = v'),
    queryMessage('SAVEPOINT s'),
    queryMessage('ROLLBACK'),
  ]),
  Buffer.concat([
    queryMessage('COPY shards FROM STDIN'),
    copyData('900\tx\n901\ty\n'),
    COPY_DONE,
    queryMessage('ROLLBACK'),
  ]),
  Buffer.concat([queryMessage('COPY local FROM STDIN (FORMAT csv)'), copyData('900,x\n'), copyFail('no')]),
  Buffer.concat([parse('', 'COPY shards TO STDOUT'), bind({}), execute(), SYNC, close('S', ''), SYNC]),
  Buffer.concat([
    queryMessage('LISTEN fuzz'),
    queryMessage("NOTIFY fuzz, 'x'"),
    queryMessage('CREATE TEMP TABLE ft (x int)'),
    TERMINATE,
  ]),
  Buffer.concat([
    queryMessage('DECLARE c CURSOR WITH HOLD FOR SELECT 1'),
    queryMessage('FETCH c'),
    queryMessage("SET search_path = ''"),
  ]),
  Buffer.concat([
    queryMessage('PREPARE p AS INSERT INTO shards VALUES ($1) RETURNING *'),
    queryMessage('EXECUTE p(77)'),
    queryMessage('DEALLOCATE ALL'),
  ]),
]

function mutated(rng: Rng, bytes: Buffer): Buffer {
  const out = Buffer.from(bytes)
  const at = rng.below(Math.max(1, out.length))
  switch (rng.below(9)) {
    case 0:
      out[at] = rng.below(256)
      return out
    case 1:
      return out.subarray(0, at)
    case 2:
      return Buffer.concat([out.subarray(0, at), garbage(rng, rng.below(40)), out.subarray(at)])
    case 3:
      return Buffer.concat([out.subarray(0, at), out.subarray(Math.min(out.length, at + rng.below(20)))])
    case 4:
      return Buffer.concat([out, rng.pick(corpus), out])
    case 5:
      return garbage(rng, 1 + rng.below(2000))
    case 6:
      // A length that is not true.
      if (out.length >= 5) out.writeInt32BE(rng.pick([0, 3, 4, 5, 1_000, 0x3fff_ffff, 0x7fff_ffff, -1]), 1)
      return out
    case 7:
      for (let i = 0; i < 5; i++) out[rng.below(out.length)] = rng.below(256)
      return out
    default:
      return mutated(rng, mutated(rng, out))
  }
}

function garbage(rng: Rng, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => rng.below(256)))
}

/** Sends in random pieces, hangs up at a random moment, answers what came back meanwhile. */
async function assault(client: WireClient, rng: Rng, bytes: Buffer, politely: boolean): Promise<string[]> {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + rng.below(rng.below(4) === 0 ? 4 : 4000)
    client.write(bytes.subarray(at, at + size))
    at += size
    if (rng.below(10) === 0) await new Promise((done) => setImmediate(done))
  }
  if (politely) {
    // Whatever it made of that: it hangs up when the client does.
    client.end()
    return (await client.until('closed')).map((message) => message.text)
  }
  client.destroy()
  return []
}

describe('mutated and random bytes', () => {
  test.each(Array.from({ length: 30 }, (_, i) => i + 1))(
    'seed %i: answered with errors, or hung up on; the node goes on',
    async (seed) => {
      const rng = new Rng(seed)
      for (let i = 0; i < 20; i++) {
        const client = await WireClient.connect(cluster.current.weft)
        const stream = Array.from({ length: 1 + rng.below(3) }, () => mutated(rng, rng.pick(corpus)))
        const said = await assault(client, rng, Buffer.concat(stream), rng.below(3) > 0)
        const strange = said.filter((text) => text.startsWith('unknown') || text.includes('C=XX'))
        expect(strange, `seed ${seed}, stream ${i}: ${Buffer.concat(stream).toString('hex')}`).toEqual([])
      }
      await isWell()
    },
  )

  test.each(Array.from({ length: 10 }, (_, i) => i + 1))(
    'before the login, seed %i: hung up on; the node goes on',
    async (seed) => {
      const rng = new Rng(1000 + seed)
      const openings = [
        startup({ user: 'postgres', database: 'postgres' }),
        SSL_REQUEST,
        cancelRequest(1, Buffer.from([1, 2, 3, 4])),
        Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
        garbage(rng, 100),
      ]
      for (let i = 0; i < 20; i++) {
        const client = await WireClient.open(cluster.current.weft)
        await assault(client, rng, mutated(rng, rng.pick(openings)), false)
      }
      await isWell()
    },
  )

  test('clients that vanish in the middle of everything: what they held is free again', async () => {
    const rng = new Rng(7)
    const clients = await Promise.all(
      Array.from({ length: 60 }, () => WireClient.connect(cluster.current.weft)),
    )
    for (const client of clients) {
      const work = rng.pick([
        'SELECT pg_sleep(60)',
        'BEGIN; UPDATE shards SET v = v; SELECT pg_sleep(60)',
        'COPY shards FROM STDIN',
        'LISTEN x; SELECT pg_sleep(60)',
        "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)",
        'BEGIN; INSERT INTO shards SELECT i, NULL FROM generate_series(10000, 10100) i',
        'CREATE TEMP TABLE gone AS SELECT 1',
      ])
      client.write(queryMessage(work))
    }
    // All connections are taken by now: what the control connection asks for waits until the others are gone.
    const answered = control.query('SELECT 1')
    await new Promise((done) => setImmediate(done))
    for (const client of clients) client.destroy()
    await answered
    await isWell()
    expect((await control.query('SELECT count(*)::int AS n FROM shards WHERE id >= 10000')).rows).toEqual([
      { n: 0 },
    ])
  })
})
