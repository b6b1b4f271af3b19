import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import {
  COPY_DONE,
  commandComplete,
  copyData,
  copyInResponse,
  copyOutResponse,
} from '../../../protocol/wire/backend-messages.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { lineContext } from '../../../sql/copy/copy-errors.ts'
import type { CopyPlan } from '../../../sql/plan/copy-plan.ts'
import type { TimePart } from '../../../sql/plan/times/text-place.ts'
import { timeSql } from '../../../sql/plan/times/time-text.ts'
import { readsConsistently } from '../../settings/consistent-reads.ts'
import type { TextEncoding } from '../../settings/text-encoding.ts'
import { CopiedText } from '../answers/copied-text.ts'
import type { CopyFeed, ExecContext, Execution } from '../context.ts'
import { noteScatter } from '../scatter.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import { needsNoMap } from '../transaction/map-change.ts'
import { isOfRows } from './copy-failure.ts'
import { CopyInExecutor } from './copy-in.ts'
import { copyOut } from './copy-out.ts'
import { copyUnderCut } from './copy-under-cut.ts'

/** COPY of a sharded or reference table from or to the client. */
export async function runCopy(ctx: ExecContext, exec: Execution, plan: CopyPlan): Promise<void> {
  try {
    await copy(ctx, plan)
  } catch (error) {
    if (!(error instanceof PgError) || error.fields.position === undefined) throw error
    throw new PgError({ ...error.fields, position: placeOfOption(error, exec.text) }, { cause: error })
  }
}

/** Postgres points at the option that it names, in the text that it got. */
function placeOfOption({ message }: PgError, text: string): number | undefined {
  const option = /^COPY ([A-Z_]+) /.exec(message)?.[1]
  const at = option === undefined ? -1 : text.toUpperCase().search(new RegExp(`\\b${option}\\b`))
  return at < 0 ? undefined : [...text.slice(0, at)].length + 1
}

async function copy(ctx: ExecContext, plan: CopyPlan): Promise<void> {
  if (plan.direction === 'out') return runCopyOut(ctx, plan)
  await ctx.needTransaction()
  const { rows, notices } = await runCopyIn(ctx, plan)
  for (const notice of notices) ctx.out.aside(notice)
  ctx.out.hold(commandComplete(`COPY ${rows}`))
}

function formatOf(plan: CopyPlan): { format: number; columnFormats: number[] } {
  const format = plan.format === 'binary' ? 1 : 0
  return { format, columnFormats: plan.columns.map(() => format) }
}

type CopiedIn = Awaited<ReturnType<CopyInExecutor['finish']>>

async function runCopyIn(ctx: ExecContext, plan: CopyPlan): Promise<CopiedIn> {
  const inTurn = {
    account: ctx.memory.account('rows of COPY'),
    // A table's lock on home keeps it as it was planned.
    onHome: () => needsNoMap(ctx),
  }
  const runner = new SessionRunner(ctx)
  const encoding = await encodingOf(ctx, plan)
  const said = ctx.memory.account('notices of COPY')
  const executor = new CopyInExecutor(withTime(ctx, plan), await ctx.catalog(), runner, inTurn, said)
  await executor.open()
  const feed = new ClientFeed(executor, plan.table.name, encoding && new CopiedText(encoding))
  ctx.state.copyOpened = true
  ctx.out.push(copyInResponse(formatOf(plan)))
  ctx.out.flush()
  ctx.readCopy(feed)
  try {
    return await feed.rows
  } catch (error) {
    for (const notice of executor.noticesBefore(error)) ctx.out.aside(notice)
    await executor.abort()
    throw error
  }
}

/** Of the data, where that is not UTF8. */
async function encodingOf(
  { node }: ExecContext,
  { encoding, table }: CopyPlan,
): Promise<TextEncoding | undefined> {
  if (encoding === undefined) return undefined
  await node.encodings.load(encoding)
  const known = node.encodings.find(encoding)
  if (known !== undefined) return known
  throw weftError('not_supported', {
    id: 'copy',
    what: `COPY with ENCODING ${encoding} is not supported for ${table.kind} table "${table.name}"`,
    hint: 'Convert the data to UTF8.',
  })
}

/** Defaults that tell a time are told the transaction's. */
function withTime({ tx, times }: ExecContext, plan: CopyPlan): CopyPlan {
  const us = { transaction: tx.begunUs, statement: times.messageUs }
  const say = (part: TimePart) => (typeof part === 'string' ? part : timeSql(us[part.clock]))
  const fill = plan.fill.map((f) =>
    f.once === undefined ? f : { ...f, expression: f.once.map(say).join('') },
  )
  return { ...plan, fill }
}

/** The client's COPY messages, as data for the executor; the first error ends it, later data is ignored. */
class ClientFeed implements CopyFeed {
  private readonly executor: CopyInExecutor
  private readonly table: string
  private readonly copied: CopiedText | undefined
  /** The client's own end of its data. */
  private gaveUp: PgError | undefined
  isOpen = true
  readonly rows: Promise<CopiedIn>
  private resolve!: (rows: CopiedIn) => void
  private reject!: (error: unknown) => void

  /** `copied`: what reads data that is not in UTF8. */
  constructor(executor: CopyInExecutor, table: string, copied: CopiedText | undefined) {
    this.executor = executor
    this.table = table
    this.copied = copied
    this.rows = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  message(type: number, buffer: Buffer, start: number, end: number): void | Promise<void> {
    switch (type) {
      case MSG.copyData:
        return this.write(buffer.subarray(start + 5, end))
      case MSG.copyDone:
        return this.end()
      case MSG.copyFail: {
        const why = buffer.toString('utf8', start + 5, end - 1)
        this.gaveUp = new PgError({ code: '57014', message: `COPY from stdin failed: ${why}` })
        return this.fail(this.gaveUp)
      }
      default:
        // Flush and Sync mean nothing here.
        return
    }
  }

  flush(): void {}

  refuse(error: PgError, line?: number): void {
    const where = line === undefined ? undefined : lineContext(this.table, line)
    this.fail(where === undefined ? error : new PgError({ ...error.fields, where }, { cause: error }))
  }

  private write(data: Buffer): void | Promise<void> {
    const text = this.inUtf8(() => this.copied?.read(data) ?? data)
    if (text === undefined) return
    try {
      return this.executor.write(text)?.catch((error: unknown) => this.fail(error))
    } catch (error) {
      this.fail(error)
    }
  }

  private end(): void {
    if (this.inUtf8(() => this.copied?.end(true) ?? true) === undefined) return
    this.isOpen = false
    this.executor.finish().then(this.resolve, (error: unknown) => this.fail(error))
  }

  /** Undefined: it was no text, and that has been said. */
  private inUtf8<T>(read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof PgError)) throw error
      this.refuse(error, this.copied?.line)
      return undefined
    }
  }

  private fail(error: unknown): void {
    this.isOpen = false
    if (error !== this.gaveUp && !isOfRows(error)) return this.reject(error)
    this.executor.firstOf(error).then(this.reject, this.reject)
  }
}

/** Whether it has to be given one snapshot of all shards: its transaction has none yet. */
async function isUnderCut(ctx: ExecContext, plan: CopyPlan): Promise<boolean> {
  const isOnOne = plan.table.kind !== 'sharded' || ctx.node.shardCount === 1
  if (isOnOne || !readsConsistently(ctx.settings)) {
    await ctx.admit()
    return false
  }
  await ctx.needTransaction()
  return !ctx.hasTransactionSnapshots
}

async function runCopyOut(ctx: ExecContext, plan: CopyPlan): Promise<void> {
  const { kind, name: table, key } = plan.table
  if (kind === 'sharded') noteScatter(ctx, [{ table, key: key!.column }], { length: ctx.node.shardCount })
  const underCut = (await isUnderCut(ctx, plan)) ? copyUnderCut(ctx, plan) : undefined
  const { out } = ctx
  const encoding = await encodingOf(ctx, plan)
  let opened = false
  const open = () => {
    if (!opened) out.push(copyOutResponse(formatOf(plan)))
    opened = true
  }
  let failed: unknown
  const onData = (data: Buffer) => {
    open()
    // The shards' COPYs go on to their ends: nobody is in their midst when the error is told.
    if (failed !== undefined) return
    try {
      out.push(copyData(encoding?.fromUtf8(data) ?? data))
    } catch (error) {
      failed = error
    }
    return out.room()
  }
  const rows = await copyOut(plan, await ctx.catalog(), new SessionRunner(ctx), onData, underCut)
  if (failed !== undefined) throw failed
  open()
  out.push(COPY_DONE)
  out.hold(commandComplete(`COPY ${rows}`))
}
