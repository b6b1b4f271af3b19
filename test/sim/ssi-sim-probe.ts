import { ProbeMachine, type ProbeStep } from '../../shard-agent/participant/probe-machine.ts'
import { NOBODY, SerializationFailure, type SsiShard, type Sxact } from './ssi-sim-shard.ts'
import type { SsiWorld } from './ssi-sim-world.ts'

/** weft.ssi_probe. */
const probeTable = 'probe'
const waitMsMax = 400

/** No probe was to be had in time. */
export class NotCovered extends Error {}

/** What shard-agent/participant/probe.ts does, with the real machine, on the model of a shard. */
export class SimProbe {
  private readonly world: SsiWorld
  private readonly shard: SsiShard
  private readonly machine: ProbeMachine
  private readonly probes = new Set<Sxact>()
  private epoch = 0
  private isWorking = false

  constructor(world: SsiWorld, shard: SsiShard) {
    this.world = world
    this.shard = shard
    const { rng } = world
    this.machine = new ProbeMachine({ renewMs: rng.pick([8, 25]), idleMs: rng.pick([4, 25]), retryMs: 2 })
    this.wake()
  }

  async use(): Promise<void> {
    this.machine.use(this.world.time.nowMs)
    await this.until(() => this.machine.isOpen)
  }

  done(): void {
    this.machine.done(this.world.time.nowMs)
    this.wake()
  }

  async covered(): Promise<void> {
    await this.until(() => !this.machine.isExposed)
  }

  leaveMark(sxact: Sxact): void {
    this.shard.write(sxact, probeTable, true)
  }

  restarted(): void {
    this.epoch++
    this.machine.lost()
    if (this.world.mutant === 'a restarted shard is not exposed') this.machine.looked(0)
    this.wake()
  }

  private async until(isMet: () => boolean): Promise<void> {
    const { time } = this.world
    this.wake()
    for (const endMs = time.nowMs + waitMsMax; !isMet(); await this.world.sleep(0.2)) {
      if (time.nowMs > endMs) throw new NotCovered()
    }
  }

  private wake(): void {
    if (this.isWorking || this.world.isOver) return
    this.isWorking = true
    void this.work()
  }

  private async work(): Promise<void> {
    const { machine, world } = this
    for (;;) {
      const step = machine.next(world.time.nowMs)
      if (step !== undefined) await this.take(step)
      const waitMs = machine.wakeAtMs() - world.time.nowMs
      if (waitMs === Number.POSITIVE_INFINITY || world.isOver) break
      await world.sleep(Math.min(2, Math.max(0.1, waitMs)))
    }
    this.isWorking = false
  }

  private async take(step: ProbeStep): Promise<void> {
    const { epoch, machine } = this
    if (step === 'close') machine.closing()
    try {
      const ended = await this.perform(step)
      if (epoch === this.epoch) ended()
    } catch (error) {
      if (!(error instanceof SerializationFailure)) this.world.say(`probe: ${step} is lost`)
      if (epoch === this.epoch) machine.failed(this.world.time.nowMs)
    }
  }

  private async perform(step: ProbeStep): Promise<() => void> {
    const { machine, world } = this
    await world.delay()
    switch (step) {
      case 'look': {
        const inDoubt = this.inDoubt()
        if (inDoubt === 0) await this.end([...this.probes])
        return () => machine.looked(inDoubt)
      }
      case 'open':
      case 'renew':
        return await this.open()
      case 'close': {
        const asks = world.mutant !== 'a probe is ended without asking who has used it'
        if (asks && this.inDoubt() > 0) return () => machine.kept(world.time.nowMs)
        await this.end([...this.probes])
        return () => machine.closed()
      }
    }
  }

  private async open(): Promise<() => void> {
    const { machine, shard, world } = this
    const before = [...this.probes]
    if (world.mutant === 'a probe is ended before the next one is there') await this.end(before)
    const probe = shard.begin(NOBODY)
    try {
      await world.delay()
      // A probe that does not look does not find what the one before it stood for.
      const looks = world.mutant !== 'a new probe does not cover what used the one before'
      shard.read(probe, looks || before.length === 0 ? probeTable : 'nothing')
      await world.delay()
      shard.prepare(probe)
      if (!looks) shard.takeLock(probe, probeTable)
    } catch (error) {
      shard.rollback(probe)
      throw error
    }
    this.probes.add(probe)
    const openedMs = world.time.nowMs
    await this.end(before)
    return () => machine.opened(openedMs)
  }

  private async end(probes: readonly Sxact[]): Promise<void> {
    for (const probe of probes) {
      await this.world.delay()
      this.shard.rollback(probe)
      this.probes.delete(probe)
    }
  }

  private inDoubt(): number {
    return this.shard.prepared().filter((sxact) => this.shard.hasWritten(sxact, probeTable)).length
  }
}
