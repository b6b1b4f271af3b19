import { once } from 'node:events'
import { Raised } from '../errors/errors.ts'
import type { WireConnection } from '../wire/connection.ts'
import { Exchange } from '../wire/exchange.ts'
import { readTag } from '../wire/query.ts'

/** What COPY FROM reads: texts or bytes in its format, in pieces of any size. Streams of Node.js are such. */
export type CopySource = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>

/** COPY … FROM STDIN. */
export class CopyIn extends Exchange<number> {
  readonly text: string
  override readonly isCopy = true
  readonly #source: CopySource
  #tag = ''
  #isOver = false
  #isSending = false

  constructor(text: string, source: CopySource) {
    super()
    this.text = text
    this.#source = source
  }

  submit(connection: WireConnection): void {
    connection.query(this.text)
  }

  override handleCopyInResponse(connection: WireConnection): void {
    this.#isSending = true
    void this.#send(connection)
  }

  async #send(connection: WireConnection): Promise<void> {
    try {
      for await (const chunk of this.#source) {
        if (this.#isOver) return
        connection.sendCopyFromChunk(typeof chunk === 'string' ? Buffer.from(chunk) : asBuffer(chunk))
        if (connection.stream.writableNeedDrain) await drained(connection)
        if (this.#isOver) return
      }
      if (!this.#isOver) connection.endCopyFrom()
    } catch (error) {
      if (this.#isOver) return
      this.fail(new Raised(error))
      connection.sendCopyFail('the source of the rows failed')
    } finally {
      this.#isSending = false
    }
  }

  override interrupt(connection: WireConnection): void {
    if (!this.#isSending || this.#isOver) return
    this.#isOver = true
    connection.sendCopyFail('canceled')
  }

  override handleError(error: unknown, connection: WireConnection): void {
    this.#isOver = true
    super.handleError(error, connection)
  }

  override handleCommandComplete(message: { readonly text: string }): void {
    this.#isOver = true
    this.#tag = message.text
  }

  override handleDataRow(): void {
    this.fail(new Raised(new TypeError('copyIn takes COPY … FROM STDIN')))
  }

  protected result(): number {
    return readTag(this.#tag).count
  }
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The socket took what was written, or is gone. */
async function drained({ stream }: WireConnection): Promise<void> {
  const stop = new AbortController()
  const { signal } = stop
  await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]).finally(() =>
    stop.abort(),
  )
}
