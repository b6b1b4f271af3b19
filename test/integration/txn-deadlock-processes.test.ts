import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
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
