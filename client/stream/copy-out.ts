import type { WireConnection } from '../wire/connection.ts'
import { Exchange } from '../wire/exchange.ts'
import { readTag } from '../wire/query.ts'

/** So many bytes are kept for a reader that is slower than the server; then the socket is not read. */
const KEPT_BYTES_MAX = 1024 * 1024

/** COPY … TO STDOUT. Its pieces are those of the protocol, one row each. */
export class CopyOut extends Exchange<number> {
  readonly text: string
  override readonly isCopy = true
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #tag = ''
  #isOver = false
  #isDiscarded = false
  #connection: WireConnection | undefined
  #wake: () => void = () => undefined

  constructor(text: string) {
    super()
    this.text = text
  }

  submit(connection: WireConnection): void {
    this.#connection = connection
    connection.query(this.text)
  }

  override handleCopyData(message: { readonly chunk: Buffer }, connection: WireConnection): void {
    if (this.#isDiscarded) return
    // The parser uses its buffer again.
    this.#chunks.push(Buffer.from(message.chunk))
    this.#bytes += message.chunk.length
    if (this.#bytes > KEPT_BYTES_MAX) connection.stream.pause()
    this.#wake()
  }

  override handleCommandComplete(message: { readonly text: string }): void {
    this.#tag = message.text
  }

  protected override settle(): void {
    this.#isOver = true
    super.settle()
    this.#wake()
  }

  override interrupt(): void {
    this.discard()
  }

  /** What is still to come is of no interest, but has to be read. */
  discard(): void {
    this.#isDiscarded = true
    this.#take()
    this.#wake()
  }

  /** Pieces as they come; ends with the COPY, or when they are discarded. */
  async *chunks(): AsyncGenerator<Buffer> {
    while (!this.#isDiscarded) {
      yield* this.#take()
      if (this.#isOver) return yield* this.#take()
      if (this.#chunks.length === 0) await new Promise<void>((wake) => this.#await(wake))
    }
  }

  #await(wake: () => void): void {
    this.#wake = wake
  }

  #take(): Buffer[] {
    this.#bytes = 0
    this.#connection?.stream.resume()
    return this.#chunks.splice(0)
  }

  protected result(): number {
    return readTag(this.#tag).count
  }
}
