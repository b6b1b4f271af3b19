import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LoadOutcome, runDeadlockLoad } from '../helpers/deadlock-load.ts'
import { startTwoCoordinators, type TwoCoordinators } from '../helpers/two-coordinators.ts'

/** `npm run soak -- --minutes N`: that many, half of them each way. Nothing runs without. */
const minutes = Number(process.env.WEFT_SOAK_MINUTES ?? 0)
const SHARDS = 3
const KEYS_PER_SHARD = 3
const WORKERS = 12
const GRACE_MS = 300_000

describe.runIf(minutes > 0)(`${minutes} minutes of contended transfers over two coordinators`, () => {
  let cluster: TwoCoordinators
  const clients: pg.Client[] = []

  beforeAll(async () => {
    cluster = await startTwoCoordinators(SHARDS)
    for (let worker = 0; worker < WORKERS; worker++) {
      const client = new pg.Client({ connectionString: cluster.urls[worker % 2]! })
      await client.connect()
      clients.push(client)
    }
  })
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()))
    await cluster?.stop()
  })

  async function half(isOrdered: boolean): Promise<LoadOutcome> {
    const endMs = performance.now() + (minutes * 60_000) / 2
    const outcome = await runDeadlockLoad({
      clients,
      keys: cluster.ids.flatMap((own) => own.slice(0, KEYS_PER_SHARD)),
      keysPerTransaction: 3,
      isOrdered,
      seed: Date.now(),
      goesOn: () => performance.now() < endMs,
    })
    const { rows } = await clients[0]!.query<{ sum: number }>('SELECT sum(amount)::int FROM account')
    expect(rows).toEqual([{ sum: 50 * 100 }])
    process.stdout.write(`${isOrdered ? 'one order' : 'any order'}: ${JSON.stringify(outcome, rounded)}\n`)
    return outcome
  }

  it(
    'all in one order: no victim',
    async () => {
      expect(await half(true)).toMatchObject({ local: 0, spanning: 0, false: 0 })
    },
    minutes * 60_000 + GRACE_MS,
  )

  it(
    'in any order: every victim was in a cycle, and somebody always gets on',
    async () => {
      const outcome = await half(false)
      expect(outcome.false).toBe(0)
      expect(outcome.spanning).toBeGreaterThan(0)
      // Found after 0.3 to 0.6 s; Postgres looks after 1 s for those of one shard. The rest is room for a busy machine.
      expect(outcome.longestPauseMs).toBeLessThan(5000)
    },
    minutes * 60_000 + GRACE_MS,
  )
})

function rounded(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value
}
