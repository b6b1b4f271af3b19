import { PgError } from '../../errors/pg-error.ts'
import { errorResponse } from '../../protocol/wire/backend-messages.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import type { ClientOutput } from '../execute/answers/client-output.ts'
import type { CopyFeed } from '../execute/context.ts'
import { COPY_MESSAGES, STRAY_IN_COPY } from './client-messages.ts'
import type { InputValve } from './input-valve.ts'
import type { ClientMessages } from './large-messages.ts'
import type { SessionText } from './session-text.ts'

interface CopyClient {
  readonly closed: boolean
  readonly out: ClientOutput
  readonly text: SessionText
  terminate(): void
  fatal(error: PgError): void
}

/** COPY data for the statement that runs. What comes after the data stays where it is until the COPY is over. */
export class CopyInput {
  private readonly client: CopyClient
  private readonly messages: ClientMessages
  private readonly valve: InputValve
  /** Set while COPY FROM STDIN reads from this client. */
  private feed: CopyFeed | undefined

  constructor(client: CopyClient, messages: ClientMessages, valve: InputValve) {
    this.client = client
    this.messages = messages
    this.valve = valve
  }

  get isReading(): boolean {
    return this.feed !== undefined
  }

  /** It takes what it is given, and says when it is too much. */
  get isOpen(): boolean {
    return this.feed?.isOpen === true
  }

  read(feed: CopyFeed): void {
    this.feed = feed
    this.valve.resume()
    this.pump()
  }

  end(): void {
    this.feed = undefined
  }

  pump(): void {
    const { feed, client, messages } = this
    const { reader } = messages
    while (!client.closed && feed?.isOpen === true && reader.next()) {
      const { type, buffer, start, end } = reader
      if (reader.isRefused && !COPY_MESSAGES.has(type)) return client.fatal(messages.refusal)
      if (reader.isRefused) return this.valve.waitFor(feed.refuse(messages.refusal))
      if (type === MSG.terminate) return client.terminate()
      if (!COPY_MESSAGES.has(type)) return this.stray(type)
      const frame = client.text.read(type, buffer.subarray(start, end))
      if (frame instanceof PgError) this.valve.waitFor(feed.refuse(frame, client.text.copyLine))
      else this.valve.waitFor(feed.message(frame[0]!, frame, 0, frame.length))
      messages.dealtWith()
    }
    if (feed !== undefined) this.valve.waitFor(feed.flush())
  }

  /** Postgres hangs up too: nobody can tell where the data ends. */
  private stray(type: number): void {
    const what = `unexpected message type 0x${type.toString(16).toUpperCase()} during COPY from stdin`
    this.client.out.push(errorResponse({ code: '08P01', message: what }))
    this.client.fatal(STRAY_IN_COPY)
  }
}
