import type { Socket } from 'node:net'
import type pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { cancel, codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { accountsForTransfers, startTransfers } from '../helpers/bank.ts'
import { connectTo, query } from '../helpers/postgres.ts'

const accounts = useAccounts()
const clients: pg.Client[] = []

beforeAll(async () => {
  await query(
    accounts.cluster.weftUrl,
    'CREATE MATERIALIZED VIEW balance AS SELECT sum(amount)::int AS total, count(*)::int AS n FROM account',
  )
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()))
})

async function connect(): Promise<pg.Client> {
  const client = await connectTo(accounts.cluster.weftUrl)
  client.on('error', () => {})
  clients.push(client)
  return client
}

const one = async <T extends pg.QueryResultRow>(client: pg.Client, sql: string): Promise<T> =>
  (await client.query<T>(sql)).rows[0]!

const balance = (client: pg.Client) =>
  one<{ total: number; n: number }>(client, 'SELECT total, n FROM balance')

/** Tables of Weft's own, and what hangs on the table, as home has it. */
const left = () =>
  accounts.direct(
    0,
    `SELECT relname FROM pg_class WHERE relname LIKE 'weft\\_rows%'
     UNION ALL SELECT 'inherits' FROM pg_inherits WHERE inhparent = 'account'::regclass`,
  )

describe('transfers between shards', () => {
  const ways: readonly (readonly [string, (client: pg.Client) => Promise<unknown>])[] = [
    ['by itself', (client) => client.query('REFRESH MATERIALIZED VIEW balance')],
    ['CONCURRENTLY', (client) => client.query('REFRESH MATERIALIZED VIEW CONCURRENTLY balance')],
    [
      'in a READ COMMITTED block',
      async (client) => {
        await client.query('BEGIN')
        await client.query('SELECT count(*) FROM balance')
        await client.query('REFRESH MATERIALIZED VIEW balance')
        await client.query('COMMIT')
      },
    ],
    [
      'in a REPEATABLE READ block',
      async (client) => {
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
        await client.query('REFRESH MATERIALIZED VIEW balance')
        await client.query('COMMIT')
      },
    ],
    [
      'of another view, made anew',
      async (client) => {
        await client.query('CREATE MATERIALIZED VIEW other AS SELECT sum(amount)::int AS total FROM account')
        const { total } = await one<{ total: number }>(client, 'SELECT total FROM other')
        await client.query('DROP MATERIALIZED VIEW other')
        expect(total).toBe(6000)
      },
    ],
  ]

  it.each(ways)('leave the sum as it is: %s', async (_, refresh) => {
    const client = await connect()
    await client.query('CREATE UNIQUE INDEX IF NOT EXISTS balance_n ON balance (n)')
    const transfers = await startTransfers(accounts.cluster.weftUrl, {
      ids: accountsForTransfers(accounts, 3, 20),
      clients: 4,
    })
    try {
      for (let i = 0; i < 5; i++) {
        const before = transfers.committed
        await refresh(client)
        expect(await balance(client)).toEqual({ total: 6000, n: 60 })
        while (transfers.committed === before) await client.query('SELECT 1')
      }
    } finally {
      await transfers.stop()
    }
    expect(await left()).toEqual([])
  })
})

describe('two at once', () => {
  it('come one after the other, each with what was committed before it began', async () => {
    const [a, b] = [await connect(), await connect()]
    for (let i = 0; i < 5; i++) {
      await a.query('INSERT INTO account VALUES ($1, 0)', [10_000 + i])
      await Promise.all([a, b].map((client) => client.query('REFRESH MATERIALIZED VIEW balance')))
      expect((await balance(a)).n).toBe(61 + i)
    }
    await a.query('DELETE FROM account WHERE id >= 10000')
    await a.query('REFRESH MATERIALIZED VIEW balance')
  })

  it('the later one wins, though the earlier one waited', async () => {
    const [first, second, writer] = [await connect(), await connect(), await connect()]
    const holder = await holdShard(2)
    const running = first.query('REFRESH MATERIALIZED VIEW balance')
    await lockWaiters(accounts, 2, 1)
    await writer.query('UPDATE account SET amount = amount + 5 WHERE id = $1', [accounts.on(1)])
    const next = second.query('REFRESH MATERIALIZED VIEW balance')
    await lockWaiters(accounts, 0, 1)
    await holder.query('COMMIT')
    await Promise.all([running, next])
    expect((await balance(first)).total).toBe(6005)
    await writer.query('UPDATE account SET amount = amount - 5 WHERE id = $1', [accounts.on(1)])
    await writer.query('REFRESH MATERIALIZED VIEW balance')
  })
})

/** Nobody can read the table's rows of a shard until the answer ends its transaction. */
async function holdShard(shard: number): Promise<pg.Client> {
  const holder = await connectTo(accounts.cluster.weft.shards[shard]!.url)
  clients.push(holder)
  await holder.query('BEGIN; LOCK TABLE account IN ACCESS EXCLUSIVE MODE')
  return holder
}

describe('while one runs', () => {
  it('others read and write the table', async () => {
    const [client, other] = [await connect(), await connect()]
    const holder = await holdShard(2)
    const running = client.query('REFRESH MATERIALIZED VIEW balance')
    await lockWaiters(accounts, 2, 1)
    const id = accounts.on(0)
    await other.query(`UPDATE account SET amount = amount WHERE id = ${id}`)
    expect((await other.query(`SELECT id FROM account WHERE id = ${id}`)).rows).toEqual([{ id }])
    expect(await balance(other)).toEqual({ total: 6000, n: 60 })
    // What is lent is there, and nobody sees it.
    expect(await left()).toEqual([])
    expect(await accounts.direct(0, 'SELECT count(*)::int AS n FROM account')).toEqual([{ n: 20 }])
    await holder.query('COMMIT')
    await running
  })
})

interface Inside {
  readonly connection: { readonly stream: Socket }
}

/** Of the backends in the midst of it, whose transactions have written on home. */
const pidsAt = async (shard: number) =>
  accounts.direct<{ pid: number }>(
    shard,
    `SELECT DISTINCT pid FROM pg_locks WHERE relation = 'account'::regclass AND pid <> pg_backend_pid()
       AND mode IN (${shard === 0 ? "'ShareUpdateExclusiveLock'" : "'AccessShareLock'"})`,
  )

/** After a crash it recovers first. */
async function isUp(): Promise<void> {
  while ((await codeOf(accounts.direct(0, 'SELECT 1'))) !== 'ok');
  while ((await codeOf(query(accounts.cluster.weftUrl, 'SELECT count(*) FROM account'))) !== 'ok');
  // The log is used again when the coordinator has registered anew: a commit over several shards needs it.
  while ((await codeOf(query(accounts.cluster.weftUrl, 'UPDATE account SET amount = amount'))) !== 'ok');
}

describe('what comes to an end in the midst leaves nothing', () => {
  const ends: readonly (readonly [string, (client: pg.Client) => Promise<unknown>])[] = [
    ['a cancel request', (client) => cancel(accounts, client)],
    [
      'a client that hangs up',
      async (client) => void (client as unknown as Inside).connection.stream.destroy(),
    ],
    [
      'a backend of home that is ended',
      async () => {
        for (const { pid } of await pidsAt(0)) await accounts.direct(0, `SELECT pg_terminate_backend(${pid})`)
      },
    ],
    [
      'a backend of another shard that is ended',
      async () => {
        for (const { pid } of await pidsAt(2)) await accounts.direct(2, `SELECT pg_terminate_backend(${pid})`)
      },
    ],
    [
      'a crash of home',
      async () => {
        for (const { pid } of await pidsAt(0)) process.kill(pid, 'SIGKILL')
      },
    ],
  ]

  it.each(ends)('%s', async (_, end) => {
    for (const sql of [
      'REFRESH MATERIALIZED VIEW balance',
      'CREATE MATERIALIZED VIEW mine AS TABLE account',
    ]) {
      const client = await connect()
      const holder = await holdShard(2)
      const running = codeOf(client.query(sql))
      await lockWaiters(accounts, 2, 1)
      await end(client)
      await holder.query('COMMIT')
      expect(await running).not.toBe('ok')
      await isUp()
      await accounts.quiet()
      expect(await left()).toEqual([])
      const after = await connect()
      expect(await one(after, "SELECT to_regclass('mine')::text AS mine")).toEqual({ mine: null })
      expect(await balance(after)).toEqual({ total: 6000, n: 60 })
      await after.query('REFRESH MATERIALIZED VIEW balance')
      expect(await balance(after)).toEqual({ total: 6000, n: 60 })
    }
  })
})

describe('rights', () => {
  const as = (role: string) => `SET ROLE ${role}`

  it('are those of the owner of the view, who owns the table too', async () => {
    const client = await connect()
    for (const sql of [
      'CREATE ROLE keeper; CREATE ROLE stranger; CREATE ROLE deputy IN ROLE keeper',
      'CREATE SCHEMA kept AUTHORIZATION keeper; GRANT USAGE ON SCHEMA kept TO PUBLIC',
      as('keeper'),
      'CREATE TABLE kept.part (id int PRIMARY KEY, v int CHECK (v > 0))',
      "SELECT create_distributed_table('kept.part', 'id')",
      'INSERT INTO kept.part SELECT g, g FROM generate_series(1, 30) g',
      'CREATE MATERIALIZED VIEW kept.sum AS SELECT sum(v)::int AS v FROM kept.part',
      as('deputy'),
      'REFRESH MATERIALIZED VIEW kept.sum',
    ]) {
      for (const each of sql.split('; ')) await client.query(each)
    }
    await client.query(as('stranger'))
    expect(await codeOf(client.query('REFRESH MATERIALIZED VIEW kept.sum'))).toBe('42501')
    await client.query('RESET ROLE')
    await client.query('GRANT SELECT ON kept.part TO stranger')
    await client.query('CREATE SCHEMA strange AUTHORIZATION stranger')
    await client.query(as('stranger'))
    const refused = client.query('CREATE MATERIALIZED VIEW strange.sum AS SELECT sum(v) FROM kept.part')
    await expect(refused).rejects.toMatchObject({ code: '0A000', routine: 'materialized_view' })
    await client.query('RESET ROLE')
    await client.query('REFRESH MATERIALIZED VIEW kept.sum')
    expect(await one(client, 'SELECT v FROM kept.sum')).toEqual({ v: 465 })
  })

  it('constraints with code of others are not run', async () => {
    const client = await connect()
    for (const sql of [
      as('keeper'),
      "CREATE FUNCTION kept.fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'",
      'ALTER TABLE kept.part ADD CHECK (kept.fine(v))',
      'REFRESH MATERIALIZED VIEW kept.sum',
      'RESET ROLE',
    ]) {
      await client.query(sql)
    }
    const refused = client.query('REFRESH MATERIALIZED VIEW kept.sum')
    await expect(refused).rejects.toMatchObject({ code: '0A000', routine: 'materialized_view' })
  })

  it('policies that apply to the role would leave out rows', async () => {
    const client = await connect()
    for (const sql of [
      as('keeper'),
      'ALTER TABLE kept.part ENABLE ROW LEVEL SECURITY',
      'CREATE POLICY lower_part ON kept.part USING (id < 5)',
      'REFRESH MATERIALIZED VIEW kept.sum',
      'ALTER TABLE kept.part FORCE ROW LEVEL SECURITY',
    ]) {
      await client.query(sql)
    }
    expect(await one(client, 'SELECT v FROM kept.sum')).toEqual({ v: 465 })
    const refused = client.query('REFRESH MATERIALIZED VIEW kept.sum')
    await expect(refused).rejects.toMatchObject({ code: '0A000', routine: 'materialized_view' })
  })
})
