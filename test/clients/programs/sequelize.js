import sequelize from 'sequelize'
import * as s from './steps.js'

const { DataTypes, Op, QueryTypes, Sequelize } = sequelize
s.version('sequelize')
const open = (dialectOptions) =>
  new Sequelize(s.url, { dialect: 'postgres', logging: false, pool: { max: 3 }, dialectOptions })
const db = open({})
const define = (name, columns, options) =>
  db.define(name, columns, { tableName: name, timestamps: false, ...options })
const { TEXT, INTEGER, DATE } = DataTypes
const Region = define('region', {
  code: { type: TEXT, primaryKey: true },
  name: { type: TEXT, allowNull: false },
})
const Account = define(
  'account',
  {
    tenant_id: { type: INTEGER, primaryKey: true },
    id: { type: INTEGER, primaryKey: true },
    region: { type: TEXT, allowNull: false, references: { model: 'region', key: 'code' } },
    owner: { type: TEXT, allowNull: false },
    balance: { type: DataTypes.DECIMAL(12, 2), allowNull: false, defaultValue: 0 },
    seen: DATE,
  },
  { indexes: [{ unique: true, fields: ['tenant_id', 'owner'] }, { fields: ['seen'] }] },
)
const Memo = define('memo', { id: { type: INTEGER, primaryKey: true, autoIncrement: true }, body: TEXT })
Account.belongsTo(Region, { foreignKey: 'region', as: 'place' })

const one = async (on) => (await on.query('SELECT 1 AS one', { type: QueryTypes.SELECT }))[0].one
await s.step('connect', () => one(db))
await s.step('tls', async () => {
  const tls = open({ ssl: { ca: s.ca } })
  const seen = await one(tls)
  await tls.close()
  return seen
})
await s.step('migrate', async () => {
  await db.sync()
  for (const text of s.declarations) await db.query(text)
  await db.sync()
  return Account.count()
})
await s.step('crud', async () => {
  await Region.bulkCreate([
    { code: 'eu', name: 'Europe' },
    { code: 'us', name: 'America' },
  ])
  const rows = s.tenants.map((tenant_id) => ({ tenant_id, id: 1, region: 'eu', owner: 'ann', balance: 100 }))
  await Account.bulkCreate(rows)
  const found = await Account.findOne({ where: { tenant_id: 3, id: 1 }, include: 'place' })
  const [updated] = await Account.update({ region: 'us' }, { where: { balance: { [Op.gte]: 50 } } })
  const deleted = await Account.destroy({ where: { tenant_id: 8 } })
  const memo = await Memo.create({ body: "it's" })
  const [, made] = await Memo.findOrCreate({ where: { body: 'other' } })
  const joined = await Account.count({ include: 'place', group: ['place.name'] })
  await Account.upsert({ ...rows[0], region: 'us' })
  return [found.owner, found.place.name, updated, deleted, memo.id, made, joined[0].name, joined[0].count]
})
const transfer = async (end) => {
  const done = db.transaction(async (transaction) => {
    for (const tenant_id of [2, 3, 4, 5, 6, 7]) {
      await Account.decrement({ balance: 10 }, { where: { tenant_id: 1, id: 1 }, transaction })
      await Account.increment({ balance: 10 }, { where: { tenant_id, id: 1 }, transaction })
    }
    if (end === 'rollback') throw new Error('no')
  })
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  return (await Account.findAll({ order: ['tenant_id'] })).map(({ balance }) => balance)
}
await s.step('transaction', async () => [...(await transfer('commit')), ...(await transfer('rollback'))])
await s.step('errors', () => {
  const insert = (row) =>
    Account.create({ tenant_id: 1, id: 2, region: 'eu', owner: 'bob', ...row }, { validate: false })
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: 'xx' }),
    () => insert({ region: null }),
    () => db.query('SELEC 1'),
  )
})
await s.step('refusal', () => s.failures(() => db.query(s.refused)))
await s.step('prepared', async () => {
  const seen = []
  for (const tenant of [1, 2, 3]) {
    const text = 'SELECT owner, balance FROM account WHERE tenant_id = $1'
    const rows = await db.query(text, { bind: [tenant], type: QueryTypes.SELECT })
    seen.push(rows[0].owner, rows[0].balance)
  }
  return seen
})
s.none('stream', 'it has none')
await s.step('introspection', async () => {
  const on = db.getQueryInterface()
  const columns = Object.entries(await on.describeTable('account'))
  const indexes = (await on.showIndex('account')).map(({ name, unique }) => `${name}:${unique}`)
  const tables = await on.showAllTables()
  return [
    ...tables.sort(),
    ...columns.map(([name, c]) => `${name}:${c.type}:${c.allowNull}:${c.primaryKey}`),
    ...indexes.sort(),
  ].map((text) => String(text).replaceAll(' ', '_'))
})
await db.close()
