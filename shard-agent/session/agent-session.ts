/** One client session's line to this shard (the contract is `AgentSession` in protocol/agent-link.ts). */
import { weftError } from '../../errors/catalog.ts'
import { invariant, type PgError } from '../../errors/pg-error.ts'
import type {
  AgentSession,
  ExecRequest,
  PrepareOptions,
  PrepareReply,
  ReplySink,
  Timestamp,
} from '../../protocol/agent-link.ts'
import { errorResponse, READY_IDLE } from '../../protocol/wire/backend-messages.ts'
import { STATUS } from '../../protocol/wire/frames.ts'
import type { CutStatement } from '../gate/gate.ts'
import type { Backend } from '../pool/backend.ts'
import type { BackendOwner } from '../pool/backend-owner.ts'
import { withBorrowed } from '../pool/borrow.ts'
import type { IdentityPool, PoolUser } from '../pool/identity-pool.ts'
import type { KeptValues, SequenceSeat } from '../pool/sequence-seat.ts'
import { endForgotten, isForgotten } from './forgotten-transaction.ts'
import { LastCommit } from './last-commit.ts'
import type { VersionedSession } from './map-version.ts'
import { COMMANDING, PHASE, WAITING } from './phase.ts'
import { PhaseEnd } from './phase-end.ts'
import { type PreparedTransaction, preparedBy } from './prepared-transaction.ts'
import { mayCommit, refusalOfCommit } from './serializable-guard.ts'
import { nobody, type SessionHost } from './session-host.ts'
import { SettledWait } from './settled-wait.ts'

export class PooledSession implements AgentSession, PoolUser, BackendOwner, VersionedSession, CutStatement {
  sink: ReplySink
  request: ExecRequest | undefined
  queuedAtMs = 0
  overtaken = 0
  staleError: PgError | undefined
  /** The session's id on all links of its coordinator. */
  readonly knownAs: number
  /** Unlike every other's, also of the same coordinator's. */
  private readonly link: string
  private readonly host: SessionHost
  private readonly pool: IdentityPool
  private readonly onClosed: () => void
  private readonly onGone: () => void
  private backend: Backend | undefined
  private phase: number = PHASE.idle
  private isPaused = false
  private isClosed = false
  /** The transaction or pinned state that went down with its backend; the next exec hears of it. */
  private lost: PgError | undefined
  seat: SequenceSeat | undefined
  kept: KeptValues | undefined
  /** Decision not carried out. */
  prepared: PreparedTransaction | undefined
  private readonly last: LastCommit
  private readonly phaseEnd = new PhaseEnd()
  private readonly settling: SettledWait
  /** The running exec has its tables' locks, and keeps them until those on other shards are as far. */
  private waitsForCut = false
  private isMakingWay = false
  /** To be run when what concludes the last transaction is over. */
  private next: ExecRequest | undefined

  /** `onClosed`: its id is free again; `onGone`: nothing of it is left. */
  constructor(
    host: SessionHost,
    link: string,
    knownAs: number,
    pool: IdentityPool,
    sink: ReplySink,
    onClosed: () => void,
    onGone: () => void,
  ) {
    this.host = host
    this.settling = new SettledWait(host.gate, host.shard)
    this.last = new LastCommit(host.twoPhase)
    this.link = link
    this.knownAs = knownAs
    this.pool = pool
    this.sink = sink
    this.onClosed = onClosed
    this.onGone = onGone
  }

  get holdsBackend(): boolean {
    return this.backend !== undefined
  }

  get isRunning(): boolean {
    return this.phase === PHASE.running || this.phase === PHASE.guarded
  }

  /** As whom it connects; '' for Weft's own. */
  get user(): string {
    return this.pool.key
  }

  get backendPid(): number | undefined {
    return this.backend?.pid
  }

  /** What runs here, if anything, is part of a transaction that a later statement ends. */
  get isInBlock(): boolean {
    const { backend, request } = this
    if (this.prepared !== undefined) return true
    if (backend === undefined) return false
    return (request?.begin?.length ?? 0) > 0 || this.waitsForCut || backend.status !== STATUS.idle
  }

  // Running statements

  exec(request: ExecRequest): void {
    if (this.phase === PHASE.concluding && this.next === undefined && !this.isClosed) {
      // The client was told COMMIT when this shard took too long to carry it out.
      this.next = request
      return
    }
    invariant(this.phase === PHASE.idle && !this.isClosed, 'exec on a session that is busy or closed')
    this.request = request
    this.waitsForCut = request.cut !== undefined
    this.phase = PHASE.held
    if (this.host.versions.admits(this)) this.proceed()
  }

  proceed(): void {
    const { request } = this
    if (request?.seen === undefined || request.access === 'commit') return this.begin()
    if (this.host.gate.preparedCount === 0) return this.begin()
    this.phase = PHASE.unsettled
    const begin = () => this.begin()
    if (!this.settling.begin(request, this.link, begin, (error) => this.refused(error))) begin()
  }

  private begin(): void {
    // Also while it was held or waited: on another backend it would be no part of its transaction.
    if (this.lost !== undefined) this.refused(this.takeLost())
    else if (isForgotten(this.request!, this.backend)) void this.refuseForgotten(this.backend)
    else if (this.backend !== undefined) this.runOn(this.backend)
    else {
      this.phase = PHASE.queued
      this.host.pool.acquire(this.pool, this)
    }
  }

  private async refuseForgotten(backend: Backend | undefined): Promise<void> {
    this.phase = PHASE.concluding
    const error = await endForgotten(backend, this.host)
    if (backend !== undefined) await this.letGo(backend)
    this.execEnded(false)
    this.sink.failed(error, false)
  }

  // Under a cut

  get isParked(): boolean {
    return this.phase === PHASE.running && this.backend?.exec.isParked === true
  }

  readyForCut(): void {
    this.sink.ready?.()
  }

  schemaChanged(): void {
    void this.host.tellNews('schema')
  }

  takeSnapshot(done: () => void): void {
    if (this.phase === PHASE.running) this.backend!.exec.takeSnapshot(done)
    else done()
  }

  get snapsAsItRuns(): boolean {
    return this.request?.cut === 'execution'
  }

  goOn(begun?: () => boolean): void {
    this.waitsForCut = false
    if (this.phase === PHASE.running) this.backend!.exec.goOn(begun)
    else begun?.()
  }

  lapse(): void {
    if (this.phase !== PHASE.running || !this.backend!.exec.isInCut) return
    this.cancelAsStale(weftError('cut_lapsed', { shard: this.host.shard }))
  }

  granted(backend: Backend): boolean {
    if (this.phase !== PHASE.queued) return false
    // The map may have changed since it was queued.
    this.phase = PHASE.held
    if (!this.host.versions.admits(this)) return false
    this.backend = backend
    if (this.isPaused) backend.pause()
    this.runOn(backend)
    return true
  }

  private runOn(backend: Backend): void {
    if (this.host.probe.isExposed && mayCommit(this.request!)) void this.runGuarded(backend)
    else {
      this.phase = PHASE.running
      backend.run(this)
    }
  }

  private async runGuarded(backend: Backend): Promise<void> {
    this.phase = PHASE.guarded
    const { probe, shard } = this.host
    const error = await refusalOfCommit(backend, this.request!, probe)
    if (backend.isDead) {
      this.execEnded(true)
      this.sink.failed(weftError('shard_unreachable', { shard, why: 'its connection was lost' }), false)
    } else if (error === undefined) {
      this.phase = PHASE.running
      backend.run(this)
    } else {
      // As Postgres answers a COMMIT that fails: the transaction is over.
      await this.letGo(backend)
      this.execEnded(false)
      this.sink.data(Buffer.concat([errorResponse(error.fields), READY_IDLE]), STATUS.idle)
      this.phaseEnd.wake()
    }
  }

  /** The exec was not sent. Told in a microtask: the sink must not hear of it inside its own call of `exec`. */
  refused(error: PgError): void {
    this.phase = PHASE.refused
    queueMicrotask(() => {
      this.phase = PHASE.idle
      this.request = undefined
      this.sink.failed(error, false)
      this.phaseEnd.wake()
    })
  }

  execEnded(released: boolean): void {
    this.phase = PHASE.idle
    this.request = undefined
    this.staleError = undefined
    this.isMakingWay = false
    if (released) this.backend = undefined
    this.host.versions.execEnded(this)
    this.phaseEnd.wake()
  }

  backendLost(error: PgError, running: boolean, sent: boolean): void {
    const hadState = this.prepared === undefined || this.backend?.isPinned === true
    this.backend = undefined
    this.prepared = undefined
    if (this.phase !== PHASE.concluding) this.last.ends(false)
    if (!running) {
      // While a command of ours runs its promise rejects.
      if (hadState && !COMMANDING.has(this.phase)) this.lost = error
      this.sink.released?.()
      return
    }
    this.execEnded(true)
    this.sink.failed(error, sent)
  }

  copyData(bytes: Buffer): boolean {
    return this.phase === PHASE.running ? this.backend!.copyData(bytes) : true
  }

  cancel(): void {
    if (this.next !== undefined) {
      this.next = undefined
      queueMicrotask(() => this.sink.failed(weftError('query_canceled', {}), false))
      return
    }
    // Whoever asked for it wants no second run.
    if (this.isMakingWay) this.staleError = undefined
    if (this.phase === PHASE.running || this.phase === PHASE.preparing) this.backend?.cancel()
    else if (WAITING.has(this.phase)) {
      this.settling.stop()
      this.host.pool.withdraw(this.pool, this)
      this.host.versions.forget(this)
      this.refused(weftError('query_canceled', {}))
    }
  }

  cancelAsStale(error: PgError): void {
    this.staleError ??= error
    this.backend?.cancel()
  }

  /** A cut waits for what runs here: it is run again, in a way that does not keep cuts waiting. */
  makeWay(): boolean {
    if (this.phase !== PHASE.running || this.staleError !== undefined) return false
    if (!this.backend!.mayRunAgain) return false
    this.isMakingWay = true
    this.cancelAsStale(weftError('run_again', {}))
    return true
  }

  pause(): void {
    this.isPaused = true
    this.backend?.pause()
  }

  resume(): void {
    this.isPaused = false
    this.backend?.resume()
  }

  // Two-phase commit

  async prepare(gid: string, options?: PrepareOptions): Promise<PrepareReply> {
    invariant(this.phase === PHASE.idle, 'prepare on a session that is busy')
    const backend = this.backend
    if (backend === undefined) throw this.takeLost()
    this.phase = PHASE.preparing
    try {
      const last =
        options?.last === true ? await this.last.prepare(backend, gid, options.moves === true) : undefined
      if (last !== undefined) return last
      const reply = await this.host.twoPhase.prepare(backend, gid, options)
      if (options?.follows !== true) this.host.gate.own(gid, this.link)
      this.prepared = preparedBy(backend, gid)
      if (this.prepared.settings !== undefined) void this.letGo(backend)
      return reply
    } catch (error) {
      await this.letGo(backend)
      throw error
    } finally {
      this.phaseOver()
    }
  }

  private takeLost(): PgError {
    const lost = this.lost
    this.lost = undefined
    return lost ?? weftError('internal', { what: 'prepare without a transaction' })
  }

  commitLast(gid: string, commitTs: Timestamp, sql: string): Promise<void> {
    return this.concludeLast(gid, (backend) => this.last.commit(backend, commitTs, sql))
  }

  private async concludeLast(gid: string, work: (backend: Backend) => Promise<void>): Promise<void> {
    invariant(this.phase === PHASE.idle, 'conclusion on a session that is busy')
    const { backend } = this
    if (backend === undefined || !this.last.is(gid)) throw this.takeLost()
    this.phase = PHASE.concluding
    try {
      await work(backend)
    } finally {
      await this.letGo(backend)
      this.phaseOver()
    }
  }

  timestampFixed(gid: string, commitTs: Timestamp): void {
    this.host.gate.fixed(gid, commitTs)
  }

  commitPrepared(gid: string, commitTs: Timestamp): Promise<void> {
    return this.conclude(gid, (backend) => this.host.twoPhase.commitPrepared(backend, gid, commitTs))
  }

  rollbackPrepared(gid: string): Promise<void> {
    if (this.last.is(gid)) return this.concludeLast(gid, (backend) => this.last.rollback(backend))
    return this.conclude(gid, (backend) => this.host.twoPhase.rollbackPrepared(backend, gid))
  }

  private async conclude(gid: string, work: (backend: Backend | undefined) => Promise<void>): Promise<void> {
    const { prepared, backend } = this
    if (prepared?.gid !== gid) return work(undefined)
    this.phase = PHASE.concluding
    try {
      if (prepared.settings === undefined) await work(backend)
      else await withBorrowed(this.host.pool, this.pool, prepared.settings, work)
    } finally {
      // Also after an error: a repeated call does it on a connection of the agent's own.
      this.prepared = undefined
      if (backend !== undefined) await this.letGo(backend)
      this.phaseOver()
    }
  }

  /** Unless the backend is pinned and fit for more. */
  private async letGo(backend: Backend): Promise<void> {
    if (this.backend !== backend) return
    if (backend.isPinned && backend.status === STATUS.idle) return
    this.backend = undefined
    await backend.handBack()
  }

  private phaseOver(): void {
    this.phase = PHASE.idle
    this.phaseEnd.wake()
    const { next } = this
    this.next = undefined
    if (next !== undefined && !this.isClosed) this.exec(next)
  }

  // The end

  reset(): Promise<void> {
    return this.endTransaction((backend) => {
      this.backend = undefined
      return backend.handBack()
    })
  }

  rollBack(): Promise<void> {
    if (this.backend?.isPinned !== true) return this.reset()
    return this.endTransaction(async (backend) => {
      await this.host.twoPhase.rollback(backend).catch(() => {})
      await this.letGo(backend)
    })
  }

  /** Whatever it is doing. `leave`: its backend, where it has one. */
  private async endTransaction(leave: (backend: Backend) => Promise<void>): Promise<void> {
    while (this.phase !== PHASE.idle) await this.endOfPhase()
    this.lost = undefined
    this.prepared = undefined
    if (this.backend !== undefined) await leave(this.backend)
    this.last.ends(false)
  }

  giveBack(): void {
    const { backend } = this
    if (this.phase !== PHASE.idle || backend === undefined || backend.status !== STATUS.idle) return
    this.backend = undefined
    backend.lookedAt()
    void backend.handBack()
  }

  private async endOfPhase(): Promise<void> {
    if (WAITING.has(this.phase)) this.cancel()
    else if (this.phase === PHASE.running) this.backend!.abort()
    else if (this.phase === PHASE.preparing && this.isClosed) this.backend?.cancel()
    await this.phaseEnd.awaited()
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.sink = nobody
    this.seat?.leave()
    this.onClosed()
    void this.reset().finally(() => {
      this.host.pool.leave(this.pool)
      this.onGone()
    })
  }
}
