import { FRAME_HEADER_BYTES, type FrameKind, KIND_AT, LENGTH_BYTES, STAMP_AT } from './frame-kinds.ts'

const SLAB_BYTES = 64 * 1024
/** Payloads up to this size are copied next to their header; larger ones are handed on as they are. */
const COPY_BYTES_MAX = 4 * 1024
const UTF8_BYTES_MAX = 3

/**
 * Collects frames until they are taken, all at once, to be written. Headers and small payloads go into a slab that is
 * used again when the caller says that its bytes have left.
 *
 * Frames get their timestamp when they are taken: it is then above everything that happened before any of them.
 */
export class FrameWriter {
  /** How often frames were taken. A frame begun while this was n has left once it is above n. */
  batch = 0
  private slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  /** The first byte of the slab that was not taken yet. */
  private start = 0
  private at = 0
  private headAt = 0
  private parts: Buffer[] = []
  private partsBytes = 0
  private readonly stampSlabs: Buffer[] = []
  private readonly stampOffsets: number[] = []

  /** Bytes not taken yet. */
  get pendingBytes(): number {
    return this.partsBytes + this.at - this.start
  }

  /** Begins a frame of which at most `ownBytesMax` are written by the calls below, before `end` or `endWith`. */
  begin(kind: FrameKind, session: number, ownBytesMax: number): this {
    this.reserve(FRAME_HEADER_BYTES + ownBytesMax)
    const head = this.at
    this.headAt = head
    this.at = head + LENGTH_BYTES
    this.u32(session)
    this.slab[head + KIND_AT] = kind
    this.stampSlabs.push(this.slab)
    this.stampOffsets.push(head + STAMP_AT)
    this.at = head + FRAME_HEADER_BYTES
    return this
  }

  u8(value: number): this {
    this.slab[this.at++] = value
    return this
  }

  u16(value: number): this {
    const { slab, at } = this
    slab[at] = value >>> 8
    slab[at + 1] = value
    this.at = at + 2
    return this
  }

  u32(value: number): this {
    const { slab, at } = this
    slab[at] = value >>> 24
    slab[at + 1] = value >>> 16
    slab[at + 2] = value >>> 8
    slab[at + 3] = value
    this.at = at + 4
    return this
  }

  u64(value: bigint): this {
    return this.u32(Number((value >> 32n) & 0xffffffffn)).u32(Number(value & 0xffffffffn))
  }

  /** A text with its length; at most `textBytesMax` long. */
  text(value: string): this {
    const bytes = this.slab.write(value, this.at + 4)
    this.u32(bytes)
    this.at += bytes
    return this
  }

  raw(bytes: Buffer): this {
    bytes.copy(this.slab, this.at)
    this.at += bytes.length
    return this
  }

  /** Ends a frame without a payload. */
  end(): void {
    this.patchLength(0)
  }

  /** Ends a frame with the bytes it carries; a large payload must not change until it has been written. */
  endWith(payload: Buffer): void {
    const { length } = payload
    this.patchLength(length)
    if (length <= COPY_BYTES_MAX && length <= this.slab.length - this.at) {
      this.at += payload.copy(this.slab, this.at)
      return
    }
    this.seal()
    this.parts.push(payload)
    this.partsBytes += length
  }

  /** Stamps and hands out everything collected. */
  take(stamp: bigint): Buffer[] {
    this.stampAll(stamp)
    this.seal()
    const { parts } = this
    this.parts = []
    this.partsBytes = 0
    this.batch++
    return parts
  }

  /** What was taken has left (it is with the kernel): its memory may be written again. */
  recycle(): void {
    if (this.pendingBytes > 0) return
    this.start = 0
    this.at = 0
  }

  private patchLength(payloadBytes: number): void {
    const end = this.at
    this.at = this.headAt
    this.u32(end - this.headAt - LENGTH_BYTES + payloadBytes)
    this.at = end
  }

  private reserve(bytes: number): void {
    if (this.slab.length - this.at >= bytes) return
    this.seal()
    this.slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
    this.start = 0
    this.at = 0
  }

  private seal(): void {
    if (this.at === this.start) return
    this.parts.push(this.slab.subarray(this.start, this.at))
    this.partsBytes += this.at - this.start
    this.start = this.at
  }

  private stampAll(stamp: bigint): void {
    const { stampSlabs, stampOffsets, slab, at } = this
    const high = Number((stamp >> 32n) & 0xffffffffn)
    const low = Number(stamp & 0xffffffffn)
    for (let i = 0; i < stampOffsets.length; i++) {
      this.slab = stampSlabs[i]!
      this.at = stampOffsets[i]!
      this.u32(high).u32(low)
    }
    this.slab = slab
    this.at = at
    stampSlabs.length = 0
    stampOffsets.length = 0
  }
}

/** Room that `text` needs at most. */
export function textBytesMax(text: string): number {
  return 4 + text.length * UTF8_BYTES_MAX
}
