/**
 * An exec whose snapshot is that of a cut: made ready up to its Bind, bound under the hold (again, if the cut came to
 * nothing), and run after the release. Or, where Postgres takes the snapshot at Execute, bound ahead too, and executed
 * under a hold that lasts until it has begun. A DECLARE is executed ahead and, closed first, under the hold: it waits for no
 * row. What it sends and how many replies that brings; exec-run.ts does the rest.
 */
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { close, describe, FLUSH, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { type AtBind, BEGIN_REPLIES, beginMessages, splitAtBind, withoutSync } from './assemble.ts'

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

  private get snapsAsItRuns(): boolean {
    return this.request.cut === 'execution'
  }

  private get declares(): boolean {
    return this.parts.close.length > 0 && !this.isTransaction
  }

  /**
   * Everything but the snapshot. A statement that the backend knows is described: that takes the locks on its tables
   * now, and a Bind under the hold waits for nobody. Each is answered once, by `1`, `2`, `T` or `n`.
   */
  ahead(isParsedNow: boolean): readonly Buffer[] {
    const { before, bind, after, statement } = this.parts
    if (this.isTransaction) return []
    const parsed = before.length > 0 ? [before] : []
    // As it is executed it locks what its Parse has not: the tables of views.
    if (this.declares) return [...parsed, bind, withoutSync(after)]
    if (this.snapsAsItRuns) return [...parsed, bind]
    return parsed.length > 0 || isParsedNow ? parsed : [describe('S', statement)]
  }

  /** What takes the snapshot; each time anew. Undefined: nothing yet. */
  snapshotMessages(done: () => void): Buffer | undefined {
    const { before, bind, after, portal, close: closing } = this.parts
    const { begin = [] } = this.request
    if (this.declares) {
      this.taking.push({ left: 2, done })
      this.hasSnapshot = true
      return Buffer.concat([this.parts.close, bind, withoutSync(after), FLUSH])
    }
    if (this.snapsAsItRuns) {
      this.hasSnapshot = true
      done()
      return undefined
    }
    if (!this.isTransaction) {
      const again = this.hasSnapshot && portal !== '' ? [close('P', portal)] : []
      this.taking.push({ left: 1, done })
      this.hasSnapshot = true
      return Buffer.concat([...again, bind, FLUSH])
    }
    const again = this.hasSnapshot ? ['ROLLBACK', ...begin] : []
    this.hasSnapshot = true
    const replies = [before, closing, bind].filter(({ length }) => length > 0).length
    this.taking.push({ left: again.length * BEGIN_REPLIES + replies, done })
    return Buffer.concat([...again.map(beginMessages), before, closing, bind, FLUSH])
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

  /** It is part of a cut, and may run when that is released. */
  get isBound(): boolean {
    return this.hasSnapshot && !this.isTaking
  }

  get runMessages(): Buffer {
    return this.declares ? SYNC : this.parts.after
  }

  /** Instead of these, when it is not to run: nothing of it stays. */
  get undoMessages(): Buffer {
    const { close: closing, portal } = this.parts
    if (this.declares) return Buffer.concat([closing, SYNC])
    return this.hasSnapshot && portal !== '' ? Buffer.concat([close('P', portal), SYNC]) : SYNC
  }

  /** It has ended: nobody is to wait for it. */
  end(): void {
    for (const { done } of this.taking.splice(0)) done()
  }
}
