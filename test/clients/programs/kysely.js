import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import * as s from './steps.js'

s.version('kysely')
const open = (config) =>
  new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ max: 2, ...config }) }) })
const db = open({})
const one = async (on) => (await sql`SELECT 1 AS one`.execute(on)).rows[0].one
await s.step('connect', () => one(db))
await s.step('tls', async () => {
  const tls = open({ ssl: { ca: s.ca } })
  const seen = await one(tls)
  await tls.destroy()
  return seen
})
await s.step('migrate', async () => {
  const text = (name) => [name, 'text', (column) => column.notNull()]
  await db.schema
    .createTable('region')
    .addColumn('code', 'text', (c) => c.primaryKey())
    .addColumn(...text('name'))
    .execute()
  await db.schema
    .createTable('account')
    .addColumn('tenant_id', 'integer', (c) => c.notNull())
    .addColumn('id', 'integer', (c) => c.notNull())
    .addColumn('region', 'text', (c) => c.notNull().references('region.code'))
    .addColumn(...text('owner'))
    .addColumn('balance', 'numeric(12, 2)', (c) => c.notNull().defaultTo(0))
    .addColumn('seen', 'timestamptz')
    .addPrimaryKeyConstraint('account_pkey', ['tenant_id', 'id'])
    .addUniqueConstraint('account_owner', ['tenant_id', 'owner'])
    .execute()
  await db.schema.createIndex('account_seen').on('account').column('seen').execute()
  await db.schema
    .createTable('memo')
    .addColumn('id', 'serial', (c) => c.primaryKey())
    .addColumn('body', 'text')
    .execute()
  for (const text of s.declarations) await sql.raw(text).execute(db)
  return (await db.selectFrom('account').selectAll().execute()).length
})
const balances = async () => {
  const rows = await db.selectFrom('account').select('balance').orderBy('tenant_id').execute()
  return rows.map((row) => row.balance)
}
await s.step('crud', async () => {
  await db
    .insertInto('region')
    .values([
      { code: 'eu', name: 'Europe' },
      { code: 'us', name: 'America' },
    ])
    .execute()
  const rows = s.tenants.map((tenant_id) => ({ tenant_id, id: 1, region: 'eu', owner: 'ann', balance: 100 }))
  await db.insertInto('account').values(rows).execute()
  const owner = await db
    .selectFrom('account')
    .select('owner')
    .where('tenant_id', '=', 3)
    .executeTakeFirstOrThrow()
  const updated = await db
    .updateTable('account')
    .set({ region: 'us' })
    .where('balance', '>=', 50)
    .executeTakeFirst()
  const deleted = await db.deleteFrom('account').where('tenant_id', '=', 8).executeTakeFirst()
  const memo = await db.insertInto('memo').values({ body: "it's" }).returning('id').executeTakeFirst()
  const joined = await db
    .selectFrom('account')
    .innerJoin('region', 'region.code', 'account.region')
    .select(({ fn }) => ['region.name', fn.countAll().as('n')])
    .groupBy('region.name')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('account')
    .values({ ...rows[0], balance: 1 })
    .onConflict((on) => on.columns(['tenant_id', 'id']).doUpdateSet({ balance: 100 }))
    .execute()
  return [owner.owner, updated.numUpdatedRows, deleted.numDeletedRows, memo.id, joined.name, joined.n]
})
const transfer = async (after) => {
  const done = db.transaction().execute(async (trx) => {
    for (const tenant of [2, 3, 4, 5, 6, 7]) {
      const add = (amount, of) =>
        trx
          .updateTable('account')
          .set((eb) => ({ balance: eb('balance', '+', amount) }))
          .where('tenant_id', '=', of)
          .where('id', '=', 1)
          .execute()
      await add(-10, 1)
      await add(10, tenant)
    }
    after()
  })
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  return balances()
}
const rollback = () => {
  throw new Error('no')
}
await s.step('transaction', async () => [...(await transfer(() => undefined)), ...(await transfer(rollback))])
await s.step('errors', () => {
  const insert = (row) =>
    db
      .insertInto('account')
      .values({ tenant_id: 1, id: 2, region: 'eu', owner: 'bob', ...row })
      .execute()
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: 'xx' }),
    () => insert({ region: null }),
    () => sql`SELEC 1`.execute(db),
  )
})
await s.step('refusal', () => s.failures(() => sql.raw(s.refused).execute(db)))
s.none('prepared', 'Kysely names no statements; each is sent with parameters')
await s.step('stream', async () => {
  const rows = Array.from({ length: 1000 }, (_, i) => ({
    tenant_id: (i % 7) + 1,
    id: 100 + i,
    region: 'eu',
    owner: `o${i}`,
  }))
  await db.insertInto('account').values(rows).execute()
  return (await sql`SELECT sum(id) AS n FROM account WHERE id >= 100`.execute(db)).rows[0].n
})
await s.step('introspection', async () => {
  const tables = (await db.introspection.getTables()).filter(({ schema }) => schema === 'public')
  return tables.flatMap(({ name, columns }) =>
    columns.map(
      (c) => `${name}.${c.name}:${c.dataType}:${c.isNullable}:${c.isAutoIncrementing}:${c.hasDefaultValue}`,
    ),
  )
})
await db.destroy()
