import {
  DeadlockDetector,
  type WatchedLink,
  type WatchedSession,
} from '../../coordinator/commit/deadlock-detector.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { ControlReply, ControlRequest, WaitEdge, WaitParty } from '../../protocol/agent-link.ts'
import { findDeadlocks } from '../../txn/deadlock.ts'
import { type Backend, Locks, type Wait } from './deadlock-locks.ts'
import { Rng } from './rng.ts'
import { Timeline } from './timeline.ts'

export interface DeadlockLoad {
  readonly seed: number
  readonly minutes: number
  /** Keys in one order for all: then there is no deadlock. Otherwise in any order, some by one statement. */
  readonly isOrdered: boolean
  /** Upper limit of what an answer of an agent takes, most of the time and once in a while. */
  readonly answerMs: number
  readonly slowAnswerMs: number
}

export interface DeadlockResult {
  committed: number
  /** Ended by Postgres, in cycles of one shard. */
  local: number
  victims: number
  /** Victims whose cycle was never there at once. */
  readonly unexplained: string[]
  /** Cycles over shards, and the longest that one stood. */
  cycles: number
  longestMs: number
}

type SimWait = WaitEdge & { readonly shard: number }

const SHARDS = 3
const KEYS_PER_SHARD = 4
const COORDINATORS = 2
const SESSIONS = 5
const LOCAL_DEADLOCK_MS = 1000
const SLICE_MS = 10
const JUDGE_MS = 100

/** An hour, or so, of contended transactions under the detectors of two coordinators, and a judge who sees everything. */
export class DeadlockSim {
  readonly load: DeadlockLoad
  readonly rng: Rng
  readonly timeline = new Timeline()
  readonly shards = Array.from({ length: SHARDS }, (_, shard) => new SimShard(this, shard))
  readonly result: DeadlockResult = {
    ...{ committed: 0, local: 0, victims: 0, unexplained: [], cycles: 0, longestMs: 0 },
  }
  private readonly standing = new Map<string, number>()

  constructor(load: DeadlockLoad) {
    this.load = load
    this.rng = new Rng(load.seed)
  }

  async run(): Promise<DeadlockResult> {
    for (let id = 0; id < COORDINATORS; id++) new SimCoordinator(this, id).start()
    this.every(JUDGE_MS, () => this.judge())
    const endMs = this.load.minutes * 60_000
    for (let ms = SLICE_MS; ms <= endMs; ms += SLICE_MS) {
      this.timeline.runUntil(ms)
      // What awaits promises goes on here: up to a slice late, as in a process that is busy.
      await new Promise((resolve) => setImmediate(resolve))
    }
    return this.result
  }

  every(ms: number, run: () => void): () => void {
    let isOver = false
    const again = (): void => {
      if (isOver) return
      run()
      this.timeline.after(ms, again)
    }
    this.timeline.after(ms, again)
    return () => {
      isOver = true
    }
  }

  once(ms: number, run: () => void): () => void {
    let isOver = false
    this.timeline.after(ms, () => {
      if (!isOver) run()
    })
    return () => {
      isOver = true
    }
  }

  /** Every wait there is at this moment, as the agents would tell it without any delay. */
  truth(): readonly SimWait[] {
    return this.shards.flatMap((shard) =>
      shard.edges(shard.locks.waits()).map((edge) => ({ ...edge, shard: shard.shard })),
    )
  }

  private judge(): void {
    const now = new Set(findDeadlocks(this.truth()).map((deadlock) => deadlock.identity))
    for (const identity of now) {
      if (this.standing.has(identity)) continue
      this.standing.set(identity, this.timeline.nowMs)
      this.result.cycles++
    }
    for (const [identity, sinceMs] of this.standing) {
      const stoodMs = this.timeline.nowMs - sinceMs
      this.result.longestMs = Math.max(this.result.longestMs, stoodMs)
      if (!now.has(identity)) this.standing.delete(identity)
    }
  }
}

/** A line of Postgres' detail text: it names the wait, for `lock` tells since when. */
function lineOf({ waiter, blocker, mode, lock, shard }: SimWait): string {
  return `Process ${waiter.sessionId} waits for ${mode} on ${lock} of shard ${shard}; blocked by process ${blocker.sessionId}.`
}

class SimCoordinator {
  private readonly sim: DeadlockSim
  private readonly id: string
  private readonly sessions: SimSession[]
  /** When its detector began the look under way. */
  private truthThen: readonly SimWait[] = []
  private lookAtMs = -1

  /** A session's number is the pid that clients know it by: no other coordinator has one like it. */
  constructor(sim: DeadlockSim, index: number) {
    this.sim = sim
    this.id = `coordinator-${index}`
    const first = 1 + index * SESSIONS
    this.sessions = Array.from({ length: SESSIONS }, (_, i) => new SimSession(sim, this.id, first + i, this))
  }

  start(): void {
    const { sim } = this
    new DeadlockDetector({
      coordinatorId: this.id,
      links: sim.shards.map((shard) => this.linkTo(shard)),
      sessions: () => this.sessions,
      log: { info: () => {} },
      timers: sim,
    })
    for (const session of this.sessions) session.begin()
  }

  private linkTo(shard: SimShard): WatchedLink {
    const control = (request: ControlRequest): Promise<ControlReply> => {
      if (request.kind !== 'waits') throw new Error('not simulated')
      this.looks()
      return shard.waits()
    }
    return { shard: shard.shard, isUp: true, control }
  }

  private looks(): void {
    const { nowMs } = this.sim.timeline
    if (nowMs === this.lookAtMs) return
    this.lookAtMs = nowMs
    this.truthThen = this.sim.truth()
  }

  /** The whole cycle must have been there when the second of the two looks began. */
  judge(error: PgError): void {
    const { result } = this.sim
    result.victims++
    const waits = error.fields.detail?.split('\n').filter((line) => line.includes('waits for')) ?? []
    const then = new Set(this.truthThen.map(lineOf))
    if (waits.length >= 2 && waits.every((line) => then.has(line))) return
    result.unexplained.push(`at ${this.sim.timeline.nowMs} ms: ${error.fields.detail}`)
  }
}

interface Member {
  readonly shard: SimShard
  readonly backend: Backend
}

/** A client session with one transaction after the other. */
class SimSession implements WatchedSession {
  readonly sessionId: number
  readonly coordinatorId: string
  private readonly sim: DeadlockSim
  private readonly coordinator: SimCoordinator
  private members: Member[] = []
  private execs = 0
  private isRunning = false
  private attempt = 0

  constructor(sim: DeadlockSim, coordinatorId: string, sessionId: number, coordinator: SimCoordinator) {
    this.sim = sim
    this.coordinatorId = coordinatorId
    this.sessionId = sessionId
    this.coordinator = coordinator
  }

  begin(): void {
    const { rng, load, timeline } = this.sim
    const all = Array.from({ length: SHARDS * KEYS_PER_SHARD }, (_, key) => key)
    const keys = rng.shuffled(all).slice(0, 2 + rng.below(3))
    if (load.isOrdered) keys.sort((a, b) => a - b)
    timeline.after(rng.upTo(60), () => this.next(++this.attempt, keys))
  }

  private next(attempt: number, keys: readonly number[]): void {
    if (attempt !== this.attempt) return
    if (keys.length === 0) return this.commit(attempt)
    const { rng, load, timeline } = this.sim
    // One statement may take rows on several shards at once, in no order.
    const count = !load.isOrdered && rng.chance(0.2) ? Math.min(2, keys.length) : 1
    const execs = ++this.execs
    this.isRunning = true
    let left = count
    const granted = (): void => {
      timeline.after(1 + rng.upTo(10), () => {
        if (attempt !== this.attempt || --left > 0) return
        this.isRunning = false
        timeline.after(rng.upTo(40), () => this.next(attempt, keys.slice(count)))
      })
    }
    for (const key of keys.slice(0, count)) {
      timeline.after(1 + rng.upTo(10), () => this.take(attempt, execs, key, granted))
    }
  }

  private take(attempt: number, execs: number, key: number, granted: () => void): void {
    if (attempt !== this.attempt) return
    const shard = this.sim.shards[key % SHARDS]!
    const backend = this.on(shard)
    shard.locks.take(key, backend, this.sim.timeline.nowMs, granted)
    this.sim.timeline.after(LOCAL_DEADLOCK_MS, () => {
      if (attempt !== this.attempt || execs !== this.execs) return
      if (!shard.locks.isWaiting(backend) || !shard.locks.isInCycle(backend)) return
      this.sim.result.local++
      this.abort(attempt)
    })
  }

  private on(shard: SimShard): Backend {
    const known = this.members.find((member) => member.shard === shard)
    if (known !== undefined) return known.backend
    const backend = shard.lend(this)
    this.members.push({ shard, backend })
    return backend
  }

  private commit(attempt: number): void {
    const { rng, timeline } = this.sim
    this.isRunning = true
    this.execs++
    timeline.after(5 + rng.upTo(30), () => {
      if (attempt !== this.attempt) return
      this.sim.result.committed++
      this.end()
    })
  }

  private abort(attempt: number): void {
    if (attempt === this.attempt) this.end()
  }

  /** Shards hear of it one after the other; the next transaction begins when the last has. */
  private end(): void {
    const { rng, timeline } = this.sim
    this.attempt++
    this.isRunning = false
    const members = this.members
    let left = members.length
    for (const { shard, backend } of members) {
      timeline.after(1 + rng.upTo(rng.chance(0.02) ? 500 : 30), () => {
        shard.takeBack(backend)
        if (--left > 0) return
        this.members = []
        this.begin()
      })
    }
  }

  spanningWork(): number {
    return this.members.length >= 2 && this.isRunning ? this.execs : 0
  }

  endAsVictim(error: PgError): void {
    this.coordinator.judge(error)
    const { attempt, execs } = this
    this.sim.timeline.after(1 + this.sim.rng.upTo(20), () => {
      // A cancel request finds what runs then: too late for a statement that has got its locks.
      if (execs === this.execs && this.isRunning) this.abort(attempt)
    })
  }
}

class SimShard {
  readonly shard: number
  readonly locks = new Locks()
  private readonly sim: DeadlockSim
  private readonly idle: number[]
  private readonly owners = new Map<number, SimSession>()

  constructor(sim: DeadlockSim, shard: number) {
    this.sim = sim
    this.shard = shard
    this.idle = Array.from({ length: COORDINATORS * SESSIONS }, (_, i) => shard * 100 + i)
  }

  /** The one given back last goes first: sessions get each other's. */
  lend(session: SimSession): Backend {
    const pid = this.idle.pop()!
    this.owners.set(pid, session)
    return { pid, startedMs: this.sim.timeline.nowMs }
  }

  takeBack(backend: Backend): void {
    this.owners.delete(backend.pid)
    this.idle.push(backend.pid)
    this.locks.release(backend)
  }

  /** Postgres looks at one moment, the agent maps backends to sessions at a later one, the answer arrives still later. */
  waits(): Promise<ControlReply> {
    const { rng, timeline, load } = this.sim
    const takes = (): number => rng.upTo(rng.chance(0.02) ? load.slowAnswerMs : load.answerMs) / 3
    return new Promise((resolve) => {
      timeline.after(takes(), () => {
        const rows = this.locks.waits()
        timeline.after(takes(), () => {
          const edges = this.edges(rows)
          timeline.after(takes(), () => resolve({ kind: 'waits', edges }))
        })
      })
    })
  }

  edges(rows: readonly Wait[]): readonly WaitEdge[] {
    return rows.flatMap(({ waiter, blocker, key, sinceMs }) => {
      const parties = [this.party(waiter), this.party(blocker)] as const
      if (parties[0] === undefined || parties[1] === undefined) return []
      const lock = `row ${key} since ${sinceMs}`
      return { waiter: parties[0], blocker: parties[1], mode: 'ShareLock', lock, since: String(sinceMs) }
    })
  }

  private party({ pid, startedMs }: Backend): WaitParty | undefined {
    const session = this.owners.get(pid)
    if (session === undefined) return undefined
    const { coordinatorId, sessionId } = session
    return { coordinatorId, sessionId, pid, startedMs, isInBlock: true, user: 'u', query: '' }
  }
}
