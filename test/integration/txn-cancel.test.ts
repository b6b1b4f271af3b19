import type { Socket } from 'node:net'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { cancel, codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'

/** Five connections for clients on a shard; the home shard, which also keeps the log, leaves transactions one. */
const accounts = useAccounts({ poolSize: 8 })
const TICKETS = 1
const CONNECTIONS = 5
const SLOW_AMOUNT = 777
const SLOW_LOCK = 4711

/** The commit of an update to SLOW_AMOUNT on shard 1 waits for an advisory lock. */
beforeAll(async () => {
  await accounts.direct(
    1,
    `CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
       $$BEGIN PERFORM pg_advisory_xact_lock(${SLOW_LOCK}); RETURN NULL; END$$;
     CREATE CONSTRAINT TRIGGER wait_at_commit AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW WHEN (NEW.amount = ${SLOW_AMOUNT}) EXECUTE FUNCTION wait_at_commit()`,
  )
})

const holders: pg.Client[] = []
afterEach(async () => {
  await Promise.all(holders.splice(0).map((holder) => holder.end()))
})

/** Holds, on shard 1 itself, the lock that slow commits wait for. */
async function holdCommits(): Promise<void> {
  const holder = new pg.Client({ connectionString: accounts.cluster.weft.shards[1]!.url })
  await holder.connect()
  holders.push(holder)
  await holder.query(`SELECT pg_advisory_lock(${SLOW_LOCK})`)
}

interface Inside {
  readonly connection: { readonly stream: Socket }
}

function hangUp(client: pg.Client): void {
  const { connection } = client as unknown as Inside
  connection.stream.destroy()
}

function set(client: pg.Client, shard: number, amount: number): Promise<unknown> {
  return client.query(`UPDATE account SET amount = ${amount} WHERE id = ${accounts.on(shard)}`)
}

async function sum(): Promise<number> {
  const client = await accounts.connect()
  const { rows } = await client.query<{ n: string }>('SELECT sum(amount) AS n FROM account')
  await client.end()
  return Number(rows[0]!.n)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** Resolves once a statement with this text runs on the shard. */
function running(shard: number, text: string): Promise<void> {
  return until(async () => {
    const rows = await accounts.direct(
      shard,
      `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%${text}%'`,
    )
    return rows.length > 0
  })
}

/** What a session is in the midst of: `work` is the statement under way, `code` its answer when it is cancelled. */
interface State {
  readonly client: pg.Client
  readonly work: Promise<string>
}

type Enter = () => Promise<State>

const states: Record<string, Enter> = {
  'a read of all shards': async () => {
    const client = await accounts.connect()
    const work = codeOf(client.query('SELECT id FROM account WHERE pg_sleep(20) IS NOT NULL'))
    for (const shard of [0, 1, 2]) await running(shard, 'pg_sleep(20)')
    return { client, work }
  },
  'a write on all shards': async () => {
    const client = await accounts.connect()
    const work = codeOf(client.query('UPDATE account SET amount = 1 WHERE pg_sleep(20) IS NOT NULL'))
    for (const shard of [0, 1, 2]) await running(shard, 'pg_sleep(20)')
    return { client, work }
  },
  'a statement on one shard of a transaction on two': async () => {
    const client = await accounts.connect()
    await client.query('BEGIN')
    await set(client, 0, 1)
    const work = codeOf(client.query(`SELECT pg_sleep(20) FROM account WHERE id = ${accounts.on(1)}`))
    await running(1, 'pg_sleep(20)')
    return { client, work }
  },
  'COMMIT, while a shard prepares': async () => {
    await holdCommits()
    const client = await accounts.connect()
    await client.query('BEGIN')
    await set(client, 0, 1)
    await set(client, 1, SLOW_AMOUNT)
    const work = codeOf(client.query('COMMIT'))
    await lockWaiters(accounts, 1, 1)
    return { client, work }
  },
  'a statement of its own over two shards, while a shard prepares': async () => {
    await holdCommits()
    const client = await accounts.connect()
    const ids = [0, 1].map((shard) => accounts.on(shard))
    const work = codeOf(client.query(`UPDATE account SET amount = ${SLOW_AMOUNT} WHERE id IN (${ids})`))
    await lockWaiters(accounts, 1, 1)
    return { client, work }
  },
  'waiting for a connection': async () => {
    for (let i = 0; i < CONNECTIONS; i++) {
      const busy = await accounts.connect()
      busy.query(`SELECT pg_sleep(60) FROM account WHERE id = ${accounts.on(2)}`).catch(() => {})
    }
    const client = await accounts.connect()
    const work = codeOf(client.query(`SELECT amount FROM account WHERE id = ${accounts.on(2)}`))
    await until(async () => (await accounts.status()).shards[2]!.waiting > 0)
    return { client, work }
  },
  'waiting for its turn among transactions': async () => {
    for (let i = 0; i < TICKETS; i++) {
      const busy = await accounts.connect()
      await busy.query('BEGIN')
      await set(busy, 2, 100)
        .then(() => busy.query('ROLLBACK; BEGIN'))
        .then(() => busy.query(`SELECT 1 FROM account WHERE id = ${accounts.on(2)}`))
    }
    const client = await accounts.connect()
    await client.query('BEGIN')
    const work = codeOf(set(client, 0, 1))
    await until(async () => (await accounts.status()).waitingTransactions > 0)
    return { client, work }
  },
}

describe('cancel requests', () => {
  for (const [name, enter] of Object.entries(states)) {
    it(`${name}: 57014, nothing done, and the session goes on`, async () => {
      const before = await sum()
      const { client, work } = await enter()
      await cancel(accounts, client)
      expect(await work).toBe('57014')
      await client.query('ROLLBACK')
      await endOthers(client)
      expect(await codeOf(client.query('SELECT count(*) FROM account'))).toBe('ok')
      expect(await sum()).toBe(before)
      await accounts.quiet()
    })
  }

  it('in an idle transaction, and again and again while it works: what was not hit is not harmed', async () => {
    const client = await accounts.connect()
    for (let i = 0; i < 20; i++) {
      await client.query('BEGIN')
      await set(client, 0, 100)
      await set(client, 1, 100)
      const cancelled = cancel(accounts, client)
      expect(['ok', '57014']).toContain(await codeOf(client.query('COMMIT')))
      await cancelled
      expect(['ok', '57014']).toContain(await codeOf(client.query('SELECT 1')))
      await client.query('ROLLBACK')
    }
    await accounts.quiet()
  })
})

describe('a client that vanishes', () => {
  for (const [name, enter] of Object.entries(states)) {
    it(`during ${name}: nothing is left`, async () => {
      const before = await sum()
      const { client } = await enter()
      hangUp(client)
      if (name.includes('prepares')) return afterCommit(before)
      await endOthers(client)
      await accounts.quiet()
      expect(await sum()).toBe(before)
    })
  }

  it('in an idle transaction on three shards: rolled back everywhere at once', async () => {
    const before = await sum()
    const client = await accounts.connect()
    await client.query('BEGIN')
    for (const shard of [0, 1, 2]) await set(client, shard, 5)
    hangUp(client)
    await accounts.quiet()
    expect(await sum()).toBe(before)
  })

  it('in a failed transaction: rolled back everywhere at once', async () => {
    const client = await accounts.connect()
    await client.query('BEGIN')
    for (const shard of [0, 1, 2]) await set(client, shard, 5)
    expect(await codeOf(client.query('SELECT 1/0'))).toBe('22012')
    hangUp(client)
    await accounts.quiet()
  })

  it('in the midst of COPY FROM STDIN over shards: nothing is left', async () => {
    const before = await sum()
    const client = await accounts.connect()
    client.query('COPY account FROM STDIN').catch(() => {})
    await until(async () => (await accounts.status()).openTransactions > 0)
    hangUp(client)
    await accounts.quiet()
    expect(await sum()).toBe(before)
  })

  it('while it does not read its rows: nothing is left', async () => {
    const client = await accounts.connect()
    const { connection } = client as unknown as Inside
    connection.stream.pause()
    client.query(`SELECT repeat('x', 100000) FROM account, generate_series(1, 100)`).catch(() => {})
    await running(0, 'generate_series(1, 100)')
    hangUp(client)
    await accounts.quiet()
  })
})

/** Those that keep connections and turns from the session of interest. */
async function endOthers(client: pg.Client): Promise<void> {
  await accounts.endAllBut(client)
}

/** As in Postgres, a commit that has begun goes on without its client: it comes to one end or the other. */
async function afterCommit(before: number): Promise<void> {
  await Promise.all(holders.splice(0).map((holder) => holder.end()))
  await accounts.quiet()
  const client = await accounts.connect()
  const ids = [0, 1].map((shard) => accounts.on(shard))
  const { rows } = await client.query<{ id: number; amount: number }>(
    `SELECT id, amount FROM account WHERE id IN (${ids})`,
  )
  const changed = ids.map((id) => rows.find((row) => row.id === id)!.amount !== 100)
  expect(changed[0]).toBe(changed[1])
  await client.query('UPDATE account SET amount = 100')
  expect(await sum()).toBe(before)
}
