import postgres from 'postgres'
import * as s from './steps.js'

s.version('postgres')
const options = {
  host: s.host,
  port: s.port,
  user: s.user,
  password: s.password,
  database: s.database,
  onnotice: () => {},
}
const sql = postgres({ ...options, max: 2 })
await s.step('connect', async () => (await sql`SELECT 1 AS one`)[0].one)
await s.step('tls', async () => {
  const tls = postgres({ ...options, max: 1, ssl: { ca: s.ca } })
  const [{ one }] = await tls`SELECT 1 AS one`
  await tls.end()
  return one
})
await s.step('migrate', async () => {
  for (const text of [...s.schema, ...s.declarations]) await sql.unsafe(text)
  return (await sql`SELECT count(*)::int AS n FROM account`)[0].n
})
await s.step('crud', async () => {
  await sql`INSERT INTO region ${sql([
    { code: 'eu', name: 'Europe' },
    { code: 'us', name: 'America' },
  ])}`
  const rows = s.tenants.map((tenant_id) => ({ tenant_id, id: 1, region: 'eu', owner: 'ann', balance: 100 }))
  await sql`INSERT INTO account ${sql(rows)}`
  const [{ owner }] = await sql`SELECT owner FROM account WHERE tenant_id = ${3} AND id = ${1}`
  const updated = await sql`UPDATE account SET region = 'us' WHERE balance >= ${50}`
  const deleted = await sql`DELETE FROM account WHERE tenant_id = ${8}`
  const [memo] = await sql`INSERT INTO memo (body) VALUES (${"it's"}) RETURNING id`
  const [joined] =
    await sql`SELECT r.name, count(*)::int AS n FROM account a JOIN region r ON r.code = a.region GROUP BY r.name`
  return [owner, updated.count, deleted.count, memo.id, joined.name, joined.n]
})
const transfer = async (after) => {
  const done = sql.begin(async (tx) => {
    for (const tenant of [2, 3, 4, 5, 6, 7]) {
      await tx`UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1`
      await tx`UPDATE account SET balance = balance + 10 WHERE tenant_id = ${tenant} AND id = 1`
    }
    await after()
  })
  await done.catch((error) => {
    if (error.message !== 'no') throw error
  })
  return (await sql`SELECT balance FROM account ORDER BY tenant_id`).map((row) => row.balance)
}
const commit = () => undefined
const rollback = () => {
  throw new Error('no')
}
await s.step('transaction', async () => [...(await transfer(commit)), ...(await transfer(rollback))])
await s.step('errors', () => {
  const insert = (row) =>
    sql`INSERT INTO account ${sql({ tenant_id: 1, id: 2, region: 'eu', owner: 'bob', ...row })}`
  return s.failures(
    () => insert({ id: 1 }),
    () => insert({ region: 'xx' }),
    () => insert({ region: null }),
    () => sql`SELEC 1`,
  )
})
await s.step('refusal', () => s.failures(() => sql.unsafe(s.refused)))
await s.step('prepared', async () => {
  const seen = []
  for (const tenant of [1, 2, 3, 1]) {
    const at = new Date(86_400_000 * tenant)
    const [row] = await sql`SELECT owner, balance, ${at}::timestamptz AS at, ${null}::text AS nothing
      FROM account WHERE tenant_id = ${tenant}`
    seen.push(row.owner, row.balance, row.at.toISOString(), row.nothing)
  }
  return seen.map(String)
})
await s.step('stream', async () => {
  await sql`INSERT INTO account (tenant_id, id, region, owner)
    SELECT i % 7 + 1, 100 + i, 'eu', 'o' || i FROM generate_series(1, ${3000}::int) i`
  let [count, sum, batches] = [0, 0, 0]
  for await (const rows of sql`SELECT id FROM account WHERE id > ${100} ORDER BY id`.cursor(100)) {
    batches++
    for (const { id } of rows) [count, sum] = [count + 1, sum + id]
  }
  return [count, sum, batches]
})
await s.step('introspection', async () => {
  const statement = await sql`SELECT * FROM account`.describe()
  return statement.columns.map((column) => `${column.name}:${column.type}`)
})
await sql.end()
