import type { PgError } from '../../errors/pg-error.ts'
import type { ControlReply, PrepareReply } from '../../protocol/agent-link.ts'
import { readPrepared } from '../../protocol/mux/commit-frames.ts'
import { KIND, muxViolation } from '../../protocol/mux/frame-kinds.ts'
import { readDone, readRefused } from '../../protocol/mux/session-frames.ts'
import type { FrameBody } from '../../protocol/mux/values.ts'

/** Who waits for the answer to a request: one of the three `done`s, or `reject`, is called, and once. */
export interface Waiter {
  /** Before any of the others: whether the session has a backend now. */
  holds?(holds: boolean): void
  done?(): void
  prepared?(reply: PrepareReply): void
  answer?(reply: ControlReply): void
  reject(error: PgError): void
}

/** Requests of a link that were sent and not answered. */
export class PendingRequests {
  private readonly waiters = new Map<number, Waiter>()
  private nextId = 1

  add(waiter: Waiter): number {
    const id = this.nextId
    this.nextId = id === 0xffffffff ? 1 : id + 1
    this.waiters.set(id, waiter)
    return id
  }

  /** Undefined: nobody waits (any more). */
  take(requestId: number): Waiter | undefined {
    const waiter = this.waiters.get(requestId)
    this.waiters.delete(requestId)
    return waiter
  }

  /** A reply frame about a session. */
  settle(kind: number, body: FrameBody): void {
    if (kind === KIND.prepared) {
      const { requestId, holds, reply } = readPrepared(body)
      this.held(requestId, holds)?.prepared?.(reply)
    } else if (kind === KIND.done) {
      const { requestId, holds } = readDone(body)
      this.held(requestId, holds)?.done?.()
    } else if (kind === KIND.refused) {
      const { requestId, holds, error } = readRefused(body)
      this.held(requestId, holds)?.reject(error)
    } else throw muxViolation(`a frame of kind ${kind} from an agent`)
  }

  rejectAll(error: PgError): void {
    const waiting = [...this.waiters.values()]
    this.waiters.clear()
    for (const waiter of waiting) waiter.holds?.(false)
    for (const waiter of waiting) waiter.reject(error)
  }

  private held(requestId: number, holds: boolean): Waiter | undefined {
    const waiter = this.take(requestId)
    waiter?.holds?.(holds)
    return waiter
  }
}
