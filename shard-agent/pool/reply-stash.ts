/** Bytes kept back while a statement is being cancelled as stale, so that it can be run again unseen. */
const STASH_BYTES_MAX = 64 * 1024
const NO_CHUNKS: readonly Buffer[] = []

/** Replies that the client need not have seen yet. */
export class ReplyStash {
  private chunks: Buffer[] = []
  private bytes = 0

  get isEmpty(): boolean {
    return this.chunks.length === 0
  }

  get isFull(): boolean {
    return this.bytes > STASH_BYTES_MAX
  }

  push(chunk: Buffer): void {
    this.chunks.push(chunk)
    this.bytes += chunk.length
  }

  take(): readonly Buffer[] {
    if (this.isEmpty) return NO_CHUNKS
    const { chunks } = this
    this.chunks = []
    this.bytes = 0
    return chunks
  }
}
