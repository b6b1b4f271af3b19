import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CopyInExecutor } from '../../coordinator/execute/copy/copy-in.ts'
import { copyOut } from '../../coordinator/execute/copy/copy-out.ts'
import { declareTable } from '../../coordinator/execute/declare/declare.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { CopyPlan } from '../../sql/plan/copy-plan.ts'
import type { Declaration } from '../../sql/plan/plan.ts'
import { PgShardRunner } from '../helpers/pg-shard-runner.ts'
import { hasPostgres15 } from '../helpers/postgres.ts'
import { type ShardDatabases, startShardDatabases } from '../helpers/shard-databases.ts'

describe.each([18, 15] as const)('copy on Postgres %i', (version) => {
  if (version === 15 && !hasPostgres15) return
  let dbs: ShardDatabases

  beforeAll(async () => {
    dbs = await startShardDatabases(3, { version })
  })
  afterAll(async () => {
    await dbs.stop()
  })
  beforeEach(async () => {
    await dbs.onAll('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    await dbs.on(0, 'SELECT weft.bump_map_version()')
  })

  async function table(ddl: string, declaration: Declaration): Promise<void> {
    const runner = new PgShardRunner(dbs.urls)
    await runner.query(0, ddl)
    await declareTable(declaration, runner, await dbs.catalog(), { searchPath: ['public'] })
    await runner.commit()
  }
  const sharded = (keyColumn: string): Declaration => ({ kind: 'sharded', table: 't', keyColumn })

  async function planOf(columns: readonly string[], extra: Partial<CopyPlan> = {}): Promise<CopyPlan> {
    const relation = (await dbs.catalog()).resolve(undefined, 't', ['public'])!
    const csv = extra.format === 'csv'
    const fill = relation.columns
      .filter((c) => !columns.includes(c.name) && (c.usesSequence || c.name === relation.key?.column))
      .map((c) => ({
        column: c.name,
        expression: c.default ?? 'NULL',
        isKey: c.name === relation.key?.column,
      }))
    return {
      kind: 'copy',
      tag: 'COPY',
      access: 'write',
      effects: { pins: false, mayUnpin: false, taintsBackend: false, leaves: 0, sequences: 0 },
      returnsRows: false,
      paramCount: 0,
      generic: false,
      paramsToDescribe: [],
      outsideTransaction: false,
      direction: 'in',
      table: relation,
      columns,
      format: 'text',
      delimiter: csv ? ',' : '\t',
      nullText: csv ? '' : '\\N',
      quote: '"',
      escape: '"',
      header: 'none',
      forceNull: [],
      forceNotNull: [],
      keyIndex: relation.key === undefined ? -1 : columns.indexOf(relation.key.column),
      fill,
      optionsSql: extra.format === undefined ? '' : `WITH (FORMAT ${extra.format})`,
      ...extra,
    }
  }

  /** Loads in pieces of odd sizes; the pieces are overwritten as soon as they may be. */
  async function load(
    plan: CopyPlan,
    data: Buffer | string,
    options: { setup?: string; piece?: number } = {},
  ) {
    const runner = new PgShardRunner(dbs.urls, { setup: options.setup ?? '' })
    const executor = new CopyInExecutor(plan, await dbs.catalog(), runner)
    const bytes = Buffer.from(data as string)
    const piece = options.piece ?? 7001
    try {
      for (let at = 0; at < bytes.length; at += piece) {
        const chunk = Buffer.from(bytes.subarray(at, at + piece))
        await executor.write(chunk)
        chunk.fill('#')
      }
      const { rows } = await executor.finish()
      await runner.commit()
      return { rows, copies: runner.log.filter((q) => q.sql.startsWith('COPY')).map((q) => q.shard) }
    } catch (error) {
      await executor.abort()
      await runner.rollback()
      throw error
    }
  }

  async function all<Row extends Record<string, unknown>>(sql: string): Promise<Row[]> {
    return (await Promise.all([0, 1, 2].map((shard) => dbs.on<Row>(shard, sql)))).flat()
  }
  /** Rows that are not where their slot belongs. */
  async function misplaced(hash: string): Promise<number> {
    const bounds = [0, 1365, 2730, 4096]
    const found = await Promise.all(
      [0, 1, 2].map((shard) =>
        dbs.on<{ n: number }>(
          shard,
          `SELECT count(*)::int AS n FROM t WHERE (${hash} & 4095) 
             NOT BETWEEN ${bounds[shard]} AND ${bounds[shard + 1]! - 1}`,
        ),
      ),
    )
    return found.reduce((sum, rows) => sum + rows[0]!.n, 0)
  }
  const failure = async (work: Promise<unknown>): Promise<PgError['fields']> =>
    work.then(
      () => {
        throw new Error('it did not fail')
      },
      (e: PgError) => e.fields,
    )

  test('text: many rows: every row on its shard, one COPY each', async () => {
    await table('CREATE TABLE t (id bigint, v text)', sharded('id'))
    const lines = Array.from({ length: 20_000 }, (_, i) => `v${i}\\n\t${i * 7 - 50_000}\n`).join('')
    const result = await load(await planOf(['v', 'id']), lines)
    expect(result).toEqual({ rows: 20_000, copies: expect.arrayContaining([0, 1, 2]) })
    expect(result.copies).toHaveLength(3)
    expect(await misplaced('hashint8extended(id, 0)')).toBe(0)
    const sums = await all<{ n: string; s: string }>(
      `SELECT count(*) AS n, sum(id) AS s FROM t WHERE v LIKE E'v%\\n'`,
    )
    expect(sums.reduce((n, r) => n + Number(r.s), 0)).toBe(
      Array.from({ length: 20_000 }, (_, i) => i * 7 - 50_000).reduce((a, b) => a + b),
    )
  })

  test('csv: quoted keys, header, CRLF, last line without an end: as Postgres reads it', async () => {
    await table('CREATE TABLE t (name text, n int)', sharded('name'))
    const data = 'name,n\r\n"a ""quoted"", name",1\r\n"two\r\nlines",2\r\nplain,3\r\n"",4'
    const plan = await planOf(['name', 'n'], { format: 'csv', header: 'match' })
    expect((await load(plan, data, { piece: 3 })).rows).toBe(4)
    expect(await misplaced('hashtextextended(name, 0)')).toBe(0)
    const rows = await all<{ name: string; n: number }>('SELECT * FROM t')
    expect(rows.sort((a, b) => a.n - b.n).map((r) => r.name)).toEqual([
      'a "quoted", name',
      'two\r\nlines',
      'plain',
      '',
    ])
  })

  test('binary: what COPY TO wrote: loaded again, and written again the same', async () => {
    await table('CREATE TABLE t (id int, u uuid)', sharded('u'))
    await dbs.on(
      0,
      'CREATE TABLE source AS SELECT i AS id, gen_random_uuid() AS u FROM generate_series(1, 500) i',
    )
    const runner = new PgShardRunner(dbs.urls)
    const chunks: Buffer[] = []
    await runner.copyOut(0, 'COPY source TO STDOUT (FORMAT binary)', (c) => void chunks.push(c))
    const plan = await planOf(['id', 'u'], { format: 'binary' })
    expect((await load(plan, Buffer.concat(chunks), { piece: 11 })).rows).toBe(500)
    expect(await misplaced('uuid_hash_extended(u, 0)')).toBe(0)
    const out: Buffer[] = []
    const outPlan: CopyPlan = { ...plan, direction: 'out' }
    expect(await copyOut(outPlan, await dbs.catalog(), runner, (c) => void out.push(c))).toBe(500)
    await runner.rollback()
    expect(Buffer.concat(out)).toHaveLength(Buffer.concat(chunks).length)
    await dbs.onAll('TRUNCATE t')
    expect((await load(plan, Buffer.concat(out))).rows).toBe(500)
    expect(await dbs.on(0, 'SELECT * FROM t EXCEPT SELECT * FROM source')).toEqual([])
  })

  test('copy out: csv with header: the header once', async () => {
    await table('CREATE TABLE t (id int, v text)', sharded('id'))
    await load(await planOf(['id', 'v']), '1\ta\n2\tb\n3\tc\n4\td\n5\te\n')
    const plan = await planOf(['id', 'v'], { format: 'csv', direction: 'out', header: 'yes' })
    const runner = new PgShardRunner(dbs.urls)
    const out: string[] = []
    expect(await copyOut(plan, await dbs.catalog(), runner, (c) => void out.push(c.toString()))).toBe(5)
    await runner.rollback()
    expect(out[0]).toBe('id,v\n')
    expect(out.slice(1).sort().join('')).toBe('1,a\n2,b\n3,c\n4,d\n5,e\n')
  })

  test.each(['text', 'csv', 'binary'] as const)(
    '%s: serial and key left out: filled from home, no value twice',
    async (format) => {
      await table('CREATE TABLE t (v text, id bigserial, n int GENERATED ALWAYS AS IDENTITY)', sharded('id'))
      const rows = 12_000
      const text = Array.from({ length: rows }, (_, i) => `v${i}\n`).join('')
      const fields = Array.from({ length: rows }, (_, i) => {
        const v = Buffer.from(`v${i}`)
        const row = Buffer.alloc(6 + v.length)
        row.writeInt16BE(1, 0)
        row.writeInt32BE(v.length, 2)
        v.copy(row, 6)
        return row
      })
      const { BINARY_HEADER, BINARY_TRAILER } = await import('../../sql/copy/binary-rows.ts')
      const data = format === 'binary' ? Buffer.concat([BINARY_HEADER, ...fields, BINARY_TRAILER]) : text
      const plan = await planOf(['v'], format === 'text' ? {} : { format })
      expect((await load(plan, data)).rows).toBe(rows)
      expect(await misplaced('hashint8extended(id, 0)')).toBe(0)
      const sums = await all<{ s: number; m: number }>('SELECT sum(id)::int AS s, sum(n)::int AS m FROM t')
      const expected = (rows * (rows + 1)) / 2
      expect([sums.reduce((a, r) => a + r.s, 0), sums.reduce((a, r) => a + r.m, 0)]).toEqual([
        expected,
        expected,
      ])
    },
  )

  test('fill: a short row: refused before anything could shift', async () => {
    await table('CREATE TABLE t (id int, v text, s serial)', sharded('id'))
    expect(await failure(load(await planOf(['id', 'v']), '1\ta\n2\n'))).toMatchObject({
      code: '22P04',
      message: 'missing data for column "v"',
      where: 'COPY t, line 2: "2"',
    })
  })

  test('keys only Postgres can read: asked at home, in batches', async () => {
    await table('CREATE TABLE t (at timestamptz, v int)', sharded('at'))
    const setup = "SET TimeZone = 'Europe/Berlin'; SET datestyle = 'German'"
    const lines = Array.from({ length: 300 }, (_, i) => `${(i % 28) + 1}.03.2021 0${i % 10}:00\t${i}\n`).join(
      '',
    )
    expect((await load(await planOf(['at', 'v']), lines, { setup })).rows).toBe(300)
    expect(await misplaced('timestamp_hash_extended(at AT TIME ZONE $$UTC$$, 0)')).toBe(0)
    const bad = await failure(load(await planOf(['at', 'v']), '1.3.2021\t1\nnever\t2\n', { setup }))
    expect(bad).toMatchObject({ code: '22007', where: 'COPY t, line 2, column at: "never"' })
  })

  test('varchar(n): spaces that Postgres cuts off do not mislead the route', async () => {
    await table('CREATE TABLE t (k varchar(3), v int)', sharded('k'))
    const lines = Array.from({ length: 60 }, (_, i) => `${String(i).padEnd(8)}\t${i}\n`).join('')
    expect((await load(await planOf(['k', 'v']), lines)).rows).toBe(60)
    expect(await misplaced('hashtextextended(k, 0)')).toBe(0)
  })

  test('reference: text with header, and with a sequence: the same rows on every shard', async () => {
    await table('CREATE TABLE t (v text, id serial)', { kind: 'reference', table: 't' })
    const raw = await planOf(['v', 'id'], { header: 'yes' })
    expect((await load(raw, 'v\tid\nx\t-1\ny\t-2\n')).rows).toBe(2)
    expect((await load(await planOf(['v']), 'a\nb\n\\N\n', { piece: 1 })).rows).toBe(3)
    const copies = await Promise.all([0, 1, 2].map((s) => dbs.on(s, 'SELECT * FROM t ORDER BY id')))
    expect(copies[0]).toHaveLength(5)
    expect(copies[1]).toEqual(copies[0])
    expect(copies[2]).toEqual(copies[0])
  })

  test("errors: a shard's error names the line of the client's data", async () => {
    await table('CREATE TABLE t (id int, v int)', sharded('id'))
    const lines = Array.from({ length: 5000 }, (_, i) => `${i}\t${i === 3210 ? 'oops' : i}\n`).join('')
    expect(await failure(load(await planOf(['id', 'v']), lines))).toMatchObject({
      code: '22P02',
      where: 'COPY t, line 3211, column v: "oops"',
    })
    const csv = Array.from({ length: 100 }, (_, i) => `${i},"\n${i === 77 ? 'oops' : ''}"\n`).join('')
    const plan = await planOf(['id', 'v'], { format: 'csv' })
    await dbs.onAll('ALTER TABLE t ALTER v TYPE text; ALTER TABLE t ADD CHECK (v NOT LIKE $$%oops%$$)')
    expect((await failure(load(plan, csv))).where).toMatch(/^COPY t, line 155: /)
    expect(await all('SELECT * FROM t')).toEqual([])
  })

  test('errors: NULL key, bad key, no such encoding: refused, nothing stored', async () => {
    await table('CREATE TABLE t (id int, v text)', sharded('id'))
    const plan = await planOf(['id', 'v'])
    expect(await failure(load(plan, '1\ta\n\\N\tb\n'))).toMatchObject({
      code: '23502',
      where: 'COPY t, line 2',
    })
    expect(await failure(load(plan, '1\ta\n99999999999\tb\n'))).toMatchObject({ code: '22003' })
    expect(await failure(load(plan, '1\ta\n', { setup: 'SET client_encoding = LATIN1' }))).toMatchObject({
      code: '0A000',
    })
    expect(await all('SELECT * FROM t')).toEqual([])
  })

  test('no rows at all: 0, and Postgres has looked at the statement', async () => {
    await table('CREATE TABLE t (id int, v text)', sharded('id'))
    const plan = await planOf(['id', 'v'])
    expect(await load(plan, '')).toEqual({ rows: 0, copies: [0] })
    expect(await failure(load({ ...plan, optionsSql: "WITH (DELIMITER 'ab')" }, ''))).toMatchObject({
      code: '0A000',
    })
    expect(await load(plan, '5\tx\n')).toMatchObject({ rows: 1, copies: [expect.any(Number)] })
  })
})
