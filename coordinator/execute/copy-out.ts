import type { Catalog } from '../../sql/catalog.ts'
import { BINARY_HEADER, BINARY_TRAILER } from '../../sql/copy/binary-rows.ts'
import type { CopyPlan } from '../../sql/plan/plan.ts'
import { copyStatement } from './copy-statement.ts'
import type { ShardRunner } from './shard-runner.ts'

/**
 * COPY TO STDOUT: the shards' outputs one after the other, as one. Of a reference table the home shard's copy. `onData`
 * gets the payloads of CopyData messages. Returns the number of rows.
 */
export async function copyOut(
  plan: CopyPlan,
  _catalog: Catalog,
  runner: ShardRunner,
  onData: (data: Buffer) => void | Promise<void>,
): Promise<number> {
  const shardCount = plan.table.kind === 'sharded' ? runner.shardCount : 1
  let rows = 0
  for (let shard = 0; shard < shardCount; shard++) {
    // The first shard prints the header for all.
    const sql = copyStatement(plan, 'TO STDOUT', shard === 0 ? plan.header : 'none')
    const { tag } = await runner.copyOut(
      shard,
      sql,
      plan.format === 'binary' ? binary(shard, onData) : onData,
    )
    rows += Number(tag.split(' ').at(-1))
  }
  if (plan.format === 'binary') await onData(BINARY_TRAILER)
  return rows
}

/** Takes the trailer off, and the header except on the first shard. Postgres sends the header with the first row. */
function binary(shard: number, onData: (data: Buffer) => void | Promise<void>) {
  let isFirst = true
  return (data: Buffer): void | Promise<void> => {
    const headerBytes = isFirst ? BINARY_HEADER.length : 0
    isFirst = false
    const row = data.subarray(headerBytes)
    const isTrailer = row.equals(BINARY_TRAILER)
    const start = shard === 0 ? 0 : headerBytes
    const end = isTrailer ? headerBytes : data.length
    if (start < end) return onData(data.subarray(start, end))
  }
}
