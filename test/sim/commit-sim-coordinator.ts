import {
  CommitDriver,
  type CommitParticipant,
  type CommitReader,
  type Outcome,
} from '../../coordinator/commit/commit.ts'
import { ClockMeeting } from '../../embedded/clock-meeting.ts'
import type { PrepareReply, Timestamp } from '../../protocol/agent-link.ts'
import { parseGid } from '../../txn/gid.ts'
import { HlcClock } from '../../txn/hlc.ts'
import type { DecisionRecord } from '../../txn/log/txn-log.ts'
import type { SimAgent } from './commit-sim-agent.ts'
import { type Hands, maxOffsetMs } from './commit-sim-clock.ts'
import { type SessionHost, SimLink, SimSession } from './commit-sim-link.ts'
import { type SimLog, SimLogClient } from './commit-sim-log.ts'
import { cluster, type SimShard } from './commit-sim-shard.ts'
import { SimProcess, type SimWorld } from './commit-sim-world.ts'

const limits = { prepareTimeoutMs: 3_000, decideTimeoutMs: 4_000, applyTimeoutMs: 3_000 }

/** One transaction, as its client and an observer who sees everything know it. */
export interface SimTxn {
  /** '' until it is prepared anywhere. */
  id: string
  readonly coordinator: SimCoordinator
  /** In the order of its beginning, what was acknowledged before, by shard. */
  readonly acknowledgedTs: readonly Timestamp[]
  readonly prepareTs: Map<number, Timestamp>
  /** The shard whose own commit is the decision. */
  last: number | undefined
  answer: Outcome['outcome'] | undefined
}

export interface CoordinatorSetup {
  readonly world: SimWorld
  readonly id: string
  readonly hands: Hands
  readonly log: SimLog
  readonly shards: readonly SimShard[]
  agent(shard: number): SimAgent
  isBlocked(shard: number): boolean
  began(txn: SimTxn): void
  answered(txn: SimTxn, outcome: Outcome): void
}

/** A coordinator's process: the real commit driver, with its real clock, on the simulated links and log. */
export class SimCoordinator {
  readonly id: string
  readonly process: SimProcess
  readonly links: readonly SimLink[]
  readonly log: SimLogClient
  private readonly setup: CoordinatorSetup
  private readonly driver: CommitDriver
  private readonly meeting: ClockMeeting
  private isServing = false

  constructor(setup: CoordinatorSetup) {
    const { world, id, hands, log, shards } = setup
    this.setup = setup
    this.id = id
    this.process = new SimProcess(world, id)
    const { wallMs, monoMs } = hands
    const clock = new HlcClock({ wallMs, monoMs, maxOffsetMs })
    this.meeting = new ClockMeeting(clock, monoMs)
    this.log = new SimLogClient(world, log, this.process, id)
    this.log.asked = (record) => this.applyEarly(record)
    const timers = {
      after: (ms: number) => this.process.sleep(ms),
      every: (ms: number, run: () => void) => this.process.every(ms, run),
    }
    this.driver = new CommitDriver({
      log: this.log,
      clock,
      coordinatorId: id,
      cluster,
      limits,
      monoMs,
      timers,
    })
    this.links = shards.map((shard) => this.connect(shard.id))
    const stop = this.process.every(50, () => {
      if (this.links.some((link) => !link.wasUp)) return
      stop()
      this.meeting.agree()
      this.isServing = true
      world.say(`${id} serves`)
    })
  }

  private connect(shard: number): SimLink {
    const { world, id, agent, isBlocked } = this.setup
    return new SimLink({
      world,
      shard,
      coordinatorId: id,
      process: this.process,
      clock: this.meeting.forLink(),
      agent: () => agent(shard),
      isBlocked: () => isBlocked(shard),
      abortsLeft: (txnIds) => {
        if (world.mutant === 'aborts are dropped although a decision may be late') void this.log.drop(txnIds)
        else this.driver.abortsLeft(txnIds)
      },
    })
  }

  die(): void {
    this.process.die()
    for (const link of this.links) link.processDied()
  }

  /** A client's COMMIT. False when it could not have got so far: too few of the shards can be reached. */
  begin(participants: readonly number[], readers: readonly number[] = []): boolean {
    const { world, shards, began, answered } = this.setup
    const txn: SimTxn = {
      id: '',
      coordinator: this,
      acknowledgedTs: shards.map((shard) => shard.acknowledgedTs),
      prepareTs: new Map(),
      last: undefined,
      answer: undefined,
    }
    const host = new TxnSessions(world, txn)
    const sessionOf = (shard: number): SimSession | undefined => {
      const link = this.links[shard]
      return link?.current && new SimSession(host, link, link.current)
    }
    const members = participants.map(sessionOf)
    const readerMembers = readers.map(sessionOf)
    if (!this.isServing || [...members, ...readerMembers].includes(undefined)) return false
    began(txn)
    const request = {
      mayBeLast: world.rng.chance(0.5),
      participants: members.map((session) => participantOf(session as SimSession)),
      readers: readerMembers.map((session) => readerOf(session as SimSession)),
    }
    void this.driver.commit(request).then((outcome) => answered(txn, outcome))
    return true
  }

  private applyEarly(record: DecisionRecord): void {
    const { mutant } = this.setup.world
    if (mutant !== 'applies before the record exists' || record.decision !== 'commit') return
    for (const shard of record.participants) {
      const link = this.links[shard]
      if (link?.current === undefined) continue
      const gid = this.driver.gid(record.txnId, shard)
      link.request(link.current, (agent) => agent.commitPrepared(gid, record.commitTs)).catch(() => {})
    }
  }
}

function participantOf(session: SimSession): CommitParticipant {
  return { shard: session.shard, session }
}

function readerOf(session: SimSession): CommitReader {
  return { ...participantOf(session), release: () => session.release() }
}

/** Tells the observer what the agents say, and the coordinator what a mutant makes of it. */
class TxnSessions implements SessionHost {
  readonly world: SimWorld
  private readonly txn: SimTxn
  private first: PrepareReply | undefined
  private readonly early: ((reply: PrepareReply) => void)[] = []

  constructor(world: SimWorld, txn: SimTxn) {
    this.world = world
    this.txn = txn
  }

  preparing(gid: string): void {
    this.txn.id = parseGid(gid)?.txnId ?? ''
  }

  lastIs(shard: number): void {
    this.txn.last = shard
  }

  prepared(shard: number, prepareTs: Timestamp): void {
    this.txn.prepareTs.set(shard, prepareTs)
  }

  answerPrepare(answer: Promise<PrepareReply>): Promise<PrepareReply> {
    const { mutant } = this.world
    if (mutant === 'the commit timestamp is the first prepare timestamp') {
      return answer.then((reply) => {
        this.first ??= reply
        return reply.prepareTs > this.first.prepareTs ? this.first : reply
      })
    }
    if (mutant !== 'decides before all have prepared') return answer
    const first = new Promise<PrepareReply>((resolve) => this.early.push(resolve))
    answer.then(
      (reply) => {
        for (const resolve of this.early) resolve(reply)
      },
      () => {},
    )
    return Promise.race([answer, first])
  }
}
