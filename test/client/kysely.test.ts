/** Kysely on the query library, on a plain Postgres and through Weft. */
import { Kysely } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Db, OutcomeUnknown, sql, UniqueViolation, weft } from '../../client/index.ts'
import { WeftDialect } from '../../client/kysely.ts'
import { servers, useServers } from './servers.ts'

interface Tables {
  people: { id: number; name: string | null; tags: string[] | null }
}

const cluster = useServers()

describe.each(servers)('on %s', (server) => {
  let db: Db
  let kysely: Kysely<Tables>
  beforeAll(async () => {
    db = weft(cluster.url(server))
    kysely = new Kysely<Tables>({ dialect: new WeftDialect(db) })
    await cluster.create(server, 'CREATE TABLE people (id int PRIMARY KEY, name text, tags text[])', 'id')
  })
  beforeEach(() => db.query(sql`DELETE FROM people`))
  afterAll(async () => {
    await kysely.destroy()
    await db.close()
  })
  const insert = (ids: number[], on = kysely): Promise<unknown> =>
    on
      .insertInto('people')
      .values(ids.map((id) => ({ id, name: `n${id}`, tags: ['a', '"'] })))
      .execute()
  const ids = async (): Promise<number[]> =>
    (await kysely.selectFrom('people').select('id').orderBy('id').execute()).map(({ id }) => id)

  test('statements, their counts and their errors', async () => {
    await insert([1, 2, 3])
    expect(await kysely.selectFrom('people').selectAll().where('id', 'in', [2, 9]).execute()).toEqual([
      { id: 2, name: 'n2', tags: ['a', '"'] },
    ])
    const { numUpdatedRows } = await kysely.updateTable('people').set({ name: null }).executeTakeFirst()
    expect(numUpdatedRows).toBe(3n)
    const gone = await kysely.deleteFrom('people').where('id', '=', 1).returning('id').execute()
    expect(gone).toEqual([{ id: 1 }])
    await expect(insert([2])).rejects.toThrow(UniqueViolation)
    expect((await kysely.introspection.getTables()).map(({ name }) => name)).toContain('people')
  })

  test('transactions of its own, with savepoints', async () => {
    await kysely
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute((trx) => insert([1, 2], trx))
    const failed = kysely.transaction().execute(async (trx) => {
      await insert([3], trx)
      throw new RangeError('no')
    })
    await expect(failed).rejects.toThrow(RangeError)
    const trx = await kysely.startTransaction().execute()
    const one = await trx.savepoint('one').execute()
    await insert([4], one)
    const back = await one.rollbackToSavepoint('one').execute()
    await insert([5], back)
    await back.commit().execute()
    expect(await ids()).toEqual([1, 2, 5])
    expect(db.load).toEqual({ used: 0, waiting: 0 })
  })

  test('on a transaction of the library, which is run again when it collides', async () => {
    await insert([1])
    let tries = 0
    await db.transaction({ isolation: 'repeatable read' }, async (tx) => {
      const trx = new Kysely<Tables>({ dialect: new WeftDialect(tx) })
      await trx.selectFrom('people').selectAll().execute()
      if (++tries === 1) await kysely.updateTable('people').set({ name: 'other' }).execute()
      await trx.updateTable('people').set({ name: 'mine' }).execute()
      await expect(trx.transaction().execute(async () => undefined)).rejects.toThrow(TypeError)
    })
    expect(tries).toBe(2)
    expect(await kysely.selectFrom('people').select('name').execute()).toEqual([{ name: 'mine' }])
  })

  test('streams, on a Db and in a transaction', async () => {
    const all = Array.from({ length: 25 }, (_, i) => i + 1)
    await insert(all)
    const read = async (on: Kysely<Tables>): Promise<number[]> => {
      const seen: number[] = []
      for await (const { id } of on.selectFrom('people').select('id').orderBy('id').stream(10)) seen.push(id)
      return seen
    }
    expect(await read(kysely)).toEqual(all)
    const inside = db.snapshot((s) => read(new Kysely<Tables>({ dialect: new WeftDialect(s) })))
    expect(await inside).toEqual(all)
    for await (const _ of kysely.selectFrom('people').selectAll().stream(2)) break
    // Kysely does not wait for its end.
    await expect.poll(() => db.load).toEqual({ used: 0, waiting: 0 })
  })

  test('a COMMIT whose connection is lost: its outcome is unknown', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft(url)
    const lost = new Kysely<Tables>({ dialect: new WeftDialect(far) }).transaction().execute(async (trx) => {
      await insert([1], trx as unknown as Kysely<Tables>)
      proxy.block('to-client')
    })
    const error = lost.catch((reason: unknown) => reason)
    await expect.poll(ids).toEqual([1])
    proxy.cut()
    expect(await error).toBeInstanceOf(OutcomeUnknown)
    await far.close()
  })
})
