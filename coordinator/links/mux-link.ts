/**
 * The coordinator's end of a link to a shard agent in another process: an `AgentLink` over one TCP connection, which
 * is made again, for as long as the link isn't closed, whenever it breaks.
 */
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type {
  AgentLink,
  AgentSession,
  BackendIdentity,
  ControlReply,
  ControlRequest,
  ExecRequest,
  LinkEvents,
  ReplySink,
} from '../../protocol/agent-link.ts'
import { SentDefinitions } from '../../protocol/mux/definitions.ts'
import { KIND } from '../../protocol/mux/frame-kinds.ts'
import { bodyOf, readAnswer, readApplied, readEvent, writeControl } from '../../protocol/mux/link-frames.ts'
import { writeExec } from '../../protocol/mux/session-frames.ts'
import {
  type MuxClock,
  type MuxLimits,
  type MuxLog,
  type MuxTls,
  muxDefaults,
} from '../../protocol/transport/limits.ts'
import type { MuxConnection } from '../../protocol/transport/mux-connection.ts'
import { Dialer } from './dialer.ts'
import { LinkSession } from './link-session.ts'
import { PendingRequests } from './pending-requests.ts'

export interface LinkOptions {
  readonly shard: number
  readonly host: string
  readonly port: number
  readonly cluster: string
  /** Of this coordinator, unlike every other's. A second connection with the same id ends the first. */
  readonly coordinatorId: string
  /** Absent: in the clear. The agent's certificate must be for `host`. */
  readonly tls?: MuxTls
  readonly clock: MuxClock
  readonly log: MuxLog
  readonly limits?: Partial<MuxLimits>
}

/** Begins to connect; the link works (its execs fail) from the start, `up` tells when the agent can be used. */
export function connectLink(options: LinkOptions): AgentLink {
  return new MuxLink({ ...options, limits: { ...muxDefaults, ...options.limits } })
}

export class MuxLink implements AgentLink {
  readonly shard: number
  readonly limits: MuxLimits
  readonly pending = new PendingRequests()
  private readonly log: MuxLog
  private readonly dialer: Dialer
  private readonly subscribers: LinkEvents[] = []
  /** By the number that their frames carry. It is never used again on a connection: a late frame finds nobody. */
  private readonly sessions = new Map<number, LinkSession>()
  private readonly bySessionId = new Map<number, LinkSession>()
  private nextWireId = 1
  private connection: MuxConnection | undefined
  private definitions = new SentDefinitions()
  private agentIsUp = false
  private downWhy = 'not connected yet'
  appliedTs = 0n
  private mapVersion: number | undefined
  private transactionsMax: number | undefined

  constructor(options: LinkOptions & { readonly limits: MuxLimits }) {
    this.shard = options.shard
    this.limits = options.limits
    this.log = options.log
    this.dialer = new Dialer(options, this)
    this.dialer.start()
  }

  // AgentLink

  get isUp(): boolean {
    return this.connection !== undefined && this.agentIsUp
  }

  open(sessionId: number, identity: BackendIdentity, sink: ReplySink): AgentSession {
    if (this.bySessionId.has(sessionId)) {
      throw weftError('internal', { what: `session ${sessionId} opened twice` })
    }
    if (this.sessions.size >= this.limits.sessionsMax) {
      throw new PgError({ code: '53300', message: `too many sessions on the link to shard ${this.shard}` })
    }
    const session = new LinkSession(this, this.newWireId(), sessionId, identity, sink)
    this.sessions.set(session.wireId, session)
    this.bySessionId.set(sessionId, session)
    return session
  }

  control(request: ControlRequest): Promise<ControlReply> {
    const { connection } = this
    if (connection === undefined) return Promise.reject(this.unreachable())
    return new Promise((resolve, reject) => {
      const id = this.pending.add({ answer: resolve, reject })
      writeControl(connection.writer(), id, this.withWireIds(request))
    })
  }

  subscribe(events: LinkEvents): void {
    this.subscribers.push(events)
    const { shard, mapVersion, transactionsMax } = this
    if (mapVersion !== undefined) events.mapVersion(shard, mapVersion)
    if (transactionsMax !== undefined) events.quota(shard, transactionsMax)
    if (this.isUp) events.up(shard)
    else events.down(shard, this.downWhy)
  }

  close(): Promise<void> {
    return this.dialer.close()
  }

  // For its sessions

  get current(): MuxConnection | undefined {
    return this.connection
  }

  /** Why nothing can be sent. */
  unreachable(): PgError {
    return weftError('shard_unreachable', { shard: this.shard, why: this.downWhy })
  }

  writeExec(connection: MuxConnection, wireId: number, request: ExecRequest): void {
    const out = connection.writer()
    const settings = this.definitions.refer(out, request)
    writeExec(out, wireId, request, settings, this.definitions.needs)
  }

  forget(session: LinkSession): void {
    this.sessions.delete(session.wireId)
    if (this.bySessionId.get(session.sessionId) === session) this.bySessionId.delete(session.sessionId)
  }

  /** What a sink must not do, throw, would otherwise take every other session's connection along. */
  sinkThrew(session: LinkSession, error: unknown): void {
    this.log.error({ shard: this.shard, session: session.sessionId, err: error }, 'mux: reply not taken')
  }

  // For the dialer

  connected(connection: MuxConnection): void {
    this.connection = connection
    this.definitions = new SentDefinitions()
    this.agentIsUp = false
    // The agent tells at once how it is.
    this.downWhy = 'the agent has not said yet whether its shard is up'
  }

  /** There is no connection, or no longer. */
  disconnected(why: string): void {
    const { connection } = this
    const isNews = connection !== undefined || why !== this.downWhy
    this.connection = undefined
    this.agentIsUp = false
    this.downWhy = why
    if (connection !== undefined) {
      const lost = weftError('backend_lost', { shard: this.shard, why })
      const sessions = [...this.sessions.values()]
      const told = sessions.map((session) => session.connectionLost(connection, lost))
      this.pending.rejectAll(lost)
      for (const tell of told) tell?.()
    }
    if (isNews) for (const events of this.subscribers) events.down(this.shard, why)
  }

  frame(kind: number, wireId: number, chunk: Buffer, start: number, end: number): void {
    if (kind === KIND.applied) this.appliedTs = readApplied(bodyOf(chunk, start, end))
    else if (kind === KIND.event) this.event(bodyOf(chunk, start, end))
    else if (kind === KIND.answer) {
      const { requestId, reply } = readAnswer(bodyOf(chunk, start, end))
      this.pending.take(requestId)?.answer?.(reply)
    } else if (kind >= KIND.prepared) this.pending.settle(kind, bodyOf(chunk, start, end))
    else this.sessions.get(wireId)?.frame(kind, chunk, start, end)
  }

  private event(body: ReturnType<typeof bodyOf>): void {
    const event = readEvent(body)
    const { shard, subscribers } = this
    switch (event.kind) {
      case 'mapVersion':
        this.mapVersion = event.version
        for (const events of subscribers) events.mapVersion(shard, event.version)
        return
      case 'quota':
        this.transactionsMax = event.transactionsMax
        for (const events of subscribers) events.quota(shard, event.transactionsMax)
        return
      case 'up':
        this.agentIsUp = true
        for (const events of subscribers) events.up(shard)
        return
      case 'down':
        this.agentIsUp = false
        this.downWhy = event.why
        for (const events of subscribers) events.down(shard, event.why)
        return
      case 'news':
        for (const events of subscribers) void events.news?.(event.what)
        this.control({ kind: 'heard', id: event.id }).catch(() => {})
        return
      case 'abortsLeft':
        for (const events of subscribers) events.abortsLeft?.(event.txnIds)
        return
      case 'signal':
        for (const events of subscribers) events.signal?.(event.pid, event.verb, event.secret)
    }
  }

  private newWireId(): number {
    do {
      this.nextWireId = this.nextWireId === 0xffffffff ? 1 : this.nextWireId + 1
    } while (this.sessions.has(this.nextWireId))
    return this.nextWireId
  }

  private withWireIds(request: ControlRequest): ControlRequest {
    if (request.kind !== 'fence' && request.kind !== 'drain' && request.kind !== 'cut') return request
    const sessions = request.sessions.flatMap((id) => this.bySessionId.get(id)?.wireId ?? [])
    return { ...request, sessions }
  }
}
