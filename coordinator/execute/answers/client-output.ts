import type { Socket } from 'node:net'
import { readyForQuery } from '../../../protocol/wire/backend-messages.ts'
import { MSG, STATUS } from '../../../protocol/wire/frames.ts'
import { rowsTold } from '../../statistics/answer-end.ts'
import type { OutboundText } from './client-text.ts'
import type { DelayedRows } from './delayed-rows.ts'
import type { KeptRows } from './kept-rows.ts'
import { ParameterReport } from './parameter-report.ts'

/**
 * Messages are gathered up to this size, Postgres' own, before they are written: what is less waits for the end of the
 * client's message, so that nobody sees a result while a later statement of the same message waits for a lock.
 */
const GATHER_BYTES = 8192
const READY_BYTES = 6
/** Of one notification that waits, beside its bytes. */
const WAITING_BYTES = 100

/** What goes to the client: small messages are gathered, one write per turn; backpressure is the caller's to obey. */
export class ClientOutput {
  private readonly socket: Socket
  private gathered: Buffer[] = []
  private gatheredBytes = 0
  /** CommandComplete of the last statement, kept back until the commit that belongs to it has succeeded. */
  private held: Buffer | undefined
  /** Answers to Bind and to Describe of a portal, until Postgres has bound it too: it may refuse. */
  private owed: Buffer[] = []
  private drainWaiters: (() => void)[] = []
  /** What belongs to no statement, until the client is between transactions. */
  private waiting: Buffer[] = []
  private waitingBytes = 0
  readonly parameters = new ParameterReport()
  /** What a client is told whose encoding is not UTF8. */
  text: OutboundText | undefined
  /** Takes the rows of a statement in the client's place. */
  kept: KeptRows | undefined
  private delayed: DelayedRows | undefined
  /** Bytes pushed so far: tells whether a statement has said anything yet. */
  pushedBytes = 0

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('drain', () => {
      const waiters = this.drainWaiters
      this.drainWaiters = []
      for (const resolve of waiters) resolve()
    })
  }

  /** Gathers a message; `flush` or the next `send` writes it. */
  push(message: Buffer): void {
    if (message[0] === MSG.dataRow) {
      if (this.kept !== undefined) return this.kept.add(message)
      if (this.delayed !== undefined) {
        if (this.delayed.add(message)) return
        this.releaseDelayed()
      }
    }
    this.pushedBytes += message.length
    if (this.held !== undefined) this.releaseHeld()
    if (this.owed.length > 0) this.releaseOwed()
    this.gather(message)
    if (this.gatheredBytes >= GATHER_BYTES) this.flush()
  }

  private gather(message: Buffer): void {
    const said = this.text === undefined ? message : this.text.convert(message)
    this.gathered.push(said)
    this.gatheredBytes += said.length
  }

  /** Throws when the client's encoding lacks a character of a row: then what the statement did is not to stay. */
  assertSaid(): void {
    const failure = this.text?.failure
    if (failure === undefined) return
    this.text!.failure = undefined
    throw failure
  }

  /** A NoticeResponse goes out at once, a ParameterStatus with the next ReadyForQuery. */
  aside(message: Buffer): void {
    if (message[0] === MSG.parameterStatus) this.parameters.noteMessage(message)
    else {
      this.push(message)
      this.flush()
    }
  }

  /** Notifications, which Postgres gives only between transactions. Answers how many bytes wait. */
  later(messages: Buffer): number {
    // Not as part of what else came with it.
    this.waiting.push(Buffer.from(messages))
    this.waitingBytes += WAITING_BYTES + messages.length
    return this.waitingBytes
  }

  get hasWaiting(): boolean {
    return this.waiting.length > 0
  }

  releaseWaiting(): void {
    const { waiting } = this
    this.waiting = []
    this.waitingBytes = 0
    for (const messages of waiting) this.push(messages)
  }

  ready(status: number): void {
    for (const message of this.parameters.take()) this.push(message)
    if (status === STATUS.idle && this.waiting.length > 0) this.releaseWaiting()
    this.push(readyForQuery(status))
  }

  /** Keeps a CommandComplete back until `releaseHeld`, or for ever by `dropHeld`. */
  hold(message: Buffer): void {
    if (this.held !== undefined) this.releaseHeld()
    if (this.owed.length > 0) this.releaseOwed()
    this.held = message
  }

  /** Says it ahead of whatever is said next, unless `dropOwed` comes first. */
  owe(message: Buffer): void {
    this.releaseHeld()
    this.owed.push(message)
  }

  releaseOwed(): void {
    if (this.delayed !== undefined) return
    const owed = this.owed
    this.owed = []
    for (const message of owed) this.push(message)
  }

  get owedCount(): number {
    return this.owed.length
  }

  /** All but the first of them. */
  dropOwed(kept = 0): void {
    this.owed = this.owed.slice(0, kept)
  }

  /** Of what `work` says the client hears nothing; its rows go to `kept`. */
  async unheard(kept: KeptRows, work: () => Promise<void>): Promise<void> {
    const { owed, held } = this
    const before = this.kept
    this.kept = kept
    this.owed = []
    this.held = undefined
    try {
      await work()
    } finally {
      this.kept = before
      this.owed = owed
      this.held = held
    }
  }

  /** The client hears the first rows of `work` when it has succeeded, or gives more. */
  async untilDone(delayed: DelayedRows, work: () => Promise<void>): Promise<void> {
    this.delayed = delayed
    try {
      await work()
      const complete = this.takeHeld()
      this.releaseDelayed()
      if (complete !== undefined) this.held = complete
    } finally {
      this.delayed = undefined
      delayed.take()
    }
  }

  private releaseDelayed(): void {
    const { delayed } = this
    this.delayed = undefined
    this.releaseOwed()
    for (const row of delayed?.take() ?? []) this.push(row)
  }

  /** Rows that the CommandComplete tells which is held. */
  get heldRows(): number {
    return this.held === undefined ? 0 : Math.max(0, rowsTold(this.held, 0))
  }

  /** The CommandComplete that is held, for who tells it later. */
  takeHeld(): Buffer | undefined {
    const { held } = this
    this.held = undefined
    return held
  }

  releaseHeld(): void {
    const held = this.held
    if (held === undefined) return
    this.held = undefined
    this.push(held)
  }

  dropHeld(): void {
    this.held = undefined
  }

  /** Writes now. False: the client is slow; wait with `onceDrained`. */
  send(chunk: Buffer): boolean {
    if (this.gathered.length > 0 || this.text !== undefined) {
      this.gather(chunk)
      return this.flush()
    }
    return this.socket.write(chunk)
  }

  /** The last of an answer, with its ReadyForQuery: notifications that wait go ahead of that, as `ready` does it. */
  sendEnd(chunk: Buffer): void {
    const readyAt = chunk.length - READY_BYTES
    if (this.waiting.length > 0 && readyAt >= 0 && chunk[chunk.length - 1] === STATUS.idle) {
      this.push(chunk.subarray(0, readyAt))
      this.releaseWaiting()
      chunk = chunk.subarray(readyAt)
    }
    this.send(chunk)
  }

  flush(): boolean {
    const count = this.gathered.length
    if (count === 0) return !this.socket.writableNeedDrain
    const all = count === 1 ? this.gathered[0]! : Buffer.concat(this.gathered, this.gatheredBytes)
    this.gathered = []
    this.gatheredBytes = 0
    return this.socket.write(all)
  }

  /** False: the client is slow. What is gathered goes out when it is much. */
  hasRoom(): boolean {
    return this.gatheredBytes >= GATHER_BYTES ? this.flush() : !this.socket.writableNeedDrain
  }

  get isSlow(): boolean {
    return this.socket.writableNeedDrain
  }

  onceDrained(callback: () => void): void {
    if (!this.socket.writableNeedDrain || this.socket.destroyed) callback()
    else this.drainWaiters.push(callback)
  }

  /** Resolves when the client has taken what was sent (at once, without a promise, when it keeps up). */
  room(): void | Promise<void> {
    if (!this.socket.writableNeedDrain || this.socket.destroyed) return
    return new Promise((resolve) => this.drainWaiters.push(resolve))
  }

  /** Lets everyone who waits for the client go on: it is gone. */
  abandon(): void {
    const waiters = this.drainWaiters
    this.drainWaiters = []
    for (const resolve of waiters) resolve()
  }
}
