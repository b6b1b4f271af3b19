/**
 * A shard agent: the gatekeeper of one shard. It takes the shard (one agent at a time, gate/ownership.ts), keeps the
 * connections to it (pool/), and serves coordinators over links (session/).
 */

import { randomUUID } from 'node:crypto'
import { weftError } from '../errors/catalog.ts'
import type { PgError } from '../errors/pg-error.ts'
import type {
  AgentLink,
  AgentStatus,
  ClientSessionInfo,
  LinkEvents,
  News,
  SignalRequest,
  WaitEdge,
} from '../protocol/agent-link.ts'
import { LATCH_CLASS } from '../sql/plan/begun-text.ts'
import { noFailpoints } from '../txn/failpoints.ts'
import { parseGid } from '../txn/gid.ts'
import type { HlcClock } from '../txn/hlc.ts'
import { type AgentClock, type AgentOptions, type PoolOptions, poolDefaults } from './config.ts'
import { type AgentBus, agentBus } from './events.ts'
import { Gate } from './gate/gate.ts'
import { type AgentRecord, MARK_SQL, Ownership } from './gate/ownership.ts'
import { clientSessions, type SessionView } from './participant/client-sessions.ts'
import { CommittedTransactions } from './participant/committed.ts'
import { Notifications } from './participant/notifications.ts'
import { type Admin, listPrepared } from './participant/prepared-list.ts'
import { ProbeKeeper } from './participant/probe.ts'
import { Recovery } from './participant/recovery.ts'
import { adminOf, TwoPhase } from './participant/two-phase.ts'
import { findWaits, type WaitingSession } from './participant/waits.ts'
import { describeAddress } from './pool/address.ts'
import { type InternalHost, withInternal } from './pool/internal-work.ts'
import { Pool } from './pool/pool.ts'
import { NEVER_IDLES_OUT } from './pool/prelude.ts'
import { warnOfRoom } from './pool/room.ts'
import { logIn } from './pool/startup.ts'
import type { PooledSession } from './session/agent-session.ts'
import { allHear } from './session/all-hear.ts'
import { DirectLink, type LinkHost } from './session/link.ts'
import { MapVersions } from './session/map-version.ts'

export type { AgentClock, AgentLog, AgentOptions, PoolOptions } from './config.ts'
export { type PostgresAddress, parsePostgresUrl } from './pool/address.ts'

const RECOVER_MS_MIN = 50
const RECOVER_MS_MAX = 1_000
const STOP_GRACE_MS = 2_000
/** A clock this little ahead is accepted by everyone. */
const CLOCK_LEAD_MS_MAX = 200
/** Of the connections for clients these are not promised to open transactions: autocommit statements use them. */
const QUOTA_SPARE = 2

export interface Agent {
  readonly shard: number
  /** A coordinator's link, as direct calls. */
  connect(coordinatorId: string): AgentLink
  status(): AgentStatus
  readonly events: AgentBus
  stop(): Promise<void>
}

/** Takes the shard and serves it. Rejects with a PgError that says in one line what is wrong. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const agent = new ShardAgent(options)
  await agent.start()
  return agent
}

class ShardAgent implements Agent, LinkHost {
  readonly shard: number
  readonly pool: Pool
  readonly events = agentBus()
  readonly gate = new Gate(this.events)
  readonly versions: MapVersions
  readonly probe: ProbeKeeper
  readonly notifications: Notifications
  twoPhase!: TwoPhase
  recovery: Recovery | undefined
  isUp = false
  private readonly options: AgentOptions
  private readonly poolOptions: PoolOptions
  private readonly ownership: Ownership
  private readonly committed = new CommittedTransactions()
  /** Of this agent's own making; the bound of one that was given is not ours to keep. */
  private ownClock: HlcClock | undefined
  private readonly links = new Set<DirectLink>()
  private downWhy: string | undefined
  private isStopping = false
  private recovering: Promise<void> | undefined
  private wake: () => void = () => {}

  constructor(options: AgentOptions) {
    const { shard, postgres, log } = options
    this.shard = shard
    this.options = options
    this.poolOptions = { ...poolDefaults, ...options.pool }
    this.gate.splitAlways(options.splitWrites ?? false)
    this.gate.onInTheWay = () => {
      let any = false
      for (const session of this.sessions()) if (session.makeWay()) any = true
      return any
    }
    this.ownership = new Ownership({
      shard,
      address: postgres,
      connectTimeoutMs: this.poolOptions.connectTimeoutMs,
      takeoverTimeoutMs: options.takeoverTimeoutMs ?? 0,
      log,
      onLost: (why) => this.ownershipLost(why),
    })
    this.pool = new Pool({
      shard,
      address: postgres,
      gate: this.gate,
      events: this.events,
      options: this.poolOptions,
      markSql: `${MARK_SQL};${NEVER_IDLES_OUT}`,
      log,
      onDown: (error) => this.down(error.message),
      onTold: () => this.notifications.due(),
    })
    const own: InternalHost = { shard, log, withInternal: (work) => withInternal(this.pool, work) }
    this.probe = new ProbeKeeper(own)
    this.notifications = new Notifications(own)
    this.versions = new MapVersions(
      {
        shard,
        sessions: () => this.sessions(),
        blocked: (waiters, blockers?) => this.ownership.blocked(waiters, blockers),
        changed: (version) => this.versionChanged(version),
      },
      0,
    )
  }

  async start(): Promise<void> {
    try {
      const record = await this.ownership.acquire()
      this.versions.current = record.mapVersion
      const clock = await this.startClock(record)
      const { shard, pool, gate, committed, probe, notifications } = this
      const { log, failpoints = noFailpoints } = this.options
      // The clock begins above all that was applied here before.
      gate.start(clock, clock.peek?.() ?? clock.now())
      for (const gid of await this.preparedBefore()) gate.prepared(gid, 0n)
      this.twoPhase = new TwoPhase({
        shard,
        pool,
        gate,
        events: this.events,
        clock,
        committed,
        log,
        failpoints,
        probe,
        notifications,
      })
      this.recovery = this.makeRecovery()
      // Not waited for: the log may be out of reach, and what is in doubt keeps only its own rows locked.
      void this.recovery.start()
      probe.start(record.generation)
      await warnOfRoom({ shard, log }, this.poolOptions.size, (sql) => this.ownership.run(sql))
      await this.waitForTheTime()
      if (!this.ownership.isHeld) throw weftError('shard_unreachable', { shard, why: 'lost while starting' })
      this.isUp = true
      this.notifications.due()
      this.options.log.info(
        { shard, generation: Number(record.generation), postgres: describeAddress(this.options.postgres) },
        'agent: serving',
      )
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** A clock that needs to be told how far it went before gets to know it from the shard. */
  private async startClock(record: AgentRecord): Promise<AgentClock> {
    const { clock } = this.options
    if (typeof clock !== 'function') return clock
    const made: HlcClock = clock({
      read: () => Promise.resolve(record.hlcUpperMs),
      persist: (upperMs) => this.ownership.saveHlcUpper(upperMs),
      lower: (fromMs, toMs) => this.ownership.lowerHlcUpper(fromMs, toMs),
    })
    await made.start()
    this.ownClock = made
    return made
  }

  /** After a crash the clock begins ahead of the time: until that has caught up others refuse its timestamps. */
  private async waitForTheTime(): Promise<void> {
    const leadMs = this.ownClock?.leadMs() ?? 0
    if (leadMs <= CLOCK_LEAD_MS_MAX) return
    this.options.log.info({ shard: this.shard, leadMs }, 'agent: waiting for the time to reach its clock')
    await this.pauseFor(leadMs - CLOCK_LEAD_MS_MAX)
  }

  private async preparedBefore(): Promise<readonly string[]> {
    const { shard, cluster } = this.options
    const rows = await listPrepared(adminOf((sql) => this.ownership.run(sql)))
    return rows.flatMap(({ gid }) => {
      const parsed = parseGid(gid)
      return parsed?.cluster === cluster && parsed.shard === shard ? [gid] : []
    })
  }

  private makeRecovery(): Recovery {
    const { shard, cluster, shardCount, txnLog, log, inDoubtAfterMs } = this.options
    return new Recovery({
      shard,
      cluster,
      log: txnLog,
      ...(shardCount === undefined ? {} : { shardCount }),
      failpoints: this.options.failpoints ?? noFailpoints,
      admin: adminOf((sql) => this.ownership.run(sql)),
      isOwnerConnected: this.isConnected,
      agentId: `agent-${shard}-${randomUUID()}`,
      ...(inDoubtAfterMs === undefined ? {} : { limits: { inDoubtAfterMs } }),
      apply: (row, how, commitTs) => this.twoPhase.resolve(row, how, commitTs),
      onResolved: (gid, how) => {
        if (how === 'commit') this.committed.committed(gid)
        this.gate.concluded(gid)
        this.notifications.resolved(gid)
        this.events.emit('recovered', { gid, how })
        log.info({ shard, gid, txnId: parseGid(gid)?.txnId, how }, 'recovery: resolved')
      },
      knownPrepared: () => this.gate.preparedGids(),
      onListed: (gids, knownBefore) => this.gate.preparedAre(gids, knownBefore),
      onAbortsLeft: (owner, txnIds) => this.tell((events) => events.abortsLeft?.(txnIds), owner),
      onProblem: (problem) =>
        log.warn(
          { shard, ...problem, txnId: parseGid(problem.gid)?.txnId ?? problem.gid },
          'recovery: left in doubt',
        ),
    })
  }

  // Links

  connect(coordinatorId: string): AgentLink {
    const link = new DirectLink(this, coordinatorId)
    this.links.add(link)
    this.tellQuota()
    return link
  }

  linkClosed(link: DirectLink): void {
    this.links.delete(link)
    this.tellQuota()
    const { coordinatorId } = link
    if (!this.isStopping && !this.isConnected(coordinatorId)) void this.recovery?.ownerLost(coordinatorId)
  }

  private readonly coordinators = () => new Set([...this.links].map((link) => link.coordinatorId))
  private readonly isConnected = (coordinatorId: string) => this.coordinators().has(coordinatorId)

  welcome(events: LinkEvents): void {
    events.mapVersion(this.shard, this.versions.current)
    events.quota(this.shard, this.quota())
    if (this.isUp) events.up(this.shard)
    else events.down(this.shard, this.downWhy ?? 'starting')
  }

  private quota(): number {
    const { size } = this.coordinators()
    return Math.max(1, Math.floor((this.pool.clientMax - QUOTA_SPARE) / Math.max(1, size)))
  }

  private tellQuota(): void {
    const quota = this.quota()
    this.tell((events) => events.quota(this.shard, quota))
  }

  private tell(what: (events: LinkEvents) => void, coordinatorId?: string): void {
    for (const link of this.links) {
      if (coordinatorId === undefined || link.coordinatorId === coordinatorId)
        for (const events of link.subscribers) what(events)
    }
  }

  private *sessions(): Iterable<PooledSession> {
    for (const link of this.links) yield* link.sessions()
  }

  waits(now: boolean): Promise<readonly WaitEdge[]> {
    const { links } = this
    const sessions = function* (): Iterable<WaitingSession> {
      for (const link of links) yield* link.waitingSessions()
    }
    return findWaits({ admin: this.admin, sessions }, now)
  }

  clientSessions(view: SessionView | undefined): Promise<readonly ClientSessionInfo[]> {
    const sessions = () => [...this.links].flatMap((link) => [...link.clientSessions()])
    return clientSessions({ admin: this.admin, sessions }, view)
  }

  signal({ coordinatorId, pid, verb, secret }: SignalRequest): void {
    this.tell((events) => events.signal?.(pid, verb, secret), coordinatorId)
  }

  /** As a lock of the connection that owns the shard; statements ask for it as readers do. */
  async latch(key: number, shut: boolean): Promise<void> {
    const verb = shut ? 'lock' : 'unlock'
    await this.ownership.run(`SELECT pg_catalog.pg_advisory_${verb}(${LATCH_CLASS}, ${key})`)
  }

  private get admin(): Admin {
    return adminOf((sql) => this.ownership.run(sql))
  }

  tellNews(what: News, by?: object): Promise<void> {
    const others = [...this.links].filter((link) => link !== by)
    return allHear(
      others.flatMap(({ subscribers }) => subscribers),
      what,
    )
  }

  private async versionChanged(version: number): Promise<void> {
    this.tell((events) => events.mapVersion(this.shard, version))
    try {
      await this.ownership.saveMapVersion(version)
    } catch (error) {
      // Learned again from the next request after a restart.
      this.options.log.warn({ shard: this.shard, err: error }, 'agent: map version not saved')
    }
  }

  // Up and down

  private ownershipLost(why: string): void {
    // The server may be another one when it comes back.
    this.probe.lost()
    // Another agent may take the shard at any moment: nothing of ours may go on.
    this.down(why)
    this.pool.destroyAll(`this agent stopped serving: ${why}`)
  }

  private down(why: string): void {
    if (this.isStopping || !this.isUp) return
    this.isUp = false
    this.downWhy = why
    this.pool.down(why)
    this.options.log.warn({ shard: this.shard, why }, 'agent: down')
    this.tell((events) => events.down(this.shard, why))
    this.recovering = this.comeBack()
  }

  /** Tries to be of use again until it is, or the agent stops. */
  private async comeBack(): Promise<void> {
    for (let delayMs = RECOVER_MS_MIN; !this.isStopping; delayMs = Math.min(delayMs * 2, RECOVER_MS_MAX)) {
      await this.pauseFor(delayMs)
      if (this.isStopping) return
      try {
        await this.tryServer()
        this.up()
        return
      } catch (error) {
        this.downWhy = (error as PgError).message
        this.options.log.debug({ shard: this.shard, why: this.downWhy }, 'agent: still down')
      }
    }
  }

  private async tryServer(): Promise<void> {
    if (this.ownership.isHeld) await this.ownership.run('SELECT 1')
    else {
      const record = await this.ownership.acquire()
      this.probe.start(record.generation)
      await this.versions.adopt(record.mapVersion)
    }
    const { postgres: address } = this.options
    const timeoutMs = this.poolOptions.connectTimeoutMs
    const identity = { kind: 'internal' } as const
    const login = await logIn({ shard: this.shard, address, identity, timeoutMs, markSql: '' })
    login.channel.destroy('probe')
  }

  private up(): void {
    this.isUp = true
    this.downWhy = undefined
    this.recovering = undefined
    this.pool.up()
    void this.recovery?.scan()
    this.notifications.due()
    this.options.log.info({ shard: this.shard }, 'agent: up')
    this.tell((events) => events.up(this.shard))
  }

  private pauseFor(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  // Status and end

  status(): AgentStatus {
    return {
      shard: this.shard,
      up: this.isUp,
      serverVersion: this.ownership.serverVersion,
      parameters: this.ownership.parameters,
      mapVersion: this.versions.current,
      coordinators: [...this.coordinators()],
      poolSize: this.poolOptions.size,
      ...this.pool.counts(),
      prepared: Math.max(this.gate.preparedCount, this.recovery?.view.inDoubt.length ?? 0),
      oldestPreparedSeconds: secondsSince(this.gate.preparedSinceMs),
      problems: this.recovery?.view.problems ?? [],
      ...(this.downWhy === undefined ? {} : { error: this.downWhy }),
    }
  }

  async stop(): Promise<void> {
    if (this.isStopping) return
    this.isStopping = true
    this.isUp = false
    this.wake()
    await this.recovering
    for (const link of [...this.links]) await link.close()
    await this.recovery?.stop()
    this.twoPhase?.stop()
    await this.notifications.stop()
    await this.probe.stop()
    await this.pool.close(STOP_GRACE_MS)
    this.gate.stop()
    // Without its shard it cannot: the next start waits then.
    await this.ownClock?.retire().catch(() => {})
    await this.ownership.close()
  }
}

/** Of a time by `performance.now`; 0: of none. */
function secondsSince(ms: number | undefined): number {
  return ms === undefined ? 0 : Math.round(performance.now() - ms) / 1000
}
