import pgPromise from 'pg-promise'
import QueryStream from 'pg-query-stream'
import * as s from './steps.js'

s.version('pg-promise')
const pgp = pgPromise({ noWarnings: true })
const db = pgp({ connectionString: s.url, max: 2 })
const { insert, ColumnSet } = pgp.helpers
await s.step('connect', async () => (await db.one('SELECT 1 AS one')).one)
await s.step('tls', async () => {
  const tls = pgp({
    host: s.host,
    port: s.port,
    user: s.user,
    password: s.password,
    database: s.database,
    ssl: { ca: s.ca },
  })
  return (await tls.one('SELECT 1 AS one')).one
})
await s.step('migrate', async () => {
  await db.none(s.schema.join(';\n'))
  for (const text of s.declarations) await db.any(text)
  return (await db.one('SELECT count(*)::int AS n FROM account')).n
})
const columns = new ColumnSet(['tenant_id', 'id', 'region', 'owner', 'balance'], { table: 'account' })
await s.step('crud', async () => {
  await db.none(
    insert(
      [
        { code: 'eu', name: 'Europe' },
        { code: 'us', name: 'America' },
      ],
      ['code', 'name'],
      'region',
    ),
  )
  await db.none(
    insert(
      s.tenants.map((tenant_id) => ({ tenant_id, id: 1, region: 'eu', owner: 'ann', balance: 100 })),
      columns,
    ),
  )
  const { owner } = await db.one('SELECT owner FROM account WHERE tenant_id = $<tenant>', { tenant: 3 })
  const updated = await db.result("UPDATE account SET region = 'us' WHERE balance >= $1", [50])
  const deleted = await db.result('DELETE FROM account WHERE tenant_id = $1', 8)
  const memo = await db.one('INSERT INTO memo (body) VALUES ($1) RETURNING id', ["it's"])
  const joined = await db.one(
    'SELECT r.name, count(*)::int AS n FROM account a JOIN region r ON r.code = a.region GROUP BY r.name',
  )
  return [owner, updated.rowCount, deleted.rowCount, memo.id, joined.name, joined.n]
})
const transfer = async (end) => {
  const done = db.tx(async (tx) => {
    for (const tenant of [2, 3, 4, 5, 6, 7]) {
      await tx.none('UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1')
      await tx.tx((inner) =>
        inner.none('UPDATE account SET balance = balance + 10 WHERE tenant_id = $1 AND id = 1', tenant),
      )
    }
    if (end === 'rollback') throw new Error('no')
  })
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  return db.map('SELECT balance FROM account ORDER BY tenant_id', [], (row) => row.balance)
}
await s.step('transaction', async () => [...(await transfer('commit')), ...(await transfer('rollback'))])
await s.step('errors', () => {
  const add = (row) =>
    db.none(insert({ tenant_id: 1, id: 2, region: 'eu', owner: 'bob', balance: 0, ...row }, columns))
  return s.failures(
    () => add({ id: 1 }),
    () => add({ region: 'xx' }),
    () => add({ region: null }),
    () => db.any('SELEC 1'),
  )
})
await s.step('refusal', () => s.failures(() => db.any(s.refused)))
await s.step('prepared', async () => {
  const text = 'SELECT owner, balance, $2::timestamptz AS at FROM account WHERE tenant_id = $1'
  const statement = new pgp.PreparedStatement({ name: 'by_tenant', text })
  const seen = []
  for (const tenant of [1, 2, 3, 1]) {
    const row = await db.one(statement, [tenant, new Date(86_400_000 * tenant)])
    seen.push(row.owner, row.balance, row.at.toISOString())
  }
  return seen
})
await s.step('stream', async () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({
    tenant_id: (i % 7) + 1,
    id: 101 + i,
    region: 'eu',
    owner: `o${i}`,
    balance: 1,
  }))
  await db.none(insert(rows, columns))
  let sum = 0
  const stream = new QueryStream('SELECT id FROM account WHERE id > $1 ORDER BY id', [100], {
    batchSize: 100,
  })
  const { processed } = await db.stream(stream, async (each) => {
    each.on('data', ({ id }) => {
      sum += id
    })
  })
  return [processed, sum]
})
s.none('introspection', 'it has none')
pgp.end()
