import pg from 'pg'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

/** Sessions whose transactions take one snapshot of all shards, while one of these is away. */
describe('a shard is away', () => {
  const cluster = useTestCluster({ shards: 2 })
  /** A key on each shard. */
  let keys: number[] = []

  beforeAll(async () => {
    const { weft, weftUrl } = cluster.current
    await query(weftUrl, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL) WITH (shard_key = 'id')")
    await query(weftUrl, 'INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i')
    await query(weftUrl, 'CREATE ROLE careful LOGIN; GRANT ALL ON t TO careful')
    await query(weftUrl, "ALTER ROLE careful SET default_transaction_isolation = 'serializable'")
    const found = await Promise.all(
      weft.shards.map(({ url }) => query<{ id: number }>(url, 'SELECT min(id) AS id FROM t')),
    )
    keys = found.map(([row]) => row!.id)
    await weft.shards[1]!.server!.crash()
    await vi.waitFor(async () => expect((await fetch(`${weft.adminUrl}/ready`)).status).toBe(503), {
      timeout: 20_000,
    })
  })

  async function connect(user: string, options: string): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: cluster.current.weftUrl.replace('postgres@', `${user}@`),
      options,
    })
    await client.connect()
    return client
  }
  const codeOf = (client: pg.Client, sql: string): Promise<string> =>
    client.query(sql).then(
      () => 'done',
      (error: pg.DatabaseError) => error.code ?? error.message,
    )

  test.each([
    { user: 'postgres', options: '' },
    { user: 'postgres', options: '-c default_transaction_isolation=serializable' },
    { user: 'postgres', options: '-c default_transaction_isolation=repeatable\\ read' },
    { user: 'careful', options: '' },
  ])(
    '$user, $options: what needs only the other shard is answered, alone and in a block',
    async ({ user, options }) => {
      const client = await connect(user, options)
      const [here, away] = keys
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      expect((await client.query('SELECT n FROM t WHERE id = $1', [here])).rows).toHaveLength(1)
      expect(await codeOf(client, `UPDATE t SET n = n + 1 WHERE id = ${here}`)).toBe('done')
      expect(await codeOf(client, `SELECT n FROM t WHERE id = ${away}`)).toBe('08006')
      expect(await codeOf(client, 'SELECT count(*) FROM t')).toBe('08006')
      // Several statements in one message are one transaction.
      expect(await codeOf(client, `SELECT 1; UPDATE t SET n = n + 1 WHERE id = ${here}; SELECT 2`)).toBe(
        'done',
      )

      await client.query('BEGIN')
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      expect(await codeOf(client, `UPDATE t SET n = n + 1 WHERE id = ${here}`)).toBe('done')
      expect(await codeOf(client, 'COMMIT')).toBe('done')
      await client.query('BEGIN')
      expect(await codeOf(client, `UPDATE t SET n = n + 1 WHERE id = ${here}`)).toBe('done')
      expect(await codeOf(client, `SELECT n FROM t WHERE id = ${away}`)).toBe('08006')
      expect(await codeOf(client, 'SELECT 1')).toBe('25P02')
      await client.query('ROLLBACK')
      await client.end()
    },
  )
})
