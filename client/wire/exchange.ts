import type { WireConnection } from './connection.ts'

/**
 * One request and all of its answer. `pg` hands messages to whatever has these methods ("submittable"). Its own Query
 * ends with the ErrorResponse; this ends with the ReadyForQuery after it, when the transaction's state is known.
 */
export abstract class Exchange<T> {
  abstract readonly text: string
  /** Of a prepared statement; '' for none. `pg` reads it. */
  readonly name: string = ''
  /** A COPY has the connection for itself until its end. */
  readonly isCopy: boolean = false
  readonly done: Promise<T>
  #resolve!: (value: T) => void
  #reject!: (error: unknown) => void
  #error: unknown

  constructor() {
    this.done = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever waits hears of it; one that nobody waits for is no crash of the process.
    this.done.catch(() => undefined)
  }

  /** Sends the request. */
  abstract submit(connection: WireConnection): void
  /** What it comes to, once the server is ready again. */
  protected abstract result(): T

  /** The caller wants it to end; what the server runs is canceled besides. */
  interrupt(_connection: WireConnection): void {}

  handleRowDescription(_message: unknown): void {}
  handleDataRow(_message: unknown): void {}
  handleCommandComplete(_message: unknown, _connection: WireConnection): void {}
  handleEmptyQuery(_connection: WireConnection): void {}
  handlePortalSuspended(_connection: WireConnection): void {}
  handleCopyData(_message: unknown, _connection: WireConnection): void {}

  /** Of the extended protocol: the server has dropped the Sync that came while it waited for rows. */
  handleCopyInResponse(connection: WireConnection): void {
    connection.sendCopyFail('COPY FROM STDIN goes through copyIn')
    connection.sync()
  }

  /** Ours, of a value that could not be read; told when the server is ready. */
  protected fail(error: unknown): void {
    this.#error ??= error
  }

  protected get failed(): boolean {
    return this.#error !== undefined
  }

  /** From the server, or from the socket. `pg` forgets the exchange then, so it looks for the end itself. */
  handleError(error: unknown, connection: WireConnection): void {
    this.fail(error)
    const end = (): void => {
      connection.off('readyForQuery', end)
      connection.off('end', end)
      this.settle()
    }
    if (connection.stream.destroyed || connection.stream.closed) return this.settle()
    connection.once('readyForQuery', end)
    connection.once('end', end)
  }

  handleReadyForQuery(_connection: WireConnection): void {
    this.settle()
  }

  protected settle(): void {
    if (this.failed) return this.#reject(this.#error)
    try {
      this.#resolve(this.result())
    } catch (error) {
      this.#reject(error)
    }
  }
}
