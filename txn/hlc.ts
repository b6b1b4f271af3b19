import { weftError } from '../errors/catalog.ts'
import { invariant } from '../errors/pg-error.ts'
import type { Timestamp } from '../protocol/agent-link.ts'

/**
 * The hybrid logical clock (DESIGN 3), as pure steps and a thin class.
 *
 * What holds:
 *   C1 `now` is above everything this clock issued or adopted before, also before a restart (when it has a bound).
 *   C2 `observe(ts)` either makes every later `now` greater than `ts`, or throws and changes nothing.
 *   C3 Nothing at or above the stored bound is issued; the bound is stored ahead of need. What is observed beyond it (a
 *      node that had nothing to do does not move it) keeps `now` from issuing anything until the bound has passed it.
 *   C4 A timestamp more than `maxOffsetMs` ahead of all this node knows of the time is refused.
 *
 * The system's wall clock can be set by an hour at any moment, so it is not followed blindly. The clock walks on with
 * the monotonic clock and lets the wall correct it as long as the two agree within `maxOffsetMs`; a bigger step of the
 * wall, in either direction, is ignored: on a node alone it does not matter (only the order of timestamps does), and
 * among others it would make them refuse us. Unless a peer's timestamp bears the wall out (it lies within
 * `maxOffsetMs` of the wall and not of our walk): then the wall is right, we were wrong, and we follow it. So a step
 * costs nothing when the others did not step, when all did, and when it puts a wrong clock right.
 *
 * The walls may also have been set while a node was down. So a coordinator that starts calls `agree` with its agents'
 * timestamps, and begins its walk at their median when its own wall is off. An agent (`meets`) takes the time of the
 * first that tells it one. Until then it issues nothing and stores no bound, which could never be taken back; to a
 * coordinator that does not know the time either it says what it thinks (`stamp`). As that first word may have been held
 * up on its way, it can still be put right for a while (`settle`).
 *
 * What no rule can help: a node alone in being an hour fast that has issued timestamps before it met the others. They
 * refuse these (so its prepares, while all else goes on), and as it never goes back, until they have caught up. Start it
 * again without its stored bound.
 */
export interface HlcState {
  /** Milliseconds and counter of the last timestamp issued or adopted. */
  ms: number
  counter: number
  /** Our idea of the wall clock, walked on by the monotonic one: `walkMs` was right at `walkedAtMono`. */
  walkMs: number
  walkedAtMono: number
}

export interface HlcReading {
  readonly wallMs: number
  readonly monoMs: number
}

export const counterMax = 0xffff
const coverAttempts = 3
/** So long a timestamp may have been on its way, over a link that is not yet taken for dead, or waiting for us. */
const staleMsMax = 15_000
/** Links say something every two seconds: who agrees with us is heard at least this often. */
const agreedMsMax = 3_000
const stampAheadMsMax = 50

export function startHlc(reading: HlcReading, boundMs: number): HlcState {
  const wallMs = Math.floor(reading.wallMs)
  return {
    ms: Math.max(boundMs, 0),
    counter: 0,
    walkMs: wallMs,
    walkedAtMono: reading.monoMs,
  }
}

/** Moves the walk to now: along the wall when the wall is believable, else by the monotonic clock alone. */
export function walk(state: HlcState, reading: HlcReading, maxOffsetMs: number): void {
  const walked = state.walkMs + Math.max(0, reading.monoMs - state.walkedAtMono)
  const believable = Math.abs(reading.wallMs - walked) <= maxOffsetMs
  state.walkMs = believable ? reading.wallMs : walked
  state.walkedAtMono = reading.monoMs
}

/** Advances to the next timestamp below `boundMs`; false when there is none (nothing is changed then). */
export function tick(state: HlcState, boundMs: number): boolean {
  // A walk beyond the bound is held back, not refused: counting goes on until the bound has moved.
  const target = Math.min(Math.floor(state.walkMs), boundMs - 1)
  if (target > state.ms) {
    state.ms = target
    state.counter = 0
    return true
  }
  if (state.counter < counterMax) {
    if (state.ms >= boundMs) return false
    state.counter++
    return true
  }
  if (state.ms + 1 >= boundMs) return false
  state.ms++
  state.counter = 0
  return true
}

export type Observed = 'adopted' | 'known' | 'too-far-ahead' | 'beyond-bound'

export function observe(
  state: HlcState,
  ms: number,
  counter: number,
  wallMs: number,
  maxOffsetMs: number,
  boundMs: number,
): Observed {
  const wallAheadMs = wallMs - state.walkMs
  // A timestamp that was held up on its way says nothing for a wall that is a little behind.
  const isOff = wallAheadMs > maxOffsetMs || wallAheadMs < -Math.max(staleMsMax, maxOffsetMs)
  const wallBorneOut = isOff && Math.abs(ms - wallMs) <= maxOffsetMs
  const aheadMs = ms - Math.max(state.ms, state.walkMs)
  if (aheadMs > maxOffsetMs && !wallBorneOut) return 'too-far-ahead'
  if (ms < state.ms || (ms === state.ms && counter <= state.counter)) return 'known'
  if (ms >= boundMs) return 'beyond-bound'
  if (wallBorneOut && Math.abs(ms - state.walkMs) > maxOffsetMs) state.walkMs = wallMs
  state.ms = ms
  state.counter = counter
  return 'adopted'
}

/** Where the durable upper bound is kept: with the shard, so that it goes where the shard goes. */
export interface ClockBound {
  /** 0 when there is none yet. */
  read(): Promise<number>
  /** Resolves once `upperMs` is durable. Never called with less than before. */
  persist(upperMs: number): Promise<void>
  /** The last call of a clock that issues nothing more: if `fromMs` is still stored, `toMs` is enough. */
  lower?(fromMs: number, toMs: number): Promise<void>
}

export interface HlcOptions {
  /** `Date.now`. */
  readonly wallMs: () => number
  /** `performance.now`. Without it every step of the wall clock is believed (C4 may then stall the node). */
  readonly monoMs?: () => number
  readonly maxOffsetMs: number
  /** An agent's. A coordinator needs none: its timestamps don't outlive it. */
  readonly bound?: ClockBound
  /** Takes the time of the first that it hears of. Its own wall only counts when `now` is called before that. */
  readonly meets?: boolean
  /** How far ahead the bound is stored. */
  readonly boundAheadMs?: number
  /** Told when storing the bound failed; it is tried again at the next call. */
  readonly onBoundError?: (error: unknown) => void
}

export class HlcClock {
  private readonly options: HlcOptions
  private readonly aheadMs: number
  private readonly state: HlcState
  private boundMs: number
  /** A store of the bound under way. */
  private storing: Promise<void> | undefined
  private started: boolean
  private retired = false
  /** Has neither issued anything nor heard what time it is. */
  private unmet: boolean
  /** For so much longer of being told the time, what it was told at the meeting may turn out to have been old. */
  private settlesMs = 0
  /** By the monotonic clock: when it was last told any time, and one that agrees with its own. */
  private toldAtMs = 0
  private agreedAtMs = Number.NEGATIVE_INFINITY
  /** Observed at or beyond the bound; 0n: nothing. */
  private floor = 0n

  constructor(options: HlcOptions) {
    this.options = options
    this.aheadMs = options.boundAheadMs ?? 3000
    this.started = options.bound === undefined
    this.unmet = options.meets ?? false
    this.boundMs = this.started ? Number.POSITIVE_INFINITY : 0
    this.state = startHlc(this.reading(), 0)
  }

  /**
   * Reads the bound and, unless it `meets`, stores the first one ahead. Only for a clock with a bound, and before any
   * other call.
   */
  async start(): Promise<void> {
    const { bound } = this.options
    if (bound === undefined || this.started) return
    const stored = await bound.read()
    Object.assign(this.state, startHlc(this.reading(), stored))
    if (this.unmet) this.boundMs = stored
    else await this.extend()
    this.started = true
  }

  /**
   * How far this clock is ahead of the time because it began at its stored bound, as after a crash. Others refuse it
   * while that is more than their `maxOffsetMs`. Never more than what is stored ahead: a bound beyond that is no lead,
   * the wall has been set back, and `agree` is what helps.
   */
  leadMs(): number {
    walk(this.state, this.reading(), this.options.maxOffsetMs)
    return this.hasLead() ? Math.max(0, this.state.ms - this.state.walkMs) : 0
  }

  private hasLead(): boolean {
    return this.state.ms - this.state.walkMs <= this.aheadMs + this.options.maxOffsetMs
  }

  /** Issues nothing more to speak of, and takes the bound back to what was issued: the next start has no lead then. */
  async retire(): Promise<void> {
    await this.settled()
    if (!this.started || this.retired || this.boundMs === Number.POSITIVE_INFINITY) return
    this.retired = true
    const fromMs = this.boundMs
    this.boundMs = Math.min(fromMs, this.state.ms + 1)
    await this.options.bound?.lower?.(fromMs, this.boundMs)
  }

  /** The next timestamp. Throws `clock_stalled` when the bound is not stored yet: after `settled` it may be. */
  now(): Timestamp {
    invariant(this.started, 'clock used before start()')
    this.unmet = false
    const { state } = this
    walk(state, this.reading(), this.options.maxOffsetMs)
    if (this.floor !== 0n) this.passFloor()
    const ticked = tick(state, this.boundMs)
    this.keepAhead()
    if (!ticked) throw weftError('clock_stalled', { why: 'its upper bound could not be stored' })
    return toTimestamp(state.ms, state.counter)
  }

  /**
   * For what only has to be no later than what follows: the next timestamp, or the last one while there is none. A clock
   * that has been moved ahead of the time says the time instead: others may refuse it, or set theirs by it.
   */
  stamp(): Timestamp {
    const { state, options } = this
    walk(state, this.reading(), options.maxOffsetMs)
    if (this.unmet) return this.guess()
    if (state.ms - state.walkMs > stampAheadMsMax) return toTimestamp(Math.floor(state.walkMs), 0)
    try {
      return this.now()
    } catch {
      return this.peek()
    }
  }

  /** What time it is as far as an agent knows that has just started: its wall's, unless that has been set back. */
  private guess(): Timestamp {
    const { ms, walkMs } = this.state
    return toTimestamp(Math.floor(this.hasLead() ? walkMs : Math.max(ms, walkMs)), 0)
  }

  private passFloor(): void {
    const ms = timestampMs(this.floor)
    if (ms >= this.boundMs) {
      this.keepAhead(ms)
      throw weftError('clock_stalled', { why: 'a timestamp lies beyond its stored upper bound' })
    }
    if (this.floor > this.peek()) {
      this.state.ms = ms
      this.state.counter = Number(this.floor & 0xffffn)
    }
    this.floor = 0n
  }

  /** `observe`, for what a peer says of the present: a clock that `meets` takes it for the time. 0n says nothing. */
  hear(ts: Timestamp): void {
    if (ts > 0n && this.unmet) {
      this.agree([ts])
      this.settlesMs = 2 * staleMsMax
      this.toldAtMs = this.reading().monoMs
    }
    if (ts > 0n && this.settlesMs > 0) this.settle(timestampMs(ts))
    this.observe(ts)
  }

  /** Every later `now()` is greater than `ts`. Throws `clock_offset` when it is too far ahead, and adopts nothing. */
  observe(ts: Timestamp): void {
    invariant(this.started, 'clock used before start()')
    const { state, options } = this
    const ms = timestampMs(ts)
    const counter = Number(ts & 0xffffn)
    // The common case first: it needs no look at the clocks.
    if (ms < state.ms || (ms === state.ms && counter <= state.counter)) return
    const reading = this.reading()
    walk(state, reading, options.maxOffsetMs)
    const observed = observe(state, ms, counter, reading.wallMs, options.maxOffsetMs, this.boundMs)
    if (observed === 'too-far-ahead') {
      const aheadMs = Math.ceil(ms - Math.max(state.ms, state.walkMs))
      throw weftError('clock_offset', { aheadMs, maxMs: options.maxOffsetMs })
    }
    if (observed === 'beyond-bound' && ts > this.floor) this.floor = ts
    this.keepAhead(ms)
  }

  /**
   * What it was told at the meeting may have been held up: then it took too little for the time, or found that its own
   * wall, which is behind, agrees. So it takes a later time for its own: at once when that was borrowed, else unless
   * somebody still agrees with it.
   */
  private settle(ms: number): void {
    const { state, options } = this
    const { wallMs, monoMs } = this.reading()
    walk(state, { wallMs, monoMs }, options.maxOffsetMs)
    this.settlesMs -= Math.min(monoMs - this.toldAtMs, agreedMsMax)
    this.toldAtMs = monoMs
    const aheadMs = ms - state.walkMs
    if (Math.abs(aheadMs) <= options.maxOffsetMs) this.agreedAtMs = monoMs
    const isOwnTime = Math.abs(wallMs - state.walkMs) <= options.maxOffsetMs
    const isSure = isOwnTime && monoMs - this.agreedAtMs < agreedMsMax
    if (!isSure && aheadMs > options.maxOffsetMs && aheadMs <= staleMsMax) state.walkMs = ms
  }

  /**
   * For a node that starts, before it serves: takes the cluster's time (the median of its peers') for its own when the
   * two differ by more than `toleranceMs`. Never goes back behind what was issued.
   */
  agree(peers: readonly Timestamp[], toleranceMs = this.options.maxOffsetMs): void {
    const { state, options } = this
    walk(state, this.reading(), options.maxOffsetMs)
    const sorted = peers.map(timestampMs).sort((a, b) => a - b)
    const medianMs = sorted[(sorted.length - 1) >> 1]
    if (medianMs === undefined) return
    this.unmet = false
    if (Math.abs(medianMs - state.walkMs) > toleranceMs) state.walkMs = medianMs
    this.keepAhead()
  }

  /** Whether everything issued after a crash would be above `ts`. */
  covers(ts: Timestamp): boolean {
    return timestampMs(ts) < this.boundMs
  }

  /** Stores a bound above `ts`, for what must stay in the past after a crash. Throws `clock_stalled` when it cannot. */
  async cover(ts: Timestamp): Promise<void> {
    for (let attempt = 1; !this.covers(ts); attempt++) {
      if (attempt > coverAttempts || this.retired)
        throw weftError('clock_stalled', { why: 'its upper bound could not be stored' })
      // One that is under way may have been asked for less.
      await this.settled()
      if (!this.covers(ts)) this.keepAhead(timestampMs(ts))
      await this.settled()
    }
  }

  /** The last timestamp issued or adopted, without issuing one. */
  peek(): Timestamp {
    return toTimestamp(this.state.ms, this.state.counter)
  }

  /** Resolves when no store of the bound is under way (for tests, and before closing). */
  async settled(): Promise<void> {
    while (this.storing !== undefined) await this.storing
  }

  private reading(): HlcReading {
    const wallMs = this.options.wallMs()
    return { wallMs, monoMs: this.options.monoMs?.() ?? wallMs }
  }

  /** Starts storing a new bound once half of what is ahead is used up. */
  private keepAhead(wantMs = 0): void {
    if (this.boundMs === Number.POSITIVE_INFINITY || this.storing !== undefined || this.retired) return
    const used = this.unmet ? wantMs : Math.max(this.state.ms, this.state.walkMs, wantMs)
    if (this.boundMs - used > this.aheadMs / 2) return
    this.storing = this.extend(wantMs).then(
      () => {
        this.storing = undefined
      },
      (error: unknown) => {
        this.storing = undefined
        this.options.onBoundError?.(error)
      },
    )
  }

  private async extend(wantMs = 0): Promise<void> {
    const { state } = this
    // A lead is waited out, not built upon: a node that crashes again and again would run away from the time.
    const timeMs = this.unmet ? 0 : Math.max(this.hasLead() ? 0 : state.ms, state.walkMs)
    const from = Math.ceil(Math.max(timeMs, wantMs))
    const upperMs = Math.max(from + this.aheadMs, this.boundMs, state.ms + 1)
    await this.options.bound?.persist(upperMs)
    this.boundMs = upperMs
  }
}

export function toTimestamp(ms: number, counter: number): Timestamp {
  return (BigInt(ms) << 16n) | BigInt(counter)
}

export function timestampMs(ts: Timestamp): number {
  return Number(ts >> 16n)
}
