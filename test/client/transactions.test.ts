/** Transactions, savepoints, snapshots and what is tried again, on a plain Postgres and through Weft. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  Canceled,
  Closed,
  type Db,
  DeadlockDetected,
  OutcomeUnknown,
  type RetryEvent,
  RolledBack,
  SerializationFailure,
  sql,
  type Transaction,
  UniqueViolation,
  weft,
} from '../../client/index.ts'
import { servers, useServers } from './servers.ts'

const cluster = useServers()

describe.each(servers)('on %s', (server) => {
  let db: Db
  beforeAll(async () => {
    db = weft({ urls: cluster.url(server), poolMax: 8 })
    await cluster.create(server, 'CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)', 'id')
  })
  beforeEach(async () => {
    await db.query(sql`DELETE FROM accounts`)
    const ids = Array.from({ length: 20 }, (_, i) => [i + 1, 100])
    await db.query(sql`INSERT INTO accounts VALUES ${sql.rows(ids)}`)
  })
  afterAll(() => db.close())

  const balance = async (id: number): Promise<number> =>
    (await db.one(sql<{ balance: number }>`SELECT balance FROM accounts WHERE id = ${id}`)).balance
  const add = (tx: Transaction, id: number, amount: number): Promise<unknown> =>
    tx.query(sql`UPDATE accounts SET balance = balance + ${amount} WHERE id = ${id}`)
  const sumOf = (rows: readonly { balance: number }[]): number =>
    rows.reduce((sum, row) => sum + row.balance, 0)

  test('what it did is there when it returns, and gone when it throws', async () => {
    const moved = await db.transaction(async (tx) => {
      await add(tx, 1, -5)
      await add(tx, 2, 5)
      return 'moved'
    })
    expect([moved, await balance(1), await balance(2)]).toEqual(['moved', 95, 105])
    const failed = db.transaction(async (tx) => {
      await add(tx, 1, -5)
      throw new RangeError('no')
    })
    await expect(failed).rejects.toThrow(RangeError)
    expect(await balance(1)).toBe(95)
    expect(db.load).toEqual({ used: 0, waiting: 0 })
  })

  test('its modes are those that were asked for', async () => {
    const shown = sql`SELECT current_setting('transaction_isolation') AS i, current_setting('transaction_read_only') AS r`
    const show = (tx: Transaction): Promise<unknown> => tx.one(shown)
    expect(await db.transaction(show)).toEqual({ i: 'read committed', r: 'off' })
    const serializable = { isolation: 'serializable', readOnly: true } as const
    expect(await db.transaction(serializable, show)).toEqual({ i: 'serializable', r: 'on' })
    expect(await db.snapshot((s) => s.one(shown))).toEqual({ i: 'repeatable read', r: 'on' })
    const write = db.transaction({ readOnly: true }, (tx) => add(tx, 1, 1))
    await expect(write).rejects.toMatchObject({ sqlstate: '25006' })
    const odd = { isolation: 'READ COMMITTED; DROP TABLE accounts' as 'serializable' }
    expect(() => db.transaction(odd, show)).toThrow(TypeError)
  })

  test('a statement that failed, and whose error was swallowed, rolls it back', async () => {
    const swallowed = db.transaction(async (tx) => {
      await add(tx, 1, -5)
      await tx.query(sql`INSERT INTO accounts VALUES (${1}, ${1})`).catch(() => undefined)
    })
    const error = await swallowed.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(RolledBack)
    expect((error as Error).cause).toBeInstanceOf(UniqueViolation)
    expect(await balance(1)).toBe(100)
  })

  test('a transaction that is over takes no more statements', async () => {
    let kept: Transaction | undefined
    await db.transaction(async (tx) => {
      kept = tx
    })
    await expect(kept!.query(sql`SELECT 1`)).rejects.toThrow(Closed)
    await expect(kept!.stream(sql`SELECT 1`).next()).rejects.toThrow(Closed)
  })

  test('transfers that conflict are all done, once each', async () => {
    const retried: RetryEvent[] = []
    const options = {
      isolation: 'serializable',
      retries: 50,
      onRetry: (event: RetryEvent) => retried.push(event),
    } as const
    const transfer = (from: number, to: number): Promise<void> =>
      db.transaction(options, async (tx) => {
        const { balance: had } = await tx.one(
          sql<{ balance: number }>`SELECT balance FROM accounts WHERE id = ${from}`,
        )
        await tx.query(sql`UPDATE accounts SET balance = ${had - 1} WHERE id = ${from}`)
        await add(tx, to, 1)
      })
    await Promise.all(Array.from({ length: 24 }, (_, i) => transfer((i % 3) + 1, ((i + 1) % 3) + 1)))
    expect([await balance(1), await balance(2), await balance(3)]).toEqual([100, 100, 100])
    expect(retried.length).toBeGreaterThan(0)
    const classes = new Set(retried.map(({ error }) => (error as Error).constructor))
    for (const one of classes) expect([SerializationFailure, DeadlockDetected]).toContain(one)
  })

  test('a deadlock is run again', async () => {
    let meet: () => void = () => undefined
    const met = new Promise<void>((resolve) => {
      meet = resolve
    })
    let arrived = 0
    const both = (first: number, second: number): Promise<void> =>
      db.transaction(async (tx) => {
        await add(tx, first, 1)
        if (++arrived === 2) meet()
        await met
        await add(tx, second, 1)
      })
    await Promise.all([both(4, 5), both(5, 4)])
    expect([await balance(4), await balance(5), arrived]).toEqual([102, 102, 3])
  })

  test('without retries the conflict is told', async () => {
    const conflict = db.transaction({ isolation: 'repeatable read', retries: 0 }, async (tx) => {
      await tx.one(sql`SELECT count(*) AS n FROM accounts`)
      await db.query(sql`UPDATE accounts SET balance = 0 WHERE id = ${7}`)
      await add(tx, 7, 1)
    })
    await expect(conflict).rejects.toThrow(SerializationFailure)
  })

  test('a conflict that the work has hidden in an error of its own is tried again', async () => {
    let tries = 0
    await db.transaction({ isolation: 'repeatable read' }, async (tx) => {
      await tx.one(sql`SELECT count(*) AS n FROM accounts`)
      if (++tries === 1) await db.query(sql`UPDATE accounts SET balance = 0 WHERE id = ${7}`)
      await add(tx, 7, 1).catch(() => {
        throw new Error('something went wrong')
      })
    })
    expect([tries, await balance(7)]).toEqual([2, 1])
  })

  test('savepoints undo what is in them, and nest', async () => {
    await db.transaction(async (tx) => {
      await add(tx, 1, 1)
      const lost = tx.savepoint(async (inner) => {
        await add(inner, 1, 10)
        await inner.savepoint((deep) => add(deep, 2, 7))
        await inner.query(sql`INSERT INTO accounts VALUES (${1}, ${1})`)
      })
      await expect(lost).rejects.toThrow(UniqueViolation)
      await tx.savepoint((inner) => add(inner, 3, 3))
      const thrown = tx.savepoint(async (inner) => {
        await add(inner, 3, 3)
        throw new RangeError('mine')
      })
      await expect(thrown).rejects.toThrow(RangeError)
    })
    expect([await balance(1), await balance(2), await balance(3)]).toEqual([101, 100, 103])
  })

  test('a snapshot sees one state while others write', async () => {
    let stop = false
    const writer = (async () => {
      for (let i = 0; !stop; i++) {
        await db.transaction(async (tx) => {
          await add(tx, (i % 10) + 1, -1)
          await add(tx, 20 - (i % 10), 1)
        })
      }
    })()
    for (let i = 0; i < 20; i++) {
      const [low, high] = await db.snapshot(async (s) => {
        const part = (from: number, to: number): Promise<{ balance: number }[]> =>
          s.many(sql<{ balance: number }>`SELECT balance FROM accounts WHERE id BETWEEN ${from} AND ${to}`)
        return [await part(1, 10), await part(11, 20)]
      })
      expect(sumOf(low!) + sumOf(high!)).toBe(2000)
    }
    stop = true
    await writer
  })

  test('a signal ends it, also while it waits for a lock, and nothing is kept', async () => {
    const stop = new AbortController()
    await db.transaction(async (holder) => {
      await add(holder, 9, 1)
      const waits = db.transaction({ signal: stop.signal }, async (tx) => {
        await add(tx, 10, 1)
        await add(tx, 9, 1)
      })
      const error = waits.catch((reason: unknown) => reason)
      await cluster.expectBusy(server, 'UPDATE accounts')
      stop.abort()
      expect(await error).toBeInstanceOf(Canceled)
    })
    expect([await balance(9), await balance(10)]).toEqual([101, 100])
  })

  test('a connection lost before COMMIT: run again, on a new one', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft(url)
    let tries = 0
    await far.transaction(async (tx) => {
      await add(tx, 11, 1)
      if (++tries === 1) proxy.cut()
      await add(tx, 12, 1)
    })
    expect([tries, await balance(11), await balance(12)]).toEqual([2, 101, 101])
    await far.close()
  })

  test('a connection lost during COMMIT: told, and never run again', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft(url)
    let tries = 0
    const lost = far.transaction(async (tx) => {
      tries += 1
      await add(tx, 13, 1)
      await add(tx, 14, 1)
      // The COMMIT gets through, its answer does not.
      proxy.block('to-client')
    })
    const error = lost.catch((reason: unknown) => reason)
    await expect.poll(() => balance(13)).toBe(101)
    proxy.cut()
    expect(await error).toBeInstanceOf(OutcomeUnknown)
    expect([tries, await balance(13), await balance(14)]).toEqual([1, 101, 101])
    await far.close()
  })

  test('a COMMIT that is not answered in time: its outcome is unknown', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft({ urls: url, cancelGraceMs: 100 })
    const late = far.transaction({ timeoutMs: 500 }, async (tx) => {
      await add(tx, 15, 1)
      proxy.block('to-client')
    })
    await expect(late).rejects.toThrow(OutcomeUnknown)
    proxy.heal()
    await far.close()
  })

  test('a snapshot whose connection is lost is taken again, even at its end', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft(url)
    let tries = 0
    const count = await far.snapshot(async (s) => {
      const row = await s.one(sql<{ n: number }>`SELECT count(*)::int AS n FROM accounts`)
      if (++tries === 1) proxy.cut()
      return row.n
    })
    expect([tries, count]).toEqual([2, 20])
    await far.close()
  })
})
