import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { fileClockBound, shardClockBound } from '../../txn/clock-bound.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { startPostgres } from '../helpers/postgres.ts'

describe('clock bound', () => {
  test('file: none, stored, read again; damaged: an error, not 0', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'weft-bound-'))
    const path = join(dir, 'bound')
    const bound = fileClockBound(path)
    expect(await bound.read()).toBe(0)
    await bound.persist(1_700_000_000_123)
    expect(await fileClockBound(path).read()).toBe(1_700_000_000_123)
    await writeFile(path, 'x')
    await expect(bound.read()).rejects.toThrow(/not a clock bound/)
    await rm(dir, { recursive: true })
  })

  test('shard: survives a crash of the server, never goes back', async () => {
    const server = await startPostgres()
    const connect = async (): Promise<pg.Client> => {
      const client = new pg.Client({ connectionString: server.url })
      client.on('error', () => {})
      await client.connect()
      return client
    }
    const boundOf = (client: pg.Client) =>
      shardClockBound(async (sql) => {
        const result = (await client.query<Record<string, unknown>>(sql)) as pg.QueryResult | pg.QueryResult[]
        return Array.isArray(result) ? [] : result.rows
      })
    const before = await connect()
    const clock = new HlcClock({ wallMs: () => 5_000_000, maxOffsetMs: 500, bound: boundOf(before) })
    await clock.start()
    const last = clock.now()
    await boundOf(before).persist(17)
    await server.crash()
    await server.restart()
    await before.end().catch(() => {})
    const after = await connect()
    expect(await boundOf(after).read()).toBe(5_003_000)
    const again = new HlcClock({ wallMs: () => 1000, maxOffsetMs: 500, bound: boundOf(after) })
    await again.start()
    expect(again.now() > last).toBe(true)
    await after.end()
    await server.stop()
  })
})
