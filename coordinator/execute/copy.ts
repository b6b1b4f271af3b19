import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import {
  COPY_DONE,
  commandComplete,
  copyData,
  copyInResponse,
  copyOutResponse,
} from '../../protocol/wire/backend-messages.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import type { CopyPlan } from '../../sql/plan/plan.ts'
import type { CopyFeed, ExecContext, Execution } from './context.ts'
import { CopyInExecutor } from './copy-in.ts'
import { copyOut } from './copy-out.ts'
import { readsConsistently } from './on-shards.ts'
import { SessionRunner } from './session-runner.ts'

/** COPY of a sharded or reference table from or to the client. */
export async function runCopy(ctx: ExecContext, _exec: Execution, plan: CopyPlan): Promise<void> {
  if (plan.direction === 'out') return runCopyOut(ctx, plan)
  await ctx.needTransaction()
  const rows = await runCopyIn(ctx, plan)
  ctx.out.hold(commandComplete(`COPY ${rows}`))
}

function formatOf(plan: CopyPlan): { format: number; columnFormats: number[] } {
  const format = plan.format === 'binary' ? 1 : 0
  return { format, columnFormats: plan.columns.map(() => format) }
}

async function runCopyIn(ctx: ExecContext, plan: CopyPlan): Promise<number> {
  const executor = new CopyInExecutor(plan, await ctx.catalog(), new SessionRunner(ctx))
  const feed = new ClientFeed(executor)
  ctx.state.copyOpened = true
  ctx.out.push(copyInResponse(formatOf(plan)))
  ctx.out.flush()
  ctx.readCopy(feed)
  try {
    return await feed.rows
  } catch (error) {
    await executor.abort()
    throw error
  }
}

/** The client's COPY messages, as data for the executor; the first error ends it, later data is ignored. */
class ClientFeed implements CopyFeed {
  private readonly executor: CopyInExecutor
  isOpen = true
  readonly rows: Promise<number>
  private resolve!: (rows: number) => void
  private reject!: (error: unknown) => void

  constructor(executor: CopyInExecutor) {
    this.executor = executor
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
        this.isOpen = false
        this.executor.finish().then(this.resolve, this.reject)
        return
      case MSG.copyFail: {
        const why = buffer.toString('utf8', start + 5, end - 1)
        return this.fail(new PgError({ code: '57014', message: `COPY from stdin failed: ${why}` }))
      }
      default:
        // Flush and Sync mean nothing here.
        return
    }
  }

  flush(): void {}

  private write(data: Buffer): void | Promise<void> {
    try {
      return this.executor.write(data)?.catch((error: unknown) => this.fail(error))
    } catch (error) {
      this.fail(error)
    }
  }

  private fail(error: unknown): void {
    this.isOpen = false
    this.reject(error)
  }
}

/** COPY takes its snapshot when it runs, not when it is bound: over several shards it needs one that is open already. */
async function openForCopyOut(ctx: ExecContext, plan: CopyPlan): Promise<void> {
  const isOnOne = plan.table.kind !== 'sharded' || ctx.node.shardCount === 1
  if (isOnOne || ctx.hasTransactionSnapshots || !readsConsistently(ctx)) return ctx.admit()
  if (ctx.tx.isOpen) throw weftError('not_supported', COPY_IN_BLOCK)
  await ctx.needTransaction({ isolation: 'repeatable read' })
}

const COPY_IN_BLOCK = {
  what: 'COPY TO of a sharded table inside a READ COMMITTED transaction',
  hint: 'Use REPEATABLE READ, run it outside of the transaction, or SET weft.consistent_reads = off.',
}

async function runCopyOut(ctx: ExecContext, plan: CopyPlan): Promise<void> {
  await openForCopyOut(ctx, plan)
  const { out } = ctx
  let opened = false
  const open = () => {
    if (!opened) out.push(copyOutResponse(formatOf(plan)))
    opened = true
  }
  const rows = await copyOut(plan, await ctx.catalog(), new SessionRunner(ctx), (data) => {
    open()
    out.push(copyData(data))
    return out.room()
  })
  open()
  out.push(COPY_DONE)
  out.hold(commandComplete(`COPY ${rows}`))
}
