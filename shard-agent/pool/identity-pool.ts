import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { BackendIdentity, ExecRequest } from '../../protocol/agent-link.ts'
import type { Backend } from './backend.ts'
import type { SequenceSeat } from './sequence-seat.ts'

/** A session that wants a backend. */
export interface PoolUser {
  readonly request: ExecRequest | undefined
  /** Where it has drawn from sequences. */
  readonly seat?: SequenceSeat | undefined
  /** Since when it waits, by `performance.now`. */
  queuedAtMs: number
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

  /**
   * The user's own seat; else the most recently used idle backend that has its settings, or that has others; and only if
   * there is no other the one that has been somebody's seat for longest.
   */
  takeIdle({ request, seat }: PoolUser): Backend | undefined {
    const { idle } = this
    if (seat !== undefined) {
      const own = idle.findIndex((backend) => backend.seat === seat)
      if (own >= 0) return this.take(own)
    }
    const { sql } = request!.settings
    let free = -1
    for (let i = idle.length - 1; i >= 0; i--) {
      const backend = idle[i]!
      if (backend.seat.isTaken) continue
      if (backend.settingsSql === sql) return this.take(i)
      if (free < 0) free = i
    }
    return free < 0 ? idle.shift() : this.take(free)
  }

  private take(index: number): Backend {
    const backend = this.idle[index]!
    if (index === this.idle.length - 1) this.idle.pop()
    else this.idle.splice(index, 1)
    return backend
  }

  forget(backend: Backend): void {
    this.all.delete(backend)
    remove(this.idle, backend)
  }

  get waitingCount(): number {
    return this.waiters.length + this.urgent.length
  }

  nextWaiter(): PoolUser | undefined {
    return this.urgent.shift() ?? this.waiters.shift()
  }

  withdraw(user: PoolUser): boolean {
    return remove(this.waiters, user) || remove(this.urgent, user)
  }

  refuseAll(error: PgError): void {
    for (const waiter of this.urgent.splice(0)) waiter.refused(error)
    for (const waiter of this.waiters.splice(0)) waiter.refused(error)
  }

  /** Refuses those that have waited too long; answers when the next one will have, or Infinity. */
  expire(shard: number, nowMs: number, timeoutMs: number, max: number): number {
    for (;;) {
      const first = this.waiters[0]
      if (first === undefined) return Number.POSITIVE_INFINITY
      if (first.queuedAtMs + timeoutMs > nowMs) return first.queuedAtMs + timeoutMs
      this.waiters.shift()
      const waitedMs = Math.round(nowMs - first.queuedAtMs)
      first.refused(weftError('pool_timeout', { shard, waitedMs, max }))
    }
  }
}

function remove<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item)
  if (at >= 0) list.splice(at, 1)
  return at >= 0
}

export function identityKey(identity: BackendIdentity): string {
  return identity.kind === 'internal' ? '' : identity.user
}
