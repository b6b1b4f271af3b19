import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { codeOf } from '../helpers/accounts.ts'
import { query } from '../helpers/postgres.ts'
import { type ProcessCluster, startProcessCluster, until } from '../helpers/process-cluster.ts'

/** Two coordinators, two shards; all of them processes of their own. */
let cluster: ProcessCluster
const clients: pg.Client[] = []
/** Ids on shard 0 and on shard 1. */
let ids: readonly (readonly number[])[] = []
let used = 0

beforeAll(async () => {
  // What is in doubt stays so until a test ends it.
  cluster = await startProcessCluster({ coordinators: 2, log: 'postgres', inDoubtAfterMs: 60_000 })
  await query(
    cluster.url(),
    "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL) WITH (shard_key = 'id')",
  )
  await query(cluster.url(), 'INSERT INTO counter SELECT i, 0 FROM generate_series(1, 60) i')
  ids = await Promise.all(
    cluster.postgres.map(async ({ url }) => {
      const rows = await query<{ id: number }>(url, 'SELECT id FROM counter ORDER BY id')
      return rows.map(({ id }) => id)
    }),
  )
}, 120_000)
afterAll(() => cluster?.stop())
afterEach(async () => {
  for (const node of [cluster.coordinator, ...cluster.agents]) node.release()
  await Promise.all(clients.splice(0).map((client) => client.end()))
})

async function connect(coordinator: number): Promise<pg.Client> {
  const client = await cluster.connect(coordinator)
  clients.push(client)
  return client
}

/** A counter on each shard that no test has used. */
function newPair(): readonly [number, number] {
  const i = used++
  return [ids[0]![i]!, ids[1]![i]!]
}

async function read(client: pg.Client, id: number): Promise<number> {
  const { rows } = await client.query<{ n: number }>('SELECT n FROM counter WHERE id = $1', [id])
  return rows[0]!.n
}

/** In REPEATABLE READ both shards prepare; in READ COMMITTED shard 0's own commit is the decision. */
async function setBoth(
  client: pg.Client,
  [x, y]: readonly [number, number],
  n: number,
  level = 'READ COMMITTED',
): Promise<void> {
  await client.query(`BEGIN ISOLATION LEVEL ${level}`)
  for (const id of [x, y]) await client.query('UPDATE counter SET n = $1 WHERE id = $2', [n, id])
  await client.query('COMMIT')
}

async function token(client: pg.Client): Promise<string> {
  const { rows } = await client.query<Record<string, string>>('SHOW weft.causal_token')
  return Object.values(rows[0]!)[0]!
}

const adopt = (client: pg.Client, value: string): Promise<unknown> =>
  client.query(`SET weft.causal_token = '${value}'`)

describe.each<{ how: string; level: string; at: FailpointName }>([
  { how: 'shard 0 decided by that', level: 'READ COMMITTED', at: 'after-decision' },
  { how: 'both had prepared', level: 'REPEATABLE READ', at: 'between-commits' },
])('a transaction that one shard has committed and the other not yet, $how', ({ level, at: point }) => {
  interface HalfDone {
    /** The counter that shows it, and the one that does not yet. */
    readonly new: number
    readonly old: number
    /** Has seen nothing of it: connecting alone is a look at the home shard. */
    readonly stranger: pg.Client
    /** Both have it. */
    finish(): Promise<void>
  }

  /** Sets two counters to 1 and stands still between the commits of the two shards. */
  async function halfDone(): Promise<HalfDone> {
    const pair = newPair()
    const [writer, stranger] = [await connect(0), await connect(1)]
    await cluster.coordinator.arm(point, 'hold')
    const work = setBoth(writer, pair, 1, level)
    await cluster.coordinator.held(point)
    const seen = (): Promise<number[]> =>
      Promise.all(
        cluster.postgres.map(async ({ url }, shard) => {
          const [row] = await query<{ n: number }>(url, `SELECT n FROM counter WHERE id = ${pair[shard]}`)
          return row!.n
        }),
      )
    await until('one shard has committed', async () => (await seen()).includes(1))
    const at = (await seen()).indexOf(1)
    return {
      new: pair[at]!,
      old: pair[1 - at]!,
      stranger,
      finish: async () => {
        cluster.coordinator.release()
        await work
      },
    }
  }

  /** What is planned for the first time asks the home shard, which is a look at it too. */
  beforeAll(async () => {
    for (const coordinator of [0, 1]) {
      const client = await connect(coordinator)
      for (const id of newPair()) await read(client, id)
    }
  })

  /** A read that has to wait; another session, which has seen nothing, is answered meanwhile with what was before. */
  async function waits(client: pg.Client, half: HalfDone): Promise<number> {
    const reading = read(client, half.old)
    reading.catch(() => {})
    for (let i = 0; i < 20; i++) expect(await read(half.stranger, half.old)).toBe(0)
    await half.finish()
    return reading
  }

  it('who has seen it on one shard sees it on the other too, with the coordinator that commits it', async () => {
    const reader = await connect(0)
    const half = await halfDone()
    expect(await read(reader, half.new)).toBe(1)
    expect(await waits(reader, half)).toBe(1)
  })

  it('and with another coordinator', async () => {
    const reader = await connect(1)
    const half = await halfDone()
    expect(await read(reader, half.new)).toBe(1)
    expect(await waits(reader, half)).toBe(1)
  })

  it.each([
    { from: 0, to: 1 },
    { from: 1, to: 0 },
  ])('handed on from a session of coordinator $from to one of $to', async ({ from, to }) => {
    const [first, second] = [await connect(from), await connect(to)]
    const half = await halfDone()
    expect(await read(first, half.new)).toBe(1)
    await adopt(second, await token(first))
    expect(await waits(second, half)).toBe(1)
  })

  it('handed on over three sessions, the last one in a transaction block', async () => {
    const [first, second, third] = [await connect(1), await connect(0), await connect(1)]
    const half = await halfDone()
    expect(await read(first, half.new)).toBe(1)
    await adopt(second, await token(first))
    await adopt(third, await token(second))
    await third.query('BEGIN')
    expect(await waits(third, half)).toBe(1)
    await third.query('COMMIT')
  })

  it('in a block of REPEATABLE READ too', async () => {
    const reader = await connect(1)
    const half = await halfDone()
    expect(await read(reader, half.new)).toBe(1)
    const reading = (async () => {
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      const both = [await read(reader, half.old), await read(reader, half.new)]
      await reader.query('COMMIT')
      return both
    })()
    reading.catch(() => {})
    for (let i = 0; i < 20; i++) expect(await read(half.stranger, half.old)).toBe(0)
    await half.finish()
    expect(await reading).toEqual([1, 1])
  })
})

describe('read your writes, monotonic reads', () => {
  interface Late {
    /** The counter where it is not carried out yet, and the other one. */
    readonly behind: number
    readonly done: number
    readonly shard: number
    readonly writer: pg.Client
    readonly told: Promise<void>
  }

  /** Sets two counters to 1; one shard stands still before it commits. */
  async function lateOn(shard: number): Promise<Late> {
    const pair = newPair()
    const [behind, done] = [pair[shard]!, pair[1 - shard]!]
    const writer = await connect(0)
    const agent = cluster.agents[shard]!
    await agent.arm('agent-before-commit-prepared', 'hold')
    const told = setBoth(writer, pair, 1, shard === 0 ? 'REPEATABLE READ' : 'READ COMMITTED')
    told.catch(() => {})
    await agent.held('agent-before-commit-prepared')
    const other = cluster.postgres[1 - shard]!.url
    const sql = `SELECT FROM counter WHERE id = ${done} AND n = 1`
    await until('the other shard has committed', async () => (await query(other, sql)).length === 1)
    return { behind, done, shard, writer, told }
  }

  it('told COMMIT though one shard has not carried it out: who has the token waits for it there', async () => {
    const sessions = [await connect(1), await connect(1), await connect(1)]
    const late = [await lateOn(0), await lateOn(1)]
    // A client waits for seconds for what is decided to be carried out, then it is told.
    await Promise.all(late.map(({ told }) => told))
    const third = sessions[2]!
    for (const [i, { behind, done, shard, writer }] of late.entries()) {
      const sql = `SELECT n FROM counter WHERE id = ${behind}`
      expect(await query(cluster.postgres[shard]!.url, sql)).toEqual([{ n: 0 }])
      const other = sessions[i]!
      await adopt(other, await token(writer))
      const reading = read(other, behind)
      // Its own session on the shard is what carries the commit out.
      const own = read(writer, behind)
      for (const promise of [reading, own]) promise.catch(() => {})
      for (let n = 0; n < 20; n++) expect(await read(third, done)).toBe(1)
      cluster.agents[shard]!.release()
      expect(await reading).toBe(1)
      expect(await own).toBe(1)
    }
  })

  it('a commit over both shards, told to a session of the other coordinator: seen, again and again', async () => {
    const pair = newPair()
    const sessions = [await connect(0), await connect(1)]
    for (let i = 1; i <= 60; i++) {
      const [writer, reader] = [sessions[i % 2]!, sessions[(i + 1) % 2]!]
      await setBoth(writer, pair, i)
      await adopt(reader, await token(writer))
      expect([await read(reader, pair[1]), await read(reader, pair[0])]).toEqual([i, i])
    }
  })

  it('a session that goes from shard to shard and hands on its token never sees an older state', async () => {
    const pair = newPair()
    const writers = [await connect(0), await connect(1)]
    const readers = [await connect(0), await connect(1)]
    let isDone = false
    const writing = (async () => {
      for (let i = 1; !isDone; i++) await setBoth(writers[i % 2]!, pair, i)
    })()
    writing.catch(() => {})
    let last = 0
    for (let i = 0; i < 150; i++) {
      const [now, next] = [readers[i % 2]!, readers[(i + 1) % 2]!]
      for (const id of i % 3 === 0 ? pair : [...pair].reverse()) {
        const n = await read(now, id)
        expect(n).toBeGreaterThanOrEqual(last)
        last = n
      }
      await adopt(next, await token(now))
    }
    isDone = true
    await writing
  })
})

describe('weft.causal_token', () => {
  it.each(['nonsense', '-1', '1.5', '99999999999999999999999999'])(
    '%s: refused with 22023, the session goes on',
    async (value) => {
      const client = await connect(0)
      const before = await token(client)
      expect(await codeOf(adopt(client, value))).toBe('22023')
      expect(await token(client)).toBe(before)
      expect(await read(client, ids[0]![0]!)).toBeGreaterThanOrEqual(0)
    },
  )

  it('of a time far ahead: refused, and no clock follows it', async () => {
    const client = await connect(0)
    const ahead = (BigInt(Date.now()) + 3_600_000n) << 16n
    expect(await codeOf(adopt(client, String(ahead)))).not.toBe('ok')
    expect(await codeOf(client.query('SELECT count(*) FROM counter'))).toBe('ok')
  })

  it('an older one changes nothing', async () => {
    const client = await connect(0)
    const old = await token(client)
    await setBoth(client, newPair(), 1)
    const now = await token(client)
    expect(BigInt(now)).toBeGreaterThanOrEqual(BigInt(old))
    await adopt(client, old)
    expect(await token(client)).toBe(now)
  })
})
