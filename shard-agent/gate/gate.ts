import { type CommitKind, GateMachine } from './gate-machine.ts'

/** A commit that found the gate held. */
export interface GateWaiter {
  readonly kind: CommitKind
  readonly commitTs: bigint | undefined
  /** It is in flight from now on. */
  admitted(): void
}

/** The agent's control over when commits on its shard take effect. */
export class Gate {
  /**
   * Send the Sync of an autocommit write separately, once its statement has run: then in flight never waits for a
   * row lock. Needed while cuts are taken; without them one message is cheaper than two.
   */
  splitWrites = false
  private readonly machine = new GateMachine()
  private waiters: GateWaiter[] = []
  private idleWaiters: (() => void)[] = []

  get inFlight(): number {
    return this.machine.inFlight
  }

  get waiting(): number {
    return this.waiters.length
  }

  get isOpen(): boolean {
    return this.machine.isOpen
  }

  /** True: in flight, send it. False: call `wait`. No promise: nearly every commit finds the gate open. */
  tryEnter(kind: CommitKind, commitTs?: bigint): boolean {
    return this.machine.tryEnter(kind, commitTs)
  }

  wait(waiter: GateWaiter): void {
    this.waiters.push(waiter)
  }

  /** For a waiter that has given up. */
  forget(waiter: GateWaiter): void {
    this.waiters = this.waiters.filter((w) => w !== waiter)
  }

  async enter(kind: CommitKind, commitTs?: bigint): Promise<void> {
    if (this.tryEnter(kind, commitTs)) return
    await new Promise<void>((admitted) => this.wait({ kind, commitTs, admitted }))
  }

  leave(): void {
    this.machine.leave()
    if (this.machine.inFlight === 0 && this.idleWaiters.length > 0) {
      const waiting = this.idleWaiters
      this.idleWaiters = []
      for (const resolve of waiting) resolve()
    }
  }

  /** Local commits, and decided ones above the timestamp, wait from now on. */
  hold(above: bigint): void {
    this.machine.hold(above)
    this.admitWaiters()
  }

  release(): void {
    this.machine.release()
    this.admitWaiters()
  }

  /** Resolves when no commit is in flight. */
  async idle(): Promise<void> {
    while (this.machine.inFlight > 0) await new Promise<void>((resolve) => this.idleWaiters.push(resolve))
  }

  private admitWaiters(): void {
    const waiting = this.waiters
    this.waiters = []
    for (const waiter of waiting) {
      if (this.machine.tryEnter(waiter.kind, waiter.commitTs)) waiter.admitted()
      else this.waiters.push(waiter)
    }
  }
}
