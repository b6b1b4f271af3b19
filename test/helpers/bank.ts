import type pg from 'pg'
import { Rng } from '../sim/rng.ts'
import type { Accounts } from './accounts.ts'
import { connectTo } from './postgres.ts'

export interface Transfers {
  /** How many have committed so far. */
  readonly committed: number
  /** Ends all writers; rejects with the first error that a transfer must not have. */
  stop(): Promise<void>
}

export interface TransferOptions {
  /** Default 8. */
  readonly clients?: number
  /** Account ids by shard that money goes to and fro between, always across shards. */
  readonly ids: readonly (readonly number[])[]
  readonly seed?: number
}

const MAY_FAIL = new Set(['40001', '40P01'])

/**
 * Clients that move money between shards as fast as they can, until they are stopped: every other one in a transaction
 * block, the rest by one statement. The sum over all accounts never changes.
 */
export async function startTransfers(url: string, options: TransferOptions): Promise<Transfers> {
  const state = { committed: 0, isStopping: false }
  const clients = await Promise.all(Array.from({ length: options.clients ?? 8 }, () => connectTo(url)))
  const work = Promise.all(
    clients.map(async (client, i) => {
      const rng = new Rng((options.seed ?? 1) + i)
      while (!state.isStopping) {
        if (await transfer(client, rng, options.ids, i % 2 === 0)) state.committed++
      }
    }),
  )
  // Whoever stops it is told.
  work.catch(() => {})
  return {
    get committed() {
      return state.committed
    },
    stop: async () => {
      state.isStopping = true
      try {
        await work
      } finally {
        await Promise.all(clients.map((client) => client.end()))
      }
    },
  }
}

async function transfer(
  client: pg.Client,
  rng: Rng,
  ids: readonly (readonly number[])[],
  inBlock: boolean,
): Promise<boolean> {
  const from = rng.below(ids.length)
  const to = (from + 1 + rng.below(ids.length - 1)) % ids.length
  const ends = [
    { id: rng.pick(ids[from]!), change: -1 },
    { id: rng.pick(ids[to]!), change: 1 },
  ].sort((a, b) => a.id - b.id)
  try {
    if (inBlock) await inTransaction(client, ends)
    else await client.query(byOneStatement(ends))
    return true
  } catch (error) {
    if (!MAY_FAIL.has((error as { code?: string }).code ?? '')) throw error
    if (inBlock) await client.query('ROLLBACK')
    return false
  }
}

interface End {
  readonly id: number
  readonly change: number
}

async function inTransaction(client: pg.Client, ends: readonly End[]): Promise<void> {
  await client.query('BEGIN')
  for (const { id, change } of ends)
    await client.query('UPDATE account SET amount = amount + $1 WHERE id = $2', [change, id])
  await client.query('COMMIT')
}

function byOneStatement(ends: readonly End[]): string {
  const cases = ends.map(({ id, change }) => `WHEN ${id} THEN ${change}`).join(' ')
  return `UPDATE account SET amount = amount + CASE id ${cases} END WHERE id IN (${ends.map((e) => e.id).join()})`
}

/** Reads until there were `reads` of them and as many transfers meanwhile. */
export async function readWhile(
  transfers: Transfers,
  reads: number,
  read: () => Promise<void>,
): Promise<void> {
  const before = transfers.committed
  for (let done = 0; done < reads || transfers.committed < before + reads; done++) await read()
}

/** The first accounts of each shard. */
export function accountsForTransfers(accounts: Accounts, shards: number, perShard: number): number[][] {
  return Array.from({ length: shards }, (_, shard) =>
    Array.from({ length: perShard }, (_, n) => accounts.on(shard, n)),
  )
}
