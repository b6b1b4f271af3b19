import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { evenSlots } from '../../cluster/slots.ts'
import { installSql } from '../../sql/install/schema.ts'
import { hasPostgres15, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

describe.each([18, 15] as const)('install schema on Postgres %i', (version) => {
  if (version === 15 && !hasPostgres15) return
  let server: TestPostgres
  const as = (user: string) => server.url.replace(/\/\/[^@]+@/, `//${user}@`)

  beforeAll(async () => {
    server = await startPostgres({ version })
    await query(server.url, installSql({ shard: 0, slots: evenSlots(3) }))
    await query(
      server.url,
      `CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE team; GRANT team TO alice;
       GRANT CREATE ON SCHEMA public TO alice, bob, team;
       CREATE TABLE hers (id bigint); ALTER TABLE hers OWNER TO alice;
       CREATE TABLE theirs (id bigint); ALTER TABLE theirs OWNER TO team;
       CREATE TABLE root_owned (id bigint);`,
    )
  })
  afterAll(async () => {
    await server.stop()
  })

  test('installSql: run again, also twice at once: nothing changes', async () => {
    const sql = installSql({ shard: 0, slots: evenSlots(2) })
    await Promise.all([query(server.url, sql), query(server.url, sql)])
    expect(await query(server.url, 'SELECT count(*)::int AS n FROM weft.slots')).toEqual([{ n: 3 }])
    expect(await query(server.url, 'SELECT version FROM weft.meta')).toEqual([{ version: '1' }])
    expect(await query(as('bob'), 'SELECT shard, home, slots FROM weft.shards')).toEqual([
      { shard: 0, home: true, slots: 1365 },
      { shard: 1, home: false, slots: 1365 },
      { shard: 2, home: false, slots: 1366 },
    ])
  })

  test('installSql: a database that is another shard: refused', async () => {
    await expect(query(server.url, installSql({ shard: 1, slots: [] }))).rejects.toThrow(
      'this database is shard 0 of a Weft cluster, not shard 1',
    )
  })

  test('installSql: set up by a newer Weft: refused', async () => {
    await query(server.url, 'INSERT INTO weft.installed (version) VALUES (99)')
    await expect(query(server.url, installSql({ shard: 0, slots: evenSlots(3) }))).rejects.toThrow(
      'newer Weft',
    )
    await query(server.url, 'DELETE FROM weft.installed WHERE version = 99')
  })

  const declare = (table: string) => `SELECT weft.declare_sharded('${table}', 1, 'int8', 1)`

  test('declare_sharded: own table, table of a role one is in, superuser: allowed', async () => {
    await query(as('alice'), declare('hers'))
    await query(as('alice'), declare('theirs'))
    await query(server.url, declare('root_owned'))
    expect(await query(as('bob'), 'SELECT table_name, shard_key, kind FROM weft.tables')).toEqual(
      ['hers', 'root_owned', 'theirs'].map((t) => ({ table_name: t, shard_key: 'id', kind: 'sharded' })),
    )
    await expect(query(as('alice'), declare('hers'))).rejects.toMatchObject({ code: '42P07' })
    await query(as('alice'), "SELECT weft.undeclare('hers'), weft.undeclare('theirs')")
    await query(server.url, "SELECT weft.undeclare('root_owned')")
  })

  test.each([
    "weft.declare_sharded('hers', 1, 'int8', 1)",
    "weft.declare_reference('hers')",
    "weft.undeclare('hers')",
  ])("%s: somebody else's table: 42501", async (call) => {
    await expect(query(as('bob'), `SELECT ${call}`)).rejects.toMatchObject({
      code: '42501',
      message: 'must be owner of table public.hers',
    })
  })

  test('declare_sharded: SET ROLE: the role counts, not the login', async () => {
    await expect(query(server.url, `SET ROLE bob; ${declare('hers')}`)).rejects.toMatchObject({
      code: '42501',
    })
    await query(server.url, `BEGIN; SET ROLE alice; ${declare('hers')}; ROLLBACK`)
    await expect(query(as('alice'), `SET ROLE team; ${declare('hers')}`)).rejects.toMatchObject({
      code: '42501',
    })
    await expect(query(as('bob'), `SET role = 'alice'; ${declare('hers')}`)).rejects.toMatchObject({
      code: '42501',
    })
  })

  test('weft tables: written by hand without rights: refused', async () => {
    await expect(query(as('bob'), 'UPDATE weft.slots SET shard = 1')).rejects.toMatchObject({ code: '42501' })
    await expect(query(as('bob'), 'DELETE FROM weft.relation')).rejects.toMatchObject({ code: '42501' })
  })

  test('bump_map_version: any role: rises by one and forgets dropped tables', async () => {
    await query(as('alice'), 'CREATE TABLE gone (id int)')
    await query(as('alice'), `SELECT weft.declare_sharded('gone', 1, 'int4', NULL)`)
    await query(as('alice'), 'DROP TABLE gone')
    const [before] = await query<{ version: string }>(server.url, 'SELECT version FROM weft.meta')
    const [after] = await query<{ v: string }>(as('bob'), 'SELECT weft.bump_map_version() AS v')
    expect(BigInt(after!.v)).toBe(BigInt(before!.version) + 1n)
    expect(await query(server.url, 'SELECT * FROM weft.relation')).toEqual([])
  })
})
