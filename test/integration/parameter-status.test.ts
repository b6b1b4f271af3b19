import type { Connection } from 'pg'
import { expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

const cluster = useTestCluster()

test('what a COMMIT over several shards takes back of SET LOCAL is told once', async () => {
  const client = await connectTo(cluster.current.weftUrl)
  try {
    await client.query(`CREATE TABLE told (id int PRIMARY KEY, n int) WITH (shard_key = 'id');
      INSERT INTO told SELECT i, i FROM generate_series(1, 40) i`)
    const told: string[] = []
    const { connection } = client as unknown as { connection: Connection }
    connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) =>
      told.push(`${message.parameterName} = ${message.parameterValue}`),
    )
    for (const sql of [
      'BEGIN',
      'UPDATE told SET n = 0',
      'SET LOCAL search_path = a, public',
      'COMMIT',
      'SELECT 1',
    ])
      await client.query(sql)
    expect(told).toEqual(['search_path = a, public', 'search_path = "$user", public'])
  } finally {
    await client.end()
  }
})
