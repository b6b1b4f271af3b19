import { settleAll } from '../shards/settle-all.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'

/**
 * Settings under which names, values and definitions taken from one shard mean the same on another: nothing on the
 * search path, so that all names come qualified; value formats that lose nothing; no policy that could leave out rows.
 */
const portable: readonly (readonly [name: string, value: string])[] = [
  ['search_path', ''],
  ['datestyle', 'ISO, MDY'],
  ['intervalstyle', 'postgres'],
  ['extra_float_digits', '3'],
  ['bytea_output', 'hex'],
  ['xmloption', 'content'],
  ['standard_conforming_strings', 'on'],
  ['row_security', 'off'],
  ['default_table_access_method', 'heap'],
  ['client_min_messages', 'warning'],
]

const enterSql = `SELECT ${portable
  .map(
    ([name, value]) =>
      `pg_catalog.current_setting('${name}'), pg_catalog.set_config('${name}', '${value}', true)`,
  )
  .join(', ')}`

const leaveSql = `SELECT ${portable.map(([name], i) => `pg_catalog.set_config('${name}', $${i + 1}, true)`).join(', ')}`

/**
 * Runs `work` under the portable settings on every shard and puts the session's own back. When `work` fails they
 * stay: the transaction has failed with it, and with it go all SET LOCAL.
 */
export async function withPortableSettings<T>(runner: ShardRunner, work: () => Promise<T>): Promise<T> {
  const shards = Array.from({ length: runner.shardCount }, (_, shard) => shard)
  const before = await settleAll(shards.map((shard) => enter(runner, shard)))
  const result = await work()
  await settleAll(shards.map((shard) => runner.query(shard, leaveSql, before[shard]!)))
  return result
}

async function enter(runner: ShardRunner, shard: number): Promise<(string | null)[]> {
  const { rows } = await runner.query(shard, enterSql)
  return portable.map((_, i) => rows[0]?.[i * 2] ?? '')
}
