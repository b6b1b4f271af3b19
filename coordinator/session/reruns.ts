import { RelationLocked } from '../catalog/locked-relations.ts'
import { type Execution, HOME } from '../execute/context.ts'
import type { PlanScope } from '../execute/plans/planner.ts'
import {
  hasLapsed,
  hasOldSnapshot,
  isOwnRefusal,
  isStaleMap,
  mayPlanAgain,
  mayRunAsItIs,
} from '../execute/shards/run-again.ts'
import { SessionRunner } from '../execute/shards/session-runner.ts'
import { rollbackTransaction } from '../execute/transaction/end-transaction.ts'
import { needsNoMap } from '../execute/transaction/map-change.ts'
import type { ClientSession } from './client-session.ts'
import type { SlowPath } from './slow-path.ts'

/** How often a statement that had to make way for a cut is run anew, before the client hears of it. */
const CUT_RETRIES = 5
/** The same of one that is given a snapshot, whose rows others change. */
const SNAPSHOT_RETRIES = 20
const RETRIES = { map: Number.POSITIVE_INFINITY, cut: CUT_RETRIES, snapshot: SNAPSHOT_RETRIES }
type Why = keyof typeof RETRIES

/** Runs statements again, unseen, that met a shard map that has changed or had to make way for a cut. */
export class Reruns {
  private readonly session: ClientSession
  private readonly slow: SlowPath

  constructor(session: ClientSession, slow: SlowPath) {
    this.session = session
    this.slow = slow
  }

  /** As often as the map changes: how long that may take only the client's own limits say. */
  async untilDone(
    make: (scope: PlanScope) => Execution | Promise<Execution>,
    alone: boolean,
  ): Promise<Execution> {
    const { session } = this
    for (let attempt = 0; ; attempt++) {
      const { exec, version } = await this.planned(make)
      const { pushedBytes: said, owedCount } = session.out
      const { writes } = session
      try {
        await this.slow.execute(exec, alone)
        return exec
      } catch (error) {
        const isOver = session.closed || session.out.pushedBytes !== said
        const unwritten = session.writes === writes
        const why =
          this.whyAgain(error, alone, unwritten) ??
          (await this.whyRefused(error, version, isOver || !unwritten))
        if (isOver || why === undefined || attempt >= RETRIES[why]) throw error
        // What describes its rows, for one: it comes again.
        session.out.dropOwed(owedCount)
        await this.beginAnew(alone)
        if (why === 'map') await session.node.catalogs.reload(version + 1)
      }
    }
  }

  /** A statement of relations that nobody could look at is planned when it can be. */
  private async planned(
    make: (scope: PlanScope) => Execution | Promise<Execution>,
  ): Promise<{ exec: Execution; version: number }> {
    const { session } = this
    for (;;) {
      const scope = await this.slow.scope()
      const { version } = session.node.catalogs.current
      session.planVersion = version
      try {
        return { exec: await make(scope), version }
      } catch (error) {
        if (!(error instanceof RelationLocked)) throw error
        await this.readWhenFree(error)
      }
    }
  }

  /**
   * Why a statement is to be run again of which the client has seen nothing. Nothing of it may be left: alone, its implicit
   * transaction can be rolled back; else no part of it may have written.
   */
  private whyAgain(error: unknown, alone: boolean, unwritten: boolean): Why | undefined {
    const { kind, givenSnapshot } = this.session.tx
    if (alone && kind === 'implicit') {
      if (isStaleMap(error)) return 'map'
      if (givenSnapshot && hasOldSnapshot(error)) return 'snapshot'
      return hasLapsed(error) ? 'cut' : undefined
    }
    if (unwritten && mayPlanAgain(error)) return 'map'
    return alone && kind === 'none' && mayRunAsItIs(error) ? 'cut' : undefined
  }

  /** What this node itself refuses it refuses by its map: before that is told, it has to be the newest. */
  private async whyRefused(error: unknown, version: number, isFinal: boolean): Promise<'map' | undefined> {
    if (isFinal || !isOwnRefusal(error)) return undefined
    return (await this.wasOutdated(version)) ? 'map' : undefined
  }

  /** Whether home has had a newer map than that of `version`: this node has it now. */
  async wasOutdated(version: number): Promise<boolean> {
    const { tx, node } = this.session
    if (tx.failed || !(await node.catalogs.hasNewer(version))) return false
    await node.catalogs.reload(version + 1)
    return true
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
        if (error instanceof RelationLocked) {
          await this.readWhenFree(error)
          continue
        }
        const why = mayPlanAgain(error) ? 'map' : await this.whyRefused(error, version, session.closed)
        if (session.closed || why === undefined) throw error
        await this.beginAnew(false)
        await session.node.catalogs.reload(version + 1)
      }
    }
  }

  /**
   * Waits for the lock as the statement would, with its limits and in sight of Postgres' deadlock detector; a transaction
   * then reads the catalog itself, since the lock may be its own.
   */
  private async readWhenFree({ lockedBy }: RelationLocked): Promise<void> {
    const { session } = this
    if (session.hasTransactionSnapshots) await session.needTransaction()
    needsNoMap(session)
    await new SessionRunner(session).query(HOME, `SELECT pg_catalog.pg_relation_size(${lockedBy})`)
    if (session.tx.isOpen) session.tx.catalogDirty = true
    else await session.node.catalogs.again()
  }

  private async beginAnew(alone: boolean): Promise<void> {
    const { session } = this
    if (alone && session.tx.kind === 'implicit') await rollbackTransaction(session)
    session.tx.failed = false
    session.tx.lost = false
  }
}
