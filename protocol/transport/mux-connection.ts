/**
 * One socket with frames on it; the same at both ends. Knows nothing of sessions.
 *
 * Frames written in one turn of the event loop leave together: under load that is one system call for many of them.
 * Every timestamp that comes in is observed before its frame is handed on; one that the clock refuses ends the
 * connection.
 */
import type { Socket } from 'node:net'
import { PgError } from '../../errors/pg-error.ts'
import { KIND, muxViolation } from '../mux/frame-kinds.ts'
import { FrameReader, type FrameReceiver } from '../mux/frame-reader.ts'
import { FrameWriter } from '../mux/frame-writer.ts'
import { bodyOf, readGoodbye, writeGoodbye, writePing } from '../mux/link-frames.ts'
import type { MuxClock, MuxLimits } from './limits.ts'
import { socketErrorText } from './socket-error.ts'

/** A peer that was told goodbye has this long to take what is still under way. */
const LINGER_MS = 1_000

export interface ConnectionOwner {
  /** Pings and goodbyes are left out. */
  frame(kind: number, session: number, chunk: Buffer, start: number, end: number): void
  /** The backlog has gone. */
  drained(): void
  /**
   * Once, the last call. `error`: what this side, or the peer in its goodbye, closed it with; absent when the socket
   * just broke.
   */
  closed(why: string, error: PgError | undefined): void
}

export interface ConnectionOptions {
  readonly clock: MuxClock
  readonly limits: MuxLimits
  readonly owner: ConnectionOwner
  /** Of one frame's body, until `allowFrames`. */
  readonly firstFrameBytesMax: number
}

export class MuxConnection implements FrameReceiver {
  private readonly socket: Socket
  private readonly clock: MuxClock
  private readonly limits: MuxLimits
  private readonly owner: ConnectionOwner
  private readonly out = new FrameWriter()
  private readonly reader: FrameReader
  private readonly heartbeat: NodeJS.Timeout
  private isFlushScheduled = false
  private isClosed = false
  private socketError = ''
  /** Turns of the heartbeat since something was last written or heard: a pause of this process counts as one. */
  private turnsUnwritten = 0
  private turnsUnheard = 0

  /** For a socket that is connected. */
  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket
    this.clock = options.clock
    this.limits = options.limits
    this.owner = options.owner
    this.reader = new FrameReader(this, options.firstFrameBytesMax)
    this.heartbeat = setInterval(() => this.beat(), this.limits.pingIntervalMs / 2)
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.received(chunk))
    socket.on('drain', () => this.owner.drained())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.socketError ||= socketErrorText(error)
    })
    socket.on('end', () => this.ended('the peer closed the connection'))
    socket.on('close', () => this.ended(this.socketError || 'the connection was closed'))
  }

  get isOpen(): boolean {
    return !this.isClosed
  }

  /** Where frames are written to; they leave at the end of this turn of the event loop. */
  writer(): FrameWriter {
    if (!this.isFlushScheduled) {
      this.isFlushScheduled = true
      setImmediate(this.flushScheduled)
    }
    return this.out
  }

  /** Number of the batch that frames written now go out with. */
  get batch(): number {
    return this.out.batch
  }

  /** Whether a frame of this batch may have reached the peer. */
  hasSent(batch: number): boolean {
    return this.out.batch > batch
  }

  /** The peer does not take what is written as fast as it comes. */
  get isCongested(): boolean {
    return this.out.pendingBytes + this.socket.writableLength > this.limits.backlogBytesMax
  }

  /** The peer has said who it is. */
  allowFrames(): void {
    this.reader.bodyBytesMax = this.limits.frameBytesMax
  }

  /** Tells the peer why, sends what is pending and closes. `closed` follows at once. */
  close(error: PgError): void {
    if (this.isClosed) return
    writeGoodbye(this.out, error)
    this.flush()
    // Flushing fails without a clock, and then closes by itself.
    if (this.isClosed) return
    if (!this.socket.destroyed) {
      this.socket.end()
      // What the peer still sends must be read, or its end would become a reset that overtakes our goodbye.
      setTimeout(() => this.socket.destroy(), LINGER_MS).unref()
    }
    this.end(error.message, error)
  }

  /** Closes without a word. */
  destroy(why: string): void {
    if (this.isClosed) return
    this.socket.destroy()
    this.end(why, undefined)
  }

  // Writing

  private readonly flushScheduled = (): void => {
    this.isFlushScheduled = false
    if (!this.isClosed) this.flush()
  }

  private flush(): void {
    const { out, socket } = this
    if (out.pendingBytes === 0 || !socket.writable) return
    let stamp: bigint
    try {
      stamp = this.clock.now()
    } catch (error) {
      // Without a clock there is nothing that may be said.
      this.destroy(messageOf(error))
      return
    }
    const parts = out.take(stamp)
    if (parts.length === 1) socket.write(parts[0]!)
    else {
      socket.cork()
      for (const part of parts) socket.write(part)
      socket.uncork()
    }
    if (socket.writableLength === 0) out.recycle()
    this.turnsUnwritten = 0
  }

  // Reading

  private received(chunk: Buffer): void {
    this.turnsUnheard = 0
    try {
      this.reader.push(chunk)
    } catch (error) {
      this.close(asPgError(error))
    }
  }

  stamp(stamp: bigint): void {
    this.clock.observe(stamp)
  }

  frame(kind: number, session: number, chunk: Buffer, start: number, end: number): void {
    if (kind === KIND.ping) return
    if (kind === KIND.goodbye) {
      const error = readGoodbye(bodyOf(chunk, start, end))
      this.socket.end()
      this.end(error.message, error)
    } else this.owner.frame(kind, session, chunk, start, end)
  }

  // The end

  private beat(): void {
    const { pingIntervalMs, deadAfterMs } = this.limits
    if (++this.turnsUnheard * (pingIntervalMs / 2) > deadAfterMs) {
      this.destroy(`nothing was heard of the peer for ${deadAfterMs} ms`)
    } else if (++this.turnsUnwritten >= 2) writePing(this.writer())
  }

  private ended(why: string): void {
    if (this.isClosed) return
    this.socket.destroy()
    this.end(why, undefined)
  }

  private end(why: string, error: PgError | undefined): void {
    this.isClosed = true
    this.reader.isStopped = true
    clearInterval(this.heartbeat)
    this.owner.closed(why, error)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function asPgError(error: unknown): PgError {
  if (error instanceof PgError) {
    const isMalformed = error.code === '08P01' && error.severity !== 'FATAL'
    return isMalformed ? muxViolation(error.message) : error
  }
  return new PgError({ severity: 'FATAL', code: 'XX000', message: messageOf(error) }, { cause: error })
}
