/**
 * A seeded simulation of SERIALIZABLE over shards (DESIGN 6): on each shard a model of Postgres' own serializable snapshot
 * isolation, a snapshot from one cut per transaction, two-phase commit on every shard that was touched, and the probe
 * with its real machine. Random transactions read and write a few rows and ranges; some stay long in doubt, are
 * rolled back after all were prepared, or have a server restarted under them.
 *
 * Checked:
 *   there is a serial order of all that was committed, and one that agrees with real time;
 *   a transaction that has nothing in common with any other is never a victim;
 *   in the end nothing is left over.
 * A cut is an instant here in which no commit over several shards is carried out on one of them and not on another: that
 * it is one is the matter of cut-sim.ts.
 */
import { findCycle, type Observed } from './ssi-sim-graph.ts'
import { NotCovered, SimProbe } from './ssi-sim-probe.ts'
import { SerializationFailure, SsiShard, type Sxact } from './ssi-sim-shard.ts'
import { type SsiMutant, SsiWorld } from './ssi-sim-world.ts'

export type { SsiMutant } from './ssi-sim-world.ts'

export interface SsiSimResult {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  readonly stats: SsiStats
}

export interface SsiStats {
  committed: number
  /** Of them, over several shards. */
  cross: number
  disjoint: number
  /** Ended with 40001. */
  victims: number
  /** For other reasons. */
  failed: number
}

const clients = 6
const txnsPerClient = 10
const longestMs = 60_000
const lockWaitMs = 30

interface Op {
  readonly shard: number
  readonly key: string
  readonly isRange: boolean
  readonly writes: boolean
}

interface Txn {
  readonly id: number
  readonly ops: readonly Op[]
  readonly isReadOnly: boolean
  readonly isDisjoint: boolean
  readonly isSingle: boolean
  readonly beganMs: number
  readonly sxacts: Map<number, Sxact>
  readonly reads: Map<string, readonly number[]>
  readonly writes: Set<string>
  ackedMs: number
}

/** The row was locked for too long. */
class LockTimeout extends Error {}
/** The coordinator did not decide to commit, though all had prepared. */
class Undecided extends Error {}

export async function simulateSsi(seed: number, mutant?: SsiMutant): Promise<SsiSimResult> {
  return await new SsiSimulation(seed, mutant).run()
}

class SsiSimulation {
  private readonly world: SsiWorld
  private readonly shards: readonly SsiShard[]
  private readonly probes: readonly SimProbe[]
  private readonly committed: Observed[] = []
  private readonly violations: string[] = []
  private readonly stats: SsiStats = { committed: 0, cross: 0, disjoint: 0, victims: 0, failed: 0 }
  private readonly restarts: boolean
  private readonly rowsPerShard: number
  private readonly longInDoubt: number
  private readonly idleShare: number
  /** What is being carried out, and how many cuts are being taken. */
  private partial = 0
  private cuts = 0
  private begun = 0
  private clientsLeft = clients

  constructor(seed: number, mutant: SsiMutant | undefined) {
    this.world = new SsiWorld(seed, mutant)
    const { rng } = this.world
    this.restarts = rng.chance(0.3)
    this.rowsPerShard = 2 + rng.below(3)
    this.longInDoubt = rng.pick([0.1, 0.3])
    this.idleShare = rng.pick([0, 0.5])
    this.shards = Array.from({ length: 2 + rng.below(2) }, () => new SsiShard())
    this.probes = this.shards.map((shard) => new SimProbe(this.world, shard))
  }

  async run(): Promise<SsiSimResult> {
    const { world, violations } = this
    for (let client = 0; client < clients; client++) void this.client()
    if (this.restarts) void this.trouble()
    await world.time.playUntil(longestMs)
    if (this.clientsLeft > 0) violations.push(`${this.clientsLeft} clients wait for ever`)
    for (const [i, shard] of this.shards.entries()) {
      const left = shard.prepared().filter(({ owner }) => owner >= 0)
      violations.push(...left.map(({ owner }) => `x${owner} is left prepared on ${i}`))
    }
    const cycle = findCycle(this.committed)
    if (cycle !== undefined) violations.push(cycle)
    return { violations, trace: world.trace, stats: this.stats }
  }

  private async client(): Promise<void> {
    const { world } = this
    for (let i = 0; i < txnsPerClient; i++) {
      await world.sleep(world.rng.upTo(world.rng.chance(this.idleShare) ? 60 : 5))
      await this.transaction()
    }
    if (--this.clientsLeft === 0) world.isOver = true
  }

  private async trouble(): Promise<void> {
    const { rng } = this.world
    for (let i = 1 + rng.below(6); i > 0; i--) {
      await this.world.sleep(rng.upTo(60))
      const shard = rng.below(this.shards.length)
      // What is in doubt then is what it is about.
      while (!this.world.isOver && !this.shards[shard]!.prepared().some(({ owner }) => owner >= 0))
        await this.world.sleep(1)
      this.world.say(`shard ${shard} dies and is back`)
      this.shards[shard]!.restart()
      this.probes[shard]!.restarted()
    }
  }

  // Transactions

  private plan(): Txn {
    const { rng, time } = this.world
    const id = this.begun++
    const isDisjoint = rng.chance(0.15)
    const isReadOnly = !isDisjoint && rng.chance(0.15)
    const isSingle = !isDisjoint && rng.chance(0.1)
    const only = isSingle || rng.chance(0.25) ? rng.below(this.shards.length) : undefined
    const count = isSingle ? 1 : 2 + rng.below(3)
    const ops = Array.from({ length: count }, () => {
      const shard = only ?? rng.below(this.shards.length)
      const isRange = rng.chance(0.25)
      const n = rng.below(isRange ? 2 : this.rowsPerShard)
      const key = `${shard}/${isDisjoint ? `x${id}` : ''}${isRange ? 'range' : 'row'}${n}`
      return { shard, key, isRange, writes: !isReadOnly && rng.chance(0.45) }
    })
    return {
      ...{
        id,
        ops,
        isReadOnly,
        isDisjoint,
        isSingle,
        beganMs: time.nowMs,
        ackedMs: Number.POSITIVE_INFINITY,
      },
      ...{ sxacts: new Map(), reads: new Map(), writes: new Set() },
    }
  }

  private async transaction(): Promise<void> {
    const txn = this.plan()
    try {
      if (txn.isSingle) this.open(txn, txn.ops[0]!.shard)
      else await this.openUnderCut(txn)
      for (const op of txn.ops) await this.perform(txn, op)
      await this.commit(txn)
      this.acknowledge(txn)
    } catch (error) {
      this.failed(txn, error)
    }
  }

  private acknowledge(txn: Txn): void {
    const { stats, world } = this
    txn.ackedMs = world.time.nowMs
    world.say(`x${txn.id} is committed`)
    this.committed.push(txn)
    stats.committed++
    if (touched(txn).length > 1) stats.cross++
    if (txn.isDisjoint) stats.disjoint++
  }

  private failed(txn: Txn, error: unknown): void {
    const { stats, world } = this
    const why = error instanceof Error ? `${error.constructor.name} ${error.message}` : String(error)
    world.say(`x${txn.id} fails: ${why}`)
    for (const [shard, sxact] of txn.sxacts) this.shards[shard]!.rollback(sxact)
    if (error instanceof SerializationFailure) {
      stats.victims++
      if (txn.isDisjoint) this.violations.push(`x${txn.id} is disjoint, and a victim: ${why}`)
    } else {
      stats.failed++
      if (error instanceof TypeError || error instanceof RangeError)
        this.violations.push(`x${txn.id}: ${why}`)
      if (error instanceof NotCovered && !this.restarts) this.violations.push(`x${txn.id}: no probe`)
    }
  }

  private open(txn: Txn, shard: number): void {
    txn.sxacts.set(shard, this.shards[shard]!.begin(txn.id, txn.isReadOnly))
  }

  /** On every shard, while no commit takes effect on any (docs/decisions/0003). */
  private async openUnderCut(txn: Txn): Promise<void> {
    const { world } = this
    const holds = world.mutant !== 'every shard has its own snapshot'
    if (holds) this.cuts++
    while (holds && this.partial > 0) await world.sleep(0.2)
    await Promise.all(
      this.shards.map(async (_, shard) => {
        await world.delay()
        this.open(txn, shard)
      }),
    )
    if (holds) this.cuts--
  }

  private async perform(txn: Txn, op: Op): Promise<void> {
    const { world } = this
    await world.delay()
    const shard = this.shards[op.shard]!
    const sxact = txn.sxacts.get(op.shard)!
    // An insert looks at nothing; an update looks for its row.
    if (!op.writes || !op.isRange) {
      const seen = shard.read(sxact, op.key)
      if (!txn.reads.has(op.key)) txn.reads.set(op.key, seen)
      world.say(`x${txn.id} reads ${op.key}, written by ${seen.map((id) => `x${id}`).join(' ') || 'nobody'}`)
    }
    if (!op.writes) return
    for (const endMs = world.time.nowMs + lockWaitMs; !shard.write(sxact, op.key, op.isRange); ) {
      if (world.time.nowMs > endMs) throw new LockTimeout()
      await world.sleep(0.3)
    }
    txn.writes.add(op.key)
    world.say(`x${txn.id} writes ${op.key}`)
  }

  // Commit

  private async commit(txn: Txn): Promise<void> {
    const { world } = this
    await world.delay()
    const shards = touched(txn)
    for (const [shard, sxact] of txn.sxacts) {
      if (!shards.includes(shard)) this.shards[shard]!.rollback(sxact)
    }
    if (shards.length > 1 && txn.writes.size > 0) return await this.commitAcross(txn, shards)
    await allOf(shards.map((shard) => this.commitLocal(txn, shard)))
  }

  private async commitLocal(txn: Txn, shard: number): Promise<void> {
    await this.world.delay()
    await this.probes[shard]!.covered()
    while (this.cuts > 0) await this.world.sleep(0.2)
    // It waits under the gate, where the shard may have been restarted.
    this.shards[shard]!.commit(txn.sxacts.get(shard)!)
    this.world.say(`x${txn.id} commits on ${shard}`)
  }

  private async commitAcross(txn: Txn, shards: readonly number[]): Promise<void> {
    const { rng, mutant } = this.world
    const onlyReads = (shard: number): boolean => ![...txn.writes].some((key) => key.startsWith(`${shard}/`))
    const prepares = (shard: number): boolean =>
      mutant !== 'shards that were only read are committed, not prepared' || !onlyReads(shard)
    await allOf(
      shards.map((shard) =>
        prepares(shard) ? this.prepare(txn, shard, onlyReads(shard)) : this.commitLocal(txn, shard),
      ),
    )
    await this.world.sleep(rng.chance(this.longInDoubt) ? rng.upTo(80) : rng.upTo(3))
    if (rng.chance(0.05)) throw new Undecided()
    await this.carryOut(txn, shards.filter(prepares))
  }

  private async prepare(txn: Txn, shard: number, onlyReads: boolean): Promise<void> {
    const { world } = this
    const { mutant } = world
    const uses =
      mutant !== 'no probe' && (mutant !== 'the probe is used only where something was written' || !onlyReads)
    const probe = this.probes[shard]!
    const sxact = txn.sxacts.get(shard)!
    await world.delay()
    try {
      if (uses) await probe.use()
      if (uses) probe.leaveMark(sxact)
      await world.sleep(world.rng.upTo(0.5))
      this.shards[shard]!.prepare(sxact)
      world.say(`x${txn.id} is prepared on ${shard}`)
    } finally {
      if (uses) probe.done()
    }
    await world.delay()
  }

  private async carryOut(txn: Txn, shards: readonly number[]): Promise<void> {
    const { world } = this
    const holds = world.mutant !== 'every shard has its own snapshot'
    while (holds && this.cuts > 0) await world.sleep(0.2)
    this.partial++
    await allOf(
      shards.map(async (shard) => {
        await world.delay()
        this.shards[shard]!.commitPrepared(txn.sxacts.get(shard)!)
        world.say(`x${txn.id} is applied on ${shard}`)
      }),
    )
    this.partial--
    await world.delay()
  }
}

function touched(txn: Txn): readonly number[] {
  return [...new Set(txn.ops.map((op) => op.shard))]
}

/** All have ended when it does. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === 'rejected') throw end.reason
}
