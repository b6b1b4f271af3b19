import type pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  commitAll,
  count,
  RC,
  RR,
  read,
  readThese,
  run,
  SERIALIZABLE,
  set,
  threeOf,
} from '../helpers/account-steps.ts'
import { codeOf, useAccounts } from '../helpers/accounts.ts'

const SHARDS = 3
const accounts = useAccounts({ shards: SHARDS })
let a: pg.Client
let b: pg.Client
let c: pg.Client
/** Accounts on shards of their own, with 100 each when a test begins. */
let x: number
let y: number
let z: number

beforeEach(async () => {
  ;({ a, b, c, x, y, z } = await threeOf(accounts))
})

/** The first three accounts' amounts, by one statement over all shards. */
const readAll = (client: pg.Client): Promise<number[]> => readThese(client, [x, y, z])

/** Reads with each of the clients again and again while something happens; everything that was seen. */
async function seenDuring<T>(
  readers: readonly pg.Client[],
  readOnce: (client: pg.Client) => Promise<T>,
  work: () => Promise<unknown>,
): Promise<T[]> {
  const seen: T[] = []
  let isDone = false
  const reading = Promise.all(
    readers.map(async (client) => {
      while (!isDone) seen.push(await readOnce(client))
    }),
  )
  reading.catch(() => {})
  try {
    await work()
  } finally {
    isDone = true
  }
  await reading
  return seen
}

describe('what no level allows', () => {
  it.each([RC, RR, SERIALIZABLE])('%s: dirty read: nothing that was not committed is seen', async (begin) => {
    await run(a, 'BEGIN')
    await set(a, x, 1)
    await set(a, y, 1)
    await run(b, begin)
    expect(await readAll(b)).toEqual([100, 100, 100])
    expect(await count(b, 'amount = 1')).toBe(0)
    await run(a, 'ROLLBACK')
    expect(await readAll(b)).toEqual([100, 100, 100])
    await run(b, 'COMMIT')
  })

  it('a scatter read while a transaction is being committed over shards: all of it or nothing', async () => {
    const seen = await seenDuring([b], readAll, async () => {
      for (let i = 101; i < 250; i++) {
        await commitAll(a, [
          [x, i],
          [y, i],
          [z, i],
        ])
      }
    })
    expect(seen.filter((all) => new Set(all).size !== 1)).toEqual([])
  })

  it('effects in the order of causes: who wrote y after x was acknowledged is never seen without x', async () => {
    const seen = await seenDuring([b, c], readAll, async () => {
      for (let i = 101; i < 350; i++) {
        await set(a, x, i)
        await set(a, y, i)
      }
    })
    expect(seen.filter(([first, second]) => first! < second! || first! > second! + 1)).toEqual([])
  })

  it('a scatter read that begins after a commit was acknowledged sees it', async () => {
    for (let i = 101; i < 200; i++) {
      await (i % 2 === 0 ? set(a, y, i) : commitAll(a, [[x, i], [y, i]])) // biome-ignore format: one look
      expect((await readAll(b))[1]).toBe(i)
    }
  })
})

describe('long fork', () => {
  /** Two writers that know nothing of each other, and readers of both rows. */
  async function fork(readBoth: (client: pg.Client) => Promise<number[]>): Promise<number[][]> {
    const readers = [b, c, await accounts.connect(), await accounts.connect()]
    const writers = [a, await accounts.connect()]
    return seenDuring(readers, readBoth, () =>
      Promise.all(
        writers.map(async (client, i) => {
          for (let n = 101; n < 350; n++) await set(client, i === 0 ? x : y, n)
        }),
      ),
    )
  }

  /** Pairs of snapshots of which neither is the earlier one. */
  function forks(seen: readonly number[][]): string[] {
    const sorted = [...seen].sort((one, two) => one[0]! - two[0]! || one[1]! - two[1]!)
    return sorted.flatMap((one, i) => {
      const before = sorted[i - 1]
      return before !== undefined && before[1]! > one[1]! ? [`${before} and ${one}`] : []
    })
  }

  it('READ COMMITTED: scatter reads agree on the order of writes on different shards', async () => {
    const seen = await fork(readAll)
    expect(forks(seen)).toEqual([])
  })

  it.each([RR, SERIALIZABLE])('%s: transactions agree on it', async (begin) => {
    const seen = await fork(async (client) => {
      await client.query(`${begin} READ ONLY`)
      const first = await read(client, y)
      const both = [await read(client, x), await read(client, y)]
      await client.query('COMMIT')
      expect(both[1]).toBe(first)
      return both
    })
    expect(forks(seen)).toEqual([])
  })
})

describe('read skew, non-repeatable read, phantom', () => {
  it('READ COMMITTED: each statement sees what is committed by then', async () => {
    await run(b, RC)
    expect(await read(b, x)).toBe(100)
    expect(await count(b)).toBe(60)
    await commitAll(a, [
      [x, 1],
      [y, 1],
    ])
    await run(a, 'INSERT INTO account SELECT 1000 + i, 0 FROM generate_series(1, 30) i')
    expect(await readAll(b)).toEqual([1, 1, 100])
    expect(await count(b)).toBe(90)
    await run(b, 'COMMIT')
  })

  it.each([RR, SERIALIZABLE])(
    '%s: all as of the first statement, on shards not read before too',
    async (begin) => {
      await run(b, begin)
      expect(await read(b, x)).toBe(100)
      await commitAll(a, [
        [x, 1],
        [y, 1],
      ])
      await set(a, z, 2)
      expect(await read(b, x)).toBe(100)
      expect(await read(b, y)).toBe(100)
      expect(await readAll(b)).toEqual([100, 100, 100])
      await run(b, 'COMMIT')
      expect(await readAll(b)).toEqual([1, 1, 2])
    },
  )

  it.each([RR, SERIALIZABLE])('%s: phantoms: counts and rows stay the same', async (begin) => {
    await run(b, begin)
    expect(await count(b)).toBe(60)
    await run(a, 'INSERT INTO account SELECT 1000 + i, 0 FROM generate_series(1, 30) i')
    await run(a, `DELETE FROM account WHERE id = ${accounts.on(2, 5)}`)
    expect(await count(b)).toBe(60)
    expect(await count(b, 'id > 1000')).toBe(0)
    expect((await b.query('SELECT id FROM account')).rows).toHaveLength(60)
    await run(b, 'COMMIT')
    expect(await count(b)).toBe(89)
    await run(a, `INSERT INTO account VALUES (${accounts.on(2, 5)}, 100)`)
  })

  it('REPEATABLE READ: BEGIN alone takes no snapshot, the first statement does', async () => {
    await run(b, RR)
    await set(a, x, 1)
    expect(await readAll(b)).toEqual([1, 100, 100])
    await set(a, y, 1)
    expect(await readAll(b)).toEqual([1, 100, 100])
    await run(b, 'COMMIT')
  })

  it.each([RR, SERIALIZABLE])('%s: its own writes are seen, on every shard', async (begin) => {
    await run(b, begin)
    expect(await readAll(b)).toEqual([100, 100, 100])
    await set(b, y, 7)
    await run(b, 'INSERT INTO account SELECT 1000 + i, 0 FROM generate_series(1, 30) i')
    await set(a, z, 1)
    expect(await readAll(b)).toEqual([100, 7, 100])
    expect(await count(b)).toBe(90)
    await run(b, 'COMMIT')
    expect(await readAll(a)).toEqual([100, 7, 1])
  })

  it('REPEATABLE READ with a savepoint: what is rolled back is gone, the snapshot stays', async () => {
    await run(b, RR)
    expect(await read(b, x)).toBe(100)
    await run(b, 'SAVEPOINT s')
    await set(b, y, 7)
    await commitAll(a, [
      [x, 1],
      [z, 1],
    ])
    expect(await readAll(b)).toEqual([100, 7, 100])
    await run(b, 'ROLLBACK TO s')
    expect(await readAll(b)).toEqual([100, 100, 100])
    await run(b, 'COMMIT')
  })

  it('READ ONLY: a write is refused with 25006', async () => {
    await run(b, `${RR} READ ONLY`)
    expect(await readAll(b)).toEqual([100, 100, 100])
    expect(await codeOf(set(b, y, 1))).toBe('25006')
    await run(b, 'ROLLBACK')
  })
})

describe('lost update', () => {
  it('REPEATABLE READ: the second one to write a row is told 40001', async () => {
    await run(a, RR)
    await run(b, RR)
    const [one, two] = [await read(a, x), await read(b, x)]
    await set(a, x, one + 1)
    await set(a, y, 1)
    await run(a, 'COMMIT')
    expect(await codeOf(set(b, x, two + 1))).toBe('40001')
    await run(b, 'ROLLBACK')
    expect(await read(b, x)).toBe(101)
  })

  it('REPEATABLE READ: on a shard that it had not touched when its snapshot was taken', async () => {
    await run(b, RR)
    expect(await read(b, x)).toBe(100)
    await set(a, y, 1)
    expect(await codeOf(set(b, y, 2))).toBe('40001')
    await run(b, 'ROLLBACK')
    expect(await readAll(b)).toEqual([100, 1, 100])
  })

  it('REPEATABLE READ: who waits for a row gets 40001 when the other commits, the row when it does not', async () => {
    for (const end of ['COMMIT', 'ROLLBACK']) {
      await run(a, 'BEGIN')
      await set(a, x, 5)
      await set(a, y, 5)
      await run(b, RR)
      await count(b)
      const waits = codeOf(set(b, y, 6))
      await run(a, end)
      expect(await waits).toBe(end === 'COMMIT' ? '40001' : 'ok')
      await run(b, 'ROLLBACK')
    }
  })

  it('REPEATABLE READ: an update of all shards against one: 40001, nothing of it is left', async () => {
    await run(b, RR)
    expect(await count(b)).toBe(60)
    await set(a, z, 1)
    expect(await codeOf(b.query('UPDATE account SET amount = amount + 1'))).toBe('40001')
    await run(b, 'ROLLBACK')
    expect(await readAll(b)).toEqual([100, 100, 1])
  })

  it('READ COMMITTED: increments of many clients on two shards are all there', async () => {
    const clients = [a, b, c, await accounts.connect()]
    const work = clients.map(async (client) => {
      for (let i = 0; i < 25; i++) {
        await client.query('BEGIN')
        for (const id of [x, y]) await client.query(`UPDATE account SET amount = amount + 1 WHERE id = ${id}`)
        await client.query('COMMIT')
      }
    })
    await Promise.all(work)
    expect(await readAll(a)).toEqual([200, 200, 100])
  })
})

describe('levels of blocks', () => {
  it.each(['repeatable read', 'serializable'])(
    'default_transaction_isolation %s: holds over shards',
    async (level) => {
      await b.query(`SET default_transaction_isolation = '${level}'`)
      await run(b, 'BEGIN')
      expect((await b.query('SHOW transaction_isolation')).rows).toEqual([{ transaction_isolation: level }])
      expect(await read(b, x)).toBe(100)
      await set(a, y, 1)
      expect(await readAll(b)).toEqual([100, 100, 100])
      await run(b, 'COMMIT')
      expect(await readAll(b)).toEqual([100, 1, 100])
    },
  )

  it('SET SESSION CHARACTERISTICS and SET TRANSACTION: hold over shards', async () => {
    await b.query('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    for (const begin of ['BEGIN', 'START TRANSACTION']) {
      await run(b, begin)
      await read(b, x)
      await set(a, y, 1)
      expect((await readAll(b))[1]).toBe(100)
      await run(b, 'COMMIT')
      await set(a, y, 100)
    }
    await run(b, 'BEGIN')
    await run(b, 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
    await read(b, x)
    await set(a, y, 2)
    expect((await readAll(b))[1]).toBe(2)
    await run(b, 'COMMIT')
  })

  it('SET TRANSACTION ISOLATION LEVEL after a statement: 25001', async () => {
    await run(b, RR)
    await readAll(b)
    expect(await codeOf(b.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'))).toBe('25001')
    await run(b, 'ROLLBACK')
  })
})
