import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../cluster/cluster.ts'
import type { OpValue } from '../history/op.ts'
import { Random } from '../run/random.ts'
import type { Recorder } from '../run/recorder.ts'
import type { Broken, Fault } from './fault.ts'
import { faultsNamed } from './faults.ts'

export interface NemesisOptions {
  /** Each is a fault, or several of which one is chosen each time. */
  readonly names: readonly string[]
  readonly seed: number
  /** Seconds between two faults, and that one lasts: at random between these. */
  readonly between?: readonly [number, number]
  readonly lasts?: readonly [number, number]
  readonly say: (line: string) => void
}

/** So many operations that go well, and so long at most, before the pause between two faults begins. */
const WORKS = 10
const WORKS_WITHIN_MS = 20_000

/** Breaks things, mends them, and breaks others, as the seed says, until it is stopped. */
export class Nemesis {
  private readonly cluster: Cluster
  private readonly recorder: Recorder
  private readonly options: NemesisOptions
  private readonly groups: readonly (readonly Fault[])[]
  private readonly random: Random
  private readonly over = new AbortController()

  constructor(cluster: Cluster, recorder: Recorder, options: NemesisOptions) {
    this.cluster = cluster
    this.recorder = recorder
    this.options = options
    this.random = new Random(options.seed * 31 + 7)
    this.groups = options.names.map((name) => this.possible(name)).filter((group) => group.length > 0)
  }

  private possible(name: string): readonly Fault[] {
    const faults = faultsNamed(name)
    const reasons = faults.map((fault) => fault.whyNot?.(this.cluster))
    const able = faults.filter((_, i) => reasons[i] === undefined)
    if (able.length === 0) this.options.say(`no ${name}: ${reasons.find((why) => why !== undefined)}`)
    return able
  }

  async run(): Promise<void> {
    const { between = [1, 3], lasts = [1, 4] } = this.options
    while (this.groups.length > 0 && (await this.wait(...between))) {
      // Two at once now and then, where several kinds were asked for.
      const kinds = this.random.chance(0.3) ? 2 : 1
      const faults = this.random.some(this.groups, kinds).map((group) => this.random.pick(group))
      const broken: { fault: Fault; broken: Broken }[] = []
      for (const fault of faults) {
        const one = await this.start(fault)
        if (one !== undefined) broken.push({ fault, broken: one })
      }
      await this.wait(...lasts)
      for (const { fault, broken: one } of broken) await this.mend(fault, one)
      await this.untilSomethingWorks()
    }
  }

  /** A cluster that never gets up between two faults shows nothing: on a busy machine a node starts slowly. */
  private async untilSomethingWorks(): Promise<void> {
    const { ops } = this.recorder
    const deadline = performance.now() + WORKS_WITHIN_MS
    let works = 0
    let seen = ops.length
    while (works < WORKS && performance.now() < deadline && (await this.wait(0.1, 0.1))) {
      works += ops.slice(seen).filter(({ type }) => type === 'ok').length
      seen = ops.length
    }
  }

  stop(): void {
    this.over.abort()
  }

  private async start(fault: Fault): Promise<Broken | undefined> {
    try {
      const broken = await fault.start(this.cluster, this.random)
      this.record(fault, 'start', broken.what)
      return broken
    } catch (error) {
      this.record(fault, 'failed', (error as Error).message)
      return undefined
    }
  }

  private async mend(fault: Fault, broken: Broken): Promise<void> {
    await broken.mend().catch((error: Error) => this.record(fault, 'not mended', error.message))
    this.record(fault, 'stop', broken.what)
  }

  private record(fault: Fault, at: string, what: OpValue): void {
    this.recorder.add({ type: 'info', process: 'nemesis', f: fault.name, value: { at, what } })
  }

  /** False when it was stopped meanwhile. */
  private async wait(low: number, high: number): Promise<boolean> {
    await sleep(this.random.between(low, high) * 1000, undefined, { signal: this.over.signal }).catch(
      () => undefined,
    )
    return !this.over.signal.aborted
  }
}
