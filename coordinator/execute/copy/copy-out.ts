import type { Catalog } from '../../../sql/catalog.ts'
import { BINARY_HEADER, BINARY_TRAILER } from '../../../sql/copy/binary-rows.ts'
import type { CopyPlan } from '../../../sql/plan/copy-plan.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import { begunCopy, copyStatement } from './copy-statement.ts'

type OnData = (data: Buffer) => void | Promise<void>

/** Runs one COPY TO on each shard, and hands on what they bring shard by shard, in order. Gives their command tags. */
export type CopyFromShards = (
  sqls: readonly string[],
  onData: (shard: number, data: Buffer) => void | Promise<void>,
) => Promise<readonly string[]>

/**
 * COPY TO STDOUT: the shards' outputs one after the other, as one. Of a reference table the home shard's copy. `onData`
 * gets the payloads of CopyData messages. `underCut`: begins on all shards at once. Returns the number of rows.
 */
export async function copyOut(
  plan: CopyPlan,
  _catalog: Catalog,
  runner: ShardRunner,
  onData: OnData,
  underCut?: CopyFromShards,
): Promise<number> {
  const shardCount = plan.table.kind === 'sharded' ? runner.shardCount : 1
  const shards = Array.from({ length: shardCount }, (_, shard) => shard)
  // The first shard prints the header for all.
  const headers = shards.map((shard) => (shard === 0 ? plan.header : 'none'))
  const sqls = headers.map((header) =>
    underCut === undefined ? copyStatement(plan, 'TO STDOUT', header) : begunCopy(plan, header),
  )
  const outputs = shards.map((shard) => (plan.format === 'binary' ? binary(shard, onData) : onData))
  const copy = underCut ?? oneByOne(runner)
  const tags = await copy(sqls, (shard, data) => outputs[shard]!(data))
  if (plan.format === 'binary') await onData(BINARY_TRAILER)
  return tags.reduce((rows, tag) => rows + Number(tag.split(' ').at(-1)), 0)
}

function oneByOne(runner: ShardRunner): CopyFromShards {
  return async (sqls, onData) => {
    const tags: string[] = []
    for (const [shard, sql] of sqls.entries()) {
      const { tag } = await runner.copyOut(shard, sql, (data) => onData(shard, data))
      tags.push(tag)
    }
    return tags
  }
}

/** Takes the trailer off, and the header except on the first shard. Postgres sends the header with the first row. */
function binary(shard: number, onData: OnData): OnData {
  let isFirst = true
  return (data) => {
    const headerBytes = isFirst ? BINARY_HEADER.length : 0
    isFirst = false
    const row = data.subarray(headerBytes)
    const isTrailer = row.equals(BINARY_TRAILER)
    const start = shard === 0 ? 0 : headerBytes
    const end = isTrailer ? headerBytes : data.length
    if (start < end) return onData(data.subarray(start, end))
  }
}
