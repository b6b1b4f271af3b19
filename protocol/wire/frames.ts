/**
 * Splits the byte stream of a Postgres connection into messages.
 *
 * Any chunking is legal. A message that lies whole in one chunk is handed out as a view of that chunk; only one that
 * straddles chunks is copied, into a buffer of its own. Handed-out bytes are never written again: they stay valid as
 * long as the caller holds `buffer`.
 */
import { weftError } from '../../errors/catalog.ts'

/** Type bytes, both directions. */
export const MSG = {
  // From the client.
  bind: 0x42, // B
  close: 0x43, // C
  copyFail: 0x66, // f
  describe: 0x44, // D
  execute: 0x45, // E
  flush: 0x48, // H
  functionCall: 0x46, // F
  parse: 0x50, // P
  /** PasswordMessage, SASLInitialResponse and SASLResponse share it. */
  password: 0x70, // p
  query: 0x51, // Q
  sync: 0x53, // S
  terminate: 0x58, // X

  // Both ways.
  copyData: 0x64, // d
  copyDone: 0x63, // c

  // From the server.
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  commandComplete: 0x43, // C
  copyBothResponse: 0x57, // W
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  dataRow: 0x44, // D
  emptyQueryResponse: 0x49, // I
  errorResponse: 0x45, // E
  functionCallResponse: 0x56, // V
  negotiateProtocolVersion: 0x76, // v
  noData: 0x6e, // n
  noticeResponse: 0x4e, // N
  notificationResponse: 0x41, // A
  parameterDescription: 0x74, // t
  parameterStatus: 0x53, // S
  parseComplete: 0x31, // 1
  portalSuspended: 0x73, // s
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const

/** Status byte of ReadyForQuery. */
export const STATUS = { idle: 0x49, inTransaction: 0x54, failed: 0x45 } as const

const NOTHING = Buffer.alloc(0)
/** A straddling message up to this size gets its buffer at once; a larger one only as its bytes really arrive. */
const ALLOC_AT_ONCE_BYTES = 64 * 1024
/** Smaller messages are nobody's concern: a session has one of them at a time. */
export const CLAIMED_FROM_BYTES = 1 << 20

/** Asked once for each large message, when its header is there. False: it is thrown away as it comes. */
export type Claim = (bytes: number) => boolean

/** What both readers share: chunks not yet read, and the one message that straddles them. */
abstract class ChunkReader {
  /** Of the message that `next` found: its bytes are `buffer[start, end)`, its body `buffer[bodyStart, end)`. */
  buffer: Buffer = NOTHING
  start = 0
  bodyStart = 0
  end = 0
  /** Bytes pushed and not yet handed out. */
  pendingBytes = 0
  /** The message that `next` found was claimed in vain: of it there is but the header. */
  isRefused = false
  /** Of the message under way; 0: it is small. */
  claimedBytes = 0

  readonly #headerBytes: number
  #chunk: Buffer = NOTHING
  #at = 0
  #queue: Buffer[] = []
  #queueAt = 0
  #partial: Buffer = NOTHING
  #partialBytes = 0
  readonly #claim: Claim
  #isDecided = false
  /** Bytes of a refused message still to be thrown away. */
  #skipBytes = 0

  constructor(headerBytes: number, claim: Claim = () => true) {
    this.#headerBytes = headerBytes
    this.#claim = claim
  }

  /** Lets go of the message that `next` found last. */
  forget(): void {
    this.buffer = NOTHING
    this.start = 0
    this.bodyStart = 0
    this.end = 0
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.pendingBytes += chunk.length
    if (this.#at === this.#chunk.length && this.#queueAt === this.#queue.length) {
      this.#chunk = chunk
      this.#at = 0
    } else this.#queue.push(chunk)
  }

  /** Moves on to the next whole message; false when its bytes haven't all arrived. */
  next(): boolean {
    do {
      if (this.#partialBytes > 0 ? this.#continuePartial() : this.#wholeInChunk()) return true
    } while (this.#nextChunk())
    return false
  }

  /** Everything not handed out, as one buffer; the reader is empty afterwards. */
  takeRemainder(): Buffer {
    const parts = [this.#partial.subarray(0, this.#partialBytes), this.#chunk.subarray(this.#at)]
    const rest = Buffer.concat(parts.concat(this.#queue.slice(this.#queueAt)))
    this.#chunk = NOTHING
    this.#at = 0
    this.#queue = []
    this.#queueAt = 0
    this.#partial = NOTHING
    this.#partialBytes = 0
    this.pendingBytes = 0
    return rest
  }

  /** Size of the message whose header is at `at`; throws when its length is not acceptable. */
  protected abstract messageBytes(buffer: Buffer, at: number): number

  #wholeInChunk(): boolean {
    const available = this.#chunk.length - this.#at
    if (available === 0) return false
    if (available >= this.#headerBytes) {
      const total = this.messageBytes(this.#chunk, this.#at)
      if (available >= total) {
        this.#found(this.#chunk, this.#at, total)
        this.#at += total
        return true
      }
      this.#partial = Buffer.allocUnsafe(Math.max(available, Math.min(total, ALLOC_AT_ONCE_BYTES)))
    } else this.#partial = Buffer.allocUnsafe(64)
    this.#take(available)
    return false
  }

  #continuePartial(): boolean {
    const missing = this.#headerBytes - this.#partialBytes
    if (missing > 0) this.#take(missing)
    if (this.#partialBytes < this.#headerBytes) return false
    const total = this.messageBytes(this.#partial, 0)
    if (!this.#isDecided) this.#decide(total)
    if (this.#skipBytes > 0) return this.#skip()
    this.#reserve(total)
    this.#take(total - this.#partialBytes)
    if (this.#partialBytes < total) return false
    this.#found(this.#partial, 0, total)
    this.#partialDone()
    return true
  }

  #partialDone(): void {
    this.#partial = NOTHING
    this.#partialBytes = 0
    this.#isDecided = false
    this.claimedBytes = 0
  }

  /** Whether a message that does not lie in one chunk is taken. */
  #decide(total: number): void {
    this.#isDecided = true
    if (total < CLAIMED_FROM_BYTES) return
    if (this.#claim(total)) this.claimedBytes = total
    else {
      this.#skipBytes = total - this.#partialBytes
      this.pendingBytes -= this.#partialBytes - this.#headerBytes
      this.#partialBytes = this.#headerBytes
    }
  }

  #skip(): boolean {
    const bytes = Math.min(this.#skipBytes, this.#chunk.length - this.#at)
    this.#at += bytes
    this.#skipBytes -= bytes
    this.pendingBytes -= bytes
    if (this.#skipBytes > 0) return false
    this.#found(this.#partial, 0, this.#headerBytes)
    this.isRefused = true
    this.#partialDone()
    return true
  }

  /** Room for what is there to be taken, by doubling, never more than the message needs. */
  #reserve(total: number): void {
    const available = this.#chunk.length - this.#at
    const needed = Math.min(total, this.#partialBytes + available)
    if (needed <= this.#partial.length) return
    const capacity = Math.max(
      needed,
      Math.min(total, Math.max(ALLOC_AT_ONCE_BYTES, this.#partial.length * 2)),
    )
    const grown = Buffer.allocUnsafe(capacity)
    this.#partial.copy(grown, 0, 0, this.#partialBytes)
    this.#partial = grown
  }

  #take(wanted: number): void {
    const end = Math.min(this.#chunk.length, this.#at + wanted)
    this.#chunk.copy(this.#partial, this.#partialBytes, this.#at, end)
    this.#partialBytes += end - this.#at
    this.#at = end
  }

  #found(buffer: Buffer, start: number, total: number): void {
    this.buffer = buffer
    this.start = start
    this.bodyStart = start + this.#headerBytes
    this.end = start + total
    this.pendingBytes -= total
    this.isRefused = false
  }

  #nextChunk(): boolean {
    if (this.#at < this.#chunk.length) return true
    if (this.#queueAt === this.#queue.length) {
      this.#chunk = NOTHING
      this.#at = 0
      return false
    }
    this.#chunk = this.#queue[this.#queueAt++]!
    this.#at = 0
    if (this.#queueAt === this.#queue.length) {
      this.#queue = []
      this.#queueAt = 0
    }
    return true
  }
}

/** Reads typed messages: everything after the startup packet, in both directions. */
export class FrameReader extends ChunkReader {
  readonly #frameBytesMax: number

  /** `frameBytesMax` bounds the length word (the message without its type byte); `claim`: see there. */
  constructor(limits: { readonly frameBytesMax: number; readonly claim?: Claim }) {
    super(5, limits.claim)
    this.#frameBytesMax = limits.frameBytesMax
  }

  /** Type byte of the message that `next` found. */
  get type(): number {
    return this.buffer[this.start]!
  }

  protected override messageBytes(buffer: Buffer, at: number): number {
    const length = buffer.readInt32BE(at + 1)
    if (length < 4 || length > this.#frameBytesMax) {
      throw weftError('protocol_violation', { what: 'invalid message length' })
    }
    return length + 1
  }
}

/** Postgres' own limit (MAX_STARTUP_PACKET_LENGTH). */
export const STARTUP_BYTES_MAX = 10_000

/** Reads the untyped packets that open a connection: startup, SSLRequest, GSSENCRequest, CancelRequest. */
export class StartupReader extends ChunkReader {
  readonly #startupBytesMax: number

  constructor(limits: { readonly startupBytesMax: number } = { startupBytesMax: STARTUP_BYTES_MAX }) {
    super(8)
    this.#startupBytesMax = limits.startupBytesMax
  }

  /** Protocol version or request code of the packet that `next` found. */
  get code(): number {
    return this.buffer.readInt32BE(this.start + 4)
  }

  protected override messageBytes(buffer: Buffer, at: number): number {
    const length = buffer.readInt32BE(at)
    if (length < 8 || length > this.#startupBytesMax) {
      throw weftError('protocol_violation', { what: 'invalid length of startup packet' })
    }
    return length
  }
}
