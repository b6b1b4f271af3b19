import { PgError } from '../../errors/pg-error.ts'
import { LogUnavailableError, LogUnknownError, type TxnLog } from '../../txn/log/txn-log.ts'
import { parseOutcomeId, type TxnOutcome } from '../../txn/outcome.ts'
import type { InternalConnection } from '../catalog/internal-connection.ts'

export interface OutcomesOptions {
  readonly log: TxnLog
  /** A connection of its own: it may wait. */
  readonly home: InternalConnection
  /** How long outcomes can be asked for. */
  readonly keptMs: number
}

/** So often in the time that something is kept, old markers are forgotten. */
const FORGETS = 10
const FORGET_EVERY_MS_MAX = 600_000

const markerId = /^m[0-9]{1,18}-[0-9a-f]{32}-[0-9a-f]{16}$/
const told: ReadonlySet<string> = new Set([
  'committed',
  'aborted',
  'in doubt',
  'unknown',
] satisfies TxnOutcome[])

/** What became of transactions, by the ids that clients have: of 08007, and of `weft.txn_id()`. */
export class Outcomes {
  private readonly options: OutcomesOptions
  private readonly timer: NodeJS.Timeout

  constructor(options: OutcomesOptions) {
    this.options = options
    const everyMs = Math.min(options.keptMs / FORGETS, FORGET_EVERY_MS_MAX)
    this.timer = setInterval(() => void this.forget(), everyMs).unref()
  }

  /** Rejects for what is no id, and when the home shard cannot be reached, on which markers are. */
  async ask(id: string): Promise<TxnOutcome> {
    const ofLog = parseOutcomeId(id)
    if (ofLog === undefined) return this.ofMarker(id)
    try {
      return await this.options.log.outcome(ofLog.txnId, ofLog.commitTs)
    } catch (error) {
      if (error instanceof LogUnavailableError || error instanceof LogUnknownError) return 'in doubt'
      throw error
    }
  }

  stop(): void {
    clearInterval(this.timer)
    this.options.home.close()
  }

  private async ofMarker(id: string): Promise<TxnOutcome> {
    if (!markerId.test(id)) throw noId(id)
    const { rows } = await this.options.home.query(
      `SET LOCAL synchronous_commit = on; SELECT weft.txn_marker_outcome('${id}')`,
    )
    const outcome = rows[0]?.[0]
    if (outcome === null || outcome === undefined || !told.has(outcome)) throw noId(id)
    return outcome as TxnOutcome
  }

  /** What fails now is made up for the next time. */
  private async forget(): Promise<void> {
    const seconds = this.options.keptMs / 1000
    await this.options.home.query(`SELECT weft.txn_markers_forget(${seconds})`).catch(() => undefined)
  }
}

function noId(id: string): PgError {
  return new PgError({
    code: '22023',
    message: `invalid transaction id: "${id.slice(0, 80)}"`,
    hint: 'Use what weft.txn_id() gave, or the DETAIL of the error 08007.',
  })
}
