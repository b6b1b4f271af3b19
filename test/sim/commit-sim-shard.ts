import { weftError } from '../../errors/catalog.ts'
import type { Timestamp } from '../../protocol/agent-link.ts'
import { gidFor, parseGid } from '../../txn/gid.ts'
import { type ClockBound, timestampMs } from '../../txn/hlc.ts'
import { IssuedTimestamps, shown } from './commit-sim-clock.ts'
import type { SimProcess, SimWorld } from './commit-sim-world.ts'

export const cluster = 'c'
type End = 'committed' | 'rolled back'

/** Statements of an agent that has been replaced do nothing: its backends were terminated. */
export interface Owner {
  readonly process: SimProcess
  readonly generation: number
}

/**
 * One shard's Postgres. A statement takes effect, and is durable, at one moment between its start and its answer; a
 * crash in between leaves it done or undone.
 */
export class SimShard {
  readonly id: number
  readonly prepared = new Map<string, string>()
  readonly ended = new Map<string, End>()
  /** Transactions whose own commit is to be the decision. */
  private readonly open = new Set<string>()
  readonly issued: IssuedTimestamps
  /** The highest timestamp of a commit that a client was told of after it had been carried out here. */
  acknowledgedTs: Timestamp = 0n
  private readonly world: SimWorld
  private generation = 0
  private hlcUpperMs = 0
  private crashes = 0
  private isUp = true

  constructor(world: SimWorld, id: number) {
    this.world = world
    this.id = id
    this.issued = new IssuedTimestamps(world, id)
  }

  crash(): void {
    const { rng, time, say } = this.world
    say(`shard ${this.id}: Postgres dies`)
    this.crashes++
    this.open.clear()
    this.isUp = false
    time.after(rng.upTo(2_000), () => {
      this.isUp = true
      say(`shard ${this.id}: Postgres is back`)
    })
  }

  /** A new agent takes the shard: nothing of the one before happens here from now on. */
  own(process: SimProcess): Promise<Owner> {
    const generation = ++this.generation
    this.open.clear()
    return this.statement({ process, generation }, () => ({ process, generation }))
  }

  /** Rejects with 08006 when it was not run, with 57P01 when that is not known. */
  statement<T>(owner: Owner, what: () => T): Promise<T> {
    const { time, rng } = this.world
    const { crashes } = this
    const slow = this.world.trouble && rng.chance(0.05) ? rng.upTo(500) : 0
    return new Promise((resolve, reject) => {
      const answer = (run: () => void): void => time.after(rng.upTo(1), () => owner.process.run(run))
      if (!this.isUp) {
        const down = weftError('shard_unreachable', { shard: this.id, why: 'simulated' })
        answer(() => reject(down))
        return
      }
      time.after(rng.upTo(3) + slow, () => {
        if (owner.generation !== this.generation) return
        const hasCrashed = this.crashes !== crashes
        if (hasCrashed && rng.chance(0.5)) return answer(() => reject(this.lost()))
        const result = what()
        answer(() => (hasCrashed ? reject(this.lost()) : resolve(result)))
      })
    })
  }

  private lost(): Error {
    return weftError('backend_lost', { shard: this.id, why: 'simulated' })
  }

  prepare(gid: string): void {
    const txnId = parseGid(gid)?.txnId ?? ''
    this.world.say(`${txnId} prepared on ${this.id}`)
    this.prepared.set(txnId, gid)
  }

  beginLast(gid: string): void {
    const txnId = parseGid(gid)?.txnId ?? ''
    this.world.say(`${txnId} is ready to be the last on ${this.id}`)
    this.open.add(txnId)
  }

  rollbackLast(gid: string): boolean {
    return this.open.delete(parseGid(gid)?.txnId ?? '')
  }

  /** The record and the commit in one moment; `create` answers why there is none. Rejects as COMMIT would. */
  async commitLast(
    owner: Owner,
    gid: string,
    commitTs: Timestamp,
    create: () => Error | undefined,
  ): Promise<void> {
    const txnId = parseGid(gid)?.txnId ?? ''
    const { crashes } = this
    if (!this.open.has(txnId)) throw this.lost()
    const failed = await this.statement(owner, () => {
      // One that was there before a crash may have committed before it.
      if (!this.open.delete(txnId) && this.crashes === crashes) return this.lost()
      const refused = create()
      if (
        refused === undefined ||
        this.world.mutant === 'the last participant commits although there is an abort'
      )
        this.committed(txnId, commitTs)
      return refused
    })
    if (failed !== undefined) throw failed
  }

  /** Commits, when there is a timestamp, or rolls back. False: it is not prepared (42704). */
  end(gid: string, commitTs: Timestamp | undefined): boolean {
    const how = 'rolled back'
    const txnId = parseGid(gid)?.txnId ?? ''
    if (!this.prepared.delete(txnId)) return false
    if (commitTs !== undefined) this.committed(txnId, commitTs)
    else {
      this.world.say(`${txnId} ${how} on ${this.id}`)
      this.ended.set(txnId, how)
    }
    return true
  }

  private committed(txnId: string, commitTs: Timestamp): void {
    this.world.say(`${txnId} committed on ${this.id}`)
    this.ended.set(txnId, 'committed')
    if (timestampMs(commitTs) >= this.hlcUpperMs)
      this.world.violation(`C4 ${txnId}: applied on shard ${this.id} at ${shown(commitTs)}, above its bound`)
  }

  gidOf(txnId: string): string {
    return gidFor(cluster, txnId, this.id)
  }

  /** The two questions of shard-agent/participant/prepared-list.ts. */
  select(sql: string): Readonly<Record<string, unknown>>[] {
    const asked = /WHERE gid = E'([^']*)'/.exec(sql)?.[1]
    const rows = [...this.prepared.values()].map((gid) => ({ gid, owner: 'app' }))
    return asked === undefined ? rows : rows.filter(({ gid }) => gid === asked)
  }

  /** In a table of the shard, as weft.agent has it. */
  boundFor(owner: Owner): ClockBound {
    const store = (upperMs: number): Promise<void> =>
      this.statement(owner, () => {
        this.hlcUpperMs = Math.max(this.hlcUpperMs, upperMs)
      })
    return {
      read: () => this.statement(owner, () => this.storedBound()),
      persist: async (upperMs) => {
        const stored = store(upperMs)
        if (this.world.mutant !== 'believes the bound of the clock stored too early') await stored
        else stored.catch(() => {})
      },
    }
  }

  private storedBound(): number {
    return this.world.mutant === 'loses the bound of the clock' ? 0 : this.hlcUpperMs
  }
}
