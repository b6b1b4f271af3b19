import type { PgError } from '../../errors/pg-error.ts'
import type { BackendIdentity, ExecRequest } from '../../protocol/agent-link.ts'
import type { Backend } from './backend.ts'
import type { SequenceSeat } from './sequence-seat.ts'

/** Of those that wait. */
const LOOKED_AT_MAX = 64
/** A connection is closed for who was overtaken so often. */
const OVERTAKEN_MAX = 32

/** A session that wants a backend. */
export interface PoolUser {
  readonly request: ExecRequest | undefined
  /** Where it has drawn from sequences. */
  readonly seat?: SequenceSeat | undefined
  /** Since when it waits, by `performance.now`. */
  queuedAtMs: number
  /** How often somebody who came later was served since. */
  overtaken: number
  /** Takes the backend and runs its request; false: it no longer wants one. */
  granted(backend: Backend): boolean
  /** There will be none. */
  refused(error: PgError): void
}

/** The backends of one identity, and the sessions that wait for one. */
export class IdentityPool {
  readonly key: string
  /** The newest known credentials. */
  identity: BackendIdentity
  /** Most recently used last. */
  readonly idle: Backend[] = []
  readonly waiters: PoolUser[] = []
  /** Go before them: what they wait for may free the locks that others wait for. */
  readonly urgent: PoolUser[] = []
  /** Wait until what they have drawn on an unfit seat is read; then for a backend. */
  readonly leavingSeat = new Set<PoolUser>()
  /** Connected ones, idle or not. */
  readonly all = new Set<Backend>()
  connecting = 0
  /** Told to close; Postgres counts them until it has done so. */
  leaving = 0
  /** Open sessions: as long as there are any, the pool is not forgotten. */
  sessions = 0

  constructor(key: string, identity: BackendIdentity) {
    this.key = key
    this.identity = identity
  }

  get isInternal(): boolean {
    return this.identity.kind === 'internal'
  }

  get total(): number {
    return this.all.size + this.connecting + this.leaving
  }

  /** The user's own seat, when it is idle and will not do. */
  unfitSeat(user: PoolUser): Backend | undefined {
    if (user.seat === undefined || user.request?.settings.custom === undefined) return undefined
    return this.idle.find((backend) => backend.seat === user.seat && !willDo(backend, user))
  }

  /**
   * The user's own seat; else the most recently used idle backend that has its settings, or that has others, one that will
   * do for as many as before if there is such a one; and only if there is no other the one that has been somebody's seat
   * for longest. None that will not do.
   */
  takeIdle(user: PoolUser): Backend | undefined {
    const { idle } = this
    const { sql } = user.request!.settings
    let free = -1
    let grown = -1
    let seat = -1
    if (user.seat !== undefined) {
      const own = idle.findIndex((backend) => backend.seat === user.seat)
      if (own >= 0) return this.take(own)
    }
    for (let i = idle.length - 1; i >= 0; i--) {
      const backend = idle[i]!
      if (!willDo(backend, user)) continue
      if (backend.seat.isTaken) seat = i
      else if (backend.settingsSql === sql) return this.take(i)
      else if (grows(backend, user)) grown = grown < 0 ? i : grown
      else if (free < 0) free = i
    }
    if (free >= 0 || grown >= 0) return this.take(free >= 0 ? free : grown)
    return seat < 0 ? undefined : this.take(seat)
  }

  private take(index: number): Backend {
    const backend = this.idle[index]!
    if (index === this.idle.length - 1) this.idle.pop()
    else this.idle.splice(index, 1)
    return backend
  }

  /** Of the idle ones; nobody's seat, if there is such a one. */
  leastUsed(): Backend | undefined {
    return this.idle.find(({ seat }) => !seat.isTaken) ?? this.idle[0]
  }

  forget(backend: Backend): void {
    this.all.delete(backend)
    remove(this.idle, backend)
  }

  get waitingCount(): number {
    return this.waiters.length + this.urgent.length
  }

  /**
   * Whose turn it is on a backend that came free: who is urgent, then who came first. One for whom it will not do is
   * overtaken by those behind until a connection is made for it, and one after whom it would do for fewer by those for whom
   * it does now: so often at most. Undefined: nobody waits, or it is to make room.
   */
  nextWaiter(backend: Backend): PoolUser | undefined {
    const { urgent, waiters } = this
    const first = urgent.find((user) => willDo(backend, user))
    if (first !== undefined) {
      remove(urgent, first)
      return first
    }
    if (urgent.length > 0 && !this.isReplacing) return undefined
    const at = this.placeOfNext(backend)
    if (at < 0) return undefined
    for (let i = 0; i < at; i++) waiters[i]!.overtaken++
    return at === 0 ? waiters.shift() : waiters.splice(at, 1)[0]
  }

  private placeOfNext(backend: Backend): number {
    const { waiters, isReplacing } = this
    const count = Math.min(waiters.length, LOOKED_AT_MAX)
    let fits = -1
    for (let i = 0; i < count; i++) {
      const user = waiters[i]!
      const does = willDo(backend, user)
      if (does && !grows(backend, user)) return i
      if (does && fits < 0) fits = i
      if (user.overtaken >= OVERTAKEN_MAX && (does || !isReplacing)) return fits
    }
    return fits
  }

  /** There will be another connection, or room for one. */
  get isReplacing(): boolean {
    return this.connecting + this.leaving > 0
  }

  withdraw(user: PoolUser): boolean {
    return this.leavingSeat.delete(user) || remove(this.waiters, user) || remove(this.urgent, user)
  }

  refuseAll(error: PgError): void {
    for (const waiter of this.urgent.splice(0)) waiter.refused(error)
    for (const waiter of this.waiters.splice(0)) waiter.refused(error)
  }

  /** Refuses those that have waited too long; answers when the next one will have, or Infinity. */
  expire(nowMs: number, timeoutMs: number, refusal: (waitedMs: number) => PgError): number {
    for (;;) {
      const first = this.waiters[0]
      if (first === undefined) return Number.POSITIVE_INFINITY
      if (first.queuedAtMs + timeoutMs > nowMs) return first.queuedAtMs + timeoutMs
      this.waiters.shift()
      first.refused(refusal(nowMs - first.queuedAtMs))
    }
  }
}

/**
 * A backend that has compiled code which may mean something else to the user will not, unless it is the user's own seat; nor
 * one on which others have had settings that the user asks for.
 */
export function willDo(backend: Backend, { request, seat }: PoolUser): boolean {
  if (request === undefined) return true
  const { settings } = request
  return (
    (settings.custom === undefined || backend.names.fits(settings)) &&
    (backend.seat === seat || backend.plans.compiled.fits(settings))
  )
}

/** Whether it would do for fewer after this user. */
function grows(backend: Backend, { request }: PoolUser): boolean {
  return request?.settings.custom !== undefined && backend.names.growsBy(request.settings)
}

function remove<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item)
  if (at >= 0) list.splice(at, 1)
  return at >= 0
}

export function identityKey(identity: BackendIdentity): string {
  return identity.kind === 'internal' ? '' : identity.user
}
