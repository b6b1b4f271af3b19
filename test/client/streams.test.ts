/** Streams of rows and COPY, on a plain Postgres and through Weft. */
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Canceled,
  Closed,
  copyRows,
  type Db,
  OutcomeUnknown,
  sql,
  UniqueViolation,
  weft,
} from '../../client/index.ts'
import { servers, useServers } from './servers.ts'

const cluster = useServers()
const COUNT = 5_000

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Rows of which the second never comes; `asked` when it is waited for. */
function silent(): { source: AsyncIterable<string>; asked: Promise<void> } {
  let ask: () => void = () => undefined
  const asked = new Promise<void>((resolve) => {
    ask = resolve
  })
  const source = async function* (): AsyncGenerator<string> {
    yield '1\ta\n'
    ask()
    await new Promise(() => undefined)
  }
  return { source: source(), asked }
}

describe.each(servers)('on %s', (server) => {
  let db: Db
  beforeAll(async () => {
    db = weft({ urls: cluster.url(server), poolMax: 2 })
    await cluster.create(server, 'CREATE TABLE big (id int PRIMARY KEY, pad text)', 'id')
    await cluster.create(
      server,
      'CREATE TABLE into_it (id int PRIMARY KEY, note text, bytes bytea, tags text[])',
      'id',
    )
    await db.query(sql`INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, ${COUNT}::int) i`)
  })
  afterAll(() => db.close())
  const read = sql<{ id: number }>`SELECT id FROM big WHERE id <= ${COUNT} ORDER BY id`
  const unused = { used: 0, waiting: 0 }

  test('all rows come, in order, in batches of any size', async () => {
    for (const batchRows of [1_000, 1_001, COUNT, COUNT + 1]) {
      const ids: number[] = []
      for await (const { id } of db.stream(read, { batchRows })) ids.push(id)
      expect(ids).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1))
    }
    expect(() => db.stream(read, { batchRows: 0 })).toThrow(RangeError)
    expect(db.load).toEqual(unused)
  })

  test('no rows, one row, and what gives none', async () => {
    const all = async (statement: ReturnType<typeof sql>): Promise<unknown[]> => {
      const rows: unknown[] = []
      for await (const row of db.stream(statement, { batchRows: 1 })) rows.push(row)
      return rows
    }
    expect(await all(sql`SELECT id FROM big WHERE id < 0`)).toEqual([])
    expect(await all(sql`SELECT id FROM big WHERE id = ${7}`)).toEqual([{ id: 7 }])
    await expect(all(sql`DELETE FROM big`)).rejects.toMatchObject({ sqlstate: '25006' })
    await expect(all(sql`SELECT 1 / (id - 2) FROM big WHERE id <= 3 ORDER BY id`)).rejects.toMatchObject({
      sqlstate: '22012',
    })
    expect(db.load).toEqual(unused)
  })

  test('leaving the loop leaves nothing behind', async () => {
    const small = weft({ urls: cluster.url(server), poolMax: 1 })
    const { pid } = await small.one(sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`)
    for await (const { id } of small.stream(read, { batchRows: 10 })) if (id === 15) break
    expect(small.load).toEqual(unused)
    const left = sql`SELECT count(*)::int AS n, pg_backend_pid() AS pid FROM pg_cursors WHERE name <> ''`
    expect(await small.one(left)).toEqual({ n: 0, pid })
    await small.close()
  })

  test('in a transaction statements run between two rows, and several streams beside each other', async () => {
    const sum = await db.transaction(async (tx) => {
      let total = 0
      const other = tx.stream(read, { batchRows: 3 })
      for await (const { id } of tx.stream(
        sql<{ id: number }>`SELECT id FROM big WHERE id <= 9 ORDER BY id`,
        { batchRows: 2 },
      )) {
        const { n } = await tx.one(sql<{ n: number }>`SELECT ${id}::int * 10 AS n`)
        total += n + (await other.next()).value!.id
      }
      await other.return()
      return total
    })
    expect(sum).toBe(45 * 11)
  })

  test('a stream is canceled by its signal, at the server or between two batches', async () => {
    const stop = new AbortController()
    const slow = db.stream(sql`SELECT pg_sleep(60)`, { signal: stop.signal }).next()
    slow.catch(() => undefined)
    await cluster.expectBusy(server, 'pg_sleep')
    stop.abort()
    await expect(slow).rejects.toThrow(Canceled)
    await cluster.expectQuiet(server, 'pg_sleep')
    const later = new AbortController()
    const rows = db.stream(read, { signal: later.signal, batchRows: 1 })
    await rows.next()
    later.abort()
    await expect(rows.next()).rejects.toThrow(Canceled)
    expect(db.load).toEqual(unused)
  })

  test('COPY in: rows of all kinds come back as they went', async () => {
    const rows = [
      [1, 'a\tb\nc\\d\r', Buffer.from([0, 255, 92]), ['x', '\\', null]],
      [2, null, null, []],
      [3, '', Buffer.alloc(0), ['\\N']],
    ] as const
    expect(await db.copyIn(sql`COPY into_it FROM STDIN`, copyRows(rows))).toBe(3)
    const back = await db.many(
      sql<{
        id: number
        note: string | null
        bytes: Buffer | null
        tags: unknown
      }>`SELECT * FROM into_it ORDER BY id`,
    )
    expect(back.map(({ id, note, bytes, tags }) => [id, note, bytes, tags])).toEqual(rows)
    await db.query(sql`DELETE FROM into_it`)
    expect(await db.copyIn(sql`COPY into_it FROM STDIN`, [])).toBe(0)
  })

  test('COPY in of a stream, many rows, and COPY out of them', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i},note ${i}\n`)
    const target = sql`COPY ${sql.id('into_it')} (id, note) FROM STDIN (FORMAT csv)`
    expect(await db.copyIn(target, Readable.from(lines))).toBe(20_000)
    const copy = sql`COPY (SELECT id, note FROM into_it ORDER BY id) TO STDOUT (FORMAT csv)`
    const back = await collect(db.copyOut(copy))
    expect(Buffer.concat(back).toString()).toBe(lines.join(''))
    await db.query(sql`DELETE FROM into_it`)
  })

  test('COPY in that fails: nothing is there, and the connection goes on', async () => {
    const target = sql`COPY into_it (id, note) FROM STDIN`
    const broken = async function* (): AsyncGenerator<string> {
      yield '1\ta\n'
      throw new RangeError('the source is broken')
    }
    await expect(db.copyIn(target, broken())).rejects.toThrow(RangeError)
    await expect(
      db.copyIn(
        target,
        copyRows([
          [1, 'a'],
          [1, 'b'],
        ]),
      ),
    ).rejects.toThrow(UniqueViolation)
    await expect(db.copyIn(target, ['nonsense\n'])).rejects.toMatchObject({ sqlstate: '22P02' })
    await expect(db.copyIn(sql`SELECT 1`, [])).rejects.toThrow(TypeError)
    await expect(async () => db.copyIn(sql`COPY into_it FROM ${'x'}`, [])).rejects.toThrow('no parameters')
    await expect(db.query(target)).rejects.toMatchObject({ sqlstate: '57014' })
    expect(await db.one(sql`SELECT count(*)::int AS n FROM into_it`)).toEqual({ n: 0 })
    expect(db.load).toEqual(unused)
  })

  test('COPY in is canceled by its signal while its source is silent', async () => {
    const stop = new AbortController()
    const { source, asked } = silent()
    const copied = db.copyIn(sql`COPY into_it (id, note) FROM STDIN`, source, { signal: stop.signal })
    copied.catch(() => undefined)
    await asked
    stop.abort()
    await expect(copied).rejects.toThrow(Canceled)
    expect(await db.one(sql`SELECT count(*)::int AS n FROM into_it`)).toEqual({ n: 0 })
  })

  test('COPY out: leaving the loop ends it', async () => {
    for await (const chunk of db.copyOut(sql`COPY big TO STDOUT`)) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    await cluster.expectQuiet(server, 'COPY big')
    await db.transaction(async (tx) => {
      for await (const _ of tx.copyOut(sql`COPY big TO STDOUT`)) break
      expect(await tx.one(sql`SELECT count(*)::int AS n FROM big`)).toEqual({ n: COUNT })
    })
    const failing = db.copyOut(sql`COPY (SELECT 1 / (id - 100) FROM big ORDER BY id) TO STDOUT`)
    await expect(collect(failing)).rejects.toMatchObject({ sqlstate: '22012' })
    expect(db.load).toEqual(unused)
  })

  test('a reader that is slow slows the server down', async () => {
    const wide = sql`COPY (SELECT repeat('y', 1000) FROM generate_series(1, 200000)) TO STDOUT`
    const chunks = db.copyOut(wide)
    await chunks.next()
    // More than the kernel's buffers hold: the server cannot be done.
    await cluster.expectBusy(server, 'COPY (SELECT repeat')
    let bytes = 1001
    for await (const chunk of chunks) bytes += chunk.length
    expect(bytes).toBe(200_000 * 1001)
  })

  test('while a COPY has the connection of a transaction, another statement is an error, not a wait for ever', async () => {
    const failed = db.transaction(async (tx) => {
      const source = async function* (): AsyncGenerator<string> {
        yield '1\ta\n'
        await tx.query(sql`SELECT 1`)
      }
      await tx.copyIn(sql`COPY into_it (id, note) FROM STDIN`, source())
    })
    await expect(failed).rejects.toThrow(Closed)
  })

  test('COPY in whose connection is lost: its outcome is unknown', async () => {
    const { url, proxy } = await cluster.proxied(server)
    const far = weft(url)
    const { source, asked } = silent()
    const copied = far.copyIn(sql`COPY into_it (id, note) FROM STDIN`, source)
    copied.catch(() => undefined)
    await asked
    proxy.cut()
    await expect(copied).rejects.toThrow(OutcomeUnknown)
    await far.close()
  })
})
