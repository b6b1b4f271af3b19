import { Rng } from './rng.ts'
import { Timeline } from './timeline.ts'

export type SsiMutant =
  | 'no probe'
  | 'the probe is used only where something was written'
  | 'shards that were only read are committed, not prepared'
  | 'a probe is ended before the next one is there'
  | 'a new probe does not cover what used the one before'
  | 'a probe is ended without asking who has used it'
  | 'a restarted shard is not exposed'
  | 'every shard has its own snapshot'

/** Time, chance and messages of one run. */
export class SsiWorld {
  readonly rng: Rng
  readonly time = new Timeline()
  readonly mutant: SsiMutant | undefined
  readonly trace: string[] = []
  /** Everything has ended that was begun. */
  isOver = false

  constructor(seed: number, mutant: SsiMutant | undefined) {
    this.rng = new Rng(seed)
    this.mutant = mutant
  }

  say(what: string): void {
    this.trace.push(`${this.time.nowMs.toFixed(2).padStart(9)} ${what}`)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.time.after(ms, resolve))
  }

  /** A message's way, or a statement's work. */
  delay(): Promise<void> {
    const { rng } = this
    return this.sleep(rng.chance(0.1) ? rng.upTo(8) : rng.upTo(1))
  }
}
