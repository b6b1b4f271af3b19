import type { Timestamp } from '../../protocol/agent-link.ts'
import { type Failpoints, noFailpoints } from '../../txn/failpoints.ts'
import { coordinatorOf, type Gid, type ParsedGid, parseGid } from '../../txn/gid.ts'
import type { DecisionRecord, TxnLog } from '../../txn/log/txn-log.ts'
import {
  judgePrepared,
  mayConfirm,
  type RecoveryScope,
  type Resolution,
  resolveCreated,
  resolveFound,
} from '../../txn/recovery-rules.ts'
import {
  type Admin,
  applyDecision,
  isStillPrepared,
  listPrepared,
  type PreparedRow,
} from './prepared-list.ts'

export interface RecoveryOptions {
  readonly shard: number
  readonly cluster: string
  /** How many shards the cluster has, numbered from 0: records that name others are shown. Default: not known. */
  readonly shardCount?: number
  readonly log: TxnLog
  /** One connection, and recovery's own unless `apply` is given: it says SET ROLE on it. */
  readonly admin: Admin
  isOwnerConnected(coordinatorId: string): boolean
  /** Unique among agents: in the abort records that this one creates. */
  readonly agentId: string
  readonly limits?: Partial<RecoveryLimits>
  readonly failpoints?: Failpoints
  /** `performance.now`, by default. Not a wall clock: that could be set while something is in doubt. */
  readonly monoMs?: () => number
  /**
   * How the agent carries a decision out: a commit under its gate. False when it is not prepared any more (42704);
   * rejects when nothing was done. By default straight on `admin` (`applyDecision`), which is right only without a gate.
   */
  apply?(row: PreparedRow, how: 'commit' | 'abort', commitTs: Timestamp): Promise<boolean>
  /** It is no longer prepared here. */
  onResolved?(gid: Gid, how: 'commit' | 'abort'): void
  /** The gids that the agent takes for prepared, asked for before Postgres is. */
  knownPrepared?(): readonly string[]
  /** What Postgres has prepared. A gid known before that is missing here has been settled, by whomever. */
  onListed?(gids: ReadonlySet<string>, knownBefore: readonly string[]): void
  /** Aborts in the log whose coordinator is connected: it may know that they keep nothing from taking effect any more. */
  onAbortsLeft?(coordinatorId: string, txnIds: readonly string[]): void
  /** What a person should see: unreadable records, misplaced gids, errors. Each once while it lasts. */
  onProblem?(problem: RecoveryProblem): void
}

export interface RecoveryProblem {
  readonly gid: string
  readonly why: string
}

export interface RecoveryLimits {
  /** A prepared transaction of a connected coordinator is looked up after so long. */
  readonly inDoubtAfterMs: number
  /** And aborted, if it is still undecided, after so long. */
  readonly abortAfterMs: number
  readonly scanEveryMs: number
  /** The log is tidied so often: records confirmed, tombstones swept. */
  readonly tidyEveryMs: number
  /** And so often, for a while, when it holds something of a coordinator that is gone. */
  readonly tidyAgainMs: number
  /** Records younger than this are their coordinator's to conclude, if it is connected. */
  readonly tidyAfterMs: number
  readonly tidyRecordsMax: number
  /** Transactions resolved at a time. */
  readonly resolvingMax: number
}

export const defaultRecoveryLimits: RecoveryLimits = {
  inDoubtAfterMs: 1_000,
  abortAfterMs: 5_000,
  scanEveryMs: 500,
  tidyEveryMs: 4_000,
  tidyAgainMs: 1_000,
  tidyAfterMs: 3_000,
  tidyRecordsMax: 1_000,
  resolvingMax: 8,
}

/** So many times as long as a tidying took the next one waits. */
const TIDY_PAUSE = 20

/** More than a registration lasts; what is left then may stay for ever, until a person has seen to it. */
const tidiesSoonMax = 20

export interface RecoveryCounters {
  scans: number
  committed: number
  rolledBack: number
  tombstones: number
  confirmed: number
  /** Somebody else was faster. */
  alreadyResolved: number
  errors: number
}

/** What the latest scan found. */
export interface RecoveryView {
  readonly prepared: number
  readonly foreign: number
  readonly inDoubt: readonly string[]
  readonly problems: readonly RecoveryProblem[]
}

/** Settles what is prepared on one shard and whose coordinator does not (txn/recovery-rules.ts has the rules). */
export class Recovery {
  readonly counters: RecoveryCounters = {
    scans: 0,
    committed: 0,
    rolledBack: 0,
    tombstones: 0,
    confirmed: 0,
    alreadyResolved: 0,
    errors: 0,
  }
  private readonly options: RecoveryOptions
  private readonly limits: RecoveryLimits
  private readonly failpoints: Failpoints
  private readonly monoMs: () => number
  private readonly scope: RecoveryScope
  /** When each gid was first seen prepared. */
  private readonly firstSeenMs = new Map<string, number>()
  /** Commit records first seen by the tidying, so that their age needs no wall clock. */
  private readonly recordSeenMs = new Map<string, number>()
  /** By gid: what is prepared here and cannot be settled. */
  private readonly problems = new Map<string, string>()
  /** By transaction: what the latest tidying found in the log. */
  private logProblems: ReadonlyMap<string, string> = new Map()
  private last: Omit<RecoveryView, 'problems'> = { prepared: 0, foreign: 0, inDoubt: [] }
  private running: Promise<void> | undefined
  private again: Promise<void> | undefined
  private timer: NodeJS.Timeout | undefined
  private tidyAtMs = 0
  private tidiesSoonLeft = tidiesSoonMax
  private stopped = false

  constructor(options: RecoveryOptions) {
    this.options = options
    this.limits = { ...defaultRecoveryLimits, ...options.limits }
    this.failpoints = options.failpoints ?? noFailpoints
    this.monoMs = options.monoMs ?? (() => performance.now())
    this.scope = {
      cluster: options.cluster,
      shard: options.shard,
      inDoubtAfterMs: this.limits.inDoubtAfterMs,
      abortAfterMs: this.limits.abortAfterMs,
      isOwnerConnected: (coordinatorId) => options.isOwnerConnected(coordinatorId),
    }
  }

  get view(): RecoveryView {
    const problems = [...this.problems, ...this.logProblems].map(([gid, why]) => ({ gid, why }))
    return { ...this.last, problems }
  }

  /** Settles what it finds now, as far as the log can be reached, and goes on from then on. */
  async start(): Promise<void> {
    await this.scan()
    this.timer = setInterval(() => void this.turn(), this.limits.scanEveryMs).unref()
  }

  /** The coordinator's connection is lost: what it left is resolved at once. Call it after `isOwnerConnected` says so. */
  async ownerLost(_coordinatorId: string): Promise<void> {
    await this.scan()
    // What it had decided is carried out; it may not have come to conclude it.
    this.tidyAtMs = 0
    this.tidiesSoonLeft = tidiesSoonMax
  }

  /** A look at everything prepared. One that is asked for while another runs comes after it, and is shared. */
  scan(): Promise<void> {
    if (this.stopped) return Promise.resolve()
    if (this.running === undefined) {
      this.running = this.scanOnce().finally(() => {
        this.running = undefined
      })
      return this.running
    }
    this.again ??= this.running.then(() => {
      this.again = undefined
      return this.scan()
    })
    return this.again
  }

  /** Waits for what is under way. The admin connection and the log are the caller's to close. */
  async stop(): Promise<void> {
    this.stopped = true
    clearInterval(this.timer)
    await this.running
    await this.again
  }

  /**
   * Confirms commits that were carried out here, sweeps tombstones whose coordinators are gone, and shows the others to
   * theirs. How many records it found of coordinators that are not connected: another agent, or the end of a registration,
   * may be waited for.
   */
  async tidy(): Promise<number> {
    const { log } = this.options
    try {
      const listed = await log.list(this.limits.tidyRecordsMax)
      const records = this.old(listed)
      if (records.length > 0) {
        // The order matters: what was prepared when the record was read can only be missing now if it was applied.
        const rows = await listPrepared(this.options.admin)
        const prepared = new Set(rows.map((row) => parseGid(row.gid)?.txnId ?? ''))
        for (const record of records) {
          if (mayConfirm(record, this.scope, prepared)) await this.confirm(record.txnId)
        }
        this.showAborts(records)
      }
      const { unreadable } = await log.sweep()
      const found = unreadable.map((txnId) => [txnId, 'its record cannot be read by this version'] as const)
      this.showLogProblems(new Map([...found, ...this.homeless(records)]))
      return listed.filter((record) => this.isOrphan(record)).length
    } catch {
      this.counters.errors++
      // What the log holds is not known: it is out of reach, as it is when everything starts anew. Soon again, then.
      return 1
    }
  }

  private showAborts(records: readonly DecisionRecord[]): void {
    const byOwner = new Map<string, string[]>()
    for (const record of records) {
      if (record.decision !== 'abort' || this.isOrphan(record)) continue
      const owner = coordinatorOf(record.txnId)
      byOwner.set(owner, [...(byOwner.get(owner) ?? []), record.txnId])
    }
    for (const [owner, txnIds] of byOwner) this.options.onAbortsLeft?.(owner, txnIds)
  }

  private isOrphan({ txnId }: DecisionRecord): boolean {
    return !this.options.isOwnerConnected(coordinatorOf(txnId))
  }

  /** Commits that a shard would have to confirm that the cluster does not have: their records stay. */
  private homeless(records: readonly DecisionRecord[]): (readonly [string, string])[] {
    const { shardCount = Number.POSITIVE_INFINITY } = this.options
    return records.flatMap(({ txnId, decision, participants }) => {
      const unknown = participants.filter((shard) => shard >= shardCount)
      if (decision !== 'commit' || unknown.length === 0) return []
      const who = `${unknown.length === 1 ? 'shard' : 'shards'} ${unknown.join(', ')}`
      return [[txnId, `its commit is to be confirmed by ${who}, which this cluster does not have`] as const]
    })
  }

  private showLogProblems(found: ReadonlyMap<string, string>): void {
    const before = this.logProblems
    this.logProblems = found
    for (const [gid, why] of found) if (before.get(gid) !== why) this.options.onProblem?.({ gid, why })
  }

  private async turn(): Promise<void> {
    if (this.running !== undefined) return
    await this.scan()
    if (this.stopped || this.monoMs() < this.tidyAtMs) return
    const { tidyEveryMs, tidyAgainMs } = this.limits
    const beganMs = this.monoMs()
    this.tidyAtMs = beganMs + tidyEveryMs
    const left = await this.tidy()
    const now = this.monoMs()
    if (left > 0 && this.tidiesSoonLeft-- > 0) this.tidyAtMs = Math.min(this.tidyAtMs, now + tidyAgainMs)
    // A log that takes long to read (dead rows that no vacuum has seen to) is read less often.
    this.tidyAtMs = Math.max(this.tidyAtMs, now + TIDY_PAUSE * (now - beganMs))
  }

  private async scanOnce(): Promise<void> {
    this.counters.scans++
    const { admin, knownPrepared, onListed } = this.options
    const knownBefore = knownPrepared?.() ?? []
    let rows: readonly PreparedRow[]
    try {
      rows = await listPrepared(admin)
    } catch {
      this.counters.errors++
      return
    }
    if (knownBefore.length > 0) onListed?.(new Set(rows.map((row) => row.gid)), knownBefore)
    const todo = this.judge(rows)
    await forEachLimited(todo, this.limits.resolvingMax, async ({ row, parsed, mayAbort }) => {
      await this.resolve(row, parsed, mayAbort)
    })
  }

  private judge(rows: readonly PreparedRow[]): Todo[] {
    const now = this.monoMs()
    const todo: Todo[] = []
    let foreign = 0
    this.forgetAllBut(new Set(rows.map((row) => row.gid)))
    for (const row of rows) {
      const firstMs = this.firstSeenMs.get(row.gid) ?? now
      this.firstSeenMs.set(row.gid, firstMs)
      const verdict = judgePrepared({ gid: row.gid, ageMs: now - firstMs }, this.scope)
      if (verdict.kind === 'foreign') foreign++
      if (verdict.kind === 'misplaced') this.problem(row.gid, `prepared on shard ${this.scope.shard}`)
      if (verdict.kind === 'resolve') todo.push({ row, parsed: verdict.parsed, mayAbort: verdict.mayAbort })
    }
    this.last = { prepared: rows.length, foreign, inDoubt: todo.map((t) => t.row.gid) }
    return todo
  }

  private forgetAllBut(gids: ReadonlySet<string>): void {
    for (const gid of this.firstSeenMs.keys()) {
      if (gids.has(gid)) continue
      this.firstSeenMs.delete(gid)
    }
    for (const gid of this.problems.keys()) if (!gids.has(gid)) this.problems.delete(gid)
  }

  private async resolve(row: PreparedRow, parsed: ParsedGid, mayAbort: boolean): Promise<void> {
    try {
      let resolution = resolveFound(await this.options.log.lookup(parsed.txnId), mayAbort)
      if (resolution.kind === 'create-abort') resolution = await this.createAbort(row, parsed)
      await this.carryOut(row, parsed, resolution)
    } catch (error) {
      // Rule R4. The next scan tries again.
      this.counters.errors++
      this.problem(row.gid, error instanceof Error ? error.message : String(error))
    }
  }

  private async createAbort(row: PreparedRow, parsed: ParsedGid): Promise<Resolution> {
    // Rule R3.
    if (!(await isStillPrepared(this.options.admin, row.gid as Gid))) return { kind: 'leave' }
    const result = await this.options.log.create({
      version: 1,
      txnId: parsed.txnId,
      decision: 'abort',
      commitTs: 0n,
      participants: [],
      writer: this.options.agentId,
    })
    if (result.kind === 'created') this.counters.tombstones++
    // Crash here: the tombstone stands, and whoever looks next rolls back.
    if (this.failpoints.armed) await this.failpoints.hit('recovery-after-tombstone')
    return resolveCreated(result)
  }

  private async carryOut(row: PreparedRow, parsed: ParsedGid, resolution: Resolution): Promise<void> {
    if (resolution.kind === 'surface') this.problem(row.gid, resolution.why)
    if (resolution.kind !== 'commit-prepared' && resolution.kind !== 'rollback-prepared') return
    if (this.failpoints.armed) await this.failpoints.hit('recovery-before-apply')
    const how = resolution.kind === 'commit-prepared' ? 'commit' : 'abort'
    const commitTs = resolution.kind === 'commit-prepared' ? resolution.commitTs : 0n
    const applied = await (this.options.apply?.(row, how, commitTs) ??
      applyDecision(this.options.admin, row, how))
    if (!applied) this.counters.alreadyResolved++
    else if (how === 'commit') this.counters.committed++
    else this.counters.rolledBack++
    this.problems.delete(row.gid)
    this.options.onResolved?.(row.gid as Gid, how)
    // Also when somebody else applied it: they may not have come to confirm it.
    if (how === 'commit') await this.confirm(parsed.txnId)
  }

  /** Crash before it: `tidy` makes up for it. */
  private async confirm(txnId: string): Promise<void> {
    if (this.failpoints.armed) await this.failpoints.hit('recovery-before-confirm')
    await this.options.log.confirm(txnId, this.scope.shard)
    this.counters.confirmed++
  }

  private old(records: readonly DecisionRecord[]): DecisionRecord[] {
    const now = this.monoMs()
    const present = new Set(records.map((record) => record.txnId))
    for (const txnId of this.recordSeenMs.keys()) if (!present.has(txnId)) this.recordSeenMs.delete(txnId)
    return records.filter((record) => {
      const firstMs = this.recordSeenMs.get(record.txnId) ?? now
      this.recordSeenMs.set(record.txnId, firstMs)
      return this.isOrphan(record) || now - firstMs >= this.limits.tidyAfterMs
    })
  }

  private problem(gid: string, why: string): void {
    if (this.problems.get(gid) === why) return
    this.problems.set(gid, why)
    this.options.onProblem?.({ gid, why })
  }
}

interface Todo {
  readonly row: PreparedRow
  readonly parsed: ParsedGid
  readonly mayAbort: boolean
}

async function forEachLimited<T>(
  items: readonly T[],
  max: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items.values()
  const worker = async (): Promise<void> => {
    for (const item of iterator) await run(item)
  }
  await Promise.all(Array.from({ length: Math.min(max, items.length) }, worker))
}
