import type { TextRow } from './catalog/internal-connection.ts'
import type { Logger } from './execute/context.ts'
import { quoteLiteral } from './settings/settings-sql.ts'
import type { StatementStat, StatementStats } from './statistics/statement-stats.ts'

/** How old what weft.stat_statements tells may be. */
const EVERY_MS = 2_000
/** Of one statement on home. */
const STATEMENTS_AT_A_TIME = 500

type AskHome = (sql: string) => Promise<readonly TextRow[]>

interface Sent {
  calls: number
  ms: number
  rows: number
  shards: number
}

/** Adds what ran on this node to what all nodes have told, on the home shard (sql/install/statement-stats.ts). */
export class SharedStats {
  private readonly stats: StatementStats
  private readonly home: AskHome
  private readonly log: Logger
  private readonly sent = new WeakMap<StatementStat, Sent>()
  private readonly timer: NodeJS.Timeout
  private running = false
  private isAway = false

  constructor(stats: StatementStats, home: AskHome, log: Logger) {
    this.stats = stats
    this.home = home
    this.log = log
    this.timer = setInterval(() => void this.tell(), EVERY_MS)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private async tell(): Promise<void> {
    if (this.running) return
    this.running = true
    try {
      for (let more = this.next(); more.length > 0; more = this.next()) await this.add(more)
      this.isAway = false
    } catch (err) {
      // What home has not been told is told when it is back.
      if (!this.isAway)
        this.log.warn({ err }, 'the statistics of statements could not be told to the home shard')
      this.isAway = true
    } finally {
      this.running = false
    }
  }

  private next(): StatementStat[] {
    const due: StatementStat[] = []
    for (const stat of this.stats.all) {
      if (stat.calls !== (this.sent.get(stat)?.calls ?? 0)) due.push(stat)
      if (due.length === STATEMENTS_AT_A_TIME) break
    }
    return due
  }

  private async add(due: readonly StatementStat[]): Promise<void> {
    const now = due.map(({ calls, ms, rows, shards }) => ({ calls, ms, rows, shards }))
    const added = due.map((stat, i) => rowOf(stat, now[i]!, this.sent.get(stat)))
    const extremes = due.map(takeExtremes)
    try {
      await this.home(`SELECT weft.statement_stats_add(${quoteLiteral(JSON.stringify(added))}::jsonb)`)
    } catch (error) {
      for (const giveBack of extremes) giveBack()
      throw error
    }
    for (const [i, stat] of due.entries()) this.sent.set(stat, now[i]!)
  }
}

function rowOf(
  { query, route, kind, minMs, maxMs }: StatementStat,
  now: Sent,
  before: Sent | undefined,
): object {
  const since = (what: keyof Sent): number => now[what] - (before?.[what] ?? 0)
  return {
    ...{ query, route, kind, least: minMs, most: maxMs },
    ...{ calls: since('calls'), ms: since('ms'), rows: since('rows'), shards: since('shards') },
  }
}

/** The least and the most are those since it was told last. Gives what undoes that. */
function takeExtremes(stat: StatementStat): () => void {
  const { minMs, maxMs } = stat
  stat.minMs = Number.POSITIVE_INFINITY
  stat.maxMs = 0
  return () => {
    stat.minMs = Math.min(stat.minMs, minMs)
    stat.maxMs = Math.max(stat.maxMs, maxMs)
  }
}
