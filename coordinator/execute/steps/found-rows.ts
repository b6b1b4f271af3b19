import { dataRowOfCells, parseRowDescription } from '../../../protocol/wire/backend-messages.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { describe, parse, SYNC } from '../../../protocol/wire/frontend-messages.ts'
import {
  type GatherPlan,
  isOwnName,
  LIMIT_COLUMN,
  OFFSET_COLUMN,
  ownName,
  PLACE_PARTS,
} from '../../../sql/plan/gather/gather-plan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import type { ExecContext, Execution } from '../context.ts'
import { Collector, type ExecEnd, FrameConsumer } from '../shards/replies.ts'
import { sendPayload, settled } from '../shards/send.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { finishShard, overGathered } from './gather.ts'
import type { GatheredRows } from './gathered-rows.ts'
import { type Place, placeOf } from './places.ts'

/** A row of a query that locks. */
export interface FoundRow {
  /** DataRow of the client's columns. */
  readonly message: Buffer
  /** By the table that is locked; undefined: it has no row in this one. */
  readonly places: readonly (Place | undefined)[]
  readonly limit: string | null | undefined
  readonly offset: string | null | undefined
}

interface Find {
  readonly gather: GatherPlan
  /** Of the client's columns, as in a Bind. */
  readonly formats: readonly number[]
  /** How many tables are locked. */
  readonly tables: number
  readonly account: MemoryAccount
}

/** Of a row in memory, roughly, beside its bytes. */
const ROW_BYTES = 512

/** The rows of the query over what is gathered. */
export async function findRows(
  ctx: ExecContext,
  exec: Execution,
  find: Find,
  gathered: GatheredRows,
): Promise<readonly FoundRow[]> {
  const { gather } = find
  ctx.state.trace?.doing('Finds rows')
  const line = ctx.line(finishShard(ctx, gather))
  const formats = await ownFormats(ctx, exec, find)
  const consumer = new FoundConsumer(find)
  const payload = overGathered(line, exec, gather, gather.finish, gathered, formats, { describes: true })
  sendPayload(ctx, line, payload, { writes: false }, consumer)
  await settled(ctx, line, consumer.ended)
  return consumer.rows
}

/** Those of all columns: the client names formats of its own. */
async function ownFormats(
  ctx: ExecContext,
  exec: Execution,
  { gather, formats }: Find,
): Promise<readonly number[]> {
  const [first] = formats
  if (formats.every((format) => format === first)) return formats.slice(0, 1)
  const line = ctx.line(finishShard(ctx, gather))
  const collector = new Collector()
  const own = gather.finishParams!.map((n) => exec.paramTypes[n - 1] ?? 0)
  const payload = Buffer.concat([parse('', gather.finish, line.typesHere(own)), describe('S', ''), SYNC])
  sendPayload(ctx, line, payload, { writes: false }, collector)
  const { columns } = await settled(ctx, line, collector.ended)
  let next = 0
  return columns.map(({ name }) => (isOwnName(name) ? 0 : formats[next++]!))
}

const HEADER_BYTES = 5
const CELL_BYTES = 4

class FoundConsumer extends FrameConsumer<ExecEnd> {
  readonly rows: FoundRow[] = []
  private readonly find: Find
  private names: readonly string[] = []

  constructor(find: Find) {
    super()
    this.find = find
  }

  protected frame(_line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === MSG.rowDescription)
      this.names = parseRowDescription(buffer, start + HEADER_BYTES, end).map(({ name }) => name)
    if (type === MSG.dataRow && this.error === undefined) this.row(buffer, start + HEADER_BYTES + 2)
  }

  private row(buffer: Buffer, cellsAt: number): void {
    const own = new Map<string, string | null>()
    const cells: Buffer[] = []
    let at = cellsAt
    for (const name of this.names) {
      const length = buffer.readInt32BE(at)
      const end = at + CELL_BYTES + Math.max(0, length)
      if (!isOwnName(name)) cells.push(buffer.subarray(at, end))
      else own.set(name, length < 0 ? null : buffer.toString('utf8', at + CELL_BYTES, end))
      at = end
    }
    const message = dataRowOfCells(cells.length, cells)
    this.error ??= this.find.account.offer(ROW_BYTES + message.length)
    const limits = { limit: own.get(LIMIT_COLUMN), offset: own.get(OFFSET_COLUMN) }
    this.rows.push({ message, places: this.placesIn(own), ...limits })
  }

  private placesIn(own: ReadonlyMap<string, string | null>): (Place | undefined)[] {
    const parts = PLACE_PARTS.length
    return Array.from({ length: this.find.tables }, (_, table) =>
      placeOf(PLACE_PARTS.map((_part, i) => own.get(ownName(`place_${table * parts + i}`)))),
    )
  }

  protected result(status: number): ExecEnd {
    return this.end(status)
  }
}
