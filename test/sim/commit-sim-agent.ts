import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { PrepareReply, Timestamp } from '../../protocol/agent-link.ts'
import { CommittedTransactions } from '../../shard-agent/participant/committed.ts'
import { Recovery } from '../../shard-agent/participant/recovery.ts'
import { parseGid } from '../../txn/gid.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { type CreateResult, type DecisionRecord, WITHIN_FAILED } from '../../txn/log/txn-log.ts'
import { type Hands, maxOffsetMs } from './commit-sim-clock.ts'
import { type SimLog, SimLogClient } from './commit-sim-log.ts'
import type { Connection } from './commit-sim-network.ts'
import { cluster, type Owner, type SimShard } from './commit-sim-shard.ts'
import { SimProcess, type SimWorld } from './commit-sim-world.ts'

/** As in shard-agent/main.ts. */
const leadMsMax = 200
const clockAttempts = 3
const limits = {
  inDoubtAfterMs: 1_000,
  abortAfterMs: 3_000,
  scanEveryMs: 500,
  tidyEveryMs: 1_000,
  tidyAfterMs: 1_000,
}

/** A coordinator as it says who it is. */
export interface SimOwner {
  readonly id: string
  abortsLeft(txnIds: readonly string[]): void
}

export interface AgentSetup {
  readonly world: SimWorld
  readonly shard: SimShard
  readonly hands: Hands
  readonly log: SimLog
  readonly name: string
}

/** A shard agent's process: its clock and its recovery are the real ones, on the simulated shard, network and log. */
export class SimAgent {
  readonly shard: number
  readonly process: SimProcess
  isListening = false
  recovery: Recovery | undefined
  private readonly setup: AgentSetup
  private readonly committed = new CommittedTransactions()
  private readonly connections = new Map<Connection, SimOwner>()
  private readonly lasts = new Map<string, Connection>()
  private clock: HlcClock | undefined
  private owner: Owner | undefined

  constructor(setup: AgentSetup) {
    this.setup = setup
    this.shard = setup.shard.id
    this.process = new SimProcess(setup.world, setup.name)
    void this.startUntilUp()
  }

  private async startUntilUp(): Promise<void> {
    while (!this.isListening) {
      try {
        await this.start()
      } catch {
        await this.process.sleep(200)
      }
    }
  }

  private async start(): Promise<void> {
    const { shard, hands } = this.setup
    const owner = await shard.own(this.process)
    const { wallMs, monoMs } = hands
    const meets = this.setup.world.mutant !== 'an agent that starts believes its own clock'
    const clock = new HlcClock({ wallMs, monoMs, maxOffsetMs, bound: shard.boundFor(owner), meets })
    await clock.start()
    this.owner = owner
    this.clock = clock
    this.recovery = this.startRecovery(owner)
    const leadMs = clock.leadMs()
    if (leadMs > leadMsMax) await this.process.sleep(leadMs - leadMsMax)
    this.isListening = true
    this.setup.world.say(`${this.process.name} is up`)
  }

  die(): void {
    this.process.die()
    this.isListening = false
    for (const connection of this.connections.keys()) connection.died(1)
  }

  // The clock

  private now(): Timestamp {
    const clock = this.clock as HlcClock
    return this.setup.shard.issued.issued(clock.now())
  }

  readonly muxClock = {
    now: (): Timestamp => {
      const clock = this.clock as HlcClock
      const before = clock.peek()
      const stamp = clock.stamp()
      // Else it was only a guess, or the last one said again.
      return clock.peek() > before ? this.setup.shard.issued.issued(stamp) : stamp
    },
    observe: (ts: Timestamp): void => (this.clock as HlcClock).hear(ts),
  }

  // Connections

  greeted(connection: Connection, owner: SimOwner): void {
    for (const [other, { id }] of this.connections) if (id === owner.id) other.close(1, 'connected again')
    this.connections.set(connection, owner)
  }

  connectionClosed(connection: Connection): void {
    const coordinatorId = this.connections.get(connection)?.id
    this.connections.delete(connection)
    this.forgetLasts(connection)
    if (coordinatorId !== undefined && !this.isConnected(coordinatorId))
      void this.recovery?.ownerLost(coordinatorId)
  }

  private isConnected(coordinatorId: string): boolean {
    for (const { id } of this.connections.values()) if (id === coordinatorId) return true
    return false
  }

  // Two-phase commit: what shard-agent/participant/two-phase.ts does

  /** `isCancelled` is looked at while it waits for locks. */
  async prepare(gid: string, isCancelled: () => boolean): Promise<PrepareReply> {
    const { world, shard } = this.setup
    const owner = this.owner as Owner
    const { rng, trouble } = world
    if (trouble && rng.chance(0.03))
      throw weftError('prepare_refused', { shard: this.shard, why: 'a deferred constraint' })
    for (let wait = trouble && rng.chance(0.05) ? rng.upTo(5_000) : 0; wait > 0; wait -= 100) {
      await this.process.sleep(100)
      if (isCancelled()) throw weftError('query_canceled', {})
    }
    await shard.statement(owner, () => shard.prepare(gid))
    try {
      return { prepareTs: await this.timestamp() }
    } catch (error) {
      await shard.statement(owner, () => shard.end(gid, undefined))
      throw error
    }
  }

  /** As `prepare`; nothing of it survives its connection. */
  async prepareLast(gid: string, connection: Connection): Promise<PrepareReply> {
    const { shard, world } = this.setup
    if (world.trouble && world.rng.chance(0.03))
      throw weftError('prepare_refused', { shard: this.shard, why: 'a deferred constraint' })
    await shard.statement(this.owner as Owner, () => shard.beginLast(gid))
    this.lasts.set(gid, connection)
    if (!this.connections.has(connection)) this.forgetLasts(connection)
    return { prepareTs: await this.timestamp(), xid: '1' }
  }

  async commitLast(gid: string, commitTs: Timestamp, record: DecisionRecord): Promise<void> {
    const { shard, log, world } = this.setup
    this.lasts.delete(gid)
    if (!this.observes(commitTs)) await this.observeLater(commitTs)
    await this.cover(commitTs)
    const owner = this.owner as Owner
    if (world.mutant !== 'the last participant commits ahead of its record')
      return await shard.commitLast(owner, gid, commitTs, () => notCreated(log.create(record)))
    await shard.commitLast(owner, gid, commitTs, () => undefined)
    await shard.statement(owner, () => log.create(record))
  }

  async rollbackLast(gid: string): Promise<void> {
    const { shard } = this.setup
    this.lasts.delete(gid)
    await shard.statement(this.owner as Owner, () => shard.rollbackLast(gid))
  }

  private forgetLasts(connection: Connection): void {
    for (const [gid, of] of this.lasts) if (of === connection) void this.rollbackLast(gid).catch(() => {})
  }

  private async timestamp(): Promise<Timestamp> {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.now()
      } catch (error) {
        if (attempt === clockAttempts) throw error
        await this.clock?.settled()
      }
    }
  }

  async commitPrepared(gid: string, commitTs: Timestamp): Promise<void> {
    if (this.committed.wasCommitted(gid)) return
    if (!this.observes(commitTs)) await this.observeLater(commitTs)
    await this.cover(commitTs)
    if (await this.end(gid, commitTs)) this.committed.committed(gid)
    else if (!this.committed.wasCommitted(gid)) throw notPrepared(gid)
  }

  async rollbackPrepared(gid: string): Promise<void> {
    if (!(await this.end(gid, undefined))) throw notPrepared(gid)
  }

  private async resolve(gid: string, how: 'commit' | 'abort', commitTs: Timestamp): Promise<boolean> {
    if (how === 'abort') return await this.end(gid, undefined)
    if (!this.observes(commitTs)) await this.observeLater(commitTs)
    await this.cover(commitTs)
    return await this.end(gid, commitTs)
  }

  /** False: it is not prepared. */
  private end(gid: string, commitTs: Timestamp | undefined): Promise<boolean> {
    const { shard } = this.setup
    return shard.statement(this.owner as Owner, () => shard.end(gid, commitTs))
  }

  private observes(ts: Timestamp): boolean {
    try {
      this.clock?.observe(ts)
      return true
    } catch {
      return false
    }
  }

  private async cover(ts: Timestamp): Promise<void> {
    if (this.setup.world.mutant !== 'commits take effect above the bound of the clock')
      await this.clock?.cover(ts)
  }

  private async observeLater(ts: Timestamp): Promise<void> {
    await this.clock?.settled()
    this.observes(ts)
  }

  // Recovery

  private startRecovery(owner: Owner): Recovery {
    const { world, shard, log, name, hands } = this.setup
    const recovery = new Recovery({
      shard: shard.id,
      cluster,
      log: new SimLogClient(world, log, this.process),
      admin: { query: (sql) => shard.statement(owner, () => shard.select(sql)) },
      isOwnerConnected: (id) => this.isConnected(id),
      agentId: name,
      limits,
      monoMs: hands.monoMs,
      apply: (row, how, commitTs) => this.resolve(row.gid, how, commitTs),
      onResolved: (gid, how) => {
        if (how === 'commit') this.committed.committed(gid)
      },
      onAbortsLeft: (ownerId, txnIds) => {
        for (const [connection, { id, abortsLeft }] of this.connections)
          if (id === ownerId) connection.send(1, () => abortsLeft(txnIds))
      },
      onProblem: ({ gid, why }) =>
        world.say(`${parseGid(gid)?.txnId} is left in doubt on ${shard.id}: ${why}`),
    })
    // As its own timer would (`Recovery.start`).
    this.process.every(limits.scanEveryMs, () => void recovery.scan())
    this.process.every(limits.tidyEveryMs, () => void recovery.tidy())
    void recovery.scan()
    return recovery
  }
}

function notCreated(result: CreateResult): Error | undefined {
  if (result.kind === 'created') return undefined
  return new PgError({ code: WITHIN_FAILED[result.kind], message: 'there is another record' })
}

function notPrepared(gid: string): PgError {
  return new PgError({ code: '42704', message: `prepared transaction "${gid}" does not exist` })
}
