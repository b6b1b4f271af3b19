import type pg from 'pg'
import { expect, it } from 'vitest'
import { useAccounts } from '../helpers/accounts.ts'

const accounts = useAccounts({ poolSize: 24 })
const WORKERS = 12
const KEYS_PER_SHARD = 3
const KEYS_PER_TRANSACTION = 3
const SEED = 20_261_121

/** Numbers below 1, the same ones for the same seed. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What the workers hold and want, as they know it themselves: the judge of every victim. */
class Judge {
  readonly holders = new Map<number, number>()
  readonly wants = new Map<number, number>()

  /** Whether the worker waits for itself in the end. */
  isInCycle(worker: number): boolean {
    const seen = new Set<number>()
    for (let at = worker; !seen.has(at); ) {
      seen.add(at)
      const key = this.wants.get(at)
      const holder = key === undefined ? undefined : this.holders.get(key)
      if (holder === undefined) return false
      if (holder === worker) return true
      at = holder
    }
    return false
  }

  release(worker: number): void {
    for (const [key, holder] of this.holders) if (holder === worker) this.holders.delete(key)
  }
}

interface Outcome {
  committed: number
  /** Of Postgres' own: cycles on one shard. */
  local: number
  spanning: number
  false: number
}

interface Load {
  readonly transactions: number
  readonly isOrdered: boolean
}

async function runLoad({ transactions, isOrdered }: Load): Promise<Outcome> {
  const keys = [0, 1, 2].flatMap((shard) =>
    Array.from({ length: KEYS_PER_SHARD }, (_, n) => accounts.on(shard, n)),
  )
  const judge = new Judge()
  const outcome = { committed: 0, local: 0, spanning: 0, false: 0 }
  const work = async (worker: number): Promise<void> => {
    const next = random(SEED + worker)
    const client = await accounts.connect()
    for (let i = 0; i < transactions; i++) {
      const chosen = [...keys].sort(() => next() - 0.5).slice(0, KEYS_PER_TRANSACTION)
      if (isOrdered) chosen.sort((a, b) => a - b)
      await transfer(client, worker, chosen, judge, outcome)
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)))
  return outcome
}

async function transfer(
  client: pg.Client,
  worker: number,
  keys: readonly number[],
  judge: Judge,
  outcome: Outcome,
): Promise<void> {
  try {
    await client.query('BEGIN')
    for (const [i, key] of keys.entries()) {
      const change = i === 0 ? 1 - keys.length : 1
      judge.wants.set(worker, key)
      await client.query('UPDATE account SET amount = amount + $1 WHERE id = $2', [change, key])
      judge.wants.delete(worker)
      judge.holders.set(key, worker)
    }
    await client.query('COMMIT')
    outcome.committed++
  } catch (error) {
    const { code, detail } = error as pg.DatabaseError
    if (code !== '40P01') throw error
    if (!detail?.includes('of shard')) outcome.local++
    else if (judge.isInCycle(worker)) outcome.spanning++
    else outcome.false++
    await client.query('ROLLBACK')
  }
  judge.wants.delete(worker)
  judge.release(worker)
}

async function total(): Promise<number> {
  const client = await accounts.connect()
  const { rows } = await client.query<{ sum: string }>('SELECT sum(amount) AS sum FROM account')
  return Number(rows[0]!.sum)
}

it('contended transfers, rows always in the same order: no deadlock is ever reported', async () => {
  const before = await total()
  const outcome = await runLoad({ transactions: 80, isOrdered: true })
  expect(outcome).toEqual({ committed: WORKERS * 80, local: 0, spanning: 0, false: 0 })
  expect(await total()).toBe(before)
  await accounts.quiet()
})

it('contended transfers in any order: every victim was in a cycle, the others commit', async () => {
  const before = await total()
  const outcome = await runLoad({ transactions: 8, isOrdered: false })
  expect(outcome.false).toBe(0)
  expect(outcome.spanning).toBeGreaterThan(0)
  expect(outcome.committed + outcome.local + outcome.spanning).toBe(WORKERS * 8)
  expect(await total()).toBe(before)
  await accounts.quiet()
})
