/**
 * A seeded simulation of cuts (DESIGN 5): the real gate machine of each agent and the real cut machine of each
 * coordinator, with local commits, statements that commit by themselves and cross-shard commits under them, over a
 * network that delays, reorders and loses, with skewed clocks, agents and coordinators that pause and die, and recovery.
 *
 * Checked of every cut that a reader got (I3):
 *   torn   a cross-shard transaction is in it on all shards of the cut, or on none;
 *   stale  everything acknowledged before the reader came is in it;
 *   order  nothing is in it that began after something that is missing had taken effect, nor what a session wrote that
 *          had seen a part of something missing;
 * of every statement of a session on a single shard, which takes no cut:
 *   back   what its session has seen on another shard, committed, or was told of by another session, is there too;
 * and of every run:
 *   hold   no agent kept a cut active for longer than its lease, and once more from its release on for statements that
 *          take their snapshot as they begin, of which there are some too (its own pauses aside);
 *   starve no commit was held for much longer than one lease, however many cuts there were (pauses aside); in the end
 *          nothing waits; without trouble every reader had its cut soon, and writers most of the time.
 */

import { gateDefaults } from '../../shard-agent/gate/gate-types.ts'
import { cutDefaults } from '../../txn/cut-types.ts'
import { SimAgent } from './cut-sim-agent.ts'
import { SimCoordinator } from './cut-sim-coordinator.ts'
import {
  type CutMutant,
  type noCutStats,
  type Reader,
  skewMsMax,
  type Tx,
  troubleMs,
  World,
} from './cut-sim-world.ts'

export type { CutMutant } from './cut-sim-world.ts'

export interface CutSimResult {
  readonly violations: readonly string[]
  readonly trace: readonly string[]
  readonly stats: ReturnType<typeof noCutStats>
  /** Of the readers that got a cut without trouble, how long the slowest waited. */
  readonly slowestMs: number
  /** How long they waited in the middle. */
  readonly medianMs: number
  /** Of the commits that an agent held, how long the slowest was (its agent's pauses aside), and of statements. */
  readonly longestHeldMs: number
  readonly longestLookMs: number
  /** The largest share of time that an agent's local commits were held. */
  readonly heldShare: number
}

const endMs = 2_500
const quietMs = 10_000
/**
 * Whatever happens: what is held lets no new cut in, and those that are there have a lease, and once more. A decided commit waits also
 * for new ones that lie below it, until the last clock has come so far.
 */
const longestHoldMs = gateDefaults.heldMsMax + 2 * cutDefaults.leaseMsMax + skewMsMax

export function simulateCuts(seed: number, mutant?: CutMutant, calm = false): CutSimResult {
  return new CutSimulation(seed, mutant, calm).run()
}

class CutSimulation {
  private readonly world: World
  private readonly coordinators: SimCoordinator[] = []

  constructor(seed: number, mutant: CutMutant | undefined, calm: boolean) {
    this.world = new World(seed, mutant, calm)
  }

  run(): CutSimResult {
    const { world } = this
    const { rng, time } = world
    const shards = 2 + rng.below(3)
    for (let shard = 0; shard < shards; shard++) world.agents.push(new SimAgent(world, shard))
    for (let i = world.isQuiet ? 1 : 1 + rng.below(4); i > 0; i--) this.startCoordinator()
    if (!world.calm) for (const agent of world.agents) this.troubleFor(agent)
    time.runUntil(endMs + quietMs)
    return {
      violations: [...world.violations, ...this.checkReaders(), ...this.checkEnd()],
      trace: world.trace,
      stats: world.stats,
      slowestMs: this.slowestMs(),
      medianMs: this.medianMs(),
      longestHeldMs: Math.max(...world.agents.map((agent) => agent.longestHeldMs)),
      longestLookMs: Math.max(...world.agents.map((agent) => agent.longestLookMs)),
      heldShare: Math.max(...world.agents.map((agent) => agent.heldMs)) / endMs,
    }
  }

  private startCoordinator(): void {
    const { world } = this
    const { rng, time } = world
    const coordinator = new SimCoordinator(world, `c${this.coordinators.length}`)
    this.coordinators.push(coordinator)
    const agent = (): SimAgent => rng.pick(world.agents)
    this.forEver(world.isQuiet ? 2 : 8, () => coordinator.on(() => coordinator.local(agent(), 'local')))
    const statementMs = world.isQuiet ? Number.MAX_VALUE : 60
    this.forEver(statementMs, () => coordinator.on(() => coordinator.local(agent(), 'statement')))
    // Where there are few of these, `behind` makes up for fewer mistakes.
    this.forEver(world.isQuiet ? Number.MAX_VALUE : rng.pick([8, 8, 100]), () => {
      const count = 2 + rng.below(world.agents.length - 1)
      coordinator.on(() => coordinator.cross(rng.shuffled(world.agents).slice(0, count)))
    })
    this.forEver(20, () => {
      const count = 2 + rng.below(world.agents.length - 1)
      const shards = rng.shuffled(world.agents.map((agent) => agent.shard)).slice(0, count)
      coordinator.on(() => coordinator.read(shards))
    })
    if (!world.isQuiet) this.startSessions(coordinator)
    if (world.calm) return
    time.after(rng.upTo(troubleMs), () => {
      coordinator.pause(rng.upTo(rng.chance(0.5) ? 50 : 1_000))
      world.say(`${coordinator.name} pauses`)
    })
    if (this.coordinators.length > 6 || rng.chance(0.5)) return
    time.after(rng.upTo(troubleMs), () => {
      coordinator.die()
      time.after(rng.upTo(300), () => this.startCoordinator())
    })
  }

  private startSessions(coordinator: SimCoordinator): void {
    const { world } = this
    const { rng, time } = world
    // Only the first session of each is ever told: the others go by what they have seen themselves.
    for (const session of coordinator.sessions) {
      this.forEver(3, () => coordinator.on(() => session.next()))
      this.forEver(world.handsOn ? 6 : 100, () => {
        const other = rng.pick(this.coordinators)
        if (coordinator.isUp) other.on(() => session.handOn(other.sessions[0]!))
      })
    }
    for (let i = world.calm ? 0 : rng.below(world.handsOn ? 30 : 6); i > 0; i--) {
      time.after(rng.upTo(troubleMs), () => coordinator.link(rng.below(world.agents.length))?.break())
    }
  }

  private troubleFor(agent: SimAgent): void {
    const { rng, time } = this.world
    for (let i = rng.below(4); i > 0; i--) {
      time.after(rng.upTo(troubleMs), () => {
        agent.pause(rng.upTo(rng.chance(0.7) ? 150 : 800))
        this.world.say(`agent ${agent.shard} pauses`)
      })
    }
    if (rng.chance(0.4)) time.after(rng.upTo(troubleMs), () => agent.crash())
  }

  private forEver(everyMs: number, run: () => void): void {
    const { rng, time } = this.world
    time.after(rng.upTo(everyMs) * 2, () => {
      if (time.nowMs > endMs) return
      run()
      this.forEver(everyMs, run)
    })
  }

  private slowestMs(): number {
    return this.world.readers.reduce(
      (most, r) => (r.gotMs < 0 ? most : Math.max(most, r.gotMs - r.cameMs)),
      0,
    )
  }

  private medianMs(): number {
    const got = this.world.readers.filter((r) => r.gotMs >= 0)
    const waits = got.map((r) => r.gotMs - r.cameMs).sort((a, b) => a - b)
    return waits[waits.length >> 1] ?? 0
  }

  // Checks

  private checkEnd(): string[] {
    const stuck = this.world.agents.filter((agent) => agent.stuck > 0 || agent.machine.activeCuts.length > 0)
    const held = this.world.agents.filter((agent) => agent.longestHeldMs > longestHoldMs)
    const alive = this.world.readers.filter((reader) => !reader.ended)
    return [
      ...stuck.map((agent) => `starve: commits wait on ${agent.shard}`),
      ...held.map(
        (agent) => `starve: a commit on ${agent.shard} was held for ${agent.longestHeldMs.toFixed()} ms`,
      ),
      ...alive.map((reader) => `starve: reader ${reader.id} waits`),
    ]
  }

  private checkReaders(): string[] {
    const txs = [...this.world.txs.values()]
    return this.world.readers.filter((r) => r.gotMs >= 0).flatMap((reader) => this.checkReader(reader, txs))
  }

  private checkReader(reader: Reader, txs: readonly Tx[]): string[] {
    const lengths = this.world.agents.map(({ shard }) => reader.snapshots.get(shard)?.length ?? -1)
    const wrong: string[] = []
    let missingSinceMs = Number.POSITIVE_INFINITY
    let missing: Tx | undefined
    let lastSeen: Tx | undefined
    for (const tx of txs) {
      const { asked, found } = seenOf(tx, lengths)
      if (asked === 0) continue
      if (found > 0 && found < asked) {
        wrong.push(`torn: reader ${reader.id} sees ${tx.id} on ${found} of ${asked} shards`)
      }
      if (found > 0) {
        for (const other of tx.after) {
          const known = seenOf(other, lengths)
          if (known.asked > 0 && known.found === 0)
            wrong.push(
              `order: reader ${reader.id} sees ${tx.id} and misses ${other.id}, which its writer had seen`,
            )
        }
        if (lastSeen === undefined || tx.beganMs > lastSeen.beganMs) lastSeen = tx
        continue
      }
      if (tx.ackedMs < reader.cameMs) wrong.push(`stale: reader ${reader.id} misses ${tx.id}`)
      // Others can know of a local commit from its effect on, of a cross-shard one from its acknowledgement on.
      const knownMs = tx.shards.length > 1 ? tx.ackedMs : tx.effectMs < 0 ? tx.ackedMs : tx.effectMs
      if (knownMs < missingSinceMs) {
        missingSinceMs = knownMs
        missing = tx
      }
    }
    if (lastSeen !== undefined && lastSeen.beganMs > missingSinceMs) {
      wrong.push(`order: reader ${reader.id} sees ${lastSeen.id} and misses ${missing?.id}`)
    }
    return wrong
  }
}

/** On how many of its shards a cut asked (elsewhere its length is -1), and on how many of them it found it. */
function seenOf({ shards, places }: Tx, lengths: readonly number[]): { asked: number; found: number } {
  let asked = 0
  let found = 0
  for (const shard of shards) {
    const length = lengths[shard]!
    if (length < 0) continue
    asked++
    if ((places[shard] ?? Number.POSITIVE_INFINITY) < length) found++
  }
  return { asked, found }
}
