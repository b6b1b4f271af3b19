import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { AgentSession, PrepareOptions, PrepareReply, Timestamp } from '../../protocol/agent-link.ts'
import { decodeRecord } from '../../txn/decision.ts'
import type { SimAgent } from './commit-sim-agent.ts'
import { Connection, type Peer } from './commit-sim-network.ts'
import type { SimProcess, SimWorld } from './commit-sim-world.ts'

const againMsMin = 100
const againMsMax = 2_000
const helloTimeoutMs = 5_000

export interface LinkSetup {
  readonly world: SimWorld
  readonly shard: number
  readonly coordinatorId: string
  readonly process: SimProcess
  readonly clock: Peer['clock']
  /** Who serves the shard now. */
  agent(): SimAgent
  isBlocked(): boolean
  abortsLeft(txnIds: readonly string[]): void
}

/** A coordinator's line to one shard's agent, which is made again when it breaks (coordinator/links/). */
export class SimLink {
  readonly shard: number
  current: Connection | undefined
  wasUp = false
  private readonly setup: LinkSetup
  private readonly pending = new Set<(error: PgError) => void>()
  private dialled: Connection | undefined
  private againMs = againMsMin

  constructor(setup: LinkSetup) {
    this.setup = setup
    this.shard = setup.shard
    this.dial()
  }

  private dial(): void {
    const agent = this.setup.agent()
    if (!agent.isListening || this.setup.isBlocked()) this.dialAgain()
    else this.connect(agent)
  }

  private dialAgain(): void {
    this.setup.process.after(this.againMs, () => this.dial())
    this.againMs = Math.min(this.againMs * 2, againMsMax)
  }

  private connect(agent: SimAgent): void {
    const { world, process, clock, coordinatorId: id, abortsLeft } = this.setup
    const client: Peer = { process, clock, closed: (why) => this.closed(connection, why) }
    const server: Peer = {
      process: agent.process,
      clock: agent.muxClock,
      closed: () => agent.connectionClosed(connection),
    }
    const connection = new Connection(world, client, server)
    this.dialled = connection
    connection.send(0, () => {
      agent.greeted(connection, { id, abortsLeft })
      connection.send(1, () => this.connected(connection))
    })
    process.after(helloTimeoutMs, () => {
      if (this.current !== connection) connection.close(0, 'no hello')
    })
  }

  private connected(connection: Connection): void {
    this.current = connection
    this.wasUp = true
    this.againMs = againMsMin
  }

  private closed(connection: Connection, why: string): void {
    if (this.dialled !== connection) return
    const { world, process } = this.setup
    world.say(`${process.name} loses its link to shard ${this.shard}: ${why}`)
    this.current = undefined
    this.dialled = undefined
    const error = weftError('backend_lost', { shard: this.shard, why })
    for (const reject of [...this.pending]) reject(error)
    this.pending.clear()
    this.dialAgain()
  }

  cut(): void {
    this.dialled?.cut()
  }

  processDied(): void {
    this.dialled?.died(0)
  }

  unreachable(): PgError {
    return weftError('shard_unreachable', { shard: this.shard, why: 'simulated' })
  }

  /** On this connection or not at all. */
  request<T>(connection: Connection, what: (agent: SimAgent) => Promise<T>): Promise<T> {
    const agent = this.setup.agent()
    return new Promise((resolve, reject) => {
      this.pending.add(reject)
      const answer = (run: () => void): void =>
        connection.send(1, () => {
          this.pending.delete(reject)
          run()
        })
      connection.send(0, () => {
        what(agent).then(
          (value) => answer(() => resolve(value)),
          (error) => answer(() => reject(error)),
        )
      })
    })
  }
}

/** What a session is told by its transaction, and what it tells it. */
export interface SessionHost {
  readonly world: SimWorld
  preparing(gid: string): void
  lastIs(shard: number): void
  prepared(shard: number, prepareTs: Timestamp): void
  /** What the coordinator gets to hear (mutants). */
  answerPrepare(answer: Promise<PrepareReply>): Promise<PrepareReply>
}

/** One transaction's line to one shard (coordinator/links/link-session.ts). */
export class SimSession implements AgentSession {
  readonly shard: number
  readonly holdsBackend = false
  private readonly host: SessionHost
  private readonly link: SimLink
  /** Where its transaction was begun. */
  private readonly openOn: Connection
  private isCancelled = false
  private isLast = false

  constructor(host: SessionHost, link: SimLink, openOn: Connection) {
    this.host = host
    this.link = link
    this.shard = link.shard
    this.openOn = openOn
  }

  prepare(gid: string, { last = false }: PrepareOptions = {}): Promise<PrepareReply> {
    const { openOn, shard, host } = this
    // Code may have made it READ ONLY, say: then it prepares.
    this.isLast = last && !host.world.rng.chance(0.1)
    if (this.isLast) host.lastIs(shard)
    host.preparing(gid)
    if (!openOn.isOpen(0)) return Promise.reject(this.link.unreachable())
    const answer = this.link.request(openOn, async (agent) => {
      const reply = this.isLast
        ? await agent.prepareLast(gid, openOn)
        : await agent.prepare(gid, () => this.isCancelled)
      host.prepared(shard, reply.prepareTs)
      return reply
    })
    return host.answerPrepare(answer)
  }

  commitPrepared(gid: string, commitTs: Timestamp): Promise<void> {
    return this.conclude((agent) => agent.commitPrepared(gid, commitTs))
  }

  rollbackPrepared(gid: string): Promise<void> {
    if (this.isLast) return this.onItsOwn((agent) => agent.rollbackLast(gid))
    return this.conclude((agent) => agent.rollbackPrepared(gid))
  }

  commitLast(gid: string, commitTs: Timestamp, sql: string): Promise<void> {
    const decoded = decodeRecord(Buffer.from(sql))
    if (decoded.kind !== 'record') throw new Error(sql)
    const committed = this.onItsOwn((agent) => agent.commitLast(gid, commitTs, decoded.record))
    if (this.host.world.mutant !== 'takes an unknown commit of the last participant for a failed one')
      return committed
    return committed.catch((error) => {
      throw new PgError({ code: '40001', message: String(error) })
    })
  }

  timestampFixed(): void {}

  private onItsOwn(what: (agent: SimAgent) => Promise<void>): Promise<void> {
    const { openOn, link } = this
    return openOn.isOpen(0) ? link.request(openOn, what) : Promise.reject(link.unreachable())
  }

  private conclude(what: (agent: SimAgent) => Promise<void>): Promise<void> {
    const { current } = this.link
    return current === undefined ? Promise.reject(this.link.unreachable()) : this.link.request(current, what)
  }

  /** Of a reader: true when it wrote after all. */
  async release(): Promise<boolean> {
    if (!this.openOn.isOpen(0)) throw this.link.unreachable()
    const { rng } = this.host.world
    return await this.link.request(this.openOn, async () => rng.chance(0.3))
  }

  cancel(): void {
    this.openOn.send(0, () => {
      this.isCancelled = true
    })
  }

  async reset(): Promise<void> {}

  async rollBack(): Promise<void> {}
  giveBack(): void {}
  exec(): void {}
  copyData(): boolean {
    return true
  }
  pause(): void {}
  resume(): void {}
  close(): void {}
}
