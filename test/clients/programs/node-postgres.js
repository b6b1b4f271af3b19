import pg from 'pg'
import * as s from './steps.js'

s.version('pg')
const client = new pg.Client()
await s.step('connect', async () => {
  await client.connect()
  return (await client.query('SELECT 1 AS one')).rows[0].one
})
await s.step('tls', async () => {
  const tls = new pg.Client({ ssl: { ca: s.ca } })
  await tls.connect()
  const { rows } = await tls.query('SELECT 1 AS one')
  const { encrypted } = tls.connection.stream
  await tls.end()
  return [rows[0].one, encrypted]
})
await s.step('migrate', async () => {
  for (const text of [...s.schema, ...s.declarations]) await client.query(text)
  return (await client.query('SELECT count(*)::int AS n FROM account')).rows[0].n
})
const balances = async () => {
  const { rows } = await client.query('SELECT balance FROM account ORDER BY tenant_id')
  return rows.map((row) => row.balance)
}
await s.step('crud', async () => {
  await client.query("INSERT INTO region VALUES ('eu', 'Europe'), ('us', 'America')")
  for (const tenant of s.tenants) {
    const values = [tenant, 1, 'eu', 'ann', 100]
    await client.query(
      'INSERT INTO account (tenant_id, id, region, owner, balance) VALUES ($1, $2, $3, $4, $5)',
      values,
    )
  }
  const one = await client.query('SELECT owner FROM account WHERE tenant_id = $1 AND id = $2', [3, 1])
  const updated = await client.query("UPDATE account SET region = 'us' WHERE balance >= $1", [50])
  const deleted = await client.query('DELETE FROM account WHERE tenant_id = $1', [8])
  const memo = await client.query('INSERT INTO memo (body) VALUES ($1) RETURNING id', ["it's"])
  const text =
    'SELECT r.name, count(*)::int AS n FROM account a JOIN region r ON r.code = a.region GROUP BY r.name'
  const { name, n } = (await client.query(text)).rows[0]
  return [one.rows[0].owner, updated.rowCount, deleted.rowCount, memo.rows[0].id, name, n]
})
const transfer = async (end) => {
  await client.query('BEGIN')
  for (const tenant of [2, 3, 4, 5, 6, 7]) {
    await client.query('UPDATE account SET balance = balance - 10 WHERE tenant_id = 1 AND id = 1')
    await client.query('UPDATE account SET balance = balance + 10 WHERE tenant_id = $1 AND id = 1', [tenant])
  }
  await client.query(end)
  return balances()
}
await s.step('transaction', async () => [...(await transfer('COMMIT')), ...(await transfer('ROLLBACK'))])
await s.step('errors', () => {
  const insert = (values) =>
    client.query(`INSERT INTO account (tenant_id, id, region, owner) VALUES ${values}`)
  return s.failures(
    () => insert("(1, 1, 'eu', 'bob')"),
    () => insert("(1, 2, 'xx', 'bob')"),
    () => insert("(1, 2, NULL, 'bob')"),
    () => client.query('SELEC 1'),
  )
})
await s.step('refusal', () => s.failures(() => client.query(s.refused)))
await s.step('prepared', async () => {
  const name = 'by_tenant'
  const text =
    'SELECT owner, balance, $2::timestamptz AS at, $3::text AS nothing FROM account WHERE tenant_id = $1'
  const seen = []
  for (const tenant of [1, 2, 3, 1]) {
    const { rows } = await client.query({ name, text, values: [tenant, new Date(86_400_000 * tenant), null] })
    seen.push(rows[0].owner, rows[0].balance, rows[0].at.toISOString(), rows[0].nothing)
  }
  return seen.map(String)
})
await s.step('stream', async () => {
  await client.query(
    `INSERT INTO account (tenant_id, id, region, owner)
      SELECT i % 7 + 1, 100 + i, 'eu', 'o' || i FROM generate_series(1, 3000) i`,
  )
  await client.query('BEGIN')
  await client.query('DECLARE c CURSOR FOR SELECT id FROM account WHERE id > 100 ORDER BY id')
  let [count, sum, batches] = [0, 0, 0]
  for (;;) {
    const { rows } = await client.query('FETCH 100 FROM c')
    if (rows.length === 0) break
    batches++
    for (const { id } of rows) [count, sum] = [count + 1, sum + id]
  }
  await client.query('COMMIT')
  return [count, sum, batches]
})
await s.step('introspection', async () => {
  const text = `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
    WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`
  return (await client.query(text)).rows.map((row) => Object.values(row).join(':').replaceAll(' ', '_'))
})
await client.end()
