/**
 * Tells what `weft.notify` has kept, when its transactions have committed: at once where this agent saw them end, and once
 * when it starts for those that an earlier one saw.
 */
import { TELL_SQL } from '../../sql/install/notification-functions.ts'
import type { InternalHost } from '../pool/internal-work.ts'

const AGAIN_MS = 1_000
/** Nobody waits for what is told: it is as durable as what it tells of. */
const SETTINGS_SQL = 'SET synchronous_commit = off'

export class Notifications {
  private readonly host: InternalHost
  /** Prepared transactions that have something to tell. */
  private readonly gids = new Set<string>()
  private isDue = false
  private telling: Promise<void> | undefined
  private timer: NodeJS.Timeout | undefined
  private isStopped = false

  constructor(host: InternalHost) {
    this.host = host
  }

  /** `asides`: what its backend knows of it. */
  prepared(gid: string, asides: { takeTells(): boolean }): void {
    if (asides.takeTells()) this.gids.add(gid)
  }

  /** Committed or rolled back. */
  concluded(gid: string): void {
    if (this.gids.delete(gid)) this.due()
  }

  /** The same by recovery: what an earlier agent has prepared may have something to tell too. */
  resolved(gid: string): void {
    this.gids.delete(gid)
    this.due()
  }

  /** There may be something to tell: looks, once more if it is looking already. */
  due(): void {
    this.isDue = true
    if (this.telling !== undefined || this.isStopped) return
    clearTimeout(this.timer)
    this.telling = this.tell().finally(() => {
      this.telling = undefined
    })
  }

  private async tell(): Promise<void> {
    try {
      while (this.isDue && !this.isStopped) {
        this.isDue = false
        await this.host.withInternal(async (run) => {
          await run(SETTINGS_SQL)
          await run(TELL_SQL)
        })
      }
    } catch (error) {
      this.host.log.debug({ shard: this.host.shard, err: error }, 'notifications: not now')
      this.isDue = true
      this.timer = setTimeout(() => this.due(), AGAIN_MS).unref()
    }
  }

  async stop(): Promise<void> {
    this.isStopped = true
    clearTimeout(this.timer)
    await this.telling
  }
}
