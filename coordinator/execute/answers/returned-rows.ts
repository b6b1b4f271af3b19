import { MSG } from '../../../protocol/wire/frames.ts'
import { RowForwarder } from '../shards/replies.ts'
import type { ShardLine } from '../shards/shard-line.ts'

/** Keeps the DataRow messages of one shard, so that rows of several shards can be given in the statement's order. */
export class RowKeeper extends RowForwarder {
  readonly rows: Buffer[] = []

  protected override frame(line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === MSG.dataRow) this.rows.push(Buffer.from(buffer.subarray(start, end)))
    else super.frame(line, type, buffer, start, end)
  }
}

/**
 * Rows of a statement that was split over shards, in the order of its own rows: part i holds the rows at
 * `indexes[i]`. Without a row for each (ON CONFLICT DO NOTHING) their places are not known: part after part.
 */
export function inOrder(
  parts: readonly { readonly indexes: readonly number[]; readonly rows: readonly Buffer[] }[],
): Buffer[] {
  if (parts.some((part) => part.rows.length !== part.indexes.length))
    return parts.flatMap((part) => part.rows)
  const ordered: Buffer[] = []
  for (const { indexes, rows } of parts) {
    for (const [i, index] of indexes.entries()) ordered[index] = rows[i]!
  }
  return ordered
}
