import { expect, test } from 'vitest'
import type { ClusterAccess, Logged } from '../cluster-access.ts'
import { resolve } from './transactions.ts'

const ID = 'a-0-1'

/** A cluster of one shard, where it is prepared at so many looks. */
function clusterOf(looks: number, log: Logged): ClusterAccess {
  let left = looks
  return {
    cluster: 'c',
    shardCount: 1,
    query: async () => [],
    onShard: async () => (left-- > 0 ? [[ID, '2026-01-01', '1', 'ann']] : []),
    status: async (shard) => ({ shard, up: true }),
    logged: async () => log,
    abort: async () => 'abort',
    records: async () => [],
    explain: () => Promise.resolve([]),
  }
}

test.each([
  [1, 'abort'],
  [1, 'coordinator gone'],
  [2, 'undecided'],
] as const)(
  'resolve: not prepared any more after %i looks, and the log says %s: it may have committed',
  async (looks, log) => {
    await expect(resolve(clusterOf(looks, log), ID)).rejects.toMatchObject({ status: 409 })
  },
)

test.each([
  [2, 'abort', 'abort'],
  [2, 'coordinator gone', 'coordinator gone'],
  [3, 'undecided', 'abort'],
  [1, 'commit', 'commit'],
] as const)('resolve: prepared at %i looks, and the log says %s: it is told', async (looks, log, told) => {
  expect(await resolve(clusterOf(looks, log), ID)).toEqual({ transaction: ID, log: told, prepared_on: [] })
})
