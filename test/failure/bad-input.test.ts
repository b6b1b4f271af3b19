import { beforeAll, describe, expect, test } from 'vitest'
import { etcdCall, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import { query } from '../helpers/postgres.ts'
import { until } from '../helpers/process-cluster.ts'

describe.skipIf(!hasEtcd)('what should not be there', () => {
  const matrix = useCrashMatrix('bad input', {
    postgres: { settings: { synchronous_commit: 'on', max_prepared_transactions: '3' } },
  })
  beforeAll(async () => {
    for (const { url } of matrix.cluster.postgres)
      await query(url, 'CREATE TABLE theirs (id int PRIMARY KEY)')
  })

  const urlOf = (shard: number): string => matrix.cluster.postgres[shard]?.url ?? ''
  let nextId = 0
  /** On shard 1, as another program would. */
  const prepare = (gid: string): Promise<unknown> =>
    query(urlOf(1), `BEGIN; INSERT INTO theirs VALUES (${nextId++}); PREPARE TRANSACTION '${gid}'`)
  const preparedGids = async (shard: number): Promise<string[]> => {
    const rows = await query<{ gid: string }>(urlOf(shard), 'SELECT gid FROM pg_prepared_xacts ORDER BY gid')
    return rows.map((row) => row.gid)
  }

  /** Of etcd's key of one of the log's entries. */
  const keyOf = (entry: string): string =>
    Buffer.from(`/weft/${matrix.cluster.name}/${entry}`).toString('base64')
  const put = async (entry: string, value: string): Promise<void> => {
    const body = { key: keyOf(entry), value: Buffer.from(value).toString('base64') }
    await etcdCall(matrix.cluster.etcd?.endpoints ?? [], '/v3/kv/put', body)
  }
  const get = async (entry: string): Promise<string> => {
    const answer = await etcdCall(matrix.cluster.etcd?.endpoints ?? [], '/v3/kv/range', { key: keyOf(entry) })
    const { kvs = [] } = answer as { kvs?: { value: string }[] }
    return Buffer.from(kvs[0]?.value ?? '', 'base64').toString()
  }

  /** Of the transaction that is prepared. */
  const entryNow = async (): Promise<string> => `txn/${(await preparedGids(1))[0]?.split(':')[2]}`

  interface Problem {
    readonly gid: string
    readonly why: string
  }
  const problems = async (shard: number): Promise<readonly Problem[]> => {
    const status = (await matrix.cluster.agents[shard]?.status()) as { shards: { problems: Problem[] }[] }
    return status.shards[0]?.problems ?? []
  }

  test('prepared by somebody else, or by another cluster: never touched, also after the agent starts again', async () => {
    const gids = ['somebody else', 'weft:other:0123456789abc-0-1:1']
    for (const gid of gids) await prepare(gid)
    await matrix.cluster.agents[1]?.kill()
    await matrix.cluster.agents[1]?.start()
    await matrix.cluster.ready()
    // Its recovery has had a turn: it has settled one of ours that was left behind.
    await matrix.run({
      name: 'coordinator',
      at: 'after-prepare',
      strike: () => matrix.cluster.coordinator.kill(),
      mend: () => matrix.cluster.coordinator.start(),
      after: ['aborted'],
    })
    expect(await preparedGids(1)).toEqual([...gids].sort())
    for (const gid of gids) await query(urlOf(1), `ROLLBACK PREPARED '${gid}'`)
  }, 180_000)

  test.each([
    "PREPARE TRANSACTION 'mine'",
    "COMMIT PREPARED 'mine'",
    "ROLLBACK PREPARED 'weft:crash:0123456789abc-0-1:1'",
  ])('a client says %s: 0A000, and the session goes on', async (sql) => {
    const client = await matrix.cluster.connect()
    await expect(client.query(sql)).rejects.toMatchObject({ code: '0A000' })
    await client.query('BEGIN')
    await expect(client.query(sql)).rejects.toMatchObject({ code: '0A000' })
    await client.query('ROLLBACK')
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await client.end()
  })

  test('max_prepared_transactions used up: says so, nothing half done, and works when there is room', async () => {
    const gids = ['a', 'b', 'c']
    for (const gid of gids) await prepare(gid)
    const client = await matrix.cluster.connect()
    const { from, to } = matrix.newPair()
    await client.query('BEGIN')
    await client.query('UPDATE account SET balance = balance + 1 WHERE id = $1', [from])
    await client.query('UPDATE account SET balance = balance - 1 WHERE id = $1', [to])
    await expect(client.query('COMMIT')).rejects.toMatchObject({
      code: '53200',
      message: expect.stringContaining('maximum number of prepared transactions reached'),
      hint: expect.stringContaining('max_prepared_transactions'),
    })
    expect(await matrix.fateOf({ from, to })).toBe('aborted')
    await until('shard 0 has rolled back', async () => (await preparedGids(0)).length === 0)
    expect(await preparedGids(1)).toEqual(gids)
    for (const gid of gids) await query(urlOf(1), `ROLLBACK PREPARED '${gid}'`)
    expect(await matrix.transfer({ from, to })).toEqual({ kind: 'committed' })
    await client.end()
  }, 120_000)

  test('a record of an unknown version: left in doubt and shown, and settled when it can be read', async () => {
    const { coordinator } = matrix.cluster
    await matrix.run({
      name: 'coordinator',
      at: 'after-decision',
      strike: async () => {
        const entry = await entryNow()
        const record = await get(entry)
        await put(entry, JSON.stringify({ ...JSON.parse(record), version: 99 }))
        await coordinator.kill()
        await until('both agents show it', async () => {
          const shown = [...(await problems(0)), ...(await problems(1))]
          return shown.filter(({ why }) => why === 'record of version 99').length === 2
        })
        expect(await matrix.prepared()).toBe(2)
        await put(entry, record)
      },
      mend: () => coordinator.start(),
      after: ['committed'],
    })
    expect(matrix.cluster.agents[1]?.output()).toContain('recovery: left in doubt')
    await until('nothing is shown', async () => (await problems(0)).length + (await problems(1)).length === 0)
  }, 180_000)

  test('a participant that the cluster does not have: carried out on the others, shown, gone with its record', async () => {
    const { coordinator } = matrix.cluster
    let entry = ''
    await matrix.run({
      name: 'coordinator',
      at: 'after-decision',
      strike: async () => {
        entry = await entryNow()
        const record = JSON.parse(await get(entry)) as { participants: number[] }
        await put(entry, JSON.stringify({ ...record, participants: [...record.participants, 7] }))
        await coordinator.kill()
      },
      mend: () => coordinator.start(),
      after: ['committed'],
    })
    const why = 'its commit is to be confirmed by shard 7, which this cluster does not have'
    await until('an agent shows it', async () => (await problems(1)).some((problem) => problem.why === why))
    await etcdCall(matrix.cluster.etcd?.endpoints ?? [], '/v3/kv/deleterange', { key: keyOf(entry) })
    await until('nothing is shown', async () => (await problems(0)).length + (await problems(1)).length === 0)
  }, 240_000)
})
