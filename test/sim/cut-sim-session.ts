import { Causal } from '../../coordinator/execute/transaction/causal.ts'
import type { SimCoordinator } from './cut-sim-coordinator.ts'
import type { SimLink } from './cut-sim-link.ts'
import type { Tx, World } from './cut-sim-world.ts'

/**
 * A client's session that reads one shard after the other, a statement each, without a cut. What it has seen of a
 * transaction on one shard, or was told of, it must find on every other (DESIGN 6, "never goes back").
 */
export class SimSession {
  readonly id: number
  private readonly world: World
  private readonly coordinator: SimCoordinator
  private readonly causal: Causal
  /** By shard: what must be found there. */
  private readonly owed: Set<Tx>[] = []
  /** By shard: how much of what was applied there it has seen. */
  private readonly lengths: number[] = []
  private asked: SimLink | undefined

  constructor(world: World, coordinator: SimCoordinator, commits: { readonly undecidedAreUnseen: boolean }) {
    this.world = world
    this.coordinator = coordinator
    this.id = world.sessions.length
    this.causal = new Causal({ hasSnapshot: false }, commits, new Map<string, string>())
    for (const _ of world.agents) {
      this.owed.push(new Set())
      this.lengths.push(0)
    }
    world.sessions.push(this)
  }

  /** The next statement, unless one still runs. */
  next(): void {
    if (this.asked?.isUp || (this.asked !== undefined && this.coordinator.has(this.asked))) return
    const link = this.coordinator.link(this.world.rng.below(this.world.agents.length))
    this.asked = link
    if (link === undefined) return
    // A held commit keeps it from reading: where tokens are what matters it does not write.
    if (!this.world.handsOn && this.world.rng.chance(0.2)) this.write(link)
    else this.read(link)
  }

  /** A row on one shard, by itself: who sees it in a cut sees there what this session had seen. */
  private write(link: SimLink): void {
    const { mutant } = this.world
    const tx = this.coordinator.newTx(
      [link.agent.shard],
      [...new Set(this.owed.flatMap((owed) => [...owed]))],
    )
    const isMute = mutant === 'commits on one shard say nothing of what was seen on others'
    const seen = this.causal.before(link.agent.shard)
    link.send('agent', () =>
      link.agent.write(tx, 'local', isMute ? 0n : (seen ?? 0n), () =>
        link.send('coordinator', () => {
          this.coordinator.acknowledge(tx)
          if (this.asked === link) this.asked = undefined
        }),
      ),
    )
  }

  private read(link: SimLink): void {
    const { mutant } = this.world
    // What it hears of while the statement runs is for the next one.
    const owed = [...this.owed[link.agent.shard]!]
    const seen = mutant === 'sessions wait for nothing' ? undefined : this.causal.before(link.agent.shard)
    const { ownUnseen } = this.causal
    link.send('agent', () =>
      link.agent.look(link, seen, ownUnseen, (length, appliedTs) =>
        link.send('coordinator', () => this.answered(link, owed, length, appliedTs)),
      ),
    )
  }

  private answered(link: SimLink, owed: readonly Tx[], length: number, appliedTs: bigint): void {
    if (this.asked !== link) return
    this.asked = undefined
    const { shard, history } = link.agent
    this.world.stats.looks++
    if (appliedTs !== 0n) this.causal.saw(shard, appliedTs)
    for (let place = this.lengths[shard]!; place < length; place++) this.knows(history[place]!)
    this.lengths[shard] = Math.max(this.lengths[shard]!, length)
    for (const tx of owed) {
      this.owed[shard]!.delete(tx)
      if ((tx.places[shard] ?? Number.POSITIVE_INFINITY) >= length) {
        this.world.violations.push(`back: session ${this.id} knows ${tx.id} and misses it on ${shard}`)
      }
    }
  }

  private knows(tx: Tx): void {
    for (const shard of tx.shards) {
      if ((tx.places[shard] ?? Number.POSITIVE_INFINITY) >= this.lengths[shard]!) this.owed[shard]!.add(tx)
    }
  }

  /** It was told that its own transaction is committed. */
  committed(tx: Tx): void {
    this.causal.adopt(tx.commitTs)
    this.knows(tx)
  }

  /** Its client goes on as `other`, of another coordinator perhaps. */
  handOn(other: SimSession): void {
    if (this.world.mutant === 'a token counts like a commit of its own') other.causal.adopt(this.causal.token)
    else other.causal.told(this.causal.token)
    other.coordinator.clock.observe(this.causal.token)
    for (const [shard, length] of this.lengths.entries()) {
      for (let place = other.lengths[shard]!; place < length; place++) {
        other.knows(this.world.agents[shard]!.history[place]!)
      }
      for (const tx of this.owed[shard]!) other.knows(tx)
    }
  }
}
