import { randomBytes } from 'node:crypto'
import { type Patience, untilReached } from '../cluster/patience.ts'
import { evenSlots } from '../cluster/slots.ts'
import { PgError } from '../errors/pg-error.ts'
import type { AgentLink, LinkEvents, SignalVerb } from '../protocol/agent-link.ts'
import { errorResponse } from '../protocol/wire/backend-messages.ts'
import type { KeyType } from '../sql/catalog.ts'
import { installSql } from '../sql/install/schema.ts'
import { guardMissing, shardedTablesSql } from '../sql/install/slot-guard.ts'
import { useParser } from '../sql/parse/parser.ts'
import { OUTCOMES_KEPT_MS } from '../txn/log/txn-log.ts'
import { Encodings } from './catalog/encoding-tables.ts'
import { type ConnectedAs, InternalConnection } from './catalog/internal-connection.ts'
import { CatalogStore } from './catalog/store.ts'
import { TypeNumbers } from './catalog/type-numbers.ts'
import type { CommitCounters, CommitDriver } from './commit/commit.ts'
import { logCommits } from './commit/commit-log.ts'
import { DeadlockDetector } from './commit/deadlock-detector.ts'
import { Outcomes } from './commit/outcomes.ts'
import { type CutCounters, CutDriver } from './cuts/cut-driver.ts'
import type { CoordinatorBus } from './events/events.ts'
import { type CoordinatorNode, HOME, type Logger, type NodeLimits } from './execute/context.ts'
import type { PlanCacheStats } from './execute/plans/plan-cache.ts'
import { Planner } from './execute/plans/planner.ts'
import { SequenceDraws } from './execute/sequences/sequence-draws.ts'
import { TxnTickets } from './execute/transaction/tickets.ts'
import type { AuthRule } from './listener/auth-rules.ts'
import type { RoleLogin } from './listener/authenticate.ts'
import { closeGently } from './listener/client-connection.ts'
import { Listener, type ListenerLimits, type SessionContext, type TlsFiles } from './listener/listener.ts'
import { TextThread } from './long-texts/text-thread.ts'
import { defaultMemoryLimits, fitsHeap, MemoryBudget, type MemoryLimits } from './memory/memory-budget.ts'
import { Operator } from './operator.ts'
import { ParserSupply } from './parser/parser-supply.ts'
import { ClientSession } from './session/client-session.ts'
import { TERMINATED } from './session/session-timers.ts'
import { SharedStats } from './shared-stats.ts'
import { StatementStats } from './statistics/statement-stats.ts'
import type { Tracing } from './tracing/tracing.ts'

export interface CoordinatorOptions {
  readonly version: string
  readonly id: string
  /** The one database of the cluster, as clients name it. */
  readonly database: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls?: TlsFiles | undefined
  readonly authRules: readonly AuthRule[]
  /** By shard number. */
  readonly links: readonly AgentLink[]
  readonly commits: CommitDriver
  /** How long outcomes of transactions can be asked for. */
  readonly outcomesKeptMs?: number
  readonly log: Logger
  readonly listenerLimits?: Partial<ListenerLimits>
  readonly limits?: Partial<NodeLimits>
  /** What sessions may make this node keep; default: by what the machine has. */
  readonly memory?: Partial<MemoryLimits>
  /** Statements that take as long as this are told in the log; default: none. */
  readonly logMinDurationMs?: number | undefined
  readonly planCache?: { readonly entriesMax: number; readonly textBytesMax: number }
  /** Program of a thread that plans long texts (long-texts/thread.ts), bundled; default: they hold this one. */
  readonly textProgram?: URL
  /** Who collects what is told of each statement; default: nobody. */
  readonly tracing?: Tracing | undefined
  /** With shards that are lost while it starts: they come back, as they do later. */
  readonly patience?: Patience
}

export interface Coordinator {
  readonly port: number
  readonly sessions: number
  info(): CoordinatorInfo
  readonly operator: Operator
  readonly statistics: StatementStats
  readonly events: CoordinatorBus
  /** Stops accepting, tells the clients, ends their transactions. */
  stop(): Promise<void>
}

export interface CoordinatorInfo {
  readonly id: string
  readonly sessions: number
  readonly mapVersion: number
  readonly openTransactions: number
  readonly waitingTransactions: number
  readonly pinnedSessions: number
  readonly planCache: PlanCacheStats
  /** Texts that were parsed or planned by a thread of their own. */
  readonly longTexts: number
  readonly commits: CommitCounters & { readonly inFlight: number }
  /** Consistent snapshots of several shards: taken, the statements they served, and tries that came to nothing. */
  readonly cuts: CutCounters
  /** What this node keeps for its sessions, in bytes. */
  readonly memory: MemoryLimits & { readonly usedBytes: number; readonly refusals: number }
  /** Transactions ended to break deadlocks over shards. */
  readonly deadlockVictims: number
}

const LISTENER_LIMITS: ListenerLimits = {
  sessionsMax: 1000,
  startupTimeoutMs: 60_000,
  startupBytesMax: 10_000,
}
const NODE_LIMITS: NodeLimits = { fenceTimeoutMs: 10_000, frameBytesMax: 256 << 20 }
const PLAN_CACHE = { entriesMax: 5_000, textBytesMax: 32 << 20 }
/** A third of the transactions' share is kept for single statements; half of that may go to those over several shards. */
const STATEMENTS_SHARE = 6
/** Their numbers come again when all have been given; none is in use for long. */
const CONNECTIONS_MAX = 1 << 20
/** Until the agents have told how many they allow. */
const TRANSACTIONS_AT_FIRST = 4
const untold: Patience = { waiting: () => {} }

/** Starts a coordinator on links that are up: installs what the shards need, loads the catalog, accepts clients. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  useParser(await ParserSupply.open())
  const internal = options.links.map((link, i) => new InternalConnection(link, i + 1))
  const home = internal[HOME]!
  const catalogs = await untilReached(options.patience ?? untold, async () => {
    await install(internal)
    return CatalogStore.open(home, options.links.length, new TypeNumbers(internal, options.log))
  })
  const sessions = new Set<ClientSession>()
  const signal: LinkEvents['signal'] = (pid, verb, secret) => {
    if (secret !== undefined) return void listener.cancelKeys.cancel(pid, Buffer.from(secret, 'base64'))
    for (const session of sessions) if (session.sessionId === pid) signalled(session, verb)
  }
  const abortsLeft = (txnIds: readonly string[]): void => options.commits.abortsLeft(txnIds)
  const node = makeNode(options, catalogs, { signal, abortsLeft })
  const { id: coordinatorId, links, log } = options
  logCommits(options.commits.events, log)
  const deadlocks = new DeadlockDetector({ coordinatorId, links, log, sessions: () => sessions })
  const texts = options.textProgram && new TextThread(options.textProgram)
  const planner = new Planner(options.planCache ?? PLAN_CACHE, texts, node.statistics)

  const onSession = (context: SessionContext): void => {
    if (context.database !== options.database) return refuseDatabase(context, options.database)
    const sessionId = context.pid
    let session: ClientSession
    const onClosed = () => sessions.delete(session)
    try {
      session = new ClientSession({ ...context, node, planner, sessionId, onClosed })
    } catch (error) {
      return refuse(context, error)
    }
    sessions.add(session)
    context.onCancel(() => session.cancel())
    void session.start()
  }
  const listener = new Listener({
    ...options.listen,
    tls: options.tls,
    limits: { ...LISTENER_LIMITS, ...options.listenerLimits },
    authRules: options.authRules,
    lookupVerifier: (user) => lookupRole(home, user),
    cancel: (pid, secret) => passOn(links[HOME]!, pid, secret),
    ...{ onSession, log, mockSecret: randomBytes(32) },
  })
  await listener.listen()
  const operator = operatorOf(options, catalogs, home, listener, onSession)
  const shared = new SharedStats(node.statistics, (sql) => operator.onShard(HOME, sql), log)
  return {
    operator,
    statistics: node.statistics,
    get port() {
      return listener.port
    },
    get sessions() {
      return sessions.size
    },
    info: () => infoOf(node, options, sessions.size, planner, texts, deadlocks),
    events: options.commits.events,
    stop: async () => {
      listener.drain()
      for (const part of [deadlocks, node.cuts, node.outcomes, shared, operator]) part.stop()
      texts?.stop()
      for (const session of sessions) session.shutDown()
      await listener.close()
      for (const connection of internal) connection.close()
    },
  }
}

function infoOf(
  node: CoordinatorNode,
  { commits }: CoordinatorOptions,
  sessions: number,
  planner: Planner,
  texts: TextThread | undefined,
  deadlocks: DeadlockDetector,
): CoordinatorInfo {
  return {
    id: node.id,
    sessions,
    mapVersion: node.catalogs.current.version,
    openTransactions: node.tickets.inUse,
    waitingTransactions: node.tickets.waitingCount,
    pinnedSessions: node.pins.inUse,
    planCache: planner.stats,
    longTexts: texts?.taken ?? 0,
    commits: { ...commits.counters, inFlight: commits.inFlight },
    cuts: node.cuts.counters,
    memory: { ...node.memory.limits, usedBytes: node.memory.used, refusals: node.memory.refusals },
    deadlockVictims: deadlocks.victims,
  }
}

/** A client may send its CancelRequest to any coordinator, as behind a load balancer: the home agent knows all of them. */
function passOn(home: AgentLink, pid: number, secret: Buffer): void {
  home.control({ kind: 'signal', pid, verb: 'cancel', secret: secret.toString('base64') }).catch(() => {
    // It is told nothing, as always; and a cancel that cannot be sent cancels nothing.
  })
}

/** Somebody who may has asked for it. */
function signalled(session: ClientSession, verb: SignalVerb): void {
  if (verb === 'cancel') session.cancel()
  else session.fatal(TERMINATED)
}

/** Brings schema weft up to date on every shard; home last, since it refers to what the others have. */
async function install(internal: readonly InternalConnection[]): Promise<void> {
  const slots = evenSlots(internal.length)
  for (const [shard, connection] of internal.entries()) {
    await connection.query(installSql({ shard, slots: shard === HOME ? slots : [] }))
  }
  await guardSlots(internal)
}

/** Sharded tables of a cluster that is older than the guard. */
async function guardSlots(internal: readonly InternalConnection[]): Promise<void> {
  const home = internal[HOME]!
  const tables = (await home.query(shardedTablesSql)).rows.map(([name, keyColumn, keyType]) => ({
    name: name!,
    keyColumn: keyColumn!,
    keyType: keyType as KeyType,
  }))
  if (tables.length === 0) return
  const { rows } = await home.query('SELECT slot_from, slot_to, shard FROM weft.slots ORDER BY 1')
  const slots = rows.map(([from, to, shard]) => ({
    from: Number(from),
    to: Number(to),
    shard: Number(shard),
  }))
  for (const [shard, connection] of internal.entries()) {
    await connection.query(
      guardMissing(
        tables,
        slots.filter((range) => range.shard === shard),
      ),
    )
  }
}

function makeNode(
  options: CoordinatorOptions,
  catalogs: CatalogStore,
  told: Pick<LinkEvents, 'signal' | 'abortsLeft'>,
): CoordinatorNode {
  const limits = { ...NODE_LIMITS, ...options.limits }
  const tickets = new TxnTickets(TRANSACTIONS_AT_FIRST)
  const statementTickets = new TxnTickets(0)
  const quotas = options.links.map(() => Number.POSITIVE_INFINITY)
  // A pinned session holds a backend for as long as it likes: one less for transactions.
  const divide = () => {
    const least = Math.min(...quotas)
    if (!Number.isFinite(least)) return
    tickets.setLimit(least - pins.inUse)
    statementTickets.setLimit(Math.floor(least / STATEMENTS_SHARE), 0)
  }
  const pins = new TxnTickets(TRANSACTIONS_AT_FIRST, divide)
  const { links, log, commits } = options
  const schema = { epoch: 0 }
  const connect = connectsHome(links)
  const draws = new SequenceDraws(connect, schema)
  for (const link of links) {
    link.subscribe({
      mapVersion: (_shard, version) => {
        catalogs.reload(version).catch((err: unknown) => log.warn({ err }, 'the catalog could not be loaded'))
      },
      quota: (shard, transactionsMax) => {
        quotas[shard] = transactionsMax
        const least = Math.min(...quotas)
        if (Number.isFinite(least)) pins.setLimit(Math.floor(least / 2))
        divide()
      },
      up: (shard) => log.info({ shard }, 'shard is up'),
      down: (shard, why) => {
        commits.linkLost()
        // What is set from now on nobody could tell us.
        if (shard === HOME) draws.forget()
        log.warn({ shard, why }, 'shard is down')
      },
      ...told,
      news: (what) => {
        if (what === 'schema') schema.epoch++
        else draws.forget()
        return undefined
      },
    })
  }
  return {
    version: options.version,
    id: options.id,
    shardCount: links.length,
    links,
    catalogs,
    tickets,
    statementTickets,
    pins,
    commits,
    outcomes: outcomesOf(options, connect()),
    cuts: new CutDriver({ links, commits, clock: commits.clock, events: commits.events }),
    draws,
    schema,
    log,
    limits,
    memory: budgetOf(options),
    encodings: new Encodings(connect),
    statistics: new StatementStats(),
    slowMs: options.logMinDurationMs ?? Number.POSITIVE_INFINITY,
    tracing: options.tracing,
  }
}

/** Each connection has a number of its own, below those of sessions. */
function connectsHome(links: readonly AgentLink[]): (as?: ConnectedAs) => InternalConnection {
  let connections = 0
  return (as) => {
    const number = links.length + 1 + (connections++ % CONNECTIONS_MAX)
    return new InternalConnection(links[HOME]!, number, as)
  }
}

function outcomesOf(
  { commits, outcomesKeptMs = OUTCOMES_KEPT_MS }: CoordinatorOptions,
  home: InternalConnection,
): Outcomes {
  return new Outcomes({ log: commits.log, home, keptMs: outcomesKeptMs })
}

function operatorOf(
  { links, commits, database }: CoordinatorOptions,
  catalogs: CatalogStore,
  home: InternalConnection,
  { cancelKeys }: Listener,
  onSession: (context: SessionContext) => void,
): Operator {
  return new Operator({
    ...{ links, catalogs, database, cancelKeys, onSession, log: commits.log, cluster: commits.cluster },
    user: async () => (await home.query('SELECT current_user')).rows[0]![0]!,
    // One to each shard, with a number above those of `connectsHome`.
    connect: (shard) => new InternalConnection(links[shard]!, links.length + 1 + CONNECTIONS_MAX + shard),
  })
}

function budgetOf({ memory, log }: CoordinatorOptions): MemoryBudget {
  const limits = { ...defaultMemoryLimits(), ...memory }
  const nodeMb = limits.nodeBytes >> 20
  if (!fitsHeap(limits))
    log.warn({ nodeMb }, 'coordinator.memory.nodeMb is more than a third of the heap: see NODE_OPTIONS')
  return new MemoryBudget(limits)
}

async function lookupRole(home: InternalConnection, user: string): Promise<RoleLogin> {
  const name = user.replaceAll("'", "''")
  const { rows } = await home.query(
    `SELECT rolpassword, rolcanlogin, extract(epoch FROM rolvaliduntil) FROM pg_catalog.pg_authid
     WHERE rolname = E'${name.replaceAll('\\', '\\\\')}'`,
  )
  const [row] = rows
  if (row === undefined) return { exists: false, canLogin: false }
  const [verifier, canLogin, validUntil] = row
  const until = Number(validUntil)
  return {
    exists: true,
    canLogin: canLogin === 't',
    ...(verifier === null || verifier === undefined ? {} : { verifier }),
    ...(validUntil === null || !Number.isFinite(until) ? {} : { validUntil: new Date(until * 1000) }),
  }
}

function refuseDatabase(context: SessionContext, served: string): void {
  refuse(
    context,
    new PgError({
      severity: 'FATAL',
      code: '3D000',
      message: `database "${context.database}" does not exist`,
      hint: `A Weft cluster serves one database: "${served}".`,
    }),
  )
}

function refuse(context: SessionContext, error: unknown): void {
  const fields = error instanceof PgError ? error.fields : { code: 'XX000', message: String(error) }
  closeGently(context.socket, errorResponse({ ...fields, severity: 'FATAL' }))
}
