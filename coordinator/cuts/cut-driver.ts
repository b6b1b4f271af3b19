import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { AgentLink, CutAnswer, Timestamp } from '../../protocol/agent-link.ts'
import { CutMachine } from '../../txn/cut-machine.ts'
import type { CutEffect, CutNow, CutReply, LeftOutOfCut } from '../../txn/cut-types.ts'
import type { HlcClock } from '../../txn/hlc.ts'
import type { CoordinatorBus } from '../events/events.ts'

export interface CutDriverOptions {
  /** By shard number. */
  readonly links: readonly AgentLink[]
  readonly clock: HlcClock
  /** Of the same coordinator; without it a cut waits for all that is prepared. */
  readonly commits?: CutCommits
  /** Who hears how long each reader waited for its cut. */
  readonly events?: CoordinatorBus
  /** Waited for a cut, at most; the statement then fails with 40001. */
  readonly waitMsMax?: number
}

/** What is known of this coordinator's commits under way. */
export interface CutCommits {
  /**
   * What a cut at `ts` over `shards` leaves out: nothing is decided at or below it from now on that has not been until now.
   */
  cutAt(ts: Timestamp, shards: readonly number[]): LeftOutOfCut
}

/** A session whose statement is ready on all its shards but for its snapshot. */
export interface CutRequest {
  readonly sessionId: number
  readonly shards: readonly number[]
  /** The cut must lie above this. */
  readonly above: Timestamp
}

export interface PendingCut {
  /** Resolves when the cut was taken, with its timestamp: the statements run. Rejects with the client's error. */
  readonly taken: Promise<Timestamp>
  /** The session wants it no longer; `taken` stays pending. */
  leave(): void
}

interface Reader {
  readonly sessionId: number
  readonly joinedMs: number
  readonly resolve: (ts: Timestamp) => void
  readonly reject: (error: Error) => void
}

/** For metrics: what readers waited and writers were held. */
export interface CutCounters {
  /** Cuts that were taken, and the readers they served. */
  taken: number
  readers: number
  /** Cuts that came to nothing and were tried again. */
  failed: number
  /** Times that a cut had to go on with a higher timestamp. */
  raised: number
}

interface Asked {
  readonly id: number
  readonly ts: Timestamp
  readonly left: LeftOutOfCut | undefined
}

const WAIT_MS_MAX = 5_000

/** Takes the cuts of one coordinator (DESIGN 5): the machine decides, this sends and hears. */
export class CutDriver {
  readonly counters: CutCounters = { taken: 0, readers: 0, failed: 0, raised: 0 }
  private readonly options: CutDriverOptions
  private readonly waitMsMax: number
  private readonly machine = new CutMachine()
  private readonly readers = new Map<number, Reader>()
  private lastReader = 0
  private lastFailed = 0
  private lastAsked: Asked = { id: 0, ts: 0n, left: undefined }
  private timer: NodeJS.Timeout | undefined
  private isPerforming = false

  constructor(options: CutDriverOptions) {
    this.options = options
    this.waitMsMax = options.waitMsMax ?? WAIT_MS_MAX
  }

  join(request: CutRequest): PendingCut {
    const id = ++this.lastReader
    const now = this.now()
    const taken = new Promise<Timestamp>((resolve, reject) => {
      this.readers.set(id, { sessionId: request.sessionId, joinedMs: now.ms, resolve, reject })
    })
    taken.catch(() => {})
    const { shards, above } = request
    this.machine.join({ id, shards, above, deadlineMs: now.ms + this.waitMsMax }, now)
    this.perform()
    return {
      taken,
      leave: () => {
        if (!this.readers.delete(id)) return
        this.machine.leave(id, this.now())
        this.perform()
      },
    }
  }

  stop(): void {
    clearTimeout(this.timer)
  }

  private now(): CutNow {
    return { ms: performance.now(), ts: this.options.clock.stamp(), chance: Math.random() }
  }

  private wake(): void {
    this.machine.wake(this.now())
    this.perform()
  }

  /** Effects may bring answers at once, from an agent in the same process; those wait for the loop to come round. */
  private perform(): void {
    if (this.isPerforming) return
    this.isPerforming = true
    const { machine } = this
    while (machine.effects.length > 0) {
      const { effects } = machine
      machine.effects = []
      for (const effect of effects) this.act(effect)
    }
    this.isPerforming = false
    clearTimeout(this.timer)
    const atMs = machine.wakeAtMs
    if (atMs === Number.POSITIVE_INFINITY) return
    this.timer = setTimeout(() => this.wake(), Math.max(0, atMs - performance.now())).unref()
  }

  private act(effect: CutEffect): void {
    switch (effect.kind) {
      case 'cut':
        return this.ask(effect)
      case 'release': {
        const { shard, id, go } = effect
        if (!go) this.countFailed(id)
        // A link that breaks ends its cuts, and its sessions.
        this.options.links[shard]!.control({ kind: 'release', id, go }).catch(() => {})
        return
      }
      case 'taken':
        this.counters.taken++
        for (const reader of effect.readers) this.took(reader, effect.ts)
        return
      case 'failed':
        return this.failed(effect)
    }
  }

  /** Every shard of it is told. */
  private countFailed(id: number): void {
    if (id !== this.lastFailed) this.counters.failed++
    this.lastFailed = id
  }

  private ask({ shard, among, id, ts, leaseMs, readers }: Extract<CutEffect, { kind: 'cut' }>): void {
    const { links } = this.options
    const left = this.leftOut(id, ts, among)
    const sessions = readers.flatMap((reader) => this.readers.get(reader)?.sessionId ?? [])
    const request = {
      kind: 'cut',
      id,
      ts: String(ts),
      leaseMs,
      sessions,
      outside: left?.outside(shard) ?? [],
      untold: left?.untold(shard) ?? [],
    } as const
    const asked = links[shard]!.control(request)
    asked.then(
      (answer) => {
        if (answer.kind === 'cut') this.machine.reply(shard, id, ts, replyOf(answer), this.now())
        this.perform()
      },
      (error: unknown) => {
        this.machine.lost(shard, id, error instanceof Error ? error.message : String(error), this.now())
        this.perform()
      },
    )
  }

  /** The same for all shards: what it leaves out it leaves out on each. */
  private leftOut(id: number, ts: Timestamp, shards: readonly number[]): LeftOutOfCut | undefined {
    const last = this.lastAsked
    if (id === last.id && ts === last.ts) return last.left
    if (id === last.id) this.counters.raised++
    const left = this.options.commits?.cutAt(ts, shards)
    this.lastAsked = { id, ts, left }
    return left
  }

  private took(id: number, ts: Timestamp): void {
    const reader = this.readers.get(id)
    if (reader === undefined) return
    this.readers.delete(id)
    this.counters.readers++
    this.options.events?.emit('cutTaken', { waitedMs: performance.now() - reader.joinedMs })
    reader.resolve(ts)
  }

  private failed({ reader: id, how, shard, why }: Extract<CutEffect, { kind: 'failed' }>): void {
    const reader = this.readers.get(id)
    if (reader === undefined) return
    this.readers.delete(id)
    reader.reject(
      how === 'lost'
        ? new PgError({ code: '08006', message: why })
        : weftError('no_cut', { shard, why, waitedMs: this.waitMsMax }),
    )
  }
}

function replyOf(answer: CutAnswer): CutReply {
  const { result, highest, afterMs, why } = answer
  return {
    result,
    ...(highest === undefined ? {} : { highest: BigInt(highest) }),
    ...(afterMs === undefined ? {} : { afterMs }),
    ...(why === undefined ? {} : { why }),
  }
}
