import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Encoded } from '../sql/encode.ts'

/** What of `pg`'s Connection is used here; its types lack some of it. All of it is there since pg 8.0. */
export interface WireConnection extends EventEmitter {
  readonly stream: Socket
  /** Text by name, of statements that were prepared on this connection. */
  readonly parsedStatements: Readonly<Record<string, string>>
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
  query(text: string): void
  parse(message: { text: string; name: string; types?: readonly number[] }): void
  bind(message: { portal: string; statement: string; values: readonly Encoded[] }): void
  describe(message: { type: 'P' | 'S'; name: string }): void
  execute(message: { portal: string; rows: number }): void
  close(message: { type: 'P' | 'S'; name: string }): void
  flush(): void
  sync(): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

export interface FieldDescription {
  readonly name: string
  readonly dataTypeID: number
  readonly format?: 'text' | 'binary'
}
