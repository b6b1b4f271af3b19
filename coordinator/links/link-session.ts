/** A client session's line to a shard over a mux link. */
import { invariant, PgError } from '../../errors/pg-error.ts'
import type {
  AgentSession,
  BackendIdentity,
  ExecRequest,
  PrepareOptions,
  PrepareReply,
  ReplySink,
  Timestamp,
} from '../../protocol/agent-link.ts'
import {
  writeCommitLast,
  writeCommitPrepared,
  writePrepare,
  writeTimestampFixed,
} from '../../protocol/mux/commit-frames.ts'
import { COPY_WINDOW_BYTES, KIND, muxViolation } from '../../protocol/mux/frame-kinds.ts'
import { bodyOf, statementBytesMax } from '../../protocol/mux/link-frames.ts'
import {
  execHeadBytesMax,
  readCredit,
  readDataEnd,
  readFailed,
  type SessionRequest,
  writeBytes,
  writeOpen,
  writeRequest,
  writeSignal,
} from '../../protocol/mux/session-frames.ts'
import type { MuxConnection } from '../../protocol/transport/mux-connection.ts'
import type { MuxLink } from './mux-link.ts'
import type { Waiter } from './pending-requests.ts'

const RUN = {
  idle: 0,
  running: 1,
  /** An exec was refused here; the sink hears of it in a moment. */
  refused: 2,
} as const

export class LinkSession implements AgentSession {
  readonly wireId: number
  readonly sessionId: number
  holdsBackend = false
  private readonly link: MuxLink
  private readonly identity: BackendIdentity
  private readonly sink: ReplySink
  /** The connection on which the agent knows this session. */
  private openOn: MuxConnection | undefined
  private run: number = RUN.idle
  /** The batch that the running exec's frame went out with. */
  private batch = 0
  private isPaused = false
  private isClosed = false
  /** COPY bytes that the agent has not confirmed. */
  private unconfirmedBytes = 0
  private waitsForDrain = false
  /** Requests sent and not answered. */
  private requests = 0
  private preparedGid: string | undefined
  /** What went down with the connection while nothing ran; the next exec hears of it. */
  private lost: PgError | undefined

  constructor(link: MuxLink, wireId: number, sessionId: number, identity: BackendIdentity, sink: ReplySink) {
    this.link = link
    this.wireId = wireId
    this.sessionId = sessionId
    this.identity = identity
    this.sink = sink
  }

  // Running statements

  exec(request: ExecRequest): void {
    invariant(this.run === RUN.idle && !this.isClosed, 'exec on a session that is busy or closed')
    const { link } = this
    const connection = link.current
    if (this.lost !== undefined) this.refuse(this.takeLost())
    else if (connection === undefined) this.refuse(link.unreachable())
    else if (largestFrameBytes(request) > link.limits.frameBytesMax) {
      this.refuse(tooLarge(largestFrameBytes(request), link.limits.frameBytesMax))
    } else {
      if (this.openOn !== connection) this.openThere(connection)
      this.run = RUN.running
      link.writeExec(connection, this.wireId, request)
      this.batch = connection.batch
    }
  }

  /** Told in a microtask: the sink must not hear of it inside its own call of `exec`. */
  private refuse(error: PgError): void {
    this.run = RUN.refused
    queueMicrotask(() => {
      this.run = RUN.idle
      if (!this.isClosed) this.sink.failed(error, false)
    })
  }

  private takeLost(): PgError {
    const lost = this.lost!
    this.lost = undefined
    return lost
  }

  private openThere(connection: MuxConnection): void {
    this.openOn = connection
    writeOpen(connection.writer(), this.wireId, this.sessionId, this.identity)
    if (this.isPaused) writeSignal(connection.writer(), KIND.pause, this.wireId)
  }

  copyData(bytes: Buffer): boolean {
    if (this.run !== RUN.running) return true
    writeBytes(this.openOn!.writer(), KIND.copyData, this.wireId, bytes)
    this.unconfirmedBytes += bytes.length
    this.waitsForDrain = this.unconfirmedBytes >= COPY_WINDOW_BYTES
    return !this.waitsForDrain
  }

  cancel(): void {
    // Frames stay in order: it cannot hit an exec that begins later.
    if (this.run === RUN.running || this.requests > 0) this.signal(KIND.cancel)
  }

  pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.signal(KIND.pause)
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.signal(KIND.resume)
  }

  private signal(kind: typeof KIND.cancel | typeof KIND.pause | typeof KIND.resume): void {
    const { openOn } = this
    if (openOn?.isOpen) writeSignal(openOn.writer(), kind, this.wireId)
  }

  // Requests with an answer

  prepare(gid: string, options: PrepareOptions = {}): Promise<PrepareReply> {
    invariant(this.run === RUN.idle, 'prepare on a session that is busy')
    if (this.lost !== undefined) return Promise.reject(this.takeLost())
    if (!this.openOn?.isOpen) return Promise.reject(this.link.unreachable())
    return new Promise((resolve, reject) => {
      const prepared = (reply: PrepareReply): void => {
        // One that was to be the last and cannot has prepared.
        if (reply.xid === undefined) this.preparedGid = gid
        resolve(reply)
      }
      const requestId = this.await({ prepared, reject })
      writePrepare(this.openOn!.writer(), this.wireId, requestId, gid, options)
    })
  }

  commitLast(gid: string, commitTs: Timestamp, sql: string): Promise<void> {
    if (this.lost !== undefined) return Promise.reject(this.takeLost())
    // Elsewhere there is no transaction of it to commit.
    if (!this.openOn?.isOpen) return Promise.reject(this.link.unreachable())
    return new Promise((resolve, reject) => {
      const requestId = this.await({ done: resolve, reject })
      writeCommitLast(this.openOn!.writer(), this.wireId, requestId, gid, commitTs, sql)
    })
  }

  timestampFixed(gid: string, commitTs: Timestamp): void {
    if (this.openOn?.isOpen) writeTimestampFixed(this.openOn.writer(), this.wireId, gid, commitTs)
  }

  commitPrepared(gid: string, commitTs: Timestamp): Promise<void> {
    return this.conclude(gid, (connection, waiter) => {
      writeCommitPrepared(connection.writer(), this.wireId, this.await(waiter), gid, commitTs)
    })
  }

  rollbackPrepared(gid: string): Promise<void> {
    return this.conclude(gid, (_connection, waiter) => this.request(KIND.rollbackPrepared, gid, waiter))
  }

  private conclude(gid: string, send: (connection: MuxConnection, waiter: Waiter) => void): Promise<void> {
    const connection = this.link.current
    if (connection === undefined) return Promise.reject(this.link.unreachable())
    if (this.openOn !== connection) this.openThere(connection)
    return new Promise((resolve, reject) => {
      const ended = (): void => {
        if (this.preparedGid === gid) this.preparedGid = undefined
      }
      send(connection, {
        done: () => {
          ended()
          resolve()
        },
        reject: (error) => {
          ended()
          reject(error)
        },
      })
    })
  }

  reset(): Promise<void> {
    this.lost = undefined
    this.preparedGid = undefined
    // Without a connection the agent has rolled back, or is about to.
    if (!this.openOn?.isOpen) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        this.lost = undefined
        resolve()
      }
      this.request(KIND.reset, '', { done, reject: done })
    })
  }

  rollBack(): Promise<void> {
    this.lost = undefined
    this.preparedGid = undefined
    if (!this.openOn?.isOpen) return Promise.resolve()
    return new Promise((resolve) =>
      this.request(KIND.rollBack, '', { done: resolve, reject: () => resolve() }),
    )
  }

  giveBack(): void {
    this.holdsBackend = false
    if (this.openOn?.isOpen) writeSignal(this.openOn.writer(), KIND.giveBack, this.wireId)
  }

  private request(kind: SessionRequest, gid: string, waiter: Waiter): void {
    writeRequest(this.openOn!.writer(), kind, this.wireId, this.await(waiter), gid)
  }

  private await(waiter: Waiter): number {
    this.requests++
    return this.link.pending.add({
      ...waiter,
      holds: (holds) => {
        this.requests--
        this.holdsBackend = holds
      },
    })
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.holdsBackend = false
    if (this.openOn?.isOpen) writeSignal(this.openOn.writer(), KIND.close, this.wireId)
    this.link.forget(this)
  }

  // From the agent

  frame(kind: number, chunk: Buffer, start: number, end: number): void {
    switch (kind) {
      case KIND.data:
        if (this.run === RUN.running) this.data(chunk.subarray(start, end), 0)
        return
      case KIND.dataEnd: {
        const body = bodyOf(chunk, start, end)
        const { ready, holds } = readDataEnd(body)
        if (this.run !== RUN.running) return
        this.ended(holds)
        this.data(body.rest(), ready)
        return
      }
      case KIND.failed: {
        const { sent, holds, error } = readFailed(bodyOf(chunk, start, end))
        if (this.run === RUN.running) this.failed(error, sent, holds)
        return
      }
      case KIND.async:
        // A copy: it may be kept for long.
        this.tell((sink) => sink.async(Buffer.from(chunk.subarray(start, end))))
        return
      case KIND.ready:
        if (this.run === RUN.running) this.tell((sink) => sink.ready?.())
        return
      case KIND.released:
        // What is under way tells by its own end.
        if (this.run !== RUN.running && this.requests === 0) this.released()
        return
      case KIND.credit:
        this.credit(readCredit(bodyOf(chunk, start, end)))
        return
      default:
        throw muxViolation(`a frame of kind ${kind} from an agent`)
    }
  }

  private released(): void {
    this.holdsBackend = false
    this.tell((sink) => sink.released?.())
  }

  /** As `tell`, without a closure for every frame. */
  private data(bytes: Buffer, ready: number): void {
    if (this.isClosed) return
    try {
      this.sink.data(bytes, ready)
    } catch (error) {
      this.link.sinkThrew(this, error)
    }
  }

  private failed(error: PgError, sent: boolean, holds: boolean): void {
    this.ended(holds)
    this.tell((sink) => sink.failed(error, sent))
  }

  private credit(bytes: number): void {
    this.unconfirmedBytes = Math.max(0, this.unconfirmedBytes - bytes)
    if (!this.waitsForDrain || this.unconfirmedBytes > COPY_WINDOW_BYTES / 2) return
    this.waitsForDrain = false
    this.tell((sink) => sink.drained())
  }

  private ended(holds: boolean): void {
    const waited = this.waitsForDrain
    this.unconfirmedBytes = 0
    this.waitsForDrain = false
    // Whoever waits to send more of a COPY that has failed must learn of it.
    if (waited) this.tell((sink) => sink.drained())
    this.run = RUN.idle
    this.holdsBackend = holds
  }

  private tell(what: (sink: ReplySink) => void): void {
    if (this.isClosed) return
    try {
      what(this.sink)
    } catch (error) {
      this.link.sinkThrew(this, error)
    }
  }

  /** Answers what is to be told once every session knows that its backend is gone. */
  connectionLost(connection: MuxConnection, error: PgError): (() => void) | undefined {
    if (this.openOn !== connection) return undefined
    const held = this.holdsBackend
    const hadState = held && this.preparedGid === undefined
    this.openOn = undefined
    this.holdsBackend = false
    this.preparedGid = undefined
    if (this.run === RUN.running) {
      const sent = connection.hasSent(this.batch)
      const reason = sent ? error : this.link.unreachable()
      return () => this.failed(reason, sent, false)
    }
    // While a request is under way its promise rejects, and there is no exec to be told.
    if (hadState && this.requests === 0) this.lost = error
    return held ? () => this.released() : undefined
  }
}

/** What running `request` sends at most in one frame. */
function largestFrameBytes(request: ExecRequest): number {
  let largest = execHeadBytesMax(request) + request.payload.length
  if (request.needs !== undefined) {
    for (const { name, parse } of request.needs) largest = Math.max(largest, statementBytesMax(name, parse))
  }
  return largest
}

function tooLarge(bytes: number, bytesMax: number): PgError {
  return new PgError({
    code: '54000',
    message: `a statement of ${bytes} bytes is too large for a shard, ${bytesMax} are allowed`,
  })
}
