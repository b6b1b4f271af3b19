import type { PgError } from '../../errors/pg-error.ts'
import { refusalIn } from '../../errors/refusals/refusals.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { errorTold, READY_BYTES, rowsTold } from '../statistics/answer-end.ts'
import type { StatementStat } from '../statistics/statement-stats.ts'
import type { ClientSession } from './client-session.ts'

/** How long a session's statements take, for the statistics of the node and its log of slow ones. */
export class StatementTimer {
  private readonly session: ClientSession
  private stat: StatementStat | undefined
  private begunMs = 0

  constructor(session: ClientSession) {
    this.session = session
  }

  /** A statement goes to its one shard. */
  begin(plan: Plan): void {
    this.beginAs(this.session.node.statistics.of(plan))
  }

  beginAs(stat: StatementStat | undefined): void {
    this.session.tracing?.begin()
    this.stat = stat
    this.begunMs = performance.now()
  }

  /** The shard's answer ends with this. Postgres flushes errors: their ReadyForQuery may come by itself, after `before`. */
  ended(last: Buffer, before: Buffer): void {
    const isReadyOnly = last.length <= READY_BYTES
    const answer = isReadyOnly ? before : last
    const rows = rowsTold(answer, isReadyOnly ? 0 : READY_BYTES)
    if (rows >= 0) {
      if (this.stat !== undefined) this.count(this.stat, performance.now() - this.begunMs, rows, 1)
      this.session.tracing?.ended(this.stat, rows, 1)
      return
    }
    const told = errorTold(answer)
    if (told !== undefined) this.session.node.statistics.failed(told.code, refusalIn(told.detail))
    this.session.tracing?.failed(told?.code ?? '')
  }

  /** Runs a statement the slow way; `isCounted`: it has run, not only begun. */
  async timed<E extends { readonly plan: Plan; readonly bindsOnly?: boolean | undefined }>(
    work: () => Promise<E>,
  ): Promise<E> {
    const { session } = this
    session.tracing?.begin()
    const begunMs = performance.now()
    const before = session.shardExecs()
    const exec = await work()
    const stat = exec.bindsOnly === true ? undefined : session.node.statistics.of(exec.plan)
    const [rows, asked] = [session.out.heldRows, this.asked(before)]
    if (stat !== undefined) this.count(stat, performance.now() - begunMs, rows, asked)
    session.tracing?.ended(stat, rows, asked)
    return exec
  }

  /** A COMMIT by itself, over several shards. */
  async committed(work: () => Promise<void>): Promise<void> {
    const { session } = this
    session.tracing?.begin()
    const begunMs = performance.now()
    const before = session.shardExecs()
    await work()
    const { commit } = session.node.statistics
    const asked = this.asked(before)
    this.count(commit, performance.now() - begunMs, 0, asked)
    session.tracing?.ended(commit, 0, asked)
  }

  /** The client is told of an error. */
  failed({ code, fields }: PgError): void {
    this.session.node.statistics.failed(code, refusalIn(fields.detail))
    this.session.tracing?.failed(code)
  }

  /** Shards of which something has been asked since. */
  private asked(before: readonly number[]): number {
    return this.session.shardExecs().filter((execs, shard) => execs !== (before[shard] ?? 0)).length
  }

  private count(stat: StatementStat, ms: number, rows: number, shards: number): void {
    const { node, sessionId } = this.session
    node.statistics.ran(stat, ms, rows, shards)
    if (ms < node.slowMs) return
    const { query, route } = stat
    node.log.warn(
      { ms: Math.round(ms * 1000) / 1000, pid: sessionId, route, rows, shards, query },
      'slow statement',
    )
  }
}
