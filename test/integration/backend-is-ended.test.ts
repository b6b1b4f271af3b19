import { beforeAll, describe, expect, test } from 'vitest'
import { query as queryMessage } from '../../protocol/wire/frontend-messages.ts'
import { codeOf, useAccounts } from '../helpers/accounts.ts'
import { connectTo, query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'

const accounts = useAccounts()

/** Whose last statement has `word` in it, but for those who ask so: their backends may be there for a moment longer. */
const ofSession = (word: string): string =>
  `FROM pg_stat_activity WHERE query LIKE '%${word}%' AND query NOT LIKE '%FROM pg_stat_activity%'`

/** Somebody ends, past Weft, the backend of a shard whose last statement has `word` in it. */
async function endBackend(shard: number, word: string): Promise<void> {
  const ended = await accounts.direct<{ ended: boolean }>(
    shard,
    `SELECT pg_terminate_backend(pid, 5000) AS ended ${ofSession(word)}`,
  )
  expect(ended).toEqual([{ ended: true }])
}

interface Told {
  readonly severity: string | undefined
  readonly code: string | undefined
}

async function toldBy(work: Promise<unknown>): Promise<Told> {
  const error = (await work.then(
    () => new Error('it succeeded'),
    (failed: unknown) => failed,
  )) as Partial<Told>
  return { severity: error.severity, code: error.code }
}

beforeAll(async () => {
  const url = accounts.cluster.weftUrl
  await query(
    url,
    `CREATE FUNCTION leaves(way text) RETURNS void LANGUAGE plpgsql AS $$BEGIN
       IF way = 'lock' THEN PERFORM pg_advisory_lock(4711); END IF;
       IF way = 'table' THEN EXECUTE 'CREATE TEMP TABLE made (v int)'; END IF;
     END$$`,
  )
  await query(url, `CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED) WITH (shard_key = 'id')`)
})

describe('a backend that is ended behind the session', () => {
  test('in a transaction: an ERROR, the transaction is aborted, the session lives', async () => {
    const session = await accounts.connect()
    await session.query('BEGIN')
    await session.query(`UPDATE account SET amount = 0 /* in block */ WHERE id = ${accounts.on(1)}`)
    await endBackend(1, 'in block')
    const one = `SELECT amount FROM account WHERE id = ${accounts.on(1)}`
    expect(await toldBy(session.query(one))).toEqual({ severity: 'ERROR', code: '57P01' })
    expect(await codeOf(session.query(one))).toBe('25P02')
    await session.query('ROLLBACK')
    expect((await session.query(one)).rows).toEqual([{ amount: 100 }])
  })

  test('in a statement by itself: an ERROR, the session lives', async () => {
    const session = await accounts.connect()
    const sleeps = session.query(`SELECT pg_sleep(600), amount FROM account WHERE id = ${accounts.on(1)}`)
    const told = toldBy(sleeps)
    await endAsItRuns(1, 'pg_sleep(600), amount')
    expect(await told).toEqual({ severity: 'ERROR', code: '57P01' })
    expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('over several shards: an ERROR, the session lives', async () => {
    const session = await accounts.connect()
    const sleeps = `SELECT CASE WHEN id = ${accounts.on(2)} THEN pg_sleep(603) END FROM account`
    const told = toldBy(session.query(sleeps))
    await endAsItRuns(2, 'pg_sleep(603)')
    expect(await told).toEqual({ severity: 'ERROR', code: '57P01' })
    expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

/** Until a statement with `word` in it runs on the shard. */
async function running(shard: number, word: string): Promise<void> {
  const sql = `SELECT ${ofSession(word)} AND state = 'active'`
  while ((await accounts.direct(shard, sql)).length === 0);
}

async function endAsItRuns(shard: number, word: string): Promise<void> {
  await running(shard, word)
  await endBackend(shard, word)
}

describe("a backend that holds what is the session's", () => {
  test.each([
    ['a temporary table', 'CREATE TEMP TABLE kept_1 (v int)'],
    ['a lock', 'SELECT pg_advisory_lock(4712) AS kept_1'],
    ['a channel', 'LISTEN kept_1'],
    ['a held cursor', 'DECLARE kept_1 CURSOR WITH HOLD FOR SELECT 1'],
    ['a lock of a function', `SELECT leaves('lock') AS kept_1`],
    ['a table of a function', `SELECT leaves('table') AS kept_1`],
  ])('%s: its end ends the session at once', async (_what, sql) => {
    const session = await open()
    await session.run(sql)
    await session.run('SELECT 1 AS marks_the_backend')
    await endBackend(0, 'marks_the_backend')
    expect(await session.end()).toEqual({ severity: 'FATAL', code: '57P01' })
  })

  test('while a statement runs: the statement is told, FATAL', async () => {
    const session = await open()
    await session.run('CREATE TEMP TABLE kept_2 (v int)')
    session.client.write(queryMessage('SELECT pg_sleep(601)'))
    await endAsItRuns(0, 'pg_sleep(601)')
    expect(await session.end()).toEqual({ severity: 'FATAL', code: '57P01' })
  })

  test('a write by itself: it may have committed', async () => {
    const session = await open()
    await session.run('CREATE TEMP TABLE kept_3 (v int)')
    session.client.write(queryMessage('INSERT INTO kept_3 SELECT 1 FROM pg_sleep(602)'))
    await endAsItRuns(0, 'pg_sleep(602)')
    expect(await session.end()).toEqual({ severity: 'FATAL', code: '08007' })
  })

  test('in a block, on another shard than the statements of the block', async () => {
    const session = await open()
    await session.run(`SELECT leaves('lock') AS lies_idle`)
    await session.run('BEGIN')
    await session.run(`UPDATE account SET amount = 0 WHERE id = ${accounts.on(1)}`)
    await endBackend(0, 'pg_locks')
    expect(await session.end()).toEqual({ severity: 'FATAL', code: '57P01' })
    const look = await connectTo(accounts.cluster.weftUrl)
    expect((await look.query(`SELECT amount FROM account WHERE id = ${accounts.on(1)}`)).rows).toEqual([
      { amount: 100 },
    ])
    await look.end()
  })

  test('a COMMIT over several shards that fails ends nothing', async () => {
    const session = await open()
    await session.run('CREATE TEMP TABLE kept_4 (v int)')
    await session.run('BEGIN')
    await session.run(`SELECT leaves('lock'), id FROM account WHERE id = ${accounts.on(1)}`)
    await session.run('INSERT INTO late SELECT g FROM generate_series(1, 20) g')
    await session.run(`INSERT INTO late VALUES (${accounts.on(2)}), (${accounts.on(2)})`)
    session.client.write(queryMessage('COMMIT'))
    const replies = await session.client.until('ReadyForQuery')
    expect(replies[0]?.text).toMatch(/S=ERROR .*C=23505/)
    await session.run('INSERT INTO kept_4 VALUES (1)')
    const holds = `SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711`
    expect(await accounts.direct(1, holds)).toEqual([{ objid: 4711 }])
    session.client.end()
  })
})

interface Session {
  readonly client: WireClient
  run(sql: string): Promise<void>
  /** The last error before the server hangs up. */
  end(): Promise<Told>
}

async function open(): Promise<Session> {
  const { host, port } = accounts.cluster.weft
  const client = await WireClient.connect({ host, port })
  return {
    client,
    run: async (sql) => {
      client.write(queryMessage(sql))
      const replies = await client.until('ReadyForQuery')
      expect(replies.filter(({ name }) => name === 'ErrorResponse')).toEqual([])
    },
    end: async () => {
      const replies = await client.until('closed')
      const { text } = replies.findLast(({ name }) => name === 'ErrorResponse') ?? { text: '' }
      return { severity: /S=(\w+)/.exec(text)?.[1], code: /C=(\w+)/.exec(text)?.[1] }
    },
  }
}
