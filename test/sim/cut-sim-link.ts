import type { SimAgent } from './cut-sim-agent.ts'
import type { SimCoordinator } from './cut-sim-coordinator.ts'
import type { World } from './cut-sim-world.ts'

/** A connection of a coordinator to an agent: in order, and each side finds out by itself that it is lost. */
export class SimLink {
  readonly id: string
  isUp = true
  readonly agent: SimAgent
  readonly coordinator: SimCoordinator
  private readonly world: World
  private readonly ways = {
    agent: { queue: newQueue(), lastMs: 0 },
    coordinator: { queue: newQueue(), lastMs: 0 },
  }

  constructor(world: World, coordinator: SimCoordinator, agent: SimAgent, number: number) {
    this.world = world
    this.coordinator = coordinator
    this.agent = agent
    this.id = `${coordinator.name}#${number}`
  }

  send(to: 'agent' | 'coordinator', run: () => void): void {
    const { time } = this.world
    const way = this.ways[to]
    const node = this[to]
    const { epoch } = node
    // Timestamps ride on every message.
    const ts = (to === 'agent' ? this.coordinator : this.agent).clock.now()
    way.queue.push(() => {
      node.clock.observe(ts)
      run()
    })
    way.lastMs = Math.max(way.lastMs, time.nowMs + this.world.delayMs())
    // Pauses may bring two of these out of order, but not the messages.
    time.at(way.lastMs, () => node.on(() => this.deliver(to), epoch))
  }

  private deliver(to: 'agent' | 'coordinator'): void {
    const run = this.ways[to].queue.shift()
    if (this.isUp) run?.()
  }

  /** Nothing passes any more. */
  break(): void {
    if (!this.isUp) return
    const { rng, time } = this.world
    this.isUp = false
    const noticeMs = (): number => rng.upTo(rng.pick([1, 20, 300]))
    time.after(noticeMs(), () => this.agent.on(() => this.agent.linkLost(this)))
    time.after(noticeMs(), () => this.coordinator.on(() => this.coordinator.linkLost(this)))
  }
}

function newQueue(): (() => void)[] {
  return []
}
