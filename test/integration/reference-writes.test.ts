import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { query as queryMessage } from '../../protocol/wire/frontend-messages.ts'
import { useTestCluster } from '../helpers/cluster.ts'
import { COPY_DONE, copyData } from '../helpers/copy-messages.ts'
import { connectTo } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'

/** Writes to a reference table wait on home's copy, as on the one table of plain Postgres, and nowhere else. */

const cluster = useTestCluster()
const clients: pg.Client[] = []
let holder: pg.Client
let writer: pg.Client
/** Past Weft. */
let copies: pg.Client[]

async function connect(url: string): Promise<pg.Client> {
  const client = await connectTo(url)
  clients.push(client)
  return client
}

beforeAll(async () => {
  const { weftUrl, weft } = cluster.current
  ;[holder, writer] = (await Promise.all([connect(weftUrl), connect(weftUrl)])) as [pg.Client, pg.Client]
  await holder.query('CREATE TABLE stock (id int PRIMARY KEY, n int) WITH (reference = true)')
  await holder.query('CREATE INDEX stock_up ON stock (id, n)')
  await holder.query('CREATE INDEX stock_down ON stock (id DESC, n)')
  copies = await Promise.all(weft.shards.map(({ url }) => connect(url)))
})

/** The rows lie in another order on each copy: so they are locked, where each would go ahead by itself. */
beforeEach(async () => {
  // A test that failed may have left it open.
  await holder.query('ROLLBACK')
  await holder.query('DELETE FROM stock')
  await holder.query('INSERT INTO stock SELECT n, 0 FROM generate_series(1, 9) n')
  for (const [i, copy] of copies.entries())
    await copy.query(`CLUSTER stock USING stock_${i % 2 === 0 ? 'up' : 'down'}`)
})
afterAll(() => Promise.all(clients.map((client) => client.end())))

async function untilWaiting(): Promise<void> {
  const waiting = "SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
  await expect.poll(async () => (await copies[0]!.query(waiting)).rowCount).toBeGreaterThan(0)
}

/** What nobody has locked on that copy. */
async function freeRows(copy: pg.Client): Promise<number[]> {
  const { rows } = await copy.query<{ id: number }>('SELECT id FROM stock ORDER BY id FOR UPDATE SKIP LOCKED')
  return rows.map(({ id }) => id)
}

async function contents(): Promise<unknown[]> {
  return Promise.all(copies.map(async (copy) => (await copy.query('SELECT * FROM stock ORDER BY id')).rows))
}

const ALL = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const SELECTED = 'INSERT INTO stock SELECT n, 7 FROM generate_series(1, 9) n'

test.each([
  ['UPDATE stock SET n = n + 1', undefined, []],
  ['UPDATE stock SET n = n + $1 WHERE id > $2', [1, 0], []],
  ['UPDATE stock SET n = (SELECT max(n) FROM stock) + 1 RETURNING id', undefined, []],
  ['DELETE FROM stock', undefined, []],
  ['DELETE FROM stock WHERE id = ANY ($1)', [ALL], []],
  ['INSERT INTO stock VALUES (1, 7), (5, 7), (9, 7) ON CONFLICT (id) DO UPDATE SET n = 7', undefined, []],
  [
    'INSERT INTO stock VALUES (9, (SELECT 7)), (5, 7), (1, 7) ON CONFLICT (id) DO UPDATE SET n = 7',
    undefined,
    [],
  ],
  [`${SELECTED} ON CONFLICT (id) DO UPDATE SET n = 7`, undefined, []],
  ['UPDATE stock SET n = 1', undefined, ['BEGIN']],
  ['UPDATE stock SET n = 1', undefined, ['BEGIN', 'SAVEPOINT s']],
  ['SELECT * FROM stock ORDER BY id FOR UPDATE', undefined, ['BEGIN']],
])('waits on home only: %s %j %j', async (sql, values, before) => {
  await holder.query('BEGIN')
  await holder.query('UPDATE stock SET n = 5 WHERE id = 5')
  for (const statement of before) await writer.query(statement)
  const written = writer.query(sql, values as unknown[] | undefined)
  await untilWaiting()
  for (const copy of copies.slice(1)) expect(await freeRows(copy)).toEqual(ALL.filter((id) => id !== 5))
  await holder.query('COMMIT')
  await written
  if (before.length > 0) await writer.query('COMMIT')
  const [home, ...others] = await contents()
  for (const other of others) expect(other).toEqual(home)
})

test('a key that is being inserted: the second waits on home, and is told', async () => {
  await holder.query('BEGIN')
  await holder.query('INSERT INTO stock VALUES (10, 1)')
  const second = writer.query('INSERT INTO stock VALUES (11, 2), (10, 2)')
  const told = expect(second).rejects.toMatchObject({ code: '23505' })
  await untilWaiting()
  for (const copy of copies.slice(1)) {
    await copy.query('BEGIN; INSERT INTO stock VALUES (11, 0); ROLLBACK')
  }
  await holder.query('COMMIT')
  await told
})

test('what fails on home runs nowhere else, and leaves the session usable', async () => {
  await holder.query('BEGIN')
  await holder.query('UPDATE stock SET n = 5 WHERE id = 5')
  await writer.query("SET lock_timeout = '50ms'")
  await expect(writer.query('UPDATE stock SET n = n + 1')).rejects.toMatchObject({ code: '55P03' })
  await writer.query('RESET lock_timeout')
  await writer.query("SET statement_timeout = '200ms'")
  await expect(writer.query('DELETE FROM stock')).rejects.toMatchObject({ code: '57014' })
  await writer.query('RESET statement_timeout')
  await holder.query('COMMIT')
  await expect(writer.query('UPDATE stock SET n = 1 / (n - 5)')).rejects.toMatchObject({ code: '22012' })
  expect((await writer.query('UPDATE stock SET n = n + 1 WHERE id = 5 RETURNING n')).rows).toEqual([{ n: 6 }])
  const latches = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid >= 65536 AND objsubid = 2"
  for (const copy of copies) expect((await copy.query(latches)).rowCount).toBe(0)
})

test('sessions that change the same row all at once: none is ended by a deadlock between copies', async () => {
  const sessions = await Promise.all([1, 2, 3, 4].map(() => connect(cluster.current.weftUrl)))
  const upsert = (id: number) =>
    `INSERT INTO stock VALUES (${id}, 1) ON CONFLICT (id) DO UPDATE SET n = stock.n + 1`
  await Promise.all(
    sessions.map(async (session) => {
      for (let round = 0; round < 5; round++) {
        await session.query('UPDATE stock SET n = n + 1 WHERE id = $1', [5])
        await session.query(upsert(100 + round))
        await session.query('BEGIN; UPDATE stock SET n = n + 1 WHERE id = 5; COMMIT')
      }
    }),
  )
  const [home, ...others] = (await contents()) as { id: number; n: number }[][]
  for (const other of others) expect(other).toEqual(home)
  expect(home!.filter(({ id }) => id === 5 || id >= 100).map(({ n }) => n)).toEqual([40, 4, 4, 4, 4, 4])
})

test('a client that leaves while it waits: what keeps its statement back on the copies goes', async () => {
  const latches = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 2003134060"
  const counts = () => Promise.all(copies.map(async (copy) => (await copy.query(latches)).rowCount))
  await holder.query('BEGIN')
  await holder.query('UPDATE stock SET n = 5 WHERE id = 5')
  const before = await counts()
  const leaver = await connectTo(cluster.current.weftUrl)
  const gone = expect(leaver.query('UPDATE stock SET n = n + 1')).rejects.toThrow()
  await untilWaiting()
  expect(await counts()).not.toEqual(before)
  ;(leaver as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  await gone
  await expect.poll(counts).toEqual(before)
  await holder.query('ROLLBACK')
})

describe('COPY FROM STDIN', () => {
  let copier: WireClient
  const rows = (ids: readonly number[], text = '') => ids.map((id) => `${id}\t1${text}\n`).join('')

  beforeAll(async () => {
    const { host, port } = cluster.current.weft
    copier = await WireClient.connect({ host, port })
  })

  async function open(client: WireClient, sql = 'COPY stock FROM STDIN'): Promise<void> {
    client.write(queryMessage(sql))
    await client.until('CopyInResponse')
  }
  const texts = async (client: WireClient) => (await client.until('ReadyForQuery')).map(({ text }) => text)

  test('waits on home only, and is told of a key that is taken', async () => {
    await holder.query('BEGIN')
    await holder.query('INSERT INTO stock VALUES (10, 1)')
    await open(copier)
    copier.write(Buffer.concat([copyData(rows([11, 10, 12])), COPY_DONE]))
    await untilWaiting()
    for (const copy of copies.slice(1)) await copy.query('BEGIN; INSERT INTO stock VALUES (11, 0); ROLLBACK')
    await holder.query('COMMIT')
    expect((await texts(copier)).join()).toContain('23505')
    const [home, ...others] = await contents()
    for (const other of others) expect(other).toEqual(home)
  })

  test('two that bring the same rows, many of them: one waits, and is told; copies are alike', async () => {
    const { host, port } = cluster.current.weft
    const second = await WireClient.connect({ host, port })
    const many = rows(Array.from({ length: 140_000 }, (_, i) => i + 1000))
    copier.write(queryMessage('BEGIN'))
    await copier.until('ReadyForQuery')
    await open(copier)
    copier.write(copyData(many))
    // What came first is there while the rest is still to come.
    await expect
      .poll(async () => {
        const sql = "SELECT FROM pg_locks WHERE relation = 'stock'::regclass AND mode = 'RowExclusiveLock'"
        return (await copies[2]!.query(sql)).rowCount
      })
      .toBe(1)
    await open(second)
    second.write(Buffer.concat([copyData(rows([1000, 999])), COPY_DONE]))
    await untilWaiting()
    copier.write(Buffer.concat([copyData(rows([999])), COPY_DONE]))
    expect((await texts(copier)).join()).toContain('COPY 140001')
    copier.write(queryMessage('COMMIT'))
    await copier.until('ReadyForQuery')
    expect((await texts(second)).join()).toContain('23505')
    second.end()
    const counts = await Promise.all(
      copies.map(async (copy) => (await copy.query('SELECT count(*)::int, sum(id) FROM stock')).rows),
    )
    expect(counts[0]).toMatchObject([{ count: 140_010 }])
    for (const each of counts) expect(each).toEqual(counts[0])
  })

  test('an error in a later batch names the line of the data', async () => {
    await open(copier)
    const many = rows(Array.from({ length: 140_000 }, (_, i) => i + 1000))
    copier.write(Buffer.concat([copyData(many), copyData(`${rows([10, 11])}oops\t1\n`), COPY_DONE]))
    expect((await texts(copier)).join()).toContain('COPY stock, line 140003, column id: "oops"')
    for (const copy of copies) expect(await freeRows(copy)).toEqual(ALL)
  })

  test('rows that refer to later ones, however many: one statement still', async () => {
    await holder.query(
      'CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff, note text) WITH (reference = true)',
    )
    const count = 15_000
    const lines = Array.from({ length: count }, (_, i) => `${i}\t${count - 1 - i}\t${'x'.repeat(50)}\n`).join(
      '',
    )
    await open(copier, 'COPY staff FROM STDIN')
    copier.write(Buffer.concat([copyData(lines), COPY_DONE]))
    expect((await texts(copier)).join()).toContain(`COPY ${count}`)
    for (const copy of copies)
      expect((await copy.query('SELECT count(*)::int FROM staff')).rows).toEqual([{ count }])
  })

  test.each([
    ['INSERT INTO stock SELECT n, 1 FROM generate_series(20, 25) n', undefined],
    ['INSERT INTO stock SELECT n, 1 FROM generate_series(20, 25) n ON CONFLICT DO NOTHING', undefined],
    ['COPY stock FROM STDIN', rows([20, 21, 22])],
  ])('copies that do not take the same rows: %s', async (sql, data) => {
    await copies[1]!.query(`CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.id = 22 THEN RETURN NULL; END IF; RETURN NEW; END $$`)
    await copies[1]!.query('CREATE TRIGGER skip BEFORE INSERT ON stock FOR EACH ROW EXECUTE FUNCTION skip()')
    copier.write(queryMessage(sql))
    if (data !== undefined) {
      await copier.until('CopyInResponse')
      copier.write(Buffer.concat([copyData(data), COPY_DONE]))
    }
    const told = (await texts(copier)).join()
    await copies[1]!.query('DROP FUNCTION skip CASCADE')
    expect(told).toContain('XX001')
    expect(told).toContain('copies of a reference table differ')
    for (const copy of copies) expect(await freeRows(copy)).toEqual(ALL)
  })
})
