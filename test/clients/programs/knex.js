import knex from 'knex'
import * as s from './steps.js'

s.version('knex')
const open = (ssl) => {
  const { host, port, user, password, database } = s
  return knex({
    client: 'pg',
    connection: { host, port, user, password, database, ssl },
    pool: { min: 0, max: 2 },
  })
}
const db = open(false)
const one = async (on) => (await on.raw('SELECT 1 AS one')).rows[0].one
await s.step('connect', () => one(db))
await s.step('tls', async () => {
  const tls = open({ ca: s.ca })
  const seen = await one(tls)
  await tls.destroy()
  return seen
})
const migration = {
  async up(on) {
    await on.schema.createTable('region', (t) => {
      t.text('code').primary()
      t.text('name').notNullable()
    })
    await on.schema.createTable('account', (t) => {
      t.integer('tenant_id').notNullable()
      t.integer('id').notNullable()
      t.text('region').notNullable().references('region.code')
      t.text('owner').notNullable()
      t.decimal('balance', 12, 2).notNullable().defaultTo(0)
      t.timestamp('seen').index()
      t.primary(['tenant_id', 'id'])
      t.unique(['tenant_id', 'owner'])
    })
    await on.schema.createTable('memo', (t) => {
      t.increments('id')
      t.text('body')
    })
  },
  down: () => undefined,
}
await s.step('migrate', async () => {
  const migrationSource = {
    getMigrations: async () => ['first'],
    getMigrationName: (name) => name,
    getMigration: async () => migration,
  }
  const [batch, names] = await db.migrate.latest({ migrationSource })
  for (const text of s.declarations) await db.raw(text)
  return [batch, ...names, ...(await db.migrate.list({ migrationSource }))[0].map(({ name }) => name)]
})
await s.step('crud', async () => {
  await db('region').insert([
    { code: 'eu', name: 'Europe' },
    { code: 'us', name: 'America' },
  ])
  const rows = s.tenants.map((tenant_id) => ({ tenant_id, id: 1, region: 'eu', owner: 'ann', balance: 100 }))
  await db('account').insert(rows)
  const { owner } = await db('account').where({ tenant_id: 3, id: 1 }).first('owner')
  const updated = await db('account').where('balance', '>=', 50).update({ region: 'us' })
  const deleted = await db('account').where({ tenant_id: 8 }).del()
  const [memo] = await db('memo').insert({ body: "it's" }).returning('id')
  const joined = await db('account')
    .join('region', 'code', 'region')
    .groupBy('name')
    .select('name')
    .count('* as n')
    .first()
  await db('account')
    .insert({ ...rows[0], balance: 1 })
    .onConflict(['tenant_id', 'id'])
    .ignore()
  return [owner, updated, deleted, memo.id, joined.name, joined.n]
})
const transfer = async (end) => {
  const done = db.transaction(async (trx) => {
    for (const tenant_id of [2, 3, 4, 5, 6, 7]) {
      await trx('account').where({ tenant_id: 1, id: 1 }).decrement('balance', 10)
      await trx.transaction((inner) => inner('account').where({ tenant_id, id: 1 }).increment('balance', 10))
    }
    if (end === 'rollback') throw new Error('no')
  })
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  return db('account').orderBy('tenant_id').pluck('balance')
}
await s.step('transaction', async () => [...(await transfer('commit')), ...(await transfer('rollback'))])
await s.step('errors', () => {
  const insert = (row) => db('account').insert({ tenant_id: 1, id: 2, region: 'eu', owner: 'bob', ...row })
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: 'xx' }),
    () => insert({ region: null }),
    () => db.raw('SELEC 1'),
  )
})
await s.step('refusal', () => s.failures(() => db.raw(s.refused)))
s.none('prepared', 'it names no statements; each is sent with parameters')
await s.step('stream', async () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({
    tenant_id: (i % 7) + 1,
    id: 101 + i,
    region: 'eu',
    owner: `o${i}`,
  }))
  await db.batchInsert('account', rows, 500)
  let [count, sum] = [0, 0]
  for await (const { id } of db('account')
    .where('id', '>', 100)
    .orderBy('id')
    .select('id')
    .stream({ batchSize: 100 })) {
    count++
    sum += id
  }
  return [count, sum]
})
await s.step('introspection', async () => {
  const info = await db('account').columnInfo()
  const columns = Object.entries(info).map(([name, c]) => `${name}:${c.type}:${c.nullable}:${c.maxLength}`)
  return [await db.schema.hasTable('memo'), await db.schema.hasColumn('account', 'owner'), ...columns]
})
await db.destroy()
