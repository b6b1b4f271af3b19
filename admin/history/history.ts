import type { History, Sample } from '../api/schemas.ts'
import { type ClusterAccess, statusesOf } from '../cluster-access.ts'
import type { Metrics } from '../metrics.ts'
import { measured } from './sample.ts'

export interface RecorderOptions {
  readonly metrics: Metrics
  /** Undefined while the coordinator starts, and of an agent. */
  readonly cluster: () => ClusterAccess | undefined
  readonly nowMs?: () => number
}

const EVERY_MS = 2_000
/** Ten minutes. */
const SAMPLES_MAX = 300

/** The node's last minutes, in memory: who opens the console sees what was before. */
export class Recorder {
  private readonly options: RecorderOptions
  private readonly nowMs: () => number
  private readonly timer: NodeJS.Timeout
  private readonly samples: Sample[] = []
  private bounds: History['bounds'] = []
  private isTaking = false

  constructor(options: RecorderOptions) {
    this.options = options
    this.nowMs = options.nowMs ?? (() => Date.now())
    this.timer = setInterval(() => void this.take(), EVERY_MS)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** One sample now; none while one is being taken, as when a shard is slow to answer. */
  async take(): Promise<void> {
    if (this.isTaking) return
    this.isTaking = true
    try {
      const [text, shards] = await Promise.all([this.options.metrics.render(), this.shards()])
      const { bounds, sample } = measured(text)
      this.bounds = bounds
      this.samples.push({ at: new Date(this.nowMs()).toISOString(), ...sample, shards })
      if (this.samples.length > SAMPLES_MAX) this.samples.shift()
    } catch {
      // A gap in the lines: the next one may be better.
    } finally {
      this.isTaking = false
    }
  }

  since(at: string | undefined): History {
    const samples = at === undefined ? this.samples : this.samples.filter((sample) => sample.at > at)
    return { every_ms: EVERY_MS, bounds: this.bounds, samples }
  }

  private async shards(): Promise<Sample['shards']> {
    const cluster = this.options.cluster()
    if (cluster === undefined) return []
    return (await statusesOf(cluster)).map(({ shard, up, busy = 0, waiting = 0, prepared = 0 }) => ({
      ...{ shard, up, busy, waiting, prepared },
    }))
  }
}
