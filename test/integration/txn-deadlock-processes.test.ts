import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { codeOf } from '../helpers/accounts.ts'
import { freePort } from '../helpers/free-port.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { runWeft, type WeftProcess } from '../helpers/weft-process.ts'

const root = mkdtempSync(join(tmpdir(), 'weft-deadlocks-'))
let shards: TestPostgres[] = []
const processes: WeftProcess[] = []
let urls: string[] = []
/** A row of each shard. */
let ids: number[] = []

/** Two coordinators over the same two shards, everything a process of its own. */
beforeAll(async () => {
  shards = await Promise.all([startPostgres(), startPostgres()])
  const ports = await Promise.all(shards.map(() => freePort()))
  const config = join(root, 'weft.yaml')
  const lines = [
    'shards:',
    ...shards.map(({ url }, id) => `  - { id: ${id}, postgres: "${url}", agent: "127.0.0.1:${ports[id]}" }`),
    'coordinator:',
    '  listen: 127.0.0.1:0',
    '  adminListen: 127.0.0.1:0',
    '  auth: [{ from: 127.0.0.1, method: trust }]',
    'agent: { adminListen: 127.0.0.1:0 }',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const agents = shards.map((_, shard) => runWeft(['agent', '--config', config, '--shard', String(shard)]))
  const coordinators = [0, 1].map(() => runWeft(['coordinator', '--config', config]))
  processes.push(...agents, ...coordinators)
  const events = await Promise.all(coordinators.map((process) => process.line('{"event":"up"')))
  urls = events.map(
    (event) => `postgres://postgres@${(JSON.parse(event) as { listen: string }).listen}/postgres`,
  )
  await query(urls[0]!, "CREATE TABLE account (id int PRIMARY KEY, amount int) WITH (shard_key = 'id')")
  await query(urls[0]!, 'INSERT INTO account SELECT i, 100 FROM generate_series(1, 50) i')
  const first = await Promise.all(
    shards.map(({ url }) => query<{ id: number }>(url, 'SELECT min(id) AS id FROM account')),
  )
  ids = first.map((rows) => rows[0]!.id)
})

afterAll(async () => {
  for (const { child } of processes) child.kill('SIGKILL')
  await Promise.all(processes.map(({ finished }) => finished))
  await Promise.all(shards.map((shard) => shard.stop()))
  rmSync(root, { recursive: true, force: true })
})

async function begin(url: string, id: number): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('BEGIN')
  await take(client, id)
  return client
}

function take(client: pg.Client, id: number): Promise<unknown> {
  return client.query('UPDATE account SET amount = amount + 1 WHERE id = $1', [id])
}

async function cross(older: string, younger: string): Promise<string[]> {
  const [a, b] = [ids[0]!, ids[1]!]
  const one = await begin(older, a)
  const two = await begin(younger, b)
  try {
    return await Promise.all(
      [codeOf(take(one, b)), codeOf(take(two, a))].map(async (work, i) => {
        const code = await work
        await (i === 0 ? one : two).query(code === 'ok' ? 'COMMIT' : 'ROLLBACK')
        return code
      }),
    )
  } finally {
    await Promise.all([one.end(), two.end()])
  }
}

it('both on one coordinator, agents as processes: the younger is the victim', async () => {
  expect(await cross(urls[0]!, urls[0]!)).toEqual(['ok', '40P01'])
})

it('on different coordinators: exactly one victim, the younger, whichever coordinator it is on', async () => {
  for (let i = 0; i < 3; i++) {
    expect(await cross(urls[0]!, urls[1]!)).toEqual(['ok', '40P01'])
    expect(await cross(urls[1]!, urls[0]!)).toEqual(['ok', '40P01'])
  }
})
