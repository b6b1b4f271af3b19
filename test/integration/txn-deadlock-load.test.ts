import type pg from 'pg'
import { expect, it } from 'vitest'
import { useAccounts } from '../helpers/accounts.ts'
import { type LoadOutcome, runDeadlockLoad } from '../helpers/deadlock-load.ts'

const accounts = useAccounts({ poolSize: 24 })
const WORKERS = 12
const KEYS_PER_SHARD = 3

async function runLoad(transactions: number, isOrdered: boolean): Promise<LoadOutcome> {
  const keys = [0, 1, 2].flatMap((shard) =>
    Array.from({ length: KEYS_PER_SHARD }, (_, n) => accounts.on(shard, n)),
  )
  const clients: pg.Client[] = []
  for (let worker = 0; worker < WORKERS; worker++) clients.push(await accounts.connect())
  const goesOn = (done: number): boolean => done < transactions
  return runDeadlockLoad({ clients, keys, keysPerTransaction: 3, isOrdered, seed: 20_261_121, goesOn })
}

async function total(): Promise<number> {
  const client = await accounts.connect()
  const { rows } = await client.query<{ sum: string }>('SELECT sum(amount) AS sum FROM account')
  return Number(rows[0]!.sum)
}

it('contended transfers, rows always in the same order: no deadlock is ever reported', async () => {
  const before = await total()
  const outcome = await runLoad(80, true)
  expect(outcome).toMatchObject({ committed: WORKERS * 80, local: 0, spanning: 0, false: 0 })
  expect(await total()).toBe(before)
  await accounts.quiet()
})

it('contended transfers in any order: every victim was in a cycle, the others commit', async () => {
  const before = await total()
  const outcome = await runLoad(8, false)
  expect(outcome.false).toBe(0)
  expect(outcome.spanning).toBeGreaterThan(0)
  expect(outcome.committed + outcome.local + outcome.spanning).toBe(WORKERS * 8)
  expect(await total()).toBe(before)
  await accounts.quiet()
})
