/**
 * The probe of a shard (DESIGN 6, docs/decisions/0004-prepared-probe.md): a SERIALIZABLE transaction that has read the
 * whole of weft.ssi_probe and is *prepared*, so that it needs no connection and outlives the agent. Whoever inserts a
 * row there has it as a read-write conflict in from then on. A new probe reads the rows of what is in doubt, which
 * covers that too: so the one before can be ended at once, whoever used it.
 */
import { randomUUID } from 'node:crypto'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { InternalHost, RunSql } from '../pool/internal-work.ts'
import { applyDecision, PROBE_GID_PREFIX } from './prepared-list.ts'
import { ProbeMachine, type ProbeStep } from './probe-machine.ts'
import { adminOf } from './two-phase.ts'

/** What a transaction that uses the probe says ahead of its PREPARE. */
export const USE_PROBE_SQL = 'INSERT INTO weft.ssi_probe DEFAULT VALUES'

/** Who has to wait for a probe gives up after this. */
const WAIT_MS_MAX = 5_000
/** So many deleted rows are worth a VACUUM, which keeps the table short also where autovacuum is late. */
const VACUUM_ROWS = 2_000
/** Not while there is a probe: VACUUM would wait for seconds for it before it gives up truncating. */
const VACUUM_SQL = 'VACUUM weft.ssi_probe'
const STOP_MS_MAX = 1_000
const SERIALIZATION_FAILURE = '40001'

// A standby need not have a probe, and a lost DELETE is made up for by the next one.
const SETTINGS_SQL = `SET synchronous_commit = off; SET default_transaction_isolation = 'read committed';
SET lock_timeout = '1s'; SET statement_timeout = '30s'`

const openSql = (generation: bigint): string => `BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE NOT DEFERRABLE;
SELECT count(*) FROM weft.ssi_probe;
PREPARE TRANSACTION '${PROBE_GID_PREFIX}${generation}:${randomUUID()}'`

/** Prepared transactions that have inserted a row keep the lock for it. */
const IN_DOUBT_SQL = `SELECT count(*) FROM pg_catalog.pg_prepared_xacts p
JOIN pg_catalog.pg_locks own ON own.locktype = 'transactionid' AND own.transactionid = p.transaction
  AND own.mode = 'ExclusiveLock' AND own.pid IS NULL
JOIN pg_catalog.pg_locks l ON l.virtualtransaction = own.virtualtransaction AND l.pid IS NULL
WHERE p.database = current_database() AND l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
  AND l.relation = to_regclass('weft.ssi_probe')`

const PROBES_SQL = `SELECT p.gid, p.owner::text AS owner FROM pg_catalog.pg_prepared_xacts p
WHERE p.database = current_database() AND p.gid LIKE '${PROBE_GID_PREFIX}%'`

interface Waiter {
  readonly isMet: () => boolean
  readonly resolve: () => void
}

export class ProbeKeeper {
  private readonly host: InternalHost
  private readonly machine = new ProbeMachine()
  private generation = 0n
  private waiters: Waiter[] = []
  private working: Promise<void> | undefined
  private timer: NodeJS.Timeout | undefined
  /** Rises when the server may have been restarted. */
  private epoch = 0
  private lastError: PgError | undefined
  private deletedRows = 0
  private isStopped = false

  constructor(host: InternalHost) {
    this.host = host
  }

  /** Transactions in doubt may be without a probe: no SERIALIZABLE transaction may commit before `covered`. */
  get isExposed(): boolean {
    return this.machine.isExposed
  }

  /** Looks what a former agent has left. `generation`: rises with every agent that has the shard. */
  start(generation: bigint): void {
    this.generation = generation
    this.wake()
  }

  /**
   * Resolves when a probe is there, which then stays for whatever is prepared between this and `done`. Rejects when
   * there is none to be had; `done` must be called all the same.
   */
  async use(): Promise<void> {
    const { machine } = this
    machine.use(performance.now())
    if (machine.isOpen) return
    await this.until(() => machine.isOpen)
  }

  /** What it was used for is prepared, or has failed. */
  done(): void {
    this.machine.done(performance.now())
    this.wake()
  }

  /** Resolves when the shard is not exposed. Rejects with 40001 when that takes too long. */
  covered(): Promise<void> {
    return this.until(() => !this.machine.isExposed)
  }

  /** The agent's connections to the server are gone: it may have been restarted, and then no conflict is left. */
  lost(): void {
    this.epoch++
    this.machine.lost()
    this.wake()
  }

  private async until(isMet: () => boolean): Promise<void> {
    if (isMet()) return
    this.wake()
    let waiter: Waiter | undefined
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      waiter = { isMet, resolve }
      this.waiters.push(waiter)
      timer = setTimeout(resolve, WAIT_MS_MAX)
    })
    clearTimeout(timer)
    this.waiters = this.waiters.filter((other) => other !== waiter)
    if (!isMet()) throw this.unavailable()
  }

  private unavailable(): PgError {
    const { lastError } = this
    if (this.machine.isExposed || lastError === undefined || lastError.code === SERIALIZATION_FAILURE) {
      return weftError('not_covered', { shard: this.host.shard }, lastError)
    }
    return lastError
  }

  // Steps

  private wake(): void {
    if (this.working !== undefined || this.isStopped) return
    if (this.machine.wakeAtMs() > performance.now()) return this.arm()
    this.working = this.work().finally(() => {
      this.working = undefined
      this.arm()
    })
  }

  private arm(): void {
    clearTimeout(this.timer)
    const atMs = this.machine.wakeAtMs()
    if (atMs === Number.POSITIVE_INFINITY || this.isStopped) return
    this.timer = setTimeout(() => this.wake(), Math.max(1, atMs - performance.now())).unref()
  }

  private async work(): Promise<void> {
    while (!this.isStopped) {
      const step = this.machine.next(performance.now())
      if (step === undefined) return
      await this.take(step)
      this.tell()
    }
  }

  private tell(): void {
    for (const { isMet, resolve } of this.waiters) if (isMet()) resolve()
  }

  private async take(step: ProbeStep): Promise<void> {
    const { epoch, machine } = this
    if (step === 'close') machine.closing()
    try {
      const ended = await this.host.withInternal((run) => this.perform(step, run))
      if (epoch !== this.epoch) return
      this.lastError = undefined
      ended()
    } catch (error) {
      if (epoch !== this.epoch) return
      this.lastError =
        error instanceof PgError ? error : weftError('internal', { what: String(error) }, error)
      machine.failed(performance.now())
      this.host.log.debug({ shard: this.host.shard, step, err: error }, 'probe: not now')
    }
  }

  /** Answers what the machine is to be told, should the server still be the same. */
  private async perform(step: ProbeStep, run: RunSql): Promise<() => void> {
    const { machine } = this
    await run(SETTINGS_SQL)
    switch (step) {
      case 'look': {
        const inDoubt = await countInDoubt(run)
        if (inDoubt === 0) await this.endProbes(run, await this.probes(run))
        return () => machine.looked(inDoubt)
      }
      case 'open':
      case 'renew':
        return await this.open(run)
      case 'close': {
        if ((await countInDoubt(run)) > 0) return () => machine.kept(performance.now())
        await this.endProbes(run, await this.probes(run))
        return () => machine.closed()
      }
    }
  }

  /** Those of a later agent are not ours to end: this one has lost the shard, and is about to hear of it. */
  private async probes(run: RunSql): Promise<readonly ProbeRow[]> {
    const reply = await run(PROBES_SQL)
    const rows = reply.records().map(({ gid, owner }) => ({ gid: gid ?? '', owner: owner ?? '' }))
    return rows.filter(({ gid }) => generationOf(gid) <= this.generation)
  }

  private async open(run: RunSql): Promise<() => void> {
    const before = await this.probes(run)
    await run(openSql(this.generation))
    const openedMs = performance.now()
    await this.endProbes(run, before, 'VACUUM (TRUNCATE off) weft.ssi_probe')
    return () => this.machine.opened(openedMs)
  }

  private async endProbes(run: RunSql, ended: readonly ProbeRow[], vacuumSql = VACUUM_SQL): Promise<void> {
    for (const row of ended) await applyDecision(adminOf(run), row, 'abort')
    if (ended.length > 0) await this.deleteRows(run, vacuumSql)
  }

  /** Not part of any conflict: READ COMMITTED. Rows of what is in doubt are not seen, and stay. */
  private async deleteRows(run: RunSql, vacuumSql: string): Promise<void> {
    try {
      const { tag } = await run('DELETE FROM weft.ssi_probe')
      this.deletedRows += Number(tag.split(' ')[1] ?? 0)
      if (this.deletedRows < VACUUM_ROWS) return
      this.deletedRows = 0
      await run(vacuumSql)
    } catch (error) {
      this.host.log.warn({ shard: this.host.shard, err: error }, 'probe: its rows were not deleted')
    }
  }

  /** Ends the probe, unless something in doubt needs it or it takes too long: the next agent finds what is left. */
  async stop(): Promise<void> {
    this.isStopped = true
    clearTimeout(this.timer)
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS_MAX)
    })
    await Promise.race([this.end(), tooLong])
    clearTimeout(timer)
  }

  private async end(): Promise<void> {
    await this.working
    const { machine } = this
    if (machine.isOpen && !machine.isInUse) await this.take('close')
  }
}

interface ProbeRow {
  readonly gid: string
  readonly owner: string
}

function generationOf(gid: string): bigint {
  const digits = /^\d+(?=:)/.exec(gid.slice(PROBE_GID_PREFIX.length))
  return BigInt(digits?.[0] ?? 0)
}

async function countInDoubt(run: RunSql): Promise<number> {
  const reply = await run(IN_DOUBT_SQL)
  return Number(reply.rows[0]?.[0])
}
