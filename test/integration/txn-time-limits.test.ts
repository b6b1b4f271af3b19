import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { query as queryMessage } from '../../protocol/wire/frontend-messages.ts'
import { codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'

const accounts = useAccounts()
const open: WireClient[] = []

afterEach(() => {
  for (const client of open.splice(0)) client.destroy()
})

interface Login {
  readonly user?: string
  readonly parameters?: Readonly<Record<string, string>>
}

async function connect(where: 'weft' | 'plain', login: Login = {}): Promise<WireClient> {
  const { weft, plainUrl } = accounts.cluster
  const { hostname, port } = new URL(plainUrl)
  const address =
    where === 'weft' ? { host: weft.host, port: weft.port } : { host: hostname, port: Number(port) }
  const client = await WireClient.connect({ ...address, ...login })
  open.push(client)
  return client
}

/** What a client sees that says all this and then waits to be sent away. */
async function untilSentAway(client: WireClient, statements: readonly string[]): Promise<readonly string[]> {
  const seen: string[] = []
  for (const sql of statements.slice(0, -1)) {
    client.write(queryMessage(sql))
    seen.push(...(await client.until('ReadyForQuery')).map((message) => message.text))
  }
  client.write(queryMessage(statements.at(-1)!))
  return [...seen, ...(await client.until('closed')).map((message) => message.text)]
}

/** The same on Weft and on plain Postgres; what Weft's client saw. */
async function asPostgres(statements: readonly string[], login: Login = {}): Promise<readonly string[]> {
  const before = await sum()
  const weft = await untilSentAway(await connect('weft', login), statements)
  const plain = await untilSentAway(await connect('plain', login), statements)
  expect(weft).toEqual(plain)
  await accounts.quiet()
  expect(await sum()).toBe(before)
  return weft
}

async function sum(): Promise<number> {
  const rows = await query<{ n: number }>(
    accounts.cluster.weftUrl,
    'SELECT sum(amount)::int AS n FROM account',
  )
  return rows[0]!.n
}

const take = (shard: number) => `UPDATE account SET amount = amount + 1 WHERE id = ${accounts.on(shard)}`
const sleep = (shard: number, s: number) =>
  `SELECT id FROM account WHERE id = ${accounts.on(shard)} AND pg_sleep(${s}) IS NOT NULL`
const slowTake = (shard: number, s: number) =>
  `UPDATE account SET amount = amount + 1 + length(pg_sleep(${s})::text) WHERE id = ${accounts.on(shard)}`
const limit = (name: string, value: string) => `SET ${name} = '${value}'`

async function connectDirectly(shard: number): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: accounts.cluster.weft.shards[shard]!.url })
  await client.connect()
  return client
}

async function twinOnPlain(): Promise<void> {
  const { plainUrl } = accounts.cluster
  await query(plainUrl, 'CREATE TABLE IF NOT EXISTS account (id int PRIMARY KEY, amount int)')
  const ids = [0, 1, 2].map((shard) => `(${accounts.on(shard)}, 100)`).join()
  await query(plainUrl, `INSERT INTO account VALUES ${ids} ON CONFLICT DO NOTHING`)
}

const IDLE = 'idle_in_transaction_session_timeout'

describe(IDLE, () => {
  it('a transaction over shards, over one, over none, a failed one: the session ends as in Postgres', async () => {
    await twinOnPlain()
    const set = limit(IDLE, '700ms')
    for (const work of [[take(0), take(1)], [take(0)], [], [take(0), 'SELECT 1/0']]) {
      // In one message, between whose statements the session is not idle.
      const seen = await asPostgres([set, ['BEGIN', ...work].join('; ')])
      expect(seen.at(-2)).toMatch(/FATAL.*25P03/)
    }
  })

  it('a client that works with one shard only, for longer: the others wait, COMMIT commits on all', async () => {
    const before = await sum()
    const client = await accounts.connect()
    await client.query(limit(IDLE, '1500ms'))
    await client.query('BEGIN')
    await client.query(take(0))
    await client.query(take(1))
    for (let i = 0; i < 2; i++) await client.query(sleep(0, 0.9))
    await client.query('COMMIT')
    expect(await sum()).toBe(before + 2)
  })

  it('set in the midst, behind a savepoint, locally, or reset there: shards at rest are left alone', async () => {
    const before = await sum()
    const client = await accounts.connect()
    await client.query(limit(IDLE, '2s'))
    await client.query('BEGIN')
    await client.query(take(0))
    await client.query(take(1))
    await client.query('SAVEPOINT s')
    await client.query(`SET LOCAL ${IDLE} = '1s'`)
    await client.query(sleep(0, 1.2))
    await client.query('ROLLBACK TO s')
    await client.query(sleep(0, 2.2))
    await client.query(limit(IDLE, '1s'))
    await client.query(sleep(2, 1.2))
    await client.query('COMMIT')
    expect(await sum()).toBe(before + 2)
  })

  it('a statement over shards that one of them holds up is not idle on the others', async () => {
    const client = await accounts.connect()
    await client.query(limit(IDLE, '1s'))
    const slow = `UPDATE account SET amount = amount + CASE id WHEN ${accounts.on(2)}
      THEN length(pg_sleep(1.2)::text) ELSE 0 END`
    expect(await codeOf(client.query(slow))).toBe('ok')
    await client.query('BEGIN')
    expect(await codeOf(client.query(slow))).toBe('ok')
    expect(await codeOf(client.query('COMMIT'))).toBe('ok')
  })

  it('from ALTER ROLE, and from the options of the startup packet', async () => {
    await twinOnPlain()
    const { weftUrl, plainUrl } = accounts.cluster
    for (const url of [weftUrl, plainUrl]) {
      await query(url, 'CREATE ROLE hasty LOGIN SUPERUSER')
      await query(url, `ALTER ROLE hasty SET ${IDLE} = '700ms'`)
    }
    const show = `SHOW ${IDLE}`
    const transaction = ['BEGIN', take(0), take(1), show].join('; ')
    const byRole = await asPostgres([show, transaction], { user: 'hasty' })
    expect(byRole.filter((text) => text.includes('700ms'))).toHaveLength(2)
    await asPostgres([show, `RESET ${IDLE}`, transaction], {
      user: 'hasty',
      parameters: { options: `-c ${IDLE}=800` },
    })
  })

  it('is shown as it was set, in a transaction and outside', async () => {
    const client = await accounts.connect()
    const shown = async () => Object.values((await client.query(`SHOW ${IDLE}`)).rows[0]!)
    expect(await shown()).toEqual(['0'])
    await client.query(limit(IDLE, '60000'))
    await client.query('BEGIN')
    await client.query(take(0))
    expect(await shown()).toEqual(['1min'])
    await client.query(`SET LOCAL ${IDLE} = 5000`)
    expect(await shown()).toEqual(['5s'])
    await client.query('ROLLBACK')
    expect(await shown()).toEqual(['1min'])
  })
})

describe('transaction_timeout', () => {
  const set = limit('transaction_timeout', '1500ms')

  it('counts from BEGIN, whatever the shards; idle or busy: the session ends as in Postgres', async () => {
    await twinOnPlain()
    for (const work of [
      [take(0), take(1)],
      [take(0), slowTake(0, 0.5), slowTake(1, 5)],
      [take(0), take(1), slowTake(1, 5)],
      [],
    ]) {
      const seen = await asPostgres([set, 'BEGIN', ...work])
      expect(seen.at(-2)).toMatch(/FATAL.*25P04/)
    }
  })

  it('set within: counts from there; taken back to none: stops; shorter than the idle one: wins', async () => {
    await twinOnPlain()
    await asPostgres(['BEGIN', take(0), take(1), limit('transaction_timeout', '200ms')])
    await asPostgres([limit(IDLE, '30s'), limit('transaction_timeout', '2s'), 'BEGIN', take(0), take(1)])
    const client = await accounts.connect()
    await client.query(set)
    await client.query('BEGIN')
    await client.query(take(0))
    await client.query(take(1))
    await client.query('SET transaction_timeout = 0')
    await client.query(sleep(1, 1.8))
    expect(await codeOf(client.query('ROLLBACK'))).toBe('ok')
  })

  it('a write that commits by itself: the session ends as in Postgres, and nothing of it is there', async () => {
    await twinOnPlain()
    const short = limit('transaction_timeout', '700ms')
    const seen = await asPostgres([short, slowTake(0, 5)])
    expect(seen.at(-2)).toMatch(/FATAL.*25P04/)
    const before = await sum()
    const client = await accounts.connect()
    client.on('error', () => {})
    await client.query(short)
    const bound = `UPDATE account SET amount = amount + length(pg_sleep($1)::text) WHERE id = $2`
    expect(await codeOf(client.query(bound, [5, accounts.on(1)]))).toBe('25P04')
    await accounts.quiet()
    expect(await sum()).toBe(before)
  })

  it('a backend that dies under a write whose commit was not sent yet: it is known to be undone', async () => {
    const locker = await connectDirectly(1)
    await locker.query('BEGIN; LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE')
    const client = await accounts.connect()
    await client.query(limit('transaction_timeout', '1min'))
    const told = codeOf(client.query(take(1)))
    await lockWaiters(accounts, 1, 1)
    await accounts.direct(1, 'SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE NOT granted')
    expect(await told).toBe('57P01')
    await locker.end()
  })

  it('a failed transaction is over already', async () => {
    await twinOnPlain()
    const statements = [limit('transaction_timeout', '2s'), 'BEGIN', take(0), take(1), 'SELECT 1/0']
    for (const where of ['weft', 'plain'] as const) {
      const client = await connect(where)
      client.write(queryMessage(statements.join(';')))
      await client.until('ReadyForQuery')
      await query(accounts.cluster.plainUrl, 'SELECT pg_sleep(2.2)')
      client.write(queryMessage('ROLLBACK'))
      expect(
        (await client.until('ReadyForQuery')).map(({ text }) => text),
        where,
      ).toEqual(['CommandComplete ROLLBACK', 'ReadyForQuery I'])
    }
  })
})

describe('statement_timeout', () => {
  it('each step of a statement is shorter, the whole is not: 57014, undone on all shards', async () => {
    const before = await sum()
    const client = await accounts.connect()
    await client.query('BEGIN')
    await client.query(take(0))
    await client.query(limit('statement_timeout', '600ms'))
    // The key first, to know the shard; then the rest there.
    const steps = `INSERT INTO account VALUES (100000 + length(pg_sleep(0.4)::text), length(pg_sleep(0.4)::text))`
    await expect(client.query(steps)).rejects.toMatchObject({
      code: '57014',
      message: 'canceling statement due to statement timeout',
    })
    expect(await codeOf(client.query(take(0)))).toBe('25P02')
    await client.query('ROLLBACK')
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })
})
