import type { AgentStatus } from '../protocol/agent-link.ts'
import type { RunningAgent } from './parts.ts'

/** A shard of this process: its agent, or what is waited for until there is one. */
export class ShardSlot {
  readonly shard: number
  running: RunningAgent | undefined
  waitsFor = 'starting'
  private readonly poolSize: number

  constructor(shard: number, poolSize: number) {
    this.shard = shard
    this.poolSize = poolSize
  }

  status(): AgentStatus {
    if (this.running !== undefined) return this.running.agent.status()
    const { shard, poolSize, waitsFor: error } = this
    const nothing = {
      serverVersion: '',
      parameters: {},
      mapVersion: 0,
      busy: 0,
      idle: 0,
      waiting: 0,
      prepared: 0,
      oldestPreparedSeconds: 0,
    }
    return { shard, up: false, poolSize, ...nothing, error }
  }
}

/** Why a node with these shards cannot serve; undefined when it can. */
export function whyDown(slots: readonly ShardSlot[]): string | undefined {
  const down = slots.map((slot) => slot.status()).filter((status) => !status.up)
  if (down.length === 0) return undefined
  return down.map(({ shard, error = 'starting' }) => `shard ${shard} is down: ${error}`).join('; ')
}
