/** The commands of two-phase commit on one shard. */

import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { Refused } from '../../errors/refusals/refusals.ts'
import type { PrepareOptions, PrepareReply, Timestamp } from '../../protocol/agent-link.ts'
import { STATUS } from '../../protocol/wire/frames.ts'
import type { Failpoints } from '../../txn/failpoints.ts'
import { parseGid } from '../../txn/gid.ts'
import type { AgentClock, AgentLog } from '../config.ts'
import type { AgentBus } from '../events.ts'
import type { Gate } from '../gate/gate.ts'
import type { Backend } from '../pool/backend.ts'
import type { CommandReply } from '../pool/command.ts'
import { type RunSql, withInternal } from '../pool/internal-work.ts'
import type { Pool } from '../pool/pool.ts'
import type { CommittedTransactions } from './committed.ts'
import { FlushGroups } from './flush-groups.ts'
import { MovedRows } from './moved-rows.ts'
import type { Notifications } from './notifications.ts'
import { type Admin, applyDecision, listPrepared, type PreparedRow } from './prepared-list.ts'
import { type ProbeKeeper, USE_PROBE_SQL } from './probe.ts'

/** The function that warns when a standby did not confirm: the name is not translated, the message is. */
const SYNC_REP_ROUTINE = 'SyncRepWaitForLSN'
const CLOCK_ATTEMPTS = 3
/** On disks that take longer to sync Postgres makes good groups by itself. */
const FLUSH_PATIENCE_MS = 5
const INSUFFICIENT_PRIVILEGE = '42501'
const UNDEFINED_OBJECT = '42704'
const IN_FAILED_TRANSACTION = '25P02'
const INVALID_PARAMETER_VALUE = '22023'
const FAILED_BEFORE = 'the transaction had already failed'
const LOOK_AGAIN_MS = 100

/** A transaction whose own commit is to be the decision on all participants. */
export interface LastTransaction {
  readonly gid: string
  readonly xid: string
}

export interface TwoPhaseHost {
  readonly shard: number
  readonly pool: Pool
  readonly gate: Gate
  readonly events: AgentBus
  readonly clock: AgentClock
  readonly committed: CommittedTransactions
  readonly log: AgentLog
  readonly failpoints: Failpoints
  readonly probe: ProbeKeeper
  readonly notifications: Notifications
}

/** Who refuses to prepare what has notified, or listens. */
const NOTIFY_ROUTINE = 'AtPrepare_Notify'
const NOTIFIED: Refused = {
  id: 'notify_in_code',
  what: 'a transaction over several shards in which code (a trigger, a function) notifies or listens is not supported',
  hint:
    'Call weft.notify(channel, payload) there, in place of NOTIFY and pg_notify. Or notify from the client in the same transaction, by ' +
    'NOTIFY or SELECT pg_notify(…). Both are sent when it commits.',
}

/** Of Postgres' refusals: temporary objects, and exported snapshots, which no client of Weft's has. */
const PREPARE_ROUTINE = 'PrepareTransaction'
const NOT_SUPPORTED = '0A000'
const TEMPORARY: Refused = {
  id: 'temporary_prepared',
  what: 'a transaction that changes several shards and touches temporary objects of its session is not supported',
  hint:
    'Use READ COMMITTED, with the log on shard 0, or temporary tables in a transaction of their own. Before something is ' +
    'dropped or changed on which temporary objects ' +
    'depend, drop those by a statement of their own, as DISCARD TEMP does.',
}

function throwKnown({ code, fields: { routine } }: PgError): void {
  if (routine === NOTIFY_ROUTINE) throw weftError('not_supported', NOTIFIED)
  if (routine === PREPARE_ROUTINE && code === NOT_SUPPORTED) throw weftError('not_supported', TEMPORARY)
}

const DO_DEFERRED_SQL =
  'SET CONSTRAINTS ALL IMMEDIATE; SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text, ' +
  "pg_catalog.current_setting('transaction_read_only'), pg_catalog.current_setting('transaction_isolation')"
const DURABLY_SQL =
  "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) " +
  "WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.<>) 'remote_apply'"

export class TwoPhase {
  private readonly host: TwoPhaseHost
  private readonly flushes = new FlushGroups(FLUSH_PATIENCE_MS)
  private readonly moves = new MovedRows()
  private stopped = false

  constructor(host: TwoPhaseHost) {
    this.host = host
    host.events.on('cut', ({ isActive }) => this.flushes.hurry(isActive))
  }

  /** See the request `moved`. */
  get movedTs(): Timestamp {
    return this.moves.highest
  }

  /** PREPARE TRANSACTION. A rejection means that nothing is prepared, unless its code says that it is unknown. */
  async prepare(backend: Backend, gid: string, options: PrepareOptions = {}): Promise<PrepareReply> {
    if (backend.status === STATUS.idle) throw this.refused('there is no transaction on it')
    backend.cancelAsked = false
    if (this.host.failpoints.armed) await this.host.failpoints.hit('agent-before-prepare')
    const sql = `PREPARE TRANSACTION ${literal(gid)}`
    const reply =
      options.probe === true
        ? await this.prepareProbed(sql, backend, gid)
        : await this.prepareBy(sql, backend, gid)
    this.moves.prepared(gid, options.moves === true)
    return reply
  }

  private async prepareProbed(sql: string, backend: Backend, gid: string): Promise<PrepareReply> {
    const { probe } = this.host
    try {
      // The probe is there before the row is, and until what has a row is prepared: from then on it is asked for.
      await probe.use()
      return await this.prepareBy(`${USE_PROBE_SQL}; ${sql}`, backend, gid)
    } finally {
      probe.done()
    }
  }

  /**
   * The place of PREPARE for the participant whose own commit is the decision: what would fail at COMMIT does so now, and
   * the gate knows it as it knows what is prepared. Nothing of it is durable. Undefined, and still open: it cannot write the
   * record, or would not see what happens to the registration. Only Postgres knows what code made of the transaction.
   */
  async prepareLast(
    backend: Backend,
    gid: string,
    moves: boolean,
  ): Promise<Required<PrepareReply> | undefined> {
    if (backend.status === STATUS.idle) throw this.refused('there is no transaction on it')
    backend.cancelAsked = false
    try {
      const { error, rows } = await backend.command(DO_DEFERRED_SQL)
      if (error !== undefined)
        throw error.code === IN_FAILED_TRANSACTION ? this.refused(FAILED_BEFORE) : error
      const [xid, isReadOnly, isolation] = rows.at(-1) ?? []
      if (isReadOnly !== 'off' || isolation !== 'read committed') return undefined
      if (typeof xid !== 'string') throw this.refused('it has no transaction id')
      const prepareTs = await this.timestamp(gid, true)
      this.moves.prepared(gid, moves)
      return { prepareTs, xid }
    } catch (error) {
      await this.rollback(backend)
      throw error
    }
  }

  /**
   * Creates the decision record and commits. A resolved reply with an error is certain (Postgres answers only when it is
   * over); whoever loses the connection instead knows nothing, and the gate goes on waiting for the transaction's end.
   * After an error the transaction may still be open.
   */
  async commitLast(backend: Backend, last: LastTransaction, commitTs: Timestamp, sql: string): Promise<void> {
    const { gate, failpoints, shard } = this.host
    const { gid } = last
    await this.enterDecided(gid, commitTs)
    try {
      if (failpoints.armed) await failpoints.hit('agent-before-commit-last')
      // Others act on the decision at once: a server that crashes must not have forgotten it.
      const reply = await backend.command(`${DURABLY_SQL}; ${sql}; COMMIT`)
      if (reply.error !== undefined) throw reply.error
      if (reply.tag !== 'COMMIT') throw this.refused(FAILED_BEFORE)
      // Crash here: decided, and only the log knows.
      if (failpoints.armed) await failpoints.hit('agent-after-commit-last')
      if (reply.notices.some((notice) => notice.routine === SYNC_REP_ROUTINE))
        throw weftError('backend_lost', { shard, why: 'a synchronous standby did not confirm its commit' })
    } finally {
      gate.leave('decided')
      if (backend.asides.takeTells()) this.host.notifications.due()
    }
  }

  /** Of one that failed, or is not to be; the session keeps what it has on the backend. */
  async rollback(backend: Backend): Promise<void> {
    if (!backend.isDead && backend.status !== STATUS.idle) await backend.command('ROLLBACK')
  }

  /** It ended with an answer, or before it was to commit. */
  lastOver({ gid }: LastTransaction): void {
    this.moves.over(gid)
    this.host.gate.concluded(gid)
  }

  /**
   * Its connection was lost while it may have been committing: until Postgres says that it is over no cut is taken that
   * would have to know. A server that starts anew has ended all of them.
   */
  async lastLost(last: LastTransaction): Promise<void> {
    for (;;) {
      try {
        const sql = `SELECT pg_catalog.pg_xact_status('${last.xid}') AS status`
        const status = await withInternal(
          this.host.pool,
          async (run) => (await run(sql)).records()[0]?.status,
        )
        if (status !== 'in progress') break
      } catch (error) {
        // An id that it does not know any more, or not yet: that server has nothing under way with it.
        if (error instanceof PgError && error.code === INVALID_PARAMETER_VALUE) break
      }
      if (this.stopped) return
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS).unref())
    }
    this.lastOver(last)
  }

  stop(): void {
    this.stopped = true
  }

  private async prepareBy(sql: string, backend: Backend, gid: string): Promise<PrepareReply> {
    const { shard, failpoints } = this.host
    const reply = await this.flushes.run('prepare', () => {
      if (backend.cancelAsked) throw weftError('query_canceled', {})
      return backend.command(sql)
    })
    if (reply.error !== undefined) throwKnown(reply.error)
    if (reply.error !== undefined && reply.error.code !== IN_FAILED_TRANSACTION) throw reply.error
    if (reply.tag !== 'PREPARE TRANSACTION') throw this.refused(FAILED_BEFORE)
    if (reply.notices.some((notice) => notice.routine === SYNC_REP_ROUTINE)) {
      await this.takeBack(backend, gid)
      throw this.refused('a synchronous standby did not confirm it')
    }
    this.host.notifications.prepared(gid, backend.asides)
    // Crash here: prepared, and nobody knows. The coordinator takes it for lost; recovery finds it.
    if (failpoints.armed) await failpoints.hit('agent-after-prepare')
    try {
      const prepareTs = await this.timestamp(gid)
      return { prepareTs }
    } catch (error) {
      await this.takeBack(backend, gid)
      throw error instanceof PgError ? error : weftError('prepare_refused', { shard, why: String(error) })
    }
  }

  /** Waits when the clock's bound is on its way to the disk, as after a time with nothing to do. */
  private async timestamp(gid: string, isLast = false): Promise<Timestamp> {
    const { clock, gate } = this.host
    for (let attempt = 1; ; attempt++) {
      try {
        const prepareTs = clock.now()
        // In the same breath: a cut that comes later lies below it, or waits for it.
        gate.prepared(gid, prepareTs, isLast)
        return prepareTs
      } catch (error) {
        if (attempt === CLOCK_ATTEMPTS || clock.settled === undefined) throw error
        await clock.settled()
      }
    }
  }

  private refused(why: string): PgError {
    return weftError('prepare_refused', { shard: this.host.shard, why })
  }

  /** Undoes a PREPARE that doesn't count, without waiting for standbys once more. */
  private async takeBack(backend: Backend, gid: string): Promise<void> {
    backend.settingsSql = undefined
    await backend.command('SET synchronous_commit TO local')
    const reply = await backend.command(`ROLLBACK PREPARED ${literal(gid)}`)
    if (reply.error !== undefined) {
      throw weftError(
        'internal',
        { what: `${gid} could not be taken back: ${reply.error.message}` },
        reply.error,
      )
    }
  }

  /** COMMIT PREPARED under the gate, on the backend that prepared it if there still is one. */
  async commitPrepared(backend: Backend | undefined, gid: string, commitTs: Timestamp): Promise<void> {
    const { gate, committed, failpoints } = this.host
    if (backend === undefined && committed.wasCommitted(gid)) return
    await this.enterDecided(gid, commitTs)
    try {
      if (failpoints.armed) await failpoints.hit('agent-before-commit-prepared')
      await this.conclude(backend, gid, 'COMMIT PREPARED')
      committed.committed(gid)
      gate.concluded(gid)
      this.host.notifications.concluded(gid)
      // Crash here: committed, and the record is still in the log, unconfirmed by this shard.
      if (failpoints.armed) await failpoints.hit('agent-after-commit-prepared')
    } catch (error) {
      const isGone = error instanceof PgError && error.code === UNDEFINED_OBJECT
      if (!isGone || !committed.wasCommitted(gid)) throw error
    } finally {
      gate.leave('decided')
    }
  }

  async rollbackPrepared(backend: Backend | undefined, gid: string): Promise<void> {
    this.moves.over(gid)
    this.host.gate.decided(gid, 'abort')
    await this.conclude(backend, gid, 'ROLLBACK PREPARED')
    this.host.gate.concluded(gid)
    this.host.notifications.concluded(gid)
  }

  /** Recovery's way: false when it is not prepared any more. */
  async resolve(row: PreparedRow, how: 'commit' | 'abort', commitTs: Timestamp): Promise<boolean> {
    const { gate, pool } = this.host
    const apply = () => withInternal(pool, (run) => applyDecision(adminOf(run), row, how))
    if (how === 'abort') {
      this.moves.over(row.gid)
      gate.decided(row.gid, 'abort', commitTs)
      return await apply()
    }
    await this.enterDecided(row.gid, commitTs)
    try {
      return await apply()
    } finally {
      gate.leave('decided')
    }
  }

  /** Under the gate from then on, until it is left: known as decided, and below what a crash would forget. */
  private async enterDecided(gid: string, commitTs: Timestamp): Promise<void> {
    const { gate, clock } = this.host
    gate.decided(gid, 'commit', commitTs)
    if (!this.observes(commitTs)) await this.observeLater(gid, commitTs)
    if (!this.isCovered(commitTs)) await clock.cover?.(commitTs)
    await gate.enterDecided(gid, commitTs)
    // Ahead of the commit: whoever has waited for a row of it asks afterwards.
    this.moves.commits(gid, commitTs)
  }

  private observes(ts: Timestamp): boolean {
    try {
      this.host.clock.observe(ts)
      return true
    } catch {
      return false
    }
  }

  /**
   * Refused is only what lies further ahead than `max_clock_offset`: the decision of a coordinator whose clock is fast, or
   * was, found in the log after a restart. It stands whatever the clock makes of its timestamp: no order rests on that,
   * for the gate knows how high it has applied, and `cover` sees to what a crash would forget. A clock with nothing to do,
   * whose stored bound is behind, is no reason: it adopts what it hears, and waits for its bound before it issues more.
   */
  private async observeLater(gid: string, ts: Timestamp): Promise<void> {
    const { clock, shard, log } = this.host
    await clock.settled?.()
    if (this.observes(ts)) return
    const line = { shard, gid, txnId: parseGid(gid)?.txnId, commitTs: String(ts) }
    log.warn(line, 'two-phase: timestamp not adopted')
  }

  /** After a restart the gate knows of what was applied here only that it lies below the clock. */
  private isCovered(commitTs: Timestamp): boolean {
    return this.host.clock.covers?.(commitTs) ?? true
  }

  private async conclude(backend: Backend | undefined, gid: string, verb: Verb): Promise<void> {
    const sql = `${verb} ${literal(gid)}`
    if (backend !== undefined) {
      const reply = await this.flushes.run('conclude', () => backend.command(sql))
      // Prepared under SET LOCAL ROLE it belongs to that role, which is over: the administrative login does it.
      if (reply.error?.code !== INSUFFICIENT_PRIVILEGE) return assertDone(reply)
    }
    const applied = await withInternal(this.host.pool, async (run) => {
      const admin = adminOf(run)
      const row = (await listPrepared(admin)).find((prepared) => prepared.gid === gid)
      return row !== undefined && applyDecision(admin, row, verb === 'COMMIT PREPARED' ? 'commit' : 'abort')
    })
    if (!applied) throw notPrepared(gid)
  }
}

/** What recovery works with, on a connection of the agent's own. */
export function adminOf(run: RunSql): Admin {
  return { query: async (sql) => (await run(sql)).records() }
}

function notPrepared(gid: string): PgError {
  return new PgError({
    code: UNDEFINED_OBJECT,
    message: `prepared transaction with identifier "${gid}" does not exist`,
  })
}

type Verb = 'COMMIT PREPARED' | 'ROLLBACK PREPARED'

function assertDone(reply: CommandReply): void {
  if (reply.error !== undefined) throw reply.error
}

/** A string constant in any setting of standard_conforming_strings. */
export function literal(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
