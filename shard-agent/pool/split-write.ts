/**
 * A write in two parts: everything but its commit, and the Sync that commits, which is sent under the gate when all of its
 * statements have run. A simple Query becomes messages of the extended protocol; its client sees the difference in
 * nothing: not even a CommandComplete before it has been committed.
 */
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import { FLUSH } from '../../protocol/wire/frontend-messages.ts'
import { asExtended, countExecutes, isConvertible, isSimpleQuery, withFlushForSync } from './assemble.ts'
import type { CopyStream } from './copy-stream.ts'

/** Whether a write that commits by itself can be sent so. */
export function canSplit({ commits, payload }: ExecRequest): boolean {
  // Its commits would take effect while it runs, past the gate.
  if (commits === 'within') return false
  if (!isSimpleQuery(payload)) return countExecutes(payload) > 0
  return commits === 'apart' || isConvertible(payload)
}

const TRANSACTION_TIMEOUT = 'transaction_timeout'

/**
 * Whether one that can be is, also where the session may be ended in its midst: who is told so is to know that nothing was
 * committed.
 */
export function mustSplit(request: ExecRequest, splitWrites: boolean): boolean {
  const wanted = splitWrites || request.commits !== undefined
  return (wanted || request.settings.sql.includes(TRANSACTION_TIMEOUT)) && canSplit(request)
}

export class SplitWrite {
  /** What is to be sent first. */
  readonly messages: readonly Buffer[]
  /** Was a simple Query. */
  readonly isConverted: boolean
  /** Executes not completed yet. */
  private executesLeft: number
  /** The Sync is ours to send. */
  private holdsSync = true
  /** Of a COPY the client's Sync came already. */
  private hasClientSync = false
  private sawCopyDone = false
  private completion: Buffer | undefined

  constructor(payload: Buffer) {
    this.isConverted = isSimpleQuery(payload)
    const extended = this.isConverted ? asExtended(payload) : payload
    this.executesLeft = countExecutes(extended)
    this.messages = withFlushForSync(extended)
  }

  /** The server waits for COPY data: in that mode it ignores a Sync, and the client sends one after its CopyDone. */
  copyBegins(): void {
    this.holdsSync = this.isConverted || this.hasClientSync
  }

  /** What to send of COPY data: the completion that CopyDone brings decides when the Sync may go. */
  copyData(sendable: Buffer, copy: CopyStream): Buffer {
    if (this.executesLeft === 0) return sendable
    if (copy.syncAt >= 0) {
      this.holdsSync = true
      this.hasClientSync = true
      return Buffer.concat([sendable.subarray(0, copy.syncAt), FLUSH])
    }
    if (!this.isConverted || !copy.sawDone || this.sawCopyDone) return sendable
    this.sawCopyDone = true
    return Buffer.concat([sendable, FLUSH])
  }

  /** An Execute has come to its end. True: the last one, its Sync is due. */
  completed(): boolean {
    if (--this.executesLeft > 0 || !this.holdsSync) return false
    this.holdsSync = false
    return true
  }

  /** Postgres says it ahead of the commit in the extended protocol, after it in the simple one. */
  keep(chunk: Buffer, start: number, end: number): boolean {
    if (!this.isConverted || chunk[start] !== MSG.commandComplete) return false
    this.completion = Buffer.from(chunk.subarray(start, end))
    return true
  }

  /** Nothing is left to commit. True: its Sync is due, and need not pass the gate. */
  failed(): boolean {
    const isDue = this.holdsSync
    this.holdsSync = false
    this.executesLeft = 0
    this.completion = undefined
    return isDue
  }

  /** What was kept back, when it has been committed. */
  takeCompletion(): Buffer | undefined {
    const { completion } = this
    this.completion = undefined
    return completion
  }
}
