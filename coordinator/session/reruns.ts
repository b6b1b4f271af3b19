import type { Execution } from '../execute/context.ts'
import { rollbackTransaction } from '../execute/end-transaction.ts'
import type { PlanScope } from '../execute/planner.ts'
import { hasLapsed, isStaleMap, mayPlanAgain, mayRunAsItIs } from '../execute/run-again.ts'
import type { ClientSession } from './client-session.ts'
import type { SlowPath } from './slow-path.ts'

/** How often a statement that had to make way for a cut is run anew, before the client hears of it. */
const CUT_RETRIES = 5

/** Runs statements again, unseen, that met a shard map that has changed or had to make way for a cut. */
export class Reruns {
  private readonly session: ClientSession
  private readonly slow: SlowPath

  constructor(session: ClientSession, slow: SlowPath) {
    this.session = session
    this.slow = slow
  }

  /** As often as the map changes: how long that may take only the client's own limits say. */
  async untilDone(make: (scope: PlanScope) => Execution, alone: boolean): Promise<Execution> {
    const { session } = this
    for (let attempt = 0; ; attempt++) {
      const scope = await this.slow.scope()
      const { version } = session.node.catalogs.current
      session.planVersion = version
      const exec = make(scope)
      const said = session.out.pushedBytes
      const { writes } = session
      try {
        await this.slow.execute(exec, alone)
        return exec
      } catch (error) {
        const why = this.whyAgain(error, alone, session.writes === writes)
        const isOver = session.closed || session.out.pushedBytes !== said
        if (isOver || why === undefined || (why === 'cut' && attempt >= CUT_RETRIES)) throw error
        await this.beginAnew(alone)
        if (why === 'map') await session.node.catalogs.reload(version + 1)
      }
    }
  }

  /**
   * Why a statement is to be run again of which the client has seen nothing. Nothing of it may be left: alone, its implicit
   * transaction can be rolled back; else no part of it may have written.
   */
  private whyAgain(error: unknown, alone: boolean, unwritten: boolean): 'map' | 'cut' | undefined {
    const { kind } = this.session.tx
    if (alone && kind === 'implicit') {
      if (isStaleMap(error)) return 'map'
      return hasLapsed(error) ? 'cut' : undefined
    }
    if (unwritten && mayPlanAgain(error)) return 'map'
    return alone && kind === 'none' && mayRunAsItIs(error) ? 'cut' : undefined
  }

  /** Runs it again for as long as it is refused, or cancelled unseen, because the shard map has changed. */
  async untilCurrent<T>(work: () => Promise<T>): Promise<T> {
    const { session } = this
    for (;;) {
      const { version } = session.node.catalogs.current
      session.planVersion = version
      try {
        return await work()
      } catch (error) {
        if (session.closed || !mayPlanAgain(error)) throw error
        await this.beginAnew(false)
        await session.node.catalogs.reload(version + 1)
      }
    }
  }

  private async beginAnew(alone: boolean): Promise<void> {
    const { session } = this
    if (alone && session.tx.kind === 'implicit') await rollbackTransaction(session)
    session.tx.failed = false
    session.tx.lost = false
  }
}
