import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { query } from '../helpers/postgres.ts'
import { until } from '../helpers/process-cluster.ts'
import { processesWith, runWeft, type WeftProcess } from '../helpers/weft-process.ts'

interface Up {
  readonly port: number
  readonly shards: { id: number; url: string }[]
}

interface Dev {
  readonly weft: WeftProcess
  readonly url: string
  readonly shards: readonly string[]
}

interface Case {
  readonly at: FailpointName
  readonly after: 'committed' | 'aborted'
  /** READ COMMITTED: shard 0's own commit is the decision. Default: both shards prepare. */
  readonly level?: string
}

const cases: readonly Case[] = [
  { at: 'during-prepare', after: 'aborted' },
  // The decision is not written.
  { at: 'after-prepare', after: 'aborted' },
  // It is, and no shard knows.
  { at: 'after-decision', after: 'committed' },
  { at: 'between-commits', after: 'committed' },
  { at: 'agent-after-prepare', after: 'aborted' },
  { at: 'agent-after-commit-prepared', after: 'committed' },
  ...[
    { at: 'after-prepare', after: 'aborted' } as const,
    { at: 'agent-before-commit-last', after: 'aborted' } as const,
    { at: 'agent-after-commit-last', after: 'committed' } as const,
    { at: 'after-decision', after: 'committed' } as const,
  ].map((each) => ({ ...each, level: 'READ COMMITTED' })),
]

/** The `postgres` log, whose server dies with everything else. */
describe('weft dev is killed in the middle of a commit', () => {
  const root = mkdtempSync(join(tmpdir(), 'weft-dev-killed-'))
  // As root, Postgres' own user has to get in.
  chmodSync(root, 0o755)
  const dir = join(root, 'data')
  let running: WeftProcess | undefined
  let ids: number[] = []

  beforeAll(async () => {
    const { weft, url, shards } = await dev()
    await query(
      url,
      "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL) WITH (shard_key = 'id')",
    )
    await query(url, 'INSERT INTO account SELECT i, 100 FROM generate_series(1, 20) i')
    const first = await Promise.all(
      shards.map((shard) => query<{ id: number }>(shard, 'SELECT min(id) AS id FROM account')),
    )
    ids = first.map(([row]) => row?.id ?? 0)
    await kill(weft)
  }, 180_000)
  afterAll(async () => {
    if (running !== undefined) await kill(running)
    rmSync(root, { recursive: true, force: true })
  })

  async function dev(failpoint = ''): Promise<Dev> {
    const args = ['dev', '--json', '--shards', '2', '--port', '0', '--admin-port', '0', '--data-dir', dir]
    const weft = runWeft(args, { WEFT_FAILPOINT: failpoint })
    running = weft
    const { port, shards } = JSON.parse(await weft.line('{"event":"up"')) as Up
    return {
      weft,
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      shards: shards.map((shard) => shard.url),
    }
  }

  /** SIGKILL; the Postgres servers notice that nobody is left and end too. */
  async function kill(weft: WeftProcess): Promise<void> {
    weft.child.kill('SIGKILL')
    await weft.finished
    await until('the servers have ended', async () => processesWith(dir).length === 0)
  }

  const balances = async (shards: readonly string[]): Promise<number[]> => {
    const sql = `SELECT balance FROM account WHERE id IN (${ids.join()})`
    const rows = await Promise.all(shards.map((shard) => query<{ balance: number }>(shard, sql)))
    return rows.map(([row]) => row?.balance ?? Number.NaN)
  }

  test.each(cases)(
    '$at: started again on the same data: $after on both shards, and nothing is left',
    async ({ at, after, level = 'REPEATABLE READ' }) => {
      const before = await dev(`${at}:kill`)
      const [had = 0, hadToo = 0] = await balances(before.shards)
      const sql = `BEGIN ISOLATION LEVEL ${level}; UPDATE account SET balance = balance - 10 WHERE id = ${ids[0]};
        UPDATE account SET balance = balance + 10 WHERE id = ${ids[1]}; COMMIT`
      await expect(query(before.url, sql)).rejects.not.toMatchObject({ severity: expect.anything() })
      expect((await before.weft.finished).signal).toBe('SIGKILL')
      await until('the servers have ended', async () => processesWith(dir).length === 0)

      const { weft, url, shards } = await dev()
      const prepared = async (): Promise<number> => {
        const counts = shards.map((shard) =>
          query<{ n: number }>(shard, 'SELECT count(*)::int AS n FROM pg_prepared_xacts'),
        )
        return (await Promise.all(counts)).reduce((sum, [row]) => sum + (row?.n ?? 0), 0)
      }
      await until('nothing is prepared', async () => (await prepared()) === 0)
      const moved = after === 'committed' ? 10 : 0
      expect(await balances(shards)).toEqual([had - moved, hadToo + moved])
      // And it works: the rows are free, and a new commit over both goes through.
      await query(url, sql)
      expect(await balances(shards)).toEqual([had - moved - 10, hadToo + moved + 10])
      await kill(weft)
    },
    180_000,
  )

  test('in the end: the log is empty', async () => {
    const { shards } = await dev()
    // Tombstones go a while after the coordinators that could have contradicted them.
    const log = () => query(shards[0] ?? '', 'SELECT txn_id FROM weft.txn_log')
    await until('the log is empty', async () => (await log()).length === 0, 170_000)
  }, 180_000)
})
