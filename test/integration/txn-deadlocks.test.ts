import type pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { codeOf, lockWaiters, rowTaken, useAccounts } from '../helpers/accounts.ts'

const accounts = useAccounts()

function take(client: pg.Client, id: number): Promise<unknown> {
  return client.query(`UPDATE account SET amount = amount + 1 WHERE id = ${id}`)
}

function takeBound(client: pg.Client, id: number): Promise<unknown> {
  return client.query('UPDATE account SET amount = amount + 1 WHERE id = $1', [id])
}

interface Ended {
  readonly code: string
  readonly error: pg.DatabaseError | undefined
}

/** Every client takes its first account, then all take their second at the same time; each commits when it can. */
async function circle(
  firsts: readonly number[],
  seconds: readonly number[],
  how = take,
): Promise<readonly Ended[]> {
  const clients: pg.Client[] = []
  for (const id of firsts) {
    const client = await accounts.connect()
    clients.push(client)
    await client.query('BEGIN')
    await how(client, id)
  }
  return Promise.all(
    clients.map(async (client, i) => {
      try {
        await how(client, seconds[i]!)
        await client.query('COMMIT')
        return { code: 'ok', error: undefined }
      } catch (error) {
        await client.query('ROLLBACK')
        return { code: (error as pg.DatabaseError).code!, error: error as pg.DatabaseError }
      }
    }),
  )
}

const codes = (ends: readonly Ended[]): string[] => ends.map((end) => end.code).sort()

describe('deadlocks over shards', () => {
  it('two transactions in opposite order: the younger is told 40P01 as by Postgres, the other commits', async () => {
    const [a, b] = [accounts.on(0), accounts.on(1)]
    const ends = await circle([a, b], [b, a])
    expect(ends.map((end) => end.code)).toEqual(['ok', '40P01'])
    const { error } = ends[1]!
    expect(error).toMatchObject({
      message: 'deadlock detected',
      severity: 'ERROR',
      hint: 'See server log for query details.',
    })
    const wait =
      /^Process \d+ waits for ShareLock on transaction \d+ of shard [01]; blocked by process \d+\.$/
    const lines = error!.detail!.split('\n')
    expect(lines.slice(0, 2)).toEqual([expect.stringMatching(wait), expect.stringMatching(wait)])
    expect(lines.slice(2)).toEqual([
      expect.stringMatching(new RegExp(`^Process \\d+: UPDATE account .* WHERE id = ${a}$`)),
      expect.stringMatching(new RegExp(`^Process \\d+: UPDATE account .* WHERE id = ${b}$`)),
    ])
    await accounts.quiet()
  })

  it('with bound parameters: the same', async () => {
    const [a, b] = [accounts.on(0), accounts.on(1)]
    expect(codes(await circle([a, b], [b, a], takeBound))).toEqual(['40P01', 'ok'])
  })

  it('three transactions over three shards: one victim, two commit', async () => {
    const ids = [0, 1, 2].map((shard) => accounts.on(shard))
    const ends = await circle(ids, [ids[1]!, ids[2]!, ids[0]!])
    expect(ends.map((end) => end.code)).toEqual(['ok', 'ok', '40P01'])
  })

  it('two deadlocks at the same time: a victim for each', async () => {
    const [a, b, c, d] = [accounts.on(0), accounts.on(1), accounts.on(0, 1), accounts.on(2)]
    const ends = await circle([a, b, c, d], [b, a, d, c])
    expect(ends.map((end) => end.code)).toEqual(['ok', '40P01', 'ok', '40P01'])
  })

  it('on one shard only: Postgres breaks it', async () => {
    const [a, b] = [accounts.on(1), accounts.on(1, 1)]
    const before = (await accounts.status()).deadlockVictims
    const ends = await circle([a, b], [b, a])
    expect(codes(ends)).toEqual(['40P01', 'ok'])
    expect((await accounts.status()).deadlockVictims).toBe(before)
  })

  it('statements over all shards in transactions of their own: one victim, its transaction is gone everywhere', async () => {
    const [one, two] = [await accounts.connect(), await accounts.connect()]
    await one.query('BEGIN')
    await take(one, accounts.on(0))
    const all = codeOf(two.query('UPDATE account SET amount = -1'))
    await lockWaiters(accounts, 0, 1)
    await rowTaken(accounts, 2, accounts.on(2))
    expect(await codeOf(take(one, accounts.on(2)))).toBe('ok')
    expect(await all).toBe('40P01')
    await one.query('ROLLBACK')
    const { rows } = await one.query('SELECT count(*)::int AS n FROM account WHERE amount = -1')
    expect(rows).toEqual([{ n: 0 }])
    await accounts.quiet()
  })

  it('the victim had a savepoint: ROLLBACK TO works, and it goes on', async () => {
    const [a, b] = [accounts.on(0, 2), accounts.on(1, 2)]
    const [one, two] = [await accounts.connect(), await accounts.connect()]
    await one.query('BEGIN')
    await take(one, a)
    await two.query('BEGIN')
    await take(two, accounts.on(2, 2))
    await two.query('SAVEPOINT s')
    await take(two, b)
    const first = codeOf(take(one, b))
    expect(await codeOf(take(two, a))).toBe('40P01')
    expect(await codeOf(two.query('SELECT 1'))).toBe('25P02')
    await two.query('ROLLBACK TO s')
    expect(await first).toBe('ok')
    await one.query('COMMIT')
    await take(two, a)
    await two.query('COMMIT')
    await accounts.quiet()
  })

  it('a long wait that is no deadlock: nobody is told anything', async () => {
    const [one, two] = [await accounts.connect(), await accounts.connect()]
    const before = (await accounts.status()).deadlockVictims
    await one.query('BEGIN')
    await take(one, accounts.on(0))
    await two.query('BEGIN')
    await take(two, accounts.on(1))
    const waits = codeOf(take(two, accounts.on(0)))
    await one.query('SELECT pg_sleep(1.5)')
    await one.query('COMMIT')
    expect(await waits).toBe('ok')
    await two.query('COMMIT')
    expect((await accounts.status()).deadlockVictims).toBe(before)
  })

  describe('with a transaction that is being committed', () => {
    const SLOW = 777
    /** An update to SLOW on shard 1 needs, when it commits, the lock of another row there. */
    beforeAll(async () => {
      await accounts.direct(
        1,
        `CREATE FUNCTION lock_another() RETURNS trigger LANGUAGE plpgsql AS
           $$BEGIN PERFORM 1 FROM account WHERE id = ${accounts.on(1, 5)} FOR UPDATE; RETURN NULL; END$$;
         CREATE CONSTRAINT TRIGGER lock_another AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW WHEN (NEW.amount = ${SLOW}) EXECUTE FUNCTION lock_another()`,
      )
    })

    async function change(client: pg.Client): Promise<void> {
      await client.query('BEGIN')
      await take(client, accounts.on(0))
      await client.query(`UPDATE account SET amount = ${SLOW} WHERE id = ${accounts.on(1)}`)
    }

    async function holdAnother(client: pg.Client): Promise<void> {
      await client.query('BEGIN')
      await take(client, accounts.on(1, 5))
    }

    /** One shard has prepared and holds its row, the other waits in PREPARE for what `holder` has. */
    async function collide(committer: pg.Client, holder: pg.Client): Promise<readonly string[]> {
      const commit = codeOf(committer.query('COMMIT'))
      await lockWaiters(accounts, 1, 1)
      const wait = codeOf(take(holder, accounts.on(0)))
      const codes = [await commit, await wait]
      await holder.query('ROLLBACK')
      await committer.query('ROLLBACK')
      return codes
    }

    it('it is the younger: its COMMIT is told 40P01, and it is rolled back everywhere', async () => {
      const [committer, holder] = [await accounts.connect(), await accounts.connect()]
      await holdAnother(holder)
      await change(committer)
      expect(await collide(committer, holder)).toEqual(['40P01', 'ok'])
      const { rows } = await holder.query(`SELECT 1 FROM account WHERE amount = ${SLOW}`)
      expect(rows).toEqual([])
      await accounts.quiet()
    })

    it('the other one is the younger: it is the victim, the commit goes through', async () => {
      const [committer, holder] = [await accounts.connect(), await accounts.connect()]
      await change(committer)
      await holdAnother(holder)
      expect(await collide(committer, holder)).toEqual(['ok', '40P01'])
      await accounts.quiet()
    })
  })

  it('a scatter read that is ready on one shard and DDL that has another: one is told 40P01, none hangs', async () => {
    const [writer, ddl, reader] = [
      await accounts.connect(),
      await accounts.connect(),
      await accounts.connect(),
    ]
    await writer.query('BEGIN')
    await take(writer, accounts.on(0))
    // It waits for the writer on the home shard, and only then comes to the others, where the reader is ready.
    const changed = ddl.query('ALTER TABLE account ADD COLUMN note text').then(
      () => 'ok',
      (error: pg.DatabaseError) => error.code,
    )
    await lockWaiters(accounts, 0, 1)
    const read = reader.query('SELECT count(*) FROM account').then(
      () => 'ok',
      (error: pg.DatabaseError) => error.code,
    )
    await lockWaiters(accounts, 0, 2)
    await writer.query('COMMIT')
    const ends = await Promise.all([changed, read])
    expect(ends.filter((end) => end === 'ok').length).toBeGreaterThan(0)
    expect(ends.every((end) => end === 'ok' || end === '40P01')).toBe(true)
    await ddl.query('ALTER TABLE account DROP COLUMN IF EXISTS note')
  })
})
