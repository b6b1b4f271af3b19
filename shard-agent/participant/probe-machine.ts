/**
 * When the probe of a shard (DESIGN 6, docs/decisions/0003-prepared-probe.md) is opened, renewed and closed. PURE:
 * every time comes in with a call. The keeper (probe.ts) carries out what `next` says, one step at a time.
 *
 * What holds:
 *   P1 While a user is under way or prepared there is a probe, or the shard is exposed.
 *   P2 A probe is ended only when a later one is there, or when nothing in doubt on the shard has used one.
 *   P3 While the shard is exposed nobody is told that a probe is there.
 */

export const PROBE_STATE = {
  /** Not known: the agent has just started, or the server may have been another one for a moment. */
  unknown: 0,
  /** There are transactions in doubt that used a probe, and it is not sure that one covers them. */
  exposed: 1,
  /** No probe, and nothing in doubt that used one. */
  closed: 2,
  open: 3,
  /** It ends unless something in doubt has used it. */
  closing: 4,
} as const

export type ProbeStep = 'look' | 'open' | 'renew' | 'close'

export interface ProbeLimits {
  /** A probe that was used is replaced after so long: it holds back vacuum, and the forgetting of SIREAD locks. */
  readonly renewMs: number
  /** One that is not used is ended after so long. */
  readonly idleMs: number
  /** After a step that failed. */
  readonly retryMs: number
}

export const probeDefaults: ProbeLimits = { renewMs: 1_000, idleMs: 2_000, retryMs: 100 }

export class ProbeMachine {
  private readonly limits: ProbeLimits
  private state: number = PROBE_STATE.unknown
  /** Between `use` and `done`: what they prepare may not be prepared yet. */
  private users = 0
  private usedMs = Number.NEGATIVE_INFINITY
  private openedMs = Number.NEGATIVE_INFINITY
  private notBeforeMs = Number.NEGATIVE_INFINITY

  constructor(limits: ProbeLimits = probeDefaults) {
    this.limits = limits
  }

  /** Who has called `use` may go on. */
  get isOpen(): boolean {
    return this.state === PROBE_STATE.open
  }

  get isExposed(): boolean {
    return this.state === PROBE_STATE.unknown || this.state === PROBE_STATE.exposed
  }

  get isInUse(): boolean {
    return this.users > 0
  }

  use(nowMs: number): void {
    this.users++
    this.usedMs = nowMs
  }

  done(nowMs: number): void {
    this.users--
    this.usedMs = nowMs
  }

  /** The server may have been restarted. A step that is under way counts for nothing. */
  lost(): void {
    this.state = PROBE_STATE.unknown
    this.notBeforeMs = Number.NEGATIVE_INFINITY
  }

  /** What is to be done now. */
  next(nowMs: number): ProbeStep | undefined {
    if (nowMs < this.notBeforeMs) return undefined
    switch (this.state) {
      case PROBE_STATE.unknown:
        return 'look'
      case PROBE_STATE.exposed:
        return 'open'
      case PROBE_STATE.closed:
        return this.users > 0 ? 'open' : undefined
      case PROBE_STATE.open:
        if (nowMs >= this.renewAtMs()) return 'renew'
        return nowMs >= this.idleAtMs() ? 'close' : undefined
      default:
        return undefined
    }
  }

  /** When `next` is worth asking again; Infinity: after the next call. */
  wakeAtMs(): number {
    if (this.state === PROBE_STATE.closing) return Number.POSITIVE_INFINITY
    if (this.state === PROBE_STATE.closed && this.users === 0) return Number.POSITIVE_INFINITY
    const dueMs = this.isOpen ? Math.min(this.renewAtMs(), this.idleAtMs()) : Number.NEGATIVE_INFINITY
    return Math.max(dueMs, this.notBeforeMs)
  }

  private renewAtMs(): number {
    return this.usedMs > this.openedMs ? this.openedMs + this.limits.renewMs : Number.POSITIVE_INFINITY
  }

  private idleAtMs(): number {
    if (this.users > 0) return Number.POSITIVE_INFINITY
    return Math.max(this.usedMs, this.openedMs) + this.limits.idleMs
  }

  // How steps end

  /** `inDoubt`: how many prepared transactions have used a probe. */
  looked(inDoubt: number): void {
    this.state = inDoubt === 0 ? PROBE_STATE.closed : PROBE_STATE.exposed
  }

  /** It has read what was used before it, so it covers that too. */
  opened(nowMs: number): void {
    this.state = PROBE_STATE.open
    this.openedMs = nowMs
  }

  /** Called before it is looked whether it may: who comes from now on waits for another. */
  closing(): void {
    this.state = PROBE_STATE.closing
  }

  closed(): void {
    this.state = PROBE_STATE.closed
  }

  /** Something in doubt has used it. */
  kept(nowMs: number): void {
    this.state = PROBE_STATE.open
    this.usedMs = nowMs
    this.openedMs = nowMs
  }

  failed(nowMs: number): void {
    this.notBeforeMs = nowMs + this.limits.retryMs
    // What is in doubt may be settled by now; and whether the probe was ended may not be known.
    if (this.state === PROBE_STATE.exposed || this.state === PROBE_STATE.closing) {
      this.state = PROBE_STATE.unknown
    }
  }
}
