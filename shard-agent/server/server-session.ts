import type { PgError } from '../../errors/pg-error.ts'
import type { AgentSession, ExecRequest, ReplySink } from '../../protocol/agent-link.ts'
import {
  readCommitLast,
  readCommitPrepared,
  readPrepare,
  readTimestampFixed,
  writePrepared,
} from '../../protocol/mux/commit-frames.ts'
import { COPY_CREDIT_BYTES, KIND, muxViolation } from '../../protocol/mux/frame-kinds.ts'
import {
  readRequest,
  writeBytes,
  writeCredit,
  writeDataEnd,
  writeDone,
  writeFailed,
  writeRefused,
  writeSignal,
} from '../../protocol/mux/session-frames.ts'
import type { FrameBody } from '../../protocol/mux/values.ts'
import type { MuxConnection } from '../../protocol/transport/mux-connection.ts'
import { asPgError } from './as-pg-error.ts'
import type { PayloadBudget } from './payload-budget.ts'

export interface SessionsHost {
  /** Those whose backends are not read because the connection to the coordinator is slow. */
  readonly unread: Set<ServerSession>
  readonly payloads: PayloadBudget
  /** The coordinator hears of what was applied before it hears of replies that may show it. */
  tellApplied(): void
}

/** A coordinator's session on this side of the link: its frames become calls, and the agent's replies frames. */
export class ServerSession implements ReplySink {
  /** Set right after construction. */
  agent!: AgentSession
  private readonly id: number
  private readonly connection: MuxConnection
  private readonly host: SessionsHost
  private isRunning = false
  private isPaused = false
  private isHeld = false
  private isClosed = false
  /** COPY bytes taken and not yet given back as credit. */
  private owedBytes = 0
  private waitsForDrain = false
  /** Of the exec that runs. */
  private payloadBytes = 0

  constructor(id: number, connection: MuxConnection, host: SessionsHost) {
    this.id = id
    this.connection = connection
    this.host = host
  }

  // From the coordinator

  exec(request: ExecRequest): void {
    if (this.isRunning) throw muxViolation(`exec on session ${this.id} while one runs`)
    this.isRunning = true
    this.owedBytes = 0
    this.waitsForDrain = false
    const taken = this.host.payloads.take(request.payload.length)
    if (typeof taken !== 'number') return this.failed(taken, false)
    this.payloadBytes = taken
    this.agent.exec(request)
  }

  private ran(): void {
    this.isRunning = false
    this.gone()
  }

  /** Nothing of it is kept any more. */
  gone(): void {
    this.host.payloads.give(this.payloadBytes)
    this.payloadBytes = 0
  }

  copyData(bytes: Buffer): void {
    // Its exec may have ended while this was under way.
    if (!this.isRunning) return
    this.owedBytes += bytes.length
    if (!this.agent.copyData(bytes)) this.waitsForDrain = true
    if (!this.waitsForDrain && this.owedBytes >= COPY_CREDIT_BYTES) this.giveCredit()
  }

  command(kind: number, body: FrameBody): void {
    switch (kind) {
      case KIND.cancel:
        return this.agent.cancel()
      case KIND.pause:
        return this.setPaused(true, this.isHeld)
      case KIND.resume:
        return this.setPaused(false, this.isHeld)
      case KIND.giveBack:
        return this.agent.giveBack()
      case KIND.close:
        this.isClosed = true
        this.gone()
        return this.agent.close()
      default:
        this.request(kind, body)
    }
  }

  private request(kind: number, body: FrameBody): void {
    if (kind === KIND.commitPrepared) {
      const { requestId, gid, commitTs } = readCommitPrepared(body)
      this.reply(requestId, this.agent.commitPrepared(gid, commitTs))
      return
    }
    if (kind === KIND.prepare) return this.prepare(body)
    if (kind === KIND.commitLast) {
      const { requestId, gid, commitTs, sql } = readCommitLast(body)
      this.reply(requestId, this.agent.commitLast(gid, commitTs, sql))
      return
    }
    if (kind === KIND.timestampFixed) {
      const { gid, commitTs } = readTimestampFixed(body)
      return this.agent.timestampFixed(gid, commitTs)
    }
    const { requestId, gid } = readRequest(body)
    if (kind === KIND.rollbackPrepared) this.reply(requestId, this.agent.rollbackPrepared(gid))
    else if (kind === KIND.rollBack) this.reply(requestId, this.agent.rollBack())
    else if (kind === KIND.reset) this.reply(requestId, this.agent.reset())
    else throw muxViolation(`a frame of kind ${kind} about a session`)
  }

  private prepare(body: FrameBody): void {
    const { requestId, gid, options } = readPrepare(body)
    this.agent.prepare(gid, options).then(
      (reply) => {
        if (!this.isSilent)
          writePrepared(this.connection.writer(), this.id, requestId, this.agent.holdsBackend, reply)
      },
      (error: unknown) => this.refused(requestId, error),
    )
  }

  private reply(requestId: number, work: Promise<void>): void {
    work.then(
      () => {
        if (!this.isSilent) writeDone(this.connection.writer(), this.id, requestId, this.agent.holdsBackend)
      },
      (error: unknown) => this.refused(requestId, error),
    )
  }

  private refused(requestId: number, error: unknown): void {
    if (this.isSilent) return
    writeRefused(this.connection.writer(), this.id, requestId, this.agent.holdsBackend, asPgError(error))
  }

  released(): void {
    if (!this.isRunning && !this.isSilent) writeSignal(this.connection.writer(), KIND.released, this.id)
  }

  private get isSilent(): boolean {
    return this.isClosed || !this.connection.isOpen
  }

  // From the agent

  data(chunk: Buffer, ready: number): void {
    if (ready !== 0) this.ran()
    if (this.isSilent) return
    const { connection } = this
    if (ready !== 0) {
      this.host.tellApplied()
      writeDataEnd(connection.writer(), this.id, ready, this.agent.holdsBackend, chunk)
      return
    }
    writeBytes(connection.writer(), KIND.data, this.id, chunk)
    if (!this.isHeld && connection.isCongested) {
      this.host.unread.add(this)
      this.setPaused(this.isPaused, true)
    }
  }

  failed(error: PgError, sent: boolean): void {
    this.ran()
    if (!this.isSilent) writeFailed(this.connection.writer(), this.id, error, sent, this.agent.holdsBackend)
  }

  async(chunk: Buffer): void {
    if (!this.isSilent) writeBytes(this.connection.writer(), KIND.async, this.id, chunk)
  }

  ready(): void {
    if (!this.isSilent) writeSignal(this.connection.writer(), KIND.ready, this.id)
  }

  drained(): void {
    if (!this.waitsForDrain) return
    this.waitsForDrain = false
    if (this.isRunning && !this.isSilent) this.giveCredit()
  }

  private giveCredit(): void {
    const bytes = this.owedBytes
    this.owedBytes = 0
    writeCredit(this.connection.writer(), this.id, bytes)
  }

  /** The connection to the coordinator has room again. */
  release(): void {
    this.setPaused(this.isPaused, false)
  }

  /** The backend is read only when neither the coordinator nor the connection to it asks us to wait. */
  private setPaused(isPaused: boolean, isHeld: boolean): void {
    const was = this.isPaused || this.isHeld
    this.isPaused = isPaused
    this.isHeld = isHeld
    const is = isPaused || isHeld
    if (is === was) return
    if (is) this.agent.pause()
    else this.agent.resume()
  }
}
