/**
 * Keeps track of message boundaries in the COPY bytes that a client sends, which come in any chunking. PURE.
 *
 * Two things need them: a COPY that fails ends between two of our writes, and the backend must not go to the next
 * session in the middle of a message; and a Sync that commits may have to wait for the gate.
 */
import { MSG } from '../../protocol/wire/frames.ts'
import { FLUSH } from '../../protocol/wire/frontend-messages.ts'

const HEADER_BYTES = 5
const NOTHING = Buffer.alloc(0)

export class CopyStream {
  /** Bytes of the current message not yet seen. */
  left = 0
  /** Where a Sync begins in what `push` answered last, or -1. */
  syncAt = -1
  /** CopyDone or CopyFail went by. */
  sawEnd = false
  /** CopyDone did. */
  sawDone = false
  /** A client's Sync means nothing in a COPY of the simple protocol: a Flush means that to the backend everywhere. */
  ignoresSync = false
  /** An incomplete header: never sent before it is complete. */
  private carry: Buffer = NOTHING

  /** Takes what the client sent, answers what may go to the backend. */
  push(bytes: Buffer): Buffer {
    this.syncAt = -1
    if (this.carry.length > 0) {
      bytes = Buffer.concat([this.carry, bytes])
      this.carry = NOTHING
    }
    let at = Math.min(this.left, bytes.length)
    this.left -= at
    while (at < bytes.length) {
      if (bytes.length - at < HEADER_BYTES) {
        // A copy: the caller may reuse its buffer.
        this.carry = Buffer.from(bytes.subarray(at))
        return bytes.subarray(0, at)
      }
      const type = bytes[at]
      if (type === MSG.sync && this.ignoresSync) {
        bytes = Buffer.from(bytes)
        bytes[at] = FLUSH[0]!
      } else if (type === MSG.sync) this.syncAt = at
      else if (type === MSG.copyDone || type === MSG.copyFail) {
        this.sawEnd = true
        this.sawDone ||= type === MSG.copyDone
      }
      const end = at + 1 + Math.max(4, bytes.readUInt32BE(at + 1))
      this.left = Math.max(0, end - bytes.length)
      at = end
    }
    return bytes
  }

  reset(): void {
    this.left = 0
    this.sawEnd = false
    this.sawDone = false
    this.ignoresSync = false
    this.carry = NOTHING
  }
}
