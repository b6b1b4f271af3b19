import type { PgError } from '../../errors/pg-error.ts'
import type { AgentLink, BackendIdentity, Settings, StatementRef } from '../../protocol/agent-link.ts'
import type { BindMessage } from '../../protocol/wire/frontend-messages.ts'
import type { Catalog } from '../../sql/catalog.ts'
import type { CustomUse } from '../../sql/code/custom-settings.ts'
import type { Effects } from '../../sql/code/effects.ts'
import type { Reach } from '../../sql/code/overreach.ts'
import type { ToldContext } from '../../sql/plan/gather/gather-plan.ts'
import type { Plan, PreparedPlan, SessionPidsPlan, TimePlace } from '../../sql/plan/plan.ts'
import type { Encodings } from '../catalog/encoding-tables.ts'
import type { CommitDriver } from '../commit/commit.ts'
import type { Outcomes } from '../commit/outcomes.ts'
import type { CutDriver } from '../cuts/cut-driver.ts'
import type { MemoryBudget, SessionMemory } from '../memory/memory-budget.ts'
import type { SessionSettings } from '../settings/settings.ts'
import type { TimeLimits } from '../settings/time-limits.ts'
import type { StatementStats } from '../statistics/statement-stats.ts'
import type { SessionTracing } from '../tracing/session-tracing.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { ClientOutput } from './answers/client-output.ts'
import type { OpenPortal } from './answers/open-portal.ts'
import type { LineNumbers } from './answers/row-types.ts'
import type { Trace } from './explain/trace.ts'
import type { KeySlots } from './plans/key-slots.ts'
import type { SequenceDraws } from './sequences/sequence-draws.ts'
import type { ShardLine } from './shards/shard-line.ts'
import type { Causal } from './transaction/causal.ts'
import type { DrawnValues } from './transaction/drawn-values.ts'
import type { TxnTickets } from './transaction/tickets.ts'
import type { Transaction, TransactionModes } from './transaction/transaction.ts'

/** The shard that holds local tables, catalogs and sequences. */
export const HOME = 0

/** Every shard but that. */
export function shardsBesideHome(shardCount: number): number[] {
  return Array.from({ length: shardCount - 1 }, (_, i) => HOME + 1 + i)
}

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface CatalogSource {
  readonly current: Catalog
  readonly typeNumbers: LineNumbers
  /** Loads again until the version is at least `minVersion`. */
  reload(minVersion: number): Promise<Catalog>
  /** Reads what was locked, if it is free now. */
  again(): Promise<void>
  /** Whether home has a newer version than this one. */
  hasNewer(version: number): Promise<boolean>
}

/** What all sessions of a node share. */
export interface CoordinatorNode {
  readonly version: string
  readonly id: string
  readonly shardCount: number
  readonly links: readonly AgentLink[]
  readonly catalogs: CatalogSource
  readonly tickets: TxnTickets
  /** Of reads over several shards outside of transactions, which are short; none: they take the others'. */
  readonly statementTickets: TxnTickets
  /** For sessions that keep a backend of their own (LISTEN, temporary tables): half of what a shard has for the node. */
  readonly pins: TxnTickets
  readonly commits: CommitDriver
  readonly outcomes: Outcomes
  readonly cuts: CutDriver
  readonly draws: SequenceDraws
  /** Rises with every DDL statement that runs here, and when its transaction ends: descriptions may be outdated. */
  readonly schema: { epoch: number }
  readonly log: Logger
  readonly limits: NodeLimits
  readonly memory: MemoryBudget
  readonly encodings: Encodings
  readonly statistics: StatementStats
  /** Statements that take as long as this are told in the log. */
  readonly slowMs: number
  /** Undefined: nobody collects what it would tell. */
  readonly tracing: Tracing | undefined
}

export interface NodeLimits {
  /** How long a change of the shard map waits for statements planned on the old one. */
  readonly fenceTimeoutMs: number
  /** Bytes of a message from a client. */
  readonly frameBytesMax: number
}

/** One statement about to run: its plan, and where its values come from. */
export interface Execution {
  readonly plan: Plan
  /** The statement, without the rest of a multi-statement message. */
  readonly text: string
  /** As the client wrote it, where the text is another one that has the same columns; by it they are described. */
  readonly asked?: string | undefined
  /** Its columns, where those of the text may be others. */
  readonly origins?: OpenPortal['origins']
  /** A whole Query message that holds just this statement; the payload when it is forwarded as written. */
  readonly frame: Buffer | undefined
  /** Extended protocol only. */
  readonly bind: BindMessage | undefined
  /** Types declared in Parse. */
  readonly paramTypes: readonly number[]
  /** Prepared under this name on backends that have it; undefined: parsed anew. */
  readonly ref: StatementRef | undefined
  /** Reads shard key values from the text's literals or the bound parameters. */
  readonly keys: KeySlots
  /** The client expects a RowDescription ahead of the rows. */
  readonly wantsRowDescription: boolean
  /** Execute's row limit, 0 for none. */
  readonly maxRows: number
  /** Its rows are taken in parts, or later: backends keep it under a name. Undefined: all at once, and nothing stays. */
  readonly portal?: OpenPortal | undefined
  /** It is not to run yet. */
  readonly bindsOnly?: boolean
}

/** Statements that the client has bound, by portal, as far as executors care. */
export interface BoundNames {
  has(name: string): boolean
  /** What it is of, when it has given all its rows. */
  spent(name: string): { readonly text: string; readonly paramTypes: readonly number[] } | undefined
  delete(name: string): boolean
  clear(): void
  /** Forgets those bound since. */
  backTo(made: number): void
}

/** Statement-level state of a session that executors read and change. */
export interface SessionState {
  readonly user: string
  readonly database: string
  /** Lines whose backends the session keeps. */
  readonly kept: Set<ShardLine>
  /** What keeps the statement under way back on some shards (`Latch`): opened when the client leaves in the midst. */
  latch: { open(): Promise<void> } | undefined
  /** What the statement under way may leave on the backends it runs on. */
  leaving: Effects
  /** What fetching from the open cursors may leave. */
  cursorsLeave: Effects
  /** What fetching from the open cursors may read. */
  cursorsReach: Reach | undefined
  /** What the statement under way may do with sequences, and fetching from the open cursors (`SessionEffects`). */
  sequences: number
  cursorSequences: number
  readonly drawn: DrawnValues
  /** What runs may have code compiled (`SessionEffects`). */
  compiles: boolean
  /** What the statement under way does with custom settings, and fetching from the open cursors. */
  custom: CustomUse | undefined
  cursorsCustom: CustomUse
  /** Custom settings that statements since the last look at their backends may have set. */
  readonly maySetNames: Set<string>
  /** The session has seeded random(), on a backend that it keeps. */
  seeded: boolean
  /** Code has left what nothing takes away, on backends that it keeps. */
  lasting: boolean
  /** Names of the session's temporary relations. */
  tempTables: ReadonlySet<string>
  /** Names of what is temporary, where any of it runs code. */
  tempCode: readonly string[]
  /** Portals that backends have under their names: cursors of SQL, and what the client has bound. */
  readonly cursors: Map<string, OpenPortal>
  readonly bound: BoundNames
  /** Portals of both kinds so far: tells what was there when a savepoint was set. */
  portalsMade: number
  /** The client was asked for COPY data since the last Sync. */
  copyOpened: boolean
  /** NOTIFYs of the running transaction, sent when it commits. */
  readonly notifications: string[]
  /** EXPLAIN ANALYZE runs a statement, and tells how. */
  trace: Trace | undefined
}

/** Takes COPY data from the client. */
export interface CopyFeed {
  /** False: what the client sends next is not for it. */
  readonly isOpen: boolean
  /** One message of the client while COPY FROM STDIN reads; a promise: wait before the next. */
  message(type: number, buffer: Buffer, start: number, end: number): void | Promise<void>
  /** No more messages are there right now. */
  flush(): void | Promise<void>
  /** A message was not taken in: the COPY fails, and what the client still sends is ignored. */
  refuse(error: PgError, line?: number): void | Promise<void>
}

/** What an executor may use of the session it works for. */
export interface ExecContext {
  readonly node: CoordinatorNode
  readonly tx: Transaction
  readonly settings: SessionSettings
  readonly timers: { readonly limits: TimeLimits }
  /** When the message that is worked on came, microseconds. */
  readonly times: { readonly messageUs: number }
  readonly memory: SessionMemory
  readonly tracing: SessionTracing | undefined
  readonly out: ClientOutput
  readonly state: SessionState
  /** Id of the session on every link. */
  readonly sessionId: number
  /** As whom it logs in to the shards. */
  readonly identity: BackendIdentity
  line(shard: number): ShardLine
  /** Map version that the statement under way was planned on. */
  planVersion: number
  /** Settings that a backend must have now. */
  currentSettings(): Settings
  /** The catalog as the session sees it, its own uncommitted changes included. */
  catalog(): Promise<Catalog>
  searchPath(): readonly string[]
  /** Starts an implicit transaction unless one is open, and waits for its turn to hold backends. */
  needTransaction(modes?: TransactionModes): Promise<void>
  /**
   * Waits until an open transaction may hold backends, and opens its snapshot if it is to have one throughout. `looks`:
   * false for what takes none in Postgres either, SET and SHOW.
   */
  admit(looks?: boolean): Promise<void>
  /** Waits for work that is no exec of the session's, until that is done or the statement is to end. */
  untilCancelled<T>(work: Promise<T>): Promise<T>
  /** Waits until a statement by itself may hold backends on several shards; call the answer when it does no longer. */
  admitStatement(): Promise<() => void>
  /** Transactions have one snapshot from their first statement on: REPEATABLE READ, SERIALIZABLE. */
  readonly hasTransactionSnapshots: boolean
  readonly causal: Causal
  /** SQL-level PREPARE, EXECUTE, DEALLOCATE; what names backends, and runs as another text too. */
  runPrepared(exec: Execution, plan: PreparedPlan | SessionPidsPlan): Promise<void>
  /** With one time for all shards, and for all statements of the transaction, where the plan says. */
  runTimed(exec: Execution, times: readonly TimePlace[]): Promise<void>
  /** Postgres, or Weft, waits for COPY data: the client's messages go to `feed` while it is open. */
  readCopy(feed: CopyFeed): void
  /** Names and texts mean what they do under the settings as they are now. */
  settingsChanged(): void
  /** Sends the client the current value of every reported parameter that may have changed. */
  reportParameters(): Promise<void>
  /** DISCARD ALL: prepared statements, settings, pins, cursors. */
  discardSession(): Promise<void>
  /** Plans another statement text for this session; with what was `told` (see PlanContext) one of its own again. */
  planText(text: string, paramTypes: readonly number[], told?: ToldContext): Promise<Plan>
}
