/**
 * The shard map version of an agent, and fences: while a transaction that changes the map commits, nothing planned
 * on an older version may run.
 */
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { ANY_MAP_VERSION, type ControlRequest, type ExecRequest } from '../../protocol/agent-link.ts'
import { isSimpleQuery } from '../pool/assemble.ts'

/** How often a fence looks who is blocked. */
const FENCE_POLL_MS = 20
/** Ends a transaction: nothing in it depends on the map. */
const ENDS_TRANSACTION = /^\s*(?:rollback(?!\s+(?:work\s+|transaction\s+)?to\b)|abort|commit|end)\b/i
const QUERY_TEXT_AT = 5
const QUERY_TEXT_MAX = 40

/** A session, as far as fences know it. */
export interface VersionedSession {
  readonly request: ExecRequest | undefined
  /** Its exec has a backend and runs. */
  readonly isRunning: boolean
  readonly backendPid: number | undefined
  /** Cancelled, its transaction would fail with it. */
  readonly isInBlock: boolean
  /** It waits for a cut, perhaps for a shard whose fence holds the rest of its statement: it would wait for ever. */
  readonly isParked: boolean
  /** Admitted after it was held. */
  proceed(): void
  refused(error: PgError): void
  cancelAsStale(error: PgError): void
}

export interface VersionHost {
  readonly shard: number
  sessions(): Iterable<VersionedSession>
  /** Which of `waiters` wait for a lock that one of `blockers` has, or anybody. */
  blocked(waiters: readonly number[], blockers?: readonly number[]): Promise<ReadonlySet<number>>
  /** Told once for each new version; resolves when it is on disk. */
  changed(version: number): Promise<void>
}

type FenceRequest = Extract<ControlRequest, { kind: 'fence' }>
type DrainRequest = Extract<ControlRequest, { kind: 'drain' }>

/** Somebody who waits for statements planned on an older version to end. */
interface Wait {
  readonly version: number
  /** Those of the transaction that changes the map. */
  readonly exempt: ReadonlySet<VersionedSession>
  /** Whoever waits for a lock, anybody's, and can be run again unseen makes way: its owner may wait for this change. */
  readonly endsWaiters: boolean
  wake: () => void
  isOver: boolean
}

interface Fence extends Wait {
  readonly token: string
  held: VersionedSession[]
  readonly timer: NodeJS.Timeout
}

/** For those that run now. */
interface Drain extends Wait {
  readonly left: Set<VersionedSession>
}

export class MapVersions {
  current: number
  private readonly host: VersionHost
  private readonly fences = new Map<string, Fence>()
  private readonly drains = new Set<Drain>()

  constructor(host: VersionHost, current: number) {
    this.host = host
    this.current = current
  }

  /** Whether the session's request may run now. If not it is held, or refused as stale. */
  admits(session: VersionedSession): boolean {
    const request = session.request!
    if (request.mapVersion === this.current && this.fences.size === 0) return true
    return this.judge(session, request)
  }

  private judge(session: VersionedSession, request: ExecRequest): boolean {
    const { mapVersion } = request
    if (mapVersion === ANY_MAP_VERSION) return true
    if (mapVersion > this.current) void this.adopt(mapVersion)
    if (request.access === 'commit' || endsTransaction(request.payload)) return true
    if (mapVersion < this.current) {
      session.refused(this.stale(mapVersion, this.current))
      return false
    }
    for (const fence of this.fences.values()) {
      if (mapVersion >= fence.version || fence.exempt.has(session)) continue
      fence.held.push(session)
      return false
    }
    return true
  }

  private stale(have: number, need: number): PgError {
    return weftError('stale_map', { have, need })
  }

  /** A held session gives up. */
  forget(session: VersionedSession): void {
    for (const fence of this.fences.values()) fence.held = fence.held.filter((s) => s !== session)
  }

  /** An exec has ended: a fence may have waited for it. */
  execEnded(session: VersionedSession): void {
    if (this.fences.size > 0) for (const fence of this.fences.values()) fence.wake()
    if (this.drains.size > 0) for (const drain of this.drains) if (drain.left.delete(session)) drain.wake()
  }

  async adopt(version: number): Promise<void> {
    if (version <= this.current) return
    this.current = version
    await this.host.changed(version)
  }

  /** Resolves when nothing planned before `version` runs here, and lets nothing such begin until `unfence`. */
  async fence({ token, version, timeoutMs, holdMs }: FenceRequest, exempt: Fence['exempt']): Promise<void> {
    if (version <= this.current || this.fences.has(token)) return
    const timer = setTimeout(() => this.lift(token), timeoutMs)
    const wait = { version, exempt, endsWaiters: false, wake: () => {}, isOver: false }
    const fence: Fence = { ...wait, token, held: [], timer }
    this.fences.set(token, fence)
    const ended = await this.ended(fence, () => this.runningBefore(fence), holdMs ?? timeoutMs)
    if (ended) return
    this.lift(token)
    throw this.notEnded(holdMs ?? timeoutMs)
  }

  /** Resolves when all that run now on a version before `version` have ended. Nobody is held. */
  async drain({ version, timeoutMs }: DrainRequest, exempt: Drain['exempt']): Promise<void> {
    const wait = { version, exempt, endsWaiters: true, wake: () => {}, isOver: false }
    const drain: Drain = { ...wait, left: new Set() }
    for (const session of this.runningBefore(drain)) drain.left.add(session)
    this.drains.add(drain)
    try {
      if (!(await this.ended(drain, () => [...drain.left], timeoutMs))) throw this.notEnded(timeoutMs)
    } finally {
      this.drains.delete(drain)
    }
  }

  /** False: those that `older` names did not end in time, or nobody wants to know any more. */
  private async ended(wait: Wait, older: () => VersionedSession[], limitMs: number): Promise<boolean> {
    const giveUpAt = performance.now() + limitMs
    for (;;) {
      const sessions = older()
      if (sessions.length === 0) return true
      for (const session of sessions) if (session.isParked) this.makeWay(wait, session)
      await this.cancelBlocked(wait, sessions)
      const leftMs = giveUpAt - performance.now()
      if (wait.isOver || leftMs <= 0) return false
      await new Promise<void>((resolve) => {
        const poll = setTimeout(resolve, Math.min(FENCE_POLL_MS, leftMs))
        wait.wake = () => {
          clearTimeout(poll)
          resolve()
        }
      })
    }
  }

  private makeWay(wait: Wait, session: VersionedSession): void {
    session.cancelAsStale(this.stale(session.request!.mapVersion, wait.version))
  }

  private runningBefore({ version, exempt }: Wait): VersionedSession[] {
    const older: VersionedSession[] = []
    for (const session of this.host.sessions()) {
      const request = session.request
      if (request === undefined || !session.isRunning || exempt.has(session)) continue
      // A commit is over soon and reads no map; waiting for an endless row of them would never end.
      if (request.access === 'commit' || request.mapVersion === ANY_MAP_VERSION) continue
      if (request.mapVersion < version) older.push(session)
    }
    return older
  }

  private async cancelBlocked(wait: Wait, older: readonly VersionedSession[]): Promise<void> {
    const blockers = [...wait.exempt].flatMap((session) => session.backendPid ?? [])
    const waiters = older.flatMap((session) => session.backendPid ?? [])
    if (waiters.length === 0 || (blockers.length === 0 && !wait.endsWaiters)) return
    const byChange = await this.host.blocked(waiters, blockers)
    const byAnyone = wait.endsWaiters ? await this.host.blocked(waiters) : byChange
    // Looked at again: meanwhile some have ended, and whoever began since on an older version is held.
    for (const session of this.runningBefore(wait)) {
      const pid = session.backendPid
      if (pid === undefined) continue
      if (byChange.has(pid) || (byAnyone.has(pid) && !session.isInBlock)) this.makeWay(wait, session)
    }
  }

  private notEnded(limitMs: number): PgError {
    return new PgError({
      code: '55P03',
      message: `shard ${this.host.shard}: statements that run there did not end within ${Math.round(limitMs)} ms`,
      detail: 'A change of the shard map waits until no statement planned on the old one runs.',
      hint: 'Run the statement again, or end the long-running ones first.',
    })
  }

  async unfence(token: string, committed: boolean): Promise<void> {
    const fence = this.fences.get(token)
    if (fence === undefined) return
    // First the version, so that those held are refused instead of let in.
    const saved = committed ? this.adopt(fence.version) : undefined
    this.lift(token)
    await saved
  }

  private lift(token: string): void {
    const fence = this.fences.get(token)
    if (fence === undefined) return
    this.fences.delete(token)
    fence.isOver = true
    clearTimeout(fence.timer)
    fence.wake()
    for (const session of fence.held) if (this.admits(session)) session.proceed()
  }
}

function endsTransaction(payload: Buffer): boolean {
  if (!isSimpleQuery(payload)) return false
  const sql = payload.toString('latin1', QUERY_TEXT_AT, QUERY_TEXT_AT + QUERY_TEXT_MAX)
  return ENDS_TRANSACTION.test(sql) && !sql.includes(';')
}
