import {
  FRAME_HEADER_BYTES,
  isKnownKind,
  isStreamed,
  KIND_AT,
  LENGTH_BYTES,
  muxViolation,
  STAMP_AT,
} from './frame-kinds.ts'

export interface FrameReceiver {
  /** A timestamp that differs from the one before; comes ahead of its frame. */
  stamp(stamp: bigint): void
  /** The body of a frame is `chunk[start, end)`. One of a streamed kind may come in several calls. */
  frame(kind: number, session: number, chunk: Buffer, start: number, end: number): void
}

/**
 * Cuts received bytes, in any chunking, into frames. Bodies are views of the chunk they came in; only a frame that
 * is spread over chunks is put together, and of a streamed kind not even that.
 */
export class FrameReader {
  /** Of one frame. Small until the peer has said who it is. */
  bodyBytesMax: number
  /** Nothing more is handed out, also of the chunk at hand. */
  isStopped = false
  private readonly receiver: FrameReceiver
  private readonly head = Buffer.alloc(FRAME_HEADER_BYTES)
  private headBytes = 0
  private kind = 0
  private session = 0
  /** Bytes of the current body still to come. */
  private left = 0
  private parts: Buffer[] = []
  private stampHigh = -1
  private stampLow = -1

  constructor(receiver: FrameReceiver, bodyBytesMax: number) {
    this.receiver = receiver
    this.bodyBytesMax = bodyBytesMax
  }

  /** Throws a PgError when the peer breaks the protocol. */
  push(chunk: Buffer): void {
    if (this.isStopped) return
    let at = 0
    if (this.left > 0) at = this.moreBody(chunk)
    else if (this.headBytes > 0) at = this.moreHead(chunk)
    while (at < chunk.length && !this.isStopped) {
      if (chunk.length - at < FRAME_HEADER_BYTES) {
        this.headBytes = chunk.copy(this.head, 0, at)
        return
      }
      at = this.body(chunk, at + FRAME_HEADER_BYTES, this.openFrame(chunk, at))
    }
  }

  /** Reads a header, answers the length of the body. */
  private openFrame(buffer: Buffer, at: number): number {
    const bodyBytes = buffer.readUInt32BE(at) + LENGTH_BYTES - FRAME_HEADER_BYTES
    const kind = buffer[at + KIND_AT]!
    if (bodyBytes < 0) throw muxViolation(`a frame shorter than its header`)
    if (!isKnownKind(kind)) throw muxViolation(`unknown frame kind ${kind}`)
    if (bodyBytes > this.bodyBytesMax) {
      throw muxViolation(`a frame of ${bodyBytes} bytes, ${this.bodyBytesMax} are allowed`)
    }
    this.kind = kind
    this.session = buffer.readUInt32BE(at + LENGTH_BYTES)
    const high = buffer.readUInt32BE(at + STAMP_AT)
    const low = buffer.readUInt32BE(at + STAMP_AT + 4)
    if (low !== this.stampLow || high !== this.stampHigh) {
      this.stampHigh = high
      this.stampLow = low
      this.receiver.stamp((BigInt(high) << 32n) | BigInt(low))
    }
    return bodyBytes
  }

  /** Hands out a body that begins at `at`, or what is there of it; answers where it ends. */
  private body(chunk: Buffer, at: number, bodyBytes: number): number {
    const end = at + bodyBytes
    if (end <= chunk.length) {
      this.receiver.frame(this.kind, this.session, chunk, at, end)
      return end
    }
    this.left = bodyBytes
    return at + this.moreBody(at === 0 ? chunk : chunk.subarray(at))
  }

  private moreHead(chunk: Buffer): number {
    const missing = FRAME_HEADER_BYTES - this.headBytes
    const taken = chunk.copy(this.head, this.headBytes, 0, missing)
    this.headBytes += taken
    if (taken < missing) return taken
    this.headBytes = 0
    return this.body(chunk, taken, this.openFrame(this.head, 0))
  }

  private moreBody(chunk: Buffer): number {
    const taken = Math.min(this.left, chunk.length)
    this.left -= taken
    if (isStreamed(this.kind)) {
      if (taken > 0) this.receiver.frame(this.kind, this.session, chunk, 0, taken)
      return taken
    }
    this.parts.push(chunk.subarray(0, taken))
    if (this.left > 0) return taken
    const whole = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts)
    this.parts = []
    this.receiver.frame(this.kind, this.session, whole, 0, whole.length)
    return taken
  }
}
