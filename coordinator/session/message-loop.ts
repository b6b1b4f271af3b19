import type { Socket } from 'node:net'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import { quickVerb } from '../../sql/lex/inspect.ts'
import { LONG_TEXT_BYTES } from '../execute/plans/parse-turns.ts'
import { abortShards } from '../execute/transaction/end-transaction.ts'
import { Batch } from './batch.ts'
import { asPgError, isCopyData } from './client-messages.ts'
import type { ClientSession } from './client-session.ts'
import { CopyInput } from './copy-input.ts'
import { DirectPath } from './direct-path.ts'
import { InputValve, PENDING_BYTES_MAX } from './input-valve.ts'
import { ClientMessages } from './large-messages.ts'
import { LateStart } from './late-start.ts'
import type { SlowPath } from './slow-path.ts'

/**
 * Takes a client's messages in order, one at a time: `DirectPath` handles one when nothing has to be awaited, else
 * `SlowPath`.
 */
export class MessageLoop {
  readonly copy: CopyInput
  private readonly session: ClientSession
  private readonly slow: SlowPath
  private readonly direct: DirectPath
  private readonly messages: ClientMessages
  private readonly valve: InputValve
  private readonly batch = new Batch()
  private readonly lateStart = new LateStart(() => this.startLate())

  /** A message is being handled; the next waits. */
  private busy = true
  /** After an error in the extended protocol everything is skipped up to Sync. */
  private skipToSync = false
  /** No ReadyForQuery answers the last message. */
  private isMidBatch = false

  constructor(session: ClientSession, slow: SlowPath, socket: Socket) {
    this.session = session
    this.slow = slow
    this.direct = new DirectPath(session, this, slow)
    this.messages = new ClientMessages(session.memory, session.node.limits.frameBytesMax)
    this.valve = new InputValve(socket)
    this.copy = new CopyInput(session, this.messages, this.valve)
  }

  get isBusy(): boolean {
    return this.busy
  }

  /** The client has been greeted; `remainder`: what it sent before that. */
  start(remainder: Buffer): void {
    this.busy = false
    if (remainder.length > 0) this.input(remainder)
    else this.pump()
  }

  input(chunk: Buffer): void {
    if (this.session.closed) return
    try {
      this.messages.reader.push(chunk)
      if (!this.busy) this.pump()
      else if (this.copy.isReading) this.copy.pump()
    } catch (error) {
      this.session.fatal(asPgError(error))
      return
    }
    if (this.busy && !this.copy.isOpen && this.messages.reader.pendingBytes > PENDING_BYTES_MAX)
      this.valve.pause()
  }

  /** Handles what the client has sent until a message makes us wait. */
  private pump(): void {
    const { reader } = this.messages
    while (!this.busy && !this.session.closed) {
      if (this.session.out.isSlow) {
        // A client that does not take its answers gets no more of them.
        this.valve.pause()
        this.busy = true
        this.session.out.onceDrained(() => this.goOn())
        return
      }
      if (!reader.next()) break
      const { type, buffer, start, end } = reader
      if (reader.isRefused) this.refused(type, this.messages.refusal)
      else if (!this.session.text.isOther) this.message(type, buffer, start, end)
      else this.encoded(type, this.session.text.read(type, buffer.subarray(start, end)))
    }
    if (this.session.closed) return
    this.session.out.flush()
    if (this.busy) return
    if (!this.batch.isEmpty && reader.pendingBytes === 0) this.lateStart.arm()
    this.valve.resume()
    const { kind } = this.session.tx
    if (kind !== 'implicit' && !this.isMidBatch) this.session.timers.waitsForClient(kind === 'explicit')
  }

  private startLate(): void {
    if (this.busy || this.session.closed || this.batch.isEmpty) return
    if (this.messages.reader.pendingBytes === 0) this.runBatch(false)
  }

  /** A message is done: on to the next. */
  idle(): void {
    if (this.session.closed) return
    if (this.session.tx.failed) {
      const doomed = this.session.tx.doomed()
      this.session.out.flush()
      if (doomed.length > 0) return void abortShards(this.session, doomed).then(() => this.idle())
    }
    if (!this.batch.isEmpty) this.batch.clear()
    if (this.messages.areKept && !this.slow.batches.keepsMessage) this.messages.dealtWith()
    this.copy.end()
    this.session.notifications.release()
    if (this.session.state.kept.size > 0 && this.session.endIfLost()) return
    this.goOn()
  }

  /** Where output was waited for, what was gathered stays: no message has been handled. */
  private goOn(): void {
    if (this.session.closed) return
    this.busy = false
    try {
      this.pump()
    } catch (error) {
      this.session.fatal(asPgError(error))
    }
  }

  /** As Postgres does when it has no memory for a message: it is an error in the message's place. */
  private refused(type: number, error: PgError): void {
    // Left over from a COPY that failed.
    if (this.skipToSync || isCopyData(type)) return
    this.isMidBatch = type !== MSG.query
    if (type !== MSG.query) return this.malformed(error)
    if (!this.batch.isEmpty) return this.session.fatal(error)
    this.busy = true
    void this.slow.refused(error).then(() => this.idle())
  }

  private encoded(type: number, read: Buffer | PgError): void {
    if (read instanceof PgError) this.refused(type, read)
    else this.message(type, read, 0, read.length)
  }

  private message(type: number, buffer: Buffer, start: number, end: number): void {
    this.session.timers.heardClient()
    if (this.skipToSync && type !== MSG.sync && type !== MSG.terminate) return
    this.isMidBatch = type !== MSG.query && type !== MSG.sync
    switch (type) {
      case MSG.query:
        if (this.session.prepared.size > 0) this.session.prepared.delete('')
        if (this.batch.isEmpty) return this.query(buffer, start, end)
        return this.runBatch(false, () => this.runQuery(buffer.subarray(start, end)))
      case MSG.parse:
      case MSG.bind:
      case MSG.describe:
      case MSG.execute:
      case MSG.close:
        return this.extended(type, buffer, start, end)
      case MSG.flush:
        if (!this.batch.isEmpty) this.runBatch(false)
        return
      case MSG.sync:
        return this.sync()
      case MSG.terminate:
        return this.session.terminate()
      case MSG.copyData:
      case MSG.copyDone:
      case MSG.copyFail:
        // Left over from a COPY that failed; Postgres ignores them too.
        return
      case MSG.functionCall: {
        const call = Buffer.from(buffer.subarray(start, end))
        return this.batch.isEmpty
          ? this.functionCall(call)
          : this.runBatch(false, () => this.functionCall(call))
      }
      default:
        throw weftError('protocol_violation', { what: `invalid frontend message type ${type}` })
    }
  }

  private query(buffer: Buffer, start: number, end: number): void {
    const sqlStart = start + 5
    const sqlEnd = end - 1
    if (buffer[sqlEnd] !== 0) throw weftError('protocol_violation', { what: 'invalid string in message' })
    const verb = quickVerb(buffer, sqlStart, sqlEnd)
    if (verb !== 'none' && this.direct.quick(verb)) return
    const frame = buffer.subarray(start, end)
    if (this.direct.mayGo() && sqlEnd - sqlStart <= LONG_TEXT_BYTES) {
      const lexed = this.session.planner.lex(buffer, sqlStart, sqlEnd)
      const plan = this.session.planner.lookup(this.session.scope(), buffer, lexed)
      if (plan !== undefined && plan.kind === 'forward' && this.direct.query(plan, buffer, lexed, frame))
        return
    }
    this.runQuery(frame)
  }

  /** A message is being handled: the next waits for `idle`. */
  occupy(): void {
    this.busy = true
  }

  /** Runs what could not go the direct way after all: a Query, or what was gathered. */
  runSlowly({ frame }: { readonly frame: Buffer | undefined }): void {
    if (frame === undefined) this.runBatch(true)
    else this.runQuery(frame)
  }

  private runQuery(frame: Buffer): void {
    this.busy = true
    void this.slow.query(frame).then(() => this.idle())
  }

  // Extended protocol

  private extended(type: number, buffer: Buffer, start: number, end: number): void {
    try {
      this.batch.add(type, buffer, start, end)
    } catch (error) {
      if (error instanceof PgError && error.severity === 'FATAL') throw error
      return this.malformed(asPgError(error))
    }
    if (this.batch.isFull) this.runBatch(false)
  }

  private malformed(error: PgError): void {
    this.batch.malformed(error)
    this.runBatch(false)
  }

  private sync(): void {
    if (this.skipToSync || this.batch.isEmpty) {
      this.skipToSync = false
      this.batch.clear()
      if (this.session.tx.kind === 'implicit') return this.runBatch(true)
      this.session.out.ready(this.session.statusByte())
      return
    }
    if (this.direct.mayGo() && this.direct.batch(this.batch)) return
    this.runBatch(true)
  }

  private functionCall(frame: Buffer): void {
    this.busy = true
    void this.slow.functionCall(frame).then(() => this.idle())
  }

  /** Runs what was gathered; `synced`: a Sync ended it. `next`: what came in place of the Sync. */
  private runBatch(synced: boolean, next?: () => void): void {
    this.busy = true
    void this.slow.batch(this.batch, synced).then((end) => {
      if (!end.ok && !end.synced) this.skipToSync = true
      if (next !== undefined && end.ok && !this.session.closed) next()
      else this.idle()
    })
  }
}
