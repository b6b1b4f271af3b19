/**
 * An exec whose snapshot is that of a cut: made ready up to its Bind, bound under the hold (again, if the cut came to
 * nothing), and run after the release. What it sends and how many replies that brings; exec-run.ts does the rest.
 */
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { describe, FLUSH } from '../../protocol/wire/frontend-messages.ts'
import { type AtBind, BEGIN_REPLIES, beginMessages, splitAtBind } from './assemble.ts'

export class CutExec {
  private readonly parts: AtBind
  private readonly request: ExecRequest
  private hasSnapshot = false
  /** Snapshots asked for and not there yet: replies still due, and who waits. */
  private readonly taking: { left: number; readonly done: () => void }[] = []

  constructor(request: ExecRequest) {
    this.request = request
    this.parts = splitAtBind(request.payload)
  }

  private get isTransaction(): boolean {
    return this.request.cut === 'transaction'
  }

  /**
   * Everything but the snapshot. A statement that the backend knows is described: that takes the locks on its tables
   * now, and a Bind under the hold waits for nobody. Each is answered once, by `1`, `T` or `n`.
   */
  ahead(isParsedNow: boolean): Buffer | undefined {
    const { before, statement } = this.parts
    if (this.isTransaction) return undefined
    if (before.length > 0) return before
    return isParsedNow ? undefined : describe('S', statement)
  }

  /** What takes the snapshot; each time anew. */
  snapshotMessages(done: () => void): Buffer {
    const { before, bind } = this.parts
    const { begin = [] } = this.request
    if (!this.isTransaction) {
      this.taking.push({ left: 1, done })
      this.hasSnapshot = true
      return Buffer.concat([bind, FLUSH])
    }
    const again = this.hasSnapshot ? ['ROLLBACK', ...begin] : []
    this.hasSnapshot = true
    this.taking.push({ left: again.length * BEGIN_REPLIES + (before.length > 0 ? 2 : 1), done })
    return Buffer.concat([...again.map(beginMessages), before, bind, FLUSH])
  }

  /** A reply to what took a snapshot. */
  replied(): void {
    const first = this.taking[0]
    if (first === undefined || --first.left > 0) return
    this.taking.shift()
    first.done()
  }

  get isTaking(): boolean {
    return this.taking.length > 0
  }

  /** It may run now. */
  get isBound(): boolean {
    return this.hasSnapshot && !this.isTaking
  }

  get runMessages(): Buffer {
    return this.parts.after
  }

  /** It has ended: nobody is to wait for it. */
  end(): void {
    for (const { done } of this.taking.splice(0)) done()
  }
}
