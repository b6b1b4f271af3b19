import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Db, OutcomeUnknown, sql, weft } from '../../client/index.ts'
import type { FailpointName } from '../../txn/failpoints.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import { query } from '../helpers/postgres.ts'
import { type ProcessCluster, startProcessCluster } from '../helpers/process-cluster.ts'

/** What a client is told by another coordinator of a transaction whose own died, or told 08007, at its COMMIT. */
const cases: readonly { readonly at: FailpointName; readonly after: readonly string[] }[] = [
  { at: 'before-prepare', after: ['aborted'] },
  { at: 'after-prepare', after: ['aborted'] },
  { at: 'during-decision', after: ['committed', 'aborted'] },
  { at: 'after-decision', after: ['committed'] },
  { at: 'before-conclude', after: ['committed'] },
]

describe.each(hasEtcd ? (['postgres', 'etcd'] as const) : (['postgres'] as const))('%s log', (log) => {
  let cluster: ProcessCluster
  let first: Db
  let other: Db
  const ids: number[] = []

  beforeAll(async () => {
    cluster = await startProcessCluster({ log, coordinators: 2 })
    first = weft(cluster.url(0))
    other = weft(cluster.url(1))
    await other.query(sql`CREATE TABLE account (id int PRIMARY KEY, seen int) WITH (shard_key = 'id')`)
    await other.query(sql`INSERT INTO account SELECT i, 0 FROM generate_series(1, 50) i`)
    for (const { url } of cluster.postgres) {
      const [row] = await query<{ id: number }>(url, 'SELECT min(id) AS id FROM account')
      ids.push(row!.id)
    }
  }, 120_000)
  afterAll(async () => {
    await Promise.all([first?.close(), other?.close()])
    await cluster?.stop()
  })
  afterEach(() => cluster.startAll())

  const seen = async (): Promise<number[]> =>
    (
      await other.many(sql<{ seen: number }>`SELECT seen FROM account WHERE id = ANY(${ids}) ORDER BY id`)
    ).map((row) => row.seen)

  /** On so many shards. */
  const change = (value: number, shards: number, traceable: boolean): Promise<unknown> =>
    first
      .transaction({ traceable, retries: 0 }, async (tx) => {
        for (const id of ids.slice(-shards))
          await tx.query(sql`UPDATE account SET seen = ${value} WHERE id = ${id}`)
      })
      .catch((error: unknown) => error)

  let value = 0
  test.each([
    { at: 'after-decision', after: ['committed'], shards: 1 } as const,
    ...cases.map((one) => ({ ...one, shards: 2 })),
  ])(
    'its coordinator is killed $at, with $shards shards written: $after',
    async ({ at, after, shards }) => {
      await cluster.coordinator.arm(at, 'kill')
      value++
      const error = await change(value, shards, true)
      expect(error).toBeInstanceOf(OutcomeUnknown)
      const { transactionId } = error as OutcomeUnknown
      const outcome = await other.outcome(transactionId!, { timeoutMs: 30_000 })
      expect(after).toContain(outcome)
      await expect
        .poll(async () => (await seen()).slice(-shards).every((n) => n === value), { timeout: 20_000 })
        .toBe(outcome === 'committed')
      await cluster.startAll()
      await cluster.ready()
      expect(await (error as OutcomeUnknown).outcome()).toBe(outcome)
    },
    90_000,
  )

  test.skipIf(log === 'postgres')(
    'the log is lost at the decision: 08007 names the transaction, and it is told when the log is back',
    async () => {
      await cluster.ready()
      await change(-1, 2, false)
      const members = cluster.etcd?.members ?? []
      await cluster.coordinator.arm('after-prepare', 'hold')
      const told = change(-2, 2, false)
      await cluster.coordinator.held('after-prepare')
      for (const member of members) member.pause()
      cluster.coordinator.release()
      const error = (await told) as OutcomeUnknown
      expect(error).toMatchObject({ name: 'OutcomeUnknown', sqlstate: '08007' })
      expect(error.transactionId).toMatch(/^[0-9a-z]+-[0-9a-z]+-[0-9a-z]+@[0-9a-z]+$/)
      expect(await other.outcome(error.transactionId!, { timeoutMs: 0 })).toBe('in doubt')
      for (const member of members) member.resume()
      const outcome = await error.outcome({ timeoutMs: 60_000 })
      expect(['committed', 'aborted']).toContain(outcome)
      expect(await seen()).toEqual(outcome === 'committed' ? [-2, -2] : [-1, -1])
    },
    120_000,
  )
})
