import type { Limits } from '../pool/watch.ts'
import type { Exchange } from '../wire/exchange.ts'
import type { Lease } from './queries.ts'
import { Snapshot, unknownIfLost } from './transaction.ts'

/** A connection for somebody who begins and ends transactions by statements of their own, as query builders do. */
export class Reserved extends Snapshot {
  protected override async run<T>(exchange: () => Exchange<T>, limits: Limits): Promise<T> {
    const made = exchange()
    const mayCommit = this.session.status === 'I' || /^\s*(commit|end)\b/i.test(made.text)
    try {
      return await super.run(() => made, limits)
    } catch (error) {
      throw mayCommit ? unknownIfLost(error, 'the connection was lost during the statement') : error
    }
  }

  /** A stream outside of a transaction needs one. */
  protected override async lease(): Promise<Lease> {
    return { ...(await super.lease()), isOwn: this.session.status === 'I' }
  }
}
