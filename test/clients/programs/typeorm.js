import 'reflect-metadata'
import * as typeorm from 'typeorm'
import * as s from './steps.js'

const { DataSource, EntitySchema, MoreThan, MoreThanOrEqual } = typeorm
s.version('typeorm')
const Region = new EntitySchema({
  name: 'region',
  columns: { code: { type: 'text', primary: true }, name: { type: 'text' } },
})
const Account = new EntitySchema({
  name: 'account',
  columns: {
    tenant_id: { type: 'int', primary: true },
    id: { type: 'int', primary: true },
    owner: { type: 'text' },
    balance: { type: 'numeric', precision: 12, scale: 2, default: 0 },
    seen: { type: 'timestamptz', nullable: true },
  },
  relations: {
    region: { type: 'many-to-one', target: 'region', joinColumn: { name: 'region' }, nullable: false },
  },
  uniques: [{ columns: ['tenant_id', 'owner'] }],
  indices: [{ columns: ['seen'] }],
})
const Memo = new EntitySchema({
  name: 'memo',
  columns: { id: { type: 'int', primary: true, generated: true }, body: { type: 'text', nullable: true } },
})
const open = (ssl) =>
  new DataSource({
    type: 'postgres',
    ...{ host: s.host, port: s.port, username: s.user, password: s.password, database: s.database, ssl },
    entities: [Region, Account, Memo],
    extra: { max: 3 },
  })
const db = open(false)
const one = async (on) => (await on.query('SELECT 1 AS one'))[0].one
await s.step('connect', async () => one(await db.initialize()))
await s.step('tls', async () => {
  const tls = await open({ ca: s.ca }).initialize()
  const seen = await one(tls)
  await tls.destroy()
  return seen
})
await s.step('migrate', async () => {
  await db.synchronize()
  for (const text of s.declarations) await db.query(text)
  // What it would still change: nothing.
  return [await db.manager.count('account'), (await db.driver.createSchemaBuilder().log()).upQueries.length]
})
await s.step('crud', async () => {
  await db.manager.save('region', [
    { code: 'eu', name: 'Europe' },
    { code: 'us', name: 'America' },
  ])
  const accounts = db.getRepository('account')
  const rows = s.tenants.map((tenant_id) => ({
    tenant_id,
    id: 1,
    region: { code: 'eu' },
    owner: 'ann',
    balance: 100,
  }))
  await accounts.save(rows)
  const found = await accounts.findOneOrFail({ where: { tenant_id: 3, id: 1 }, relations: { region: true } })
  const updated = await accounts.update({ balance: MoreThanOrEqual(50) }, { region: { code: 'us' } })
  const deleted = await accounts.delete({ tenant_id: 8 })
  const memo = await db.manager.save('memo', { body: "it's" })
  const query = accounts.createQueryBuilder('a').innerJoin('a.region', 'r').groupBy('r.name')
  const joined = await query.select('r.name', 'name').addSelect('count(*)::int', 'n').getRawOne()
  await accounts.upsert({ ...rows[0], region: { code: 'us' } }, ['tenant_id', 'id'])
  return [found.owner, found.region.name, updated.affected, deleted.affected, memo.id, joined.name, joined.n]
})
const transfer = async (end) => {
  const done = db.transaction('READ COMMITTED', async (manager) => {
    for (const tenant_id of [2, 3, 4, 5, 6, 7]) {
      await manager.decrement('account', { tenant_id: 1, id: 1 }, 'balance', 10)
      await manager.transaction((inner) => inner.increment('account', { tenant_id, id: 1 }, 'balance', 10))
    }
    if (end === 'rollback') throw new Error('no')
  })
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  const rows = await db.manager.find('account', { order: { tenant_id: 'ASC' } })
  return rows.map(({ balance }) => balance)
}
await s.step('transaction', async () => [...(await transfer('commit')), ...(await transfer('rollback'))])
await s.step('errors', () => {
  const insert = (row) =>
    db.manager.insert('account', { tenant_id: 1, id: 2, region: { code: 'eu' }, owner: 'bob', ...row })
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: { code: 'xx' } }),
    () => insert({ region: null }),
    () => db.query('SELEC 1'),
  )
})
await s.step('refusal', () => s.failures(() => db.query(s.refused)))
s.none('prepared', 'it names no statements; each is sent with parameters')
await s.step('stream', async () => {
  const rows = Array.from({ length: 2000 }, (_, i) => ({
    tenant_id: (i % 7) + 1,
    id: 101 + i,
    region: { code: 'eu' },
    owner: `o${i}`,
  }))
  await db.manager.insert('account', rows)
  const query = db
    .getRepository('account')
    .createQueryBuilder('a')
    .where({ id: MoreThan(100) })
    .orderBy('a.id')
  let [count, sum] = [0, 0]
  for await (const row of await query.stream()) {
    count++
    sum += row.a_id
  }
  return [count, sum]
})
await s.step('introspection', async () => {
  const runner = db.createQueryRunner()
  const table = await runner.getTable('account')
  await runner.release()
  const columns = table.columns.map((c) => `${c.name}:${c.type}:${c.isNullable}:${c.default}`)
  const others = [...table.foreignKeys, ...table.indices, ...table.uniques].map(({ name }) => name)
  return [...columns, ...others.sort()]
})
await db.destroy()
