import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import { FrameReader } from '../../protocol/wire/frames.ts'
import type { SessionMemory } from '../memory/memory-budget.ts'

/** What a client sends, as messages; large ones are paid for from their beginning until they have been dealt with. */
export class ClientMessages {
  readonly reader: FrameReader
  /** Why the message that was refused last was. */
  refusal: PgError = weftError('out_of_memory', { what: 'The message is too large.' })
  private readonly account: ReturnType<SessionMemory['account']>

  constructor(memory: SessionMemory, frameBytesMax: number) {
    this.account = memory.account('messages')
    this.reader = new FrameReader({ frameBytesMax, claim: (bytes) => this.claim(bytes) })
  }

  private claim(bytes: number): boolean {
    const refusal = this.account.offer(bytes)
    if (refusal !== undefined) this.refusal = refusal
    return refusal === undefined
  }

  /** A large one was not dealt with yet. */
  get areKept(): boolean {
    return this.account.bytes > 0
  }

  /** What was handed out is not needed any more. */
  dealtWith(): void {
    if (!this.areKept) return
    this.reader.forget()
    this.account.set(this.reader.claimedBytes)
  }
}
