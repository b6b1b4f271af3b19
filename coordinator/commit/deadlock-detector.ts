import { PgError } from '../../errors/pg-error.ts'
import type { AgentLink } from '../../protocol/agent-link.ts'
import {
  type Deadlock,
  deadlockError,
  findDeadlocks,
  type ShardWait,
  sessionOf,
  waitIdentity,
} from '../../txn/deadlock.ts'

/** A client session, as far as deadlocks go. */
export interface WatchedSession {
  readonly sessionId: number
  /**
   * 0 unless something runs for its transaction on two shards or more; else a number that changes when that ends and
   * something else begins.
   */
  spanningWork(): number
  /** Cancels what runs: `error` is the client's answer. */
  endAsVictim(error: PgError): void
}

export type WatchedLink = Pick<AgentLink, 'shard' | 'isUp' | 'control'>

export interface DetectorOptions {
  readonly coordinatorId: string
  readonly links: readonly WatchedLink[]
  sessions(): Iterable<WatchedSession>
  readonly log: { info(fields: object, message: string): void }
  /** Node's, by default; the simulation has its own. */
  readonly timers?: DetectorTimers
}

/** Each returns what stops it. */
export interface DetectorTimers {
  every(ms: number, run: () => void): () => void
  once(ms: number, run: () => void): () => void
}

const nodeTimers: DetectorTimers = {
  every: (ms, run) => {
    const timer = setInterval(run, ms).unref()
    return () => clearInterval(timer)
  },
  once: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

const TICK_MS = 100
/** So many ticks in a row something has to run before anyone is asked what it waits for. */
const TICKS_BEFORE_LOOK = 2
const ANSWER_MS_MAX = 1000

interface Seen {
  readonly work: number
  ticks: number
}

/**
 * Finds deadlocks over shards in which transactions of this coordinator take part, and ends those of its own that are
 * chosen. Nothing is asked while all goes well. A cycle counts when two looks, one after the other, have found each of
 * its waits: then all of them went on from the end of the first look to the start of the second, at the same time.
 */
export class DeadlockDetector {
  /** Transactions of this coordinator that were ended. */
  victims = 0
  private readonly options: DetectorOptions
  private readonly timers: DetectorTimers
  private readonly stopTicking: () => void
  private seen = new Map<WatchedSession, Seen>()
  /** What waited for what at the last look, and which sessions were ended then, by whatever coordinator. */
  private before: ReadonlySet<string> = new Set()
  private ended: ReadonlySet<string> = new Set()
  private isLooking = false
  /** Asked, and not answered yet: not asked again before. */
  private readonly asked = new Set<WatchedLink>()

  constructor(options: DetectorOptions) {
    this.options = options
    this.timers = options.timers ?? nodeTimers
    this.stopTicking = this.timers.every(TICK_MS, () => this.tick())
  }

  stop(): void {
    this.stopTicking()
  }

  private tick(): void {
    const isStuck = this.watch()
    if (this.isLooking) return
    if (!isStuck) {
      if (this.before.size > 0) this.before = new Set()
      return
    }
    this.isLooking = true
    void this.look().finally(() => {
      this.isLooking = false
    })
  }

  /** Whether something of a transaction on several shards runs for long. */
  private watch(): boolean {
    const now = new Map<WatchedSession, Seen>()
    let isStuck = false
    for (const session of this.options.sessions()) {
      const work = session.spanningWork()
      if (work === 0) continue
      const known = this.seen.get(session)
      const ticks = known?.work === work ? known.ticks + 1 : 0
      now.set(session, { work, ticks })
      if (ticks >= TICKS_BEFORE_LOOK) isStuck = true
    }
    this.seen = now
    return isStuck
  }

  private async look(): Promise<void> {
    const waits = await this.waits()
    const { before, ended } = this
    const lasting = waits.filter((w) => before.has(waitIdentity(w)) && !ended.has(sessionOf(w.waiter)))
    const deadlocks = findDeadlocks(lasting)
    this.before = new Set(waits.map(waitIdentity))
    this.ended = new Set(deadlocks.map(({ victim }) => sessionOf(victim)))
    for (const deadlock of deadlocks) this.end(deadlock)
  }

  /** Of the shards that answer: what one doesn't tell can only hide a cycle. */
  private async waits(): Promise<readonly ShardWait[]> {
    const { links } = this.options
    const asked = links.filter((link) => link.isUp && !this.asked.has(link))
    const answers = await Promise.all(asked.map((link) => this.waitsOn(link)))
    return answers.flat()
  }

  /** A shard that hangs must not keep the others' deadlocks standing. */
  private async waitsOn(link: WatchedLink): Promise<readonly ShardWait[]> {
    this.asked.add(link)
    const answer = link.control({ kind: 'waits' }).then(
      (reply) => (reply.kind === 'waits' ? reply.edges.map((edge) => ({ ...edge, shard: link.shard })) : []),
      () => [],
    )
    void answer.then(() => this.asked.delete(link))
    let stop = (): void => {}
    const tooLate = new Promise<readonly ShardWait[]>((resolve) => {
      stop = this.timers.once(ANSWER_MS_MAX, () => resolve([]))
    })
    return Promise.race([answer, tooLate]).finally(() => stop())
  }

  private end(deadlock: Deadlock): void {
    const { coordinatorId, log } = this.options
    const { victim } = deadlock
    if (victim.coordinatorId !== coordinatorId) return
    for (const session of this.options.sessions()) {
      if (session.sessionId !== victim.sessionId) continue
      const error = new PgError(deadlockError(deadlock))
      this.victims++
      const statements = deadlock.cycle.map(({ shard, waiter: { pid, query } }) => ({ shard, pid, query }))
      log.info({ detail: error.fields.detail, statements }, 'deadlock over several shards: one is ended')
      session.endAsVictim(error)
    }
  }
}
