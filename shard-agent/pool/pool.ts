/**
 * The Postgres connections of one shard.
 *
 * At most `size` of all identities together, of which clients leave a few for the agent's own work. Sessions that find
 * none wait in line, in order within their identity. A backend is never handed on with anything in it that its next
 * user could see (backend.ts).
 */
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { BackendIdentity } from '../../protocol/agent-link.ts'
import { type AgentLog, INTERNAL_RESERVED, OWNER_CONNECTIONS, type PoolOptions } from '../config.ts'
import type { AgentBus } from '../events.ts'
import type { Gate } from '../gate/gate.ts'
import type { PostgresAddress } from './address.ts'
import { Backend } from './backend.ts'
import type { BackendHome } from './backend-home.ts'
import { IdentityPool, identityKey, type PoolUser } from './identity-pool.ts'
import { type Login, logIn } from './startup.ts'

/** A waiter of another identity gets the next free backend's place once it has waited this long. */
const FOREIGN_PATIENCE_MS = 20
/** The agent's own work may use this many when clients leave them free. */
const INTERNAL_MAX = 4
const RETRY_CONNECT_MS = 200

export interface PoolSetup {
  readonly shard: number
  readonly address: PostgresAddress
  readonly gate: Gate
  readonly events: AgentBus
  readonly options: PoolOptions
  readonly markSql: string
  readonly log: AgentLog
  /** Postgres could not be reached: the pool refuses everything until `up`. */
  onDown(error: PgError): void
  /** See BackendHome. */
  onTold(): void
}

export class Pool {
  private readonly setup: PoolSetup
  private readonly pools = new Map<string, IdentityPool>()
  /** Why the shard can't be used now; new work fails with it. */
  private downWhy: string | undefined
  private isClosing = false
  /** Started with defaults that have changed since: they serve nobody else. */
  private readonly outdated = new WeakSet<Backend>()
  private renewals = 0
  private expiryTimer: NodeJS.Timeout | undefined
  private readonly reaper: NodeJS.Timeout
  private onEmpty: (() => void) | undefined

  constructor(setup: PoolSetup) {
    this.setup = setup
    this.reaper = setInterval(() => this.reap(), Math.max(1_000, setup.options.idleMs / 4)).unref()
  }

  get clientMax(): number {
    return Math.max(1, this.setup.options.size - INTERNAL_RESERVED - OWNER_CONNECTIONS)
  }

  counts(): { busy: number; idle: number; waiting: number } {
    let total = 0
    let idle = 0
    let waiting = 0
    for (const pool of this.pools.values()) {
      total += pool.all.size
      idle += pool.idle.length
      waiting += pool.waitingCount
    }
    return { busy: total - idle, idle, waiting }
  }

  /** The pool of an identity, for a session that ends with `leave`. */
  enter(identity: BackendIdentity): IdentityPool {
    const key = identityKey(identity)
    let pool = this.pools.get(key)
    if (pool === undefined) {
      pool = new IdentityPool(key, identity)
      this.pools.set(key, pool)
    } else if (identity.kind === 'client' && identity.scram !== undefined) pool.identity = identity
    pool.sessions++
    return pool
  }

  leave(pool: IdentityPool): void {
    pool.sessions--
  }

  /** Gives the user a backend now, or later, or refuses. Who is urgent goes before the others, and has its own patience. */
  acquire(pool: IdentityPool, user: PoolUser, urgent = false): void {
    if (this.downWhy !== undefined) {
      user.refused(weftError('shard_unreachable', { shard: this.setup.shard, why: this.downWhy }))
      return
    }
    const unfit = pool.unfitSeat(user)
    if (unfit !== undefined) return void this.leaveSeat(pool, user, unfit, urgent)
    // Those that wait are such as no idle one will do for.
    const backend = pool.takeIdle(user)
    if (backend !== undefined) {
      if (backend.seat.isTaken && backend.seat !== user.seat) this.widen(pool)
      if (!user.granted(backend)) this.release(pool, backend)
      return
    }
    user.queuedAtMs = performance.now()
    user.overtaken = 0
    if (urgent) pool.urgent.push(user)
    else pool.waiters.push(user)
    this.grow(pool)
    if (!urgent) this.armExpiry()
  }

  private async leaveSeat(pool: IdentityPool, user: PoolUser, seat: Backend, urgent: boolean): Promise<void> {
    pool.leavingSeat.add(user)
    await seat.vacate()
    if (pool.leavingSeat.delete(user)) this.acquire(pool, user, urgent)
  }

  /** The user no longer waits. */
  withdraw(pool: IdentityPool, user: PoolUser): boolean {
    return pool.withdraw(user)
  }

  private release(pool: IdentityPool, backend: Backend): void {
    if (backend.isDead) return
    if (
      this.isClosing ||
      this.downWhy !== undefined ||
      backend.names.isSpoiled ||
      this.outdated.has(backend)
    ) {
      backend.close()
      return
    }
    const foreign = this.pools.size > 1 ? this.impatient(pool) : undefined
    if (foreign !== undefined && this.mayTrade(pool, foreign)) {
      backend.close()
      this.grow(foreign)
      return
    }
    for (let next = pool.nextWaiter(backend); next !== undefined; next = pool.nextWaiter(backend))
      if (this.served(pool, next, backend)) return
    if (pool.waitingCount > 0 && !pool.isReplacing) {
      if (!this.hasRoom(pool)) return void backend.close()
      this.grow(pool)
    }
    backend.idleSinceMs = performance.now()
    pool.idle.push(backend)
    if (this.pools.size > 1) for (const other of this.pools.values()) if (other !== pool) this.grow(other)
  }

  private served({ isInternal }: IdentityPool, user: PoolUser, backend: Backend): boolean {
    const waitedMs = performance.now() - user.queuedAtMs
    if (!user.granted(backend)) return false
    if (!isInternal) this.setup.events.emit('poolWaited', { waitedMs, result: 'served' })
    return true
  }

  /** Another identity whose first waiter has waited longer than is fair. */
  private impatient(pool: IdentityPool): IdentityPool | undefined {
    let found: IdentityPool | undefined
    for (const other of this.pools.values()) {
      const first = other.waiters[0]
      if (other === pool || first === undefined || other.connecting > 0) continue
      if (first.queuedAtMs > performance.now() - FOREIGN_PATIENCE_MS) continue
      if (found === undefined || first.queuedAtMs < found.waiters[0]!.queuedAtMs) found = other
    }
    return found
  }

  /** Whether closing a backend of `pool` makes room for one of `other`. */
  private mayTrade(pool: IdentityPool, other: IdentityPool): boolean {
    if (this.hasRoom(other)) return false
    if (pool.isInternal === other.isInternal) return other.total < pool.total
    return pool.leaving === 0 && this.hasSurplus(pool, other)
  }

  /** Whether the agent's own work has what it took when clients left it free, and those of `other` now want it. */
  private hasSurplus(pool: IdentityPool, other: IdentityPool): boolean {
    return pool.isInternal && !other.isInternal && this.totals().clients < this.clientMax
  }

  // Connecting

  private totals(): { clients: number; internal: number } {
    let clients = 0
    let internal = 0
    for (const pool of this.pools.values()) {
      if (pool.isInternal) internal += pool.total
      else clients += pool.total
    }
    return { clients, internal }
  }

  private hasRoom(pool: IdentityPool): boolean {
    const { clients, internal } = this.totals()
    const usable = Math.max(2, this.setup.options.size - OWNER_CONNECTIONS)
    if (pool.isInternal) return internal < INTERNAL_MAX && clients + internal < usable
    return clients < this.clientMax && clients + internal < usable
  }

  /** Connects until each waiter of the identity has a connection coming, as far as there is room. */
  private grow(pool: IdentityPool): void {
    while (pool.waitingCount > pool.connecting && !this.isClosing && this.downWhy === undefined) {
      if (!this.hasRoom(pool)) return this.makeRoom(pool)
      void this.connect(pool)
    }
  }

  /** Somebody's seat is given to another: as long as there is room, that shall not be needed the next time. */
  private widen(pool: IdentityPool): void {
    if (pool.connecting === 0 && !this.isClosing && this.hasRoom(pool)) void this.connect(pool)
  }

  /** By an idle backend of another identity, or one of its own, none of which will do for those that wait. */
  private makeRoom(pool: IdentityPool): void {
    if (!this.evictFor(pool) && !pool.isReplacing) pool.leastUsed()?.close()
  }

  /** Closes the longest unused idle backend of another identity; there is room once it is gone. False: there is none. */
  private evictFor(pool: IdentityPool): boolean {
    let oldest: Backend | undefined
    for (const other of this.pools.values()) {
      // One is on its way out already: whoever waits is looked after when it is gone.
      if (other.leaving > 0) return true
      const isKept = other.isInternal && !this.hasSurplus(other, pool)
      const first = other === pool || isKept ? undefined : other.idle[0]
      if (first !== undefined && (oldest === undefined || first.idleSinceMs < oldest.idleSinceMs))
        oldest = first
    }
    oldest?.close()
    return oldest !== undefined
  }

  private async connect(pool: IdentityPool): Promise<void> {
    const { shard, address, options, markSql } = this.setup
    pool.connecting++
    const { renewals } = this
    let login: Login | undefined
    let failure: PgError | undefined
    try {
      login = await logIn({
        shard,
        address,
        identity: pool.identity,
        timeoutMs: options.connectTimeoutMs,
        markSql,
      })
    } catch (error) {
      failure = error as PgError
    }
    pool.connecting--
    if (login === undefined) this.connectFailed(pool, failure!)
    else this.add(pool, login, renewals < this.renewals)
    this.checkEmpty()
  }

  private add(pool: IdentityPool, login: Login, isOutdated: boolean): void {
    const { shard, address, gate, markSql, options } = this.setup
    const home: BackendHome = {
      shard,
      address,
      gate,
      markSql,
      preparedMax: options.preparedMax,
      release: (backend) => this.release(pool, backend),
      died: (backend) => this.died(pool, backend),
      told: () => this.setup.onTold(),
      closing: (backend) => this.closing(pool, backend),
      sessionOf: (backendPid) => this.sessionOf(backendPid),
      closed: () => this.closed(pool),
    }
    const backend = new Backend(home, login)
    pool.all.add(backend)
    if (isOutdated) this.outdated.add(backend)
    this.release(pool, backend)
    // It may do for those only who wait for another like it.
    this.grow(pool)
  }

  /** The pid of the session that has the backend now. */
  private sessionOf(backendPid: number): number | undefined {
    for (const pool of this.pools.values()) {
      for (const { pid, owner } of pool.all) if (pid === backendPid) return owner?.knownAs
    }
    return undefined
  }

  private died(pool: IdentityPool, backend: Backend): void {
    pool.forget(backend)
    this.grow(pool)
    this.checkEmpty()
  }

  private closing(pool: IdentityPool, backend: Backend): void {
    pool.forget(backend)
    pool.leaving++
  }

  /** Only now is there room for another: for whom has the fewest, or a crowd would take it again and again. */
  private closed(pool: IdentityPool): void {
    pool.leaving--
    const waiting = [...this.pools.values()].filter((other) => other.waitingCount > 0)
    for (const other of waiting.sort((a, b) => a.total - b.total)) this.grow(other)
    this.checkEmpty()
  }

  private connectFailed(pool: IdentityPool, error: PgError): void {
    if (this.isClosing || this.downWhy !== undefined) return
    const { shard, log } = this.setup
    if (isUnreachable(error)) {
      this.setup.onDown(error)
      return
    }
    if (error.code === '53300' && (pool.all.size > 0 || pool.connecting > 0)) {
      // Postgres has no more connections to give; those there are will come free.
      log.warn({ shard, error: error.message }, 'pool: Postgres refused another connection')
      setTimeout(() => this.grow(pool), RETRY_CONNECT_MS).unref()
      return
    }
    pool.refuseAll(error)
  }

  /** Clients' backends take the defaults of their role and database when they start: new ones for all that come next. */
  renew(): void {
    this.renewals++
    for (const pool of this.pools.values()) {
      if (pool.isInternal) continue
      for (const backend of pool.all) this.outdated.add(backend)
      for (const backend of [...pool.idle]) backend.close()
    }
  }

  // Up and down

  /** Refuses all that wait and all that come, until `up`. Running statements go on as long as they can. */
  down(why: string): void {
    this.downWhy = why
    const error = weftError('shard_unreachable', { shard: this.setup.shard, why })
    for (const pool of this.pools.values()) {
      pool.refuseAll(error)
      for (const backend of [...pool.idle]) backend.close()
    }
  }

  up(): void {
    this.downWhy = undefined
  }

  /** Ends every connection at once. */
  destroyAll(why: string): void {
    for (const pool of this.pools.values()) for (const backend of [...pool.all]) backend.destroy(why)
  }

  /** Closes idle connections, then waits up to `graceMs` for the busy ones, then ends those too. */
  async close(graceMs: number): Promise<void> {
    this.isClosing = true
    clearInterval(this.reaper)
    clearTimeout(this.expiryTimer)
    const error = weftError('shutting_down', {})
    for (const pool of this.pools.values()) {
      pool.refuseAll(error)
      for (const backend of [...pool.idle]) backend.close()
    }
    const timer = setTimeout(() => this.destroyAll('the agent stops'), graceMs)
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve
      this.checkEmpty()
    })
    clearTimeout(timer)
  }

  private checkEmpty(): void {
    if (this.onEmpty === undefined) return
    for (const pool of this.pools.values()) if (pool.total > 0) return
    this.onEmpty()
  }

  // Time

  private armExpiry(): void {
    if (this.expiryTimer !== undefined) return
    let next = Number.POSITIVE_INFINITY
    const { waitTimeoutMs } = this.setup.options
    const now = performance.now()
    for (const pool of this.pools.values()) {
      next = Math.min(
        next,
        pool.expire(now, waitTimeoutMs, (waitedMs) => this.tooLong(waitedMs)),
      )
    }
    if (next === Number.POSITIVE_INFINITY) return
    this.expiryTimer = setTimeout(
      () => {
        this.expiryTimer = undefined
        this.armExpiry()
      },
      next - now + 1,
    )
  }

  private tooLong(waitedMs: number): PgError {
    this.setup.events.emit('poolWaited', { waitedMs, result: 'refused' })
    const { shard } = this.setup
    return weftError('pool_timeout', { shard, waitedMs: Math.round(waitedMs), max: this.clientMax })
  }

  private reap(): void {
    const before = performance.now() - this.setup.options.idleMs
    for (const pool of this.pools.values()) {
      for (const backend of pool.idle.filter((b) => b.idleSinceMs < before)) backend.close()
      if (pool.total === 0 && pool.sessions === 0) this.pools.delete(pool.key)
    }
  }
}

/** No connection, or a server that is starting, stopping or out of service: not this identity's fault. */
function isUnreachable(error: PgError): boolean {
  return error.code.startsWith('08') || error.code.startsWith('57P0')
}
