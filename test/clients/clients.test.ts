/** The clients that need nothing but what is here anyway; `npm run test:clients` runs all of them. */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { query } from '../helpers/postgres.ts'
import { clients, steps } from './clients.ts'
import { runClient } from './run.ts'
import { type ClientServers, startClientServers } from './servers.ts'

const cheap = ['psql', 'node-postgres', 'postgres-js', 'kysely']
const hasPsql = spawnSync('psql', ['--version']).status === 0

let servers: ClientServers | undefined
beforeAll(async () => {
  servers = await startClientServers()
})
afterAll(() => servers?.stop())

for (const client of clients.filter(({ name }) => cheap.includes(name))) {
  test.skipIf(client.name === 'psql' && !hasPsql)(`${client.title}: each step as on Postgres`, async () => {
    const { version, steps: verdicts } = await runClient(client, servers!)
    expect(version).toMatch(/^\d+\.\d/)
    expect(Object.keys(verdicts)).toEqual([...steps])
    expect(Object.entries(verdicts).filter(([, { verdict }]) => verdict === 'differs')).toEqual([])
    // The same nothing on both would be as plain, too.
    expect(Object.values(verdicts).filter(({ verdict }) => verdict === 'none').length).toBeLessThan(2)
  })
}

test('the tenants of the transfers are on all shards', async () => {
  const { weft, shardUrls } = servers!
  await query(weft.url, "CREATE TABLE tenant (tenant_id int PRIMARY KEY) WITH (shard_key = 'tenant_id')")
  await query(weft.url, 'INSERT INTO tenant SELECT generate_series(1, 7)')
  const counts = await Promise.all(
    shardUrls.map((url) => query<{ n: number }>(url, 'SELECT count(*)::int AS n FROM tenant')),
  )
  expect(counts.map(([row]) => row!.n > 0)).toEqual([true, true, true])
})
