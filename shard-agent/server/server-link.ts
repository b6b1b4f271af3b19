/** One coordinator's connection, from its hello to its end, when everything its sessions had open is rolled back. */
import type { Socket } from 'node:net'
import type { PgError } from '../../errors/pg-error.ts'
import type { AgentLink, LinkEvents, News } from '../../protocol/agent-link.ts'
import { ReceivedDefinitions } from '../../protocol/mux/definitions.ts'
import { HELLO_BYTES_MAX, isOfSession, KIND, muxViolation } from '../../protocol/mux/frame-kinds.ts'
import {
  bodyOf,
  helloMismatch,
  type LinkEvent,
  readControl,
  readForget,
  readHello,
  readSettingsDefine,
  readStatementDefine,
  writeAnswer,
  writeApplied,
  writeEvent,
  writeHello,
} from '../../protocol/mux/link-frames.ts'
import { readExec, readOpen, writeRefused } from '../../protocol/mux/session-frames.ts'
import type { FrameBody } from '../../protocol/mux/values.ts'
import type { MuxClock, MuxLimits, MuxLog } from '../../protocol/transport/limits.ts'
import { type ConnectionOwner, MuxConnection } from '../../protocol/transport/mux-connection.ts'
import { asPgError } from './as-pg-error.ts'
import type { PayloadBudget } from './payload-budget.ts'
import { ServerSession, type SessionsHost } from './server-session.ts'

export interface ServerLinkOptions {
  readonly cluster: string
  readonly shard: number
  readonly connect: (coordinatorId: string) => AgentLink
  readonly clock: MuxClock
  readonly log: MuxLog
  readonly limits: MuxLimits
  readonly payloads: PayloadBudget
  /** It has said who it is; its link to the agent is not made yet. */
  greeted(): void
  closed(): void
}

export class ServerLink implements ConnectionOwner, SessionsHost {
  coordinatorId = ''
  private readonly options: ServerLinkOptions
  private readonly from: string
  private readonly connection: MuxConnection
  private readonly sessions = new Map<number, ServerSession>()
  readonly unread = new Set<ServerSession>()
  private readonly definitions = new ReceivedDefinitions()
  private readonly helloTimer: NodeJS.Timeout
  private link: AgentLink | undefined
  private toldAppliedTs = 0n
  private lastNews = 0
  private readonly unheard = new Map<number, () => void>()

  constructor(socket: Socket, options: ServerLinkOptions) {
    this.options = options
    this.from = `${socket.remoteAddress}:${socket.remotePort}`
    const { clock, limits } = options
    const firstFrameBytesMax = HELLO_BYTES_MAX
    this.connection = new MuxConnection(socket, { clock, limits, owner: this, firstFrameBytesMax })
    this.helloTimer = setTimeout(
      () => this.close(muxViolation(`no hello within ${limits.helloTimeoutMs} ms`)),
      limits.helloTimeoutMs,
    )
  }

  get payloads(): PayloadBudget {
    return this.options.payloads
  }

  close(error: PgError): void {
    this.connection.close(error)
  }

  // The connection's

  frame(kind: number, id: number, chunk: Buffer, start: number, end: number): void {
    if (this.link === undefined) {
      if (kind !== KIND.hello) throw muxViolation('the first frame is no hello')
      this.hello(bodyOf(chunk, start, end))
    } else if (kind === KIND.exec) {
      const session = this.session(id)
      session.exec(readExec(bodyOf(chunk, start, end), this.definitions))
    } else if (kind === KIND.copyData) this.session(id).copyData(chunk.subarray(start, end))
    else if (kind === KIND.open) this.open(id, bodyOf(chunk, start, end))
    else if (isOfSession(kind)) {
      this.session(id).command(kind, bodyOf(chunk, start, end))
      if (kind === KIND.close) this.forget(id)
    } else this.linkFrame(kind, this.link, bodyOf(chunk, start, end))
  }

  tellApplied(): void {
    const { appliedTs } = this.link!
    if (appliedTs === this.toldAppliedTs) return
    this.toldAppliedTs = appliedTs
    writeApplied(this.connection.writer(), appliedTs)
  }

  drained(): void {
    for (const session of this.unread) session.release()
    this.unread.clear()
  }

  closed(why: string, error: PgError | undefined): void {
    const { log, shard } = this.options
    const { coordinatorId: coordinator, from } = this
    clearTimeout(this.helloTimer)
    const fields = { shard, coordinator, from, why }
    if (this.link === undefined) log.warn(fields, 'mux: connection refused')
    else if (error?.code === '57P01') log.info(fields, 'mux: coordinator gone')
    else if (error?.cause === undefined) log.warn(fields, 'mux: coordinator lost')
    else log.error({ ...fields, err: error.cause }, 'mux: coordinator dropped because of a bug')
    for (const session of this.sessions.values()) session.gone()
    this.sessions.clear()
    this.unread.clear()
    for (const id of this.unheard.keys()) this.heard(id)
    // Its sessions end with it: the agent rolls back and settles what they leave in doubt.
    void this.link?.close()
    this.options.closed()
  }

  // Frames about the link

  private hello(body: FrameBody): void {
    const { cluster, shard } = this.options
    const hello = readHello(body)
    const mismatch = helloMismatch(hello, { cluster, shard })
    const { coordinatorId } = hello
    if (mismatch !== undefined) throw muxViolation(`the coordinator at ${this.from} is refused: ${mismatch}`)
    if (coordinatorId === '') throw muxViolation('a coordinator without id')
    clearTimeout(this.helloTimer)
    this.coordinatorId = coordinatorId
    this.options.greeted()
    this.connection.allowFrames()
    writeHello(this.connection.writer(), { cluster, shard, coordinatorId })
    this.link = this.options.connect(coordinatorId)
    this.link.subscribe(this.events())
    this.options.log.info(
      { shard, coordinator: coordinatorId, from: this.from },
      'mux: coordinator connected',
    )
  }

  private events(): LinkEvents {
    const tell = (event: LinkEvent): void => {
      if (this.connection.isOpen) writeEvent(this.connection.writer(), event)
    }
    return {
      mapVersion: (_shard, version) => tell({ kind: 'mapVersion', version }),
      quota: (_shard, transactionsMax) => tell({ kind: 'quota', transactionsMax }),
      up: () => tell({ kind: 'up' }),
      down: (_shard, why) => tell({ kind: 'down', why }),
      signal: (pid, verb, secret) => tell({ kind: 'signal', pid, verb, secret }),
      abortsLeft: (txnIds) => tell({ kind: 'abortsLeft', txnIds }),
      news: (what) => this.tellNews(what),
    }
  }

  private tellNews(what: News): Promise<void> | undefined {
    if (!this.connection.isOpen) return undefined
    const id = ++this.lastNews
    writeEvent(this.connection.writer(), { kind: 'news', id, what })
    return new Promise((resolve) => this.unheard.set(id, resolve))
  }

  private heard(id: number): void {
    this.unheard.get(id)?.()
    this.unheard.delete(id)
  }

  private linkFrame(kind: number, link: AgentLink, body: FrameBody): void {
    const { definitions } = this
    if (kind === KIND.settingsDefine) definitions.defineSettings(readSettingsDefine(body))
    else if (kind === KIND.settingsForget) definitions.forgetSettings(readForget(body))
    else if (kind === KIND.statementForget) definitions.forgetStatement(readForget(body))
    else if (kind === KIND.statementDefine) {
      const { handle, ref } = readStatementDefine(body)
      definitions.defineStatement(handle, ref)
    } else if (kind === KIND.control) this.control(link, body)
    else throw muxViolation(`a frame of kind ${kind} from a coordinator`)
  }

  private control(link: AgentLink, body: FrameBody): void {
    const { requestId, request } = readControl(body)
    const { connection } = this
    if (request.kind === 'heard') this.heard(request.id)
    link.control(request).then(
      (reply) => {
        if (connection.isOpen) writeAnswer(connection.writer(), requestId, reply)
      },
      (error: unknown) => {
        if (connection.isOpen) writeRefused(connection.writer(), 0, requestId, false, asPgError(error))
      },
    )
  }

  // Frames about a session

  private open(id: number, body: FrameBody): void {
    const { sessions } = this
    if (sessions.has(id)) throw muxViolation(`session ${id} opened twice`)
    if (sessions.size >= this.options.limits.sessionsMax) throw muxViolation('too many sessions')
    const session = new ServerSession(id, this.connection, this)
    const { knownAs, identity } = readOpen(body)
    session.agent = this.link!.open(id, identity, session, knownAs)
    sessions.set(id, session)
  }

  private session(id: number): ServerSession {
    const session = this.sessions.get(id)
    if (session === undefined) throw muxViolation(`session ${id} is not open`)
    return session
  }

  private forget(id: number): void {
    const session = this.sessions.get(id)
    if (session === undefined) return
    this.unread.delete(session)
    this.sessions.delete(id)
  }
}
