import { once } from 'node:events'
import { connect as connectTo } from 'node:net'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { codeOf } from '../helpers/accounts.ts'
import { startTwoCoordinators, type TwoCoordinators } from '../helpers/two-coordinators.ts'

let cluster: TwoCoordinators
let urls: readonly string[] = []
/** A row of each shard. */
let ids: number[] = []

beforeAll(async () => {
  cluster = await startTwoCoordinators()
  urls = cluster.urls
  ids = cluster.ids.map((own) => own[0]!)
})

afterAll(() => cluster?.stop())

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

describe('signals', () => {
  const clients: pg.Client[] = []
  const connect = async (url: string): Promise<pg.Client & { processID: number; secretKey: number }> => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    clients.push(client)
    return client as pg.Client & { processID: number; secretKey: number }
  }
  const sleeping = async () => {
    const [asker, sleeper] = [await connect(urls[0]!), await connect(urls[1]!)]
    const ended = codeOf(sleeper.query('SELECT pg_sleep(60)'))
    const state = 'SELECT state FROM pg_stat_activity WHERE pid = $1'
    await expect
      .poll(async () => (await asker.query(state, [sleeper.processID])).rows[0]?.state, { timeout: 20_000 })
      .toBe('active')
    return { asker, sleeper, ended }
  }
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.end().catch(() => {}))))

  it('pg_cancel_backend, pg_terminate_backend: a session of another coordinator, by its pid', async () => {
    const { asker, sleeper, ended } = await sleeping()
    expect((await asker.query('SELECT pg_cancel_backend($1) AS v', [sleeper.processID])).rows).toEqual([
      { v: true },
    ])
    expect(await ended).toBe('57014')
    const over = new Promise((resolve) => sleeper.once('end', resolve))
    await asker.query('SELECT pg_terminate_backend($1)', [sleeper.processID])
    await over
  })

  it('a CancelRequest that comes to another coordinator cancels too, but not with a wrong key', async () => {
    const { asker, sleeper, ended } = await sleeping()
    await cancelAt(urls[0]!, sleeper.processID, sleeper.secretKey ^ 1)
    await cancelAt(urls[0]!, asker.processID, sleeper.secretKey)
    expect((await asker.query('SELECT 1 AS v')).rows).toEqual([{ v: 1 }])
    await cancelAt(urls[0]!, sleeper.processID, sleeper.secretKey)
    expect(await ended).toBe('57014')
    expect((await sleeper.query('SELECT 1 AS v')).rows).toEqual([{ v: 1 }])
  })
})

/** Until the coordinator has closed the connection. */
async function cancelAt(url: string, pid: number, secretKey: number): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connectTo(Number(port), hostname)
  const message = Buffer.alloc(16)
  for (const [i, word] of [16, 80877102, pid, secretKey].entries()) message.writeInt32BE(word, i * 4)
  socket.end(message)
  socket.resume()
  await once(socket, 'close')
}
