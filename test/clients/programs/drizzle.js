import { and, eq, gte, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import * as d from 'drizzle-orm/pg-core'
import pg from 'pg'
import * as s from './steps.js'

s.version('drizzle-orm')
const region = d.pgTable('region', { code: d.text().primaryKey(), name: d.text().notNull() })
const account = d.pgTable(
  'account',
  {
    tenantId: d.integer('tenant_id').notNull(),
    id: d.integer().notNull(),
    region: d
      .text()
      .notNull()
      .references(() => region.code),
    owner: d.text().notNull(),
    balance: d.numeric({ precision: 12, scale: 2 }).notNull().default('0'),
    seen: d.timestamp({ withTimezone: true }),
  },
  (t) => [
    d.primaryKey({ columns: [t.tenantId, t.id] }),
    d.unique().on(t.tenantId, t.owner),
    d.index().on(t.seen),
  ],
)
const memo = d.pgTable('memo', { id: d.serial().primaryKey(), body: d.text() })

const pool = new pg.Pool({ max: 2 })
const db = drizzle(pool, { schema: { region, account, memo } })
const one = async (on) => (await on.execute(sql`SELECT 1 AS one`)).rows[0].one
await s.step('connect', () => one(db))
await s.step('tls', async () => {
  const tls = new pg.Pool({ ssl: { ca: s.ca } })
  const seen = await one(drizzle(tls))
  await tls.end()
  return seen
})
await s.step('migrate', async () => {
  // As its migrator runs the statements that drizzle-kit has written: in one transaction.
  await db.transaction(async (tx) => {
    for (const text of s.schema) await tx.execute(sql.raw(text))
  })
  for (const text of s.declarations) await db.execute(sql.raw(text))
  return (await db.select().from(account)).length
})
await s.step('crud', async () => {
  await db.insert(region).values([
    { code: 'eu', name: 'Europe' },
    { code: 'us', name: 'America' },
  ])
  const rows = s.tenants.map((tenantId) => ({ tenantId, id: 1, region: 'eu', owner: 'ann', balance: '100' }))
  await db.insert(account).values(rows)
  const found = await db.query.account.findFirst({ where: and(eq(account.tenantId, 3), eq(account.id, 1)) })
  const updated = await db.update(account).set({ region: 'us' }).where(gte(account.balance, '50'))
  const deleted = await db.delete(account).where(eq(account.tenantId, 8)).returning()
  const [note] = await db.insert(memo).values({ body: "it's" }).returning({ id: memo.id })
  const [joined] = await db
    .select({ name: region.name, n: sql`count(*)::int` })
    .from(account)
    .innerJoin(region, eq(region.code, account.region))
    .groupBy(region.name)
  const target = [account.tenantId, account.id]
  await db
    .insert(account)
    .values({ ...rows[0], balance: '1' })
    .onConflictDoUpdate({ target, set: { balance: '100' } })
  return [found.owner, updated.rowCount, deleted.length, note.id, joined.name, joined.n]
})
const transfer = async (end) => {
  const done = db.transaction(async (tx) => {
    const add = (amount, tenant) =>
      tx
        .update(account)
        .set({ balance: sql`balance + ${amount}` })
        .where(and(eq(account.tenantId, tenant), eq(account.id, 1)))
    for (const tenant of [2, 3, 4, 5, 6, 7]) {
      await add(-10, 1)
      await tx.transaction(async () => add(10, tenant))
    }
    if (end === 'rollback') tx.rollback()
  })
  await done.catch((error) => {
    if (error.name !== 'TransactionRollbackError' && error.constructor.name !== 'TransactionRollbackError')
      throw error
  })
  const rows = await db.select({ balance: account.balance }).from(account).orderBy(account.tenantId)
  return rows.map(({ balance }) => balance)
}
await s.step('transaction', async () => [...(await transfer('commit')), ...(await transfer('rollback'))])
await s.step('errors', () => {
  const insert = (row) =>
    db.insert(account).values({ tenantId: 1, id: 2, region: 'eu', owner: 'bob', ...row })
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: 'xx' }),
    () => insert({ region: sql`NULL` }),
    () => db.execute(sql`SELEC 1`),
  )
})
await s.step('refusal', () => s.failures(() => db.execute(sql.raw(s.refused))))
await s.step('prepared', async () => {
  const byTenant = db
    .select()
    .from(account)
    .where(eq(account.tenantId, sql.placeholder('tenant')))
    .prepare('by_tenant')
  const seen = []
  for (const tenant of [1, 2, 3, 1]) {
    for (const row of await byTenant.execute({ tenant })) seen.push(row.owner, row.balance, String(row.seen))
  }
  return seen
})
s.none('stream', "it streams from MySQL only; node-postgres' cursors are beside it")
s.none('introspection', 'drizzle-kit, which is a command of its own, was not run')
await pool.end()
