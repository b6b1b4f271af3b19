import type { Logger } from '../admin/logger.ts'
import type { AgentLink } from '../protocol/agent-link.ts'

/** Which shards a coordinator cannot use now, and why. */
export class ShardsUp {
  private readonly down = new Map<number, string>()
  private isStarting = true
  private whenUp: () => void = () => {}

  constructor(links: readonly AgentLink[], log: Logger) {
    for (const link of links) {
      link.subscribe({
        mapVersion: () => undefined,
        quota: () => undefined,
        down: (shard, why) => {
          this.down.set(shard, why)
          if (this.isStarting) log.info({ shard, why }, 'waiting for the agent of a shard')
        },
        up: (shard) => {
          this.down.delete(shard)
          if (this.down.size === 0) this.whenUp()
        },
      })
    }
  }

  /** Undefined when all are up. */
  why(): string | undefined {
    if (this.down.size === 0) return undefined
    return [...this.down].map(([shard, why]) => `shard ${shard} is down: ${why}`).join('; ')
  }

  /** Agents may come up in any order, before or after us: there is no time limit. Rejects when the signal comes. */
  untilUp(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((done, fail) => {
      signal?.throwIfAborted()
      signal?.addEventListener('abort', () => fail(signal.reason), { once: true })
      this.whenUp = () => {
        this.isStarting = false
        done()
      }
      if (this.down.size === 0) this.whenUp()
    })
  }
}
