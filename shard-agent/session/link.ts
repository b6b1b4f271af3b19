import { weftError } from '../../errors/catalog.ts'
import { assertNever, type PgError } from '../../errors/pg-error.ts'
import type {
  AgentLink,
  AgentSession,
  AgentStatus,
  BackendIdentity,
  ClientSessionInfo,
  ControlReply,
  ControlRequest,
  LinkEvents,
  ReplySink,
  SignalRequest,
  Timestamp,
  WaitEdge,
} from '../../protocol/agent-link.ts'
import type { SeenSession, SessionView } from '../participant/client-sessions.ts'
import type { WaitingSession } from '../participant/waits.ts'
import { PooledSession } from './agent-session.ts'
import type { VersionedSession } from './map-version.ts'
import type { SessionHost } from './session-host.ts'

export interface LinkHost extends SessionHost {
  readonly isUp: boolean
  status(): AgentStatus
  waits(now: boolean): Promise<readonly WaitEdge[]>
  clientSessions(view: SessionView | undefined): Promise<readonly ClientSessionInfo[]>
  signal(request: SignalRequest): void
  latch(key: number, shut: boolean): Promise<void>
  /** What a new subscriber has missed. */
  welcome(events: LinkEvents): void
  linkClosed(link: DirectLink): void
}

let lastLink = 0

/** One coordinator's link to this agent, as direct calls. The mux server puts its frames through one of these. */
export class DirectLink implements AgentLink {
  readonly coordinatorId: string
  readonly subscribers: LinkEvents[] = []
  private readonly host: LinkHost
  private readonly open_ = new Map<number, PooledSession>()
  private readonly closing = new Set<PooledSession>()
  /** Of one connection: cuts of an earlier one are over with it. */
  private readonly name: string
  /** Latches of its coordinator's. */
  private readonly shut = new Set<number>()
  private isClosed = false

  constructor(host: LinkHost, coordinatorId: string) {
    this.name = `${coordinatorId}#${++lastLink}`
    this.host = host
    this.coordinatorId = coordinatorId
  }

  get shard(): number {
    return this.host.shard
  }

  get isUp(): boolean {
    return this.host.isUp && !this.isClosed
  }

  get appliedTs(): Timestamp {
    return this.host.gate.appliedTs
  }

  /** Closed ones too, until what they ran has ended. */
  *sessions(): Iterable<PooledSession> {
    yield* this.open_.values()
    yield* this.closing
  }

  open(sessionId: number, identity: BackendIdentity, sink: ReplySink, knownAs = sessionId): AgentSession {
    if (this.isClosed) throw this.closedError()
    if (this.open_.has(sessionId)) throw weftError('internal', { what: `session ${sessionId} opened twice` })
    const session = new PooledSession(
      this.host,
      this.name,
      knownAs,
      this.host.pool.enter(identity),
      sink,
      () => {
        if (this.open_.get(sessionId) === session) {
          this.open_.delete(sessionId)
          this.closing.add(session)
        }
      },
      () => this.closing.delete(session),
    )
    this.open_.set(sessionId, session)
    return session
  }

  private closedError(): PgError {
    return weftError('shard_unreachable', { shard: this.shard, why: 'its link is closed' })
  }

  async control(request: ControlRequest): Promise<ControlReply> {
    if (this.isClosed) throw this.closedError()
    const { versions } = this.host
    switch (request.kind) {
      case 'status':
        return { kind: 'status', status: this.host.status() }
      case 'fence':
        await versions.fence(request, this.named(request.sessions))
        return { kind: 'ok' }
      case 'drain':
        await versions.drain(request, this.named(request.sessions))
        return { kind: 'ok' }
      case 'unfence':
        await versions.unfence(request.token, request.committed)
        return { kind: 'ok' }
      case 'latch':
        await this.latch(request.key, request.shut)
        return { kind: 'ok' }
      case 'renew':
        this.host.pool.renew()
        return { kind: 'ok' }
      case 'news':
        await this.host.tellNews(request.what, this)
        return { kind: 'ok' }
      case 'heard':
        return { kind: 'ok' }
      case 'moved':
        return { kind: 'moved', ts: String(this.host.twoPhase.movedTs) }
      case 'waits':
        return { kind: 'waits', edges: await this.host.waits(request.now === true) }
      case 'sessions':
        return { kind: 'sessions', sessions: await this.host.clientSessions(request.view) }
      case 'signal':
        this.host.signal(request)
        return { kind: 'ok' }
      case 'cut':
        return this.cut(request)
      case 'release':
        this.host.gate.release(this.name, request.id, request.go)
        return { kind: 'ok' }
      default:
        return assertNever(request)
    }
  }

  private latch(key: number, shut: boolean): Promise<void> {
    if (shut) this.shut.add(key)
    else if (!this.shut.delete(key)) return Promise.resolve()
    return this.host.latch(key, shut)
  }

  private cut(request: Extract<ControlRequest, { kind: 'cut' }>): Promise<ControlReply> {
    const { gate, isUp } = this.host
    if (!isUp) throw weftError('shard_unreachable', { shard: this.shard, why: 'its server is down' })
    const { id, ts, leaseMs, sessions, outside, untold } = request
    const statements = sessions.flatMap((session) => this.open_.get(session) ?? [])
    return gate.cut(this.name, id, BigInt(ts), leaseMs, statements, {
      outside: new Set(outside),
      untold: new Set(untold),
    })
  }

  /** Those that hold something here that others may wait for. */
  *waitingSessions(): Iterable<WaitingSession> {
    const { coordinatorId } = this
    for (const session of this.open_.values()) {
      const { knownAs: sessionId, backendPid, isInBlock, prepared } = session
      const pid = backendPid ?? prepared?.pid
      if (pid === undefined) continue
      const hasBackend = backendPid !== undefined
      yield { coordinatorId, sessionId, pid, hasBackend, isInBlock, preparedGid: prepared?.gid }
    }
  }

  *clientSessions(): Iterable<SeenSession> {
    const { coordinatorId } = this
    for (const session of this.open_.values()) {
      const { knownAs: pid, user, backendPid, request } = session
      if (user !== '') yield { coordinatorId, pid, user, backendPid, request }
    }
  }

  private named(ids: readonly number[]): ReadonlySet<VersionedSession> {
    return new Set(ids.flatMap((id) => this.open_.get(id) ?? []))
  }

  subscribe(events: LinkEvents): void {
    this.subscribers.push(events)
    this.host.welcome(events)
  }

  /** Closes its sessions; resolves at once, they clean up after themselves. */
  close(): Promise<void> {
    if (!this.isClosed) {
      this.isClosed = true
      this.host.gate.ownerGone(this.name)
      for (const session of [...this.open_.values()]) session.close()
      // Without the connection that has them they are open.
      for (const key of [...this.shut]) this.latch(key, false).catch(() => {})
      this.host.linkClosed(this)
    }
    return Promise.resolve()
  }
}
