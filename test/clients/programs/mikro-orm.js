import { EntitySchema, MikroORM } from '@mikro-orm/postgresql'
import * as s from './steps.js'

s.version('@mikro-orm/postgresql')
const Region = new EntitySchema({
  name: 'Region',
  tableName: 'region',
  properties: { code: { type: 'text', primary: true }, name: { type: 'text' } },
})
const Account = new EntitySchema({
  name: 'Account',
  tableName: 'account',
  properties: {
    tenant_id: { type: 'integer', primary: true },
    id: { type: 'integer', primary: true },
    region: { kind: 'm:1', entity: 'Region', fieldName: 'region' },
    owner: { type: 'text' },
    balance: { type: 'decimal', precision: 12, scale: 2, default: 0 },
    seen: { type: 'datetime', nullable: true, index: true },
  },
  uniques: [{ properties: ['tenant_id', 'owner'] }],
})
const Memo = new EntitySchema({
  name: 'Memo',
  tableName: 'memo',
  properties: {
    id: { type: 'integer', primary: true, autoincrement: true },
    body: { type: 'text', nullable: true },
  },
})
const { host, port, user, password } = s
const open = (ssl) =>
  MikroORM.init({
    entities: [Region, Account, Memo],
    ...{ host, port, user, password, dbName: s.database },
    driverOptions: { connection: { ssl } },
    pool: { min: 0, max: 3 },
    ensureDatabase: false,
    discovery: { warnWhenNoEntities: false },
    logger: () => {},
  })
let orm
const one = async (on) => (await on.em.getConnection().execute('SELECT 1 AS one'))[0].one
await s.step('connect', async () => {
  orm = await open(false)
  return one(orm)
})
await s.step('tls', async () => {
  const tls = await open({ ca: s.ca })
  const seen = await one(tls)
  await tls.close()
  return seen
})
await s.step('migrate', async () => {
  const generator = orm.getSchemaGenerator()
  await generator.createSchema()
  for (const text of s.declarations) await orm.em.getConnection().execute(text)
  // What it would still change: nothing, but that Weft's own schema is not in its entities.
  const left = (await generator.getUpdateSchemaSQL({ wrap: false, safe: true })).replace(/\s+/g, ' ').trim()
  return [await orm.em.fork().count('Account'), `left:${left}`]
})
await s.step('crud', async () => {
  const em = orm.em.fork()
  const eu = em.create('Region', { code: 'eu', name: 'Europe' })
  const us = em.create('Region', { code: 'us', name: 'America' })
  for (const tenant_id of s.tenants)
    em.create('Account', { tenant_id, id: 1, region: eu, owner: 'ann', balance: 100 })
  await em.flush()
  const found = await em.fork().findOneOrFail('Account', { tenant_id: 3, id: 1 }, { populate: ['region'] })
  const updated = await em.nativeUpdate('Account', { balance: { $gte: 50 } }, { region: us })
  const deleted = await em.nativeDelete('Account', { tenant_id: 8 })
  const memo = em.create('Memo', { body: "it's" })
  await em.flush()
  const all = await em.fork().find('Account', { region: { name: 'America' } }, { populate: ['region'] })
  return [found.owner, found.region.name, updated, deleted, memo.id, all.length, all[0].region.name]
})
const transfer = async (end) => {
  const done = orm.em.fork().transactional(async (em) => {
    const accounts = await em.find('Account', { id: 1 }, { orderBy: { tenant_id: 1 }, lockMode: 4 })
    for (const account of accounts.slice(1)) {
      accounts[0].balance = Number(accounts[0].balance) - 10
      account.balance = Number(account.balance) + 10
    }
    await em.flush()
    if (end === 'rollback') throw new Error('no')
  })
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  const rows = await orm.em.fork().find('Account', {}, { orderBy: { tenant_id: 1 } })
  return rows.map(({ balance }) => balance)
}
await s.step('transaction', async () => [...(await transfer('commit')), ...(await transfer('rollback'))])
await s.step('errors', () => {
  const insert = (row) =>
    orm.em.fork().insert('Account', { tenant_id: 1, id: 2, region: 'eu', owner: 'bob', ...row })
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: 'xx' }),
    () => insert({ region: null }),
    () => orm.em.getConnection().execute('SELEC 1'),
  )
})
await s.step('refusal', () => s.failures(() => orm.em.getConnection().execute(s.refused)))
s.none('prepared', 'it names no statements; each is sent with its values')
s.none('stream', 'it has none')
await s.step('introspection', async () => {
  const { DatabaseSchema } = await import('@mikro-orm/postgresql')
  const schema = await DatabaseSchema.create(
    orm.em.getConnection(),
    orm.em.getPlatform(),
    orm.config,
    'public',
  )
  const tables = schema.getTables().filter((table) => ['account', 'memo', 'region'].includes(table.name))
  return tables.flatMap((table) =>
    table.getColumns().map((c) => `${table.name}.${c.name}:${c.type}:${c.nullable}`.replaceAll(' ', '_')),
  )
})
await orm.close()
