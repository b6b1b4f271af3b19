/**
 * What a coordinator and a shard agent say to each other, as an interface. In one process it is a direct call
 * (`embedded/`); between processes it is carried by `protocol/mux`. Neither side knows which.
 */
import type { PgError } from '../errors/pg-error.ts'

/** HLC value: 48 bits of milliseconds, 16 bits of counter. */
export type Timestamp = bigint

/** The session settings a backend must have before it runs a statement. Interned: equal settings are one object. */
export interface Settings {
  readonly id: number
  /** One simple Query that turns a backend after RESET ALL into this state ('' for none). */
  readonly sql: string
  /**
   * Equal for settings under which the same text means the same; a backend's plans are kept from one to the other. Absent:
   * all of `sql` counts.
   */
  readonly meaning?: string | undefined
  /**
   * Present: what runs under them may have the backend compile code. Equal where names in it mean the same: a backend that
   * has compiled any under another will not do.
   */
  readonly codePath?: string | undefined
  /** What runs under them may leave in a backend what nothing takes away: nobody gets it after its session. */
  readonly spoils?: boolean | undefined
  /** Backslashes escape in plain quotes (`standard_conforming_strings` is off): no text with such a string is to be sent. */
  readonly escapes?: boolean
  /** Absent: it is about no custom settings. */
  readonly custom?: CustomNames | undefined
}

/** Names of custom settings (`my.name`), in lower case; '*' for such as nobody knows. */
export interface CustomNames {
  /** The settings give them a value, or let them have none any more: the session has had them. */
  readonly own: readonly string[]
  /** Others, which what runs under the settings may ask for: a backend that others had them on will not do. */
  readonly asks: readonly string[]
  /** Others, which what runs under the settings may set. */
  readonly sets: readonly string[]
}

/** A statement prepared on backends under a content-derived name. Interned per coordinator. */
export interface StatementRef {
  /** Server-side name: the same text, parameter types and search path give the same name everywhere. */
  readonly name: string
  /** The whole Parse message that creates it. */
  readonly parse: Buffer
}

/** As whom a backend connects. Backends are shared only among sessions of the same identity. */
export type BackendIdentity =
  /** Weft's own work (catalog, declarations' bookkeeping, recovery): the agent's administrative login. */
  | { readonly kind: 'internal' }
  | {
      readonly kind: 'client'
      readonly user: string
      /**
       * Keys recovered from the client's own SCRAM login, 32 bytes each: enough to log in to a shard that stores the
       * same verifier. Absent after a `trust` login: the agent then uses what it was configured with.
       */
      readonly scram?: { readonly clientKey: Buffer; readonly serverKey: Buffer }
    }

/** A shared session advisory lock that every connection of an agent holds: what is ours, and not the client's. */
export const CONNECTION_MARK = { classid: 0x77656674, objid: 1 } as const

/** Map version of statements that depend on no shard map: Weft's own. */
export const ANY_MAP_VERSION = -1

export interface ExecRequest {
  /** Shard map version the statement was planned on, or `ANY_MAP_VERSION`. */
  readonly mapVersion: number
  readonly settings: Settings
  /**
   * Opens the transaction on this shard first: one statement per entry (`BEGIN ISOLATION LEVEL …`, `SET LOCAL …`,
   * `SAVEPOINT …`). Their replies are swallowed; if one fails its error is the reply and the payload is not run.
   */
  readonly begin?: readonly string[]
  /**
   * Whether the transaction that the session has open on this shard goes on with it. What is told otherwise than the
   * backend is (a transaction that its session has forgotten, or one that is gone) is refused, and rolled back: no
   * statement runs in a transaction that nobody commits, or by itself in place of a part of one. Absent: nothing is said.
   */
  readonly within?: boolean | undefined
  /** Prepared statements that `payload` names; those the backend lacks are parsed first (replies swallowed). */
  readonly needs?: readonly StatementRef[]
  /**
   * Frontend messages that end in exactly one Sync, or are exactly one Query. COPY IN data follows by `copyData`.
   */
  readonly payload: Buffer
  /**
   * `read` passes straight; `write` in autocommit has its Sync sent under the gate; `commit` is a COMMIT and is
   * sent under the gate.
   */
  readonly access: 'read' | 'write' | 'commit'
  /**
   * Of a `write` in autocommit that is no DML. `apart`: one statement that may last, so its commit is always sent apart from
   * it, under the gate. `within`: it may commit in its midst, so it is sent whole, and never ended to be run again.
   */
  readonly commits?: 'apart' | 'within' | undefined
  /** Keep the backend for this session even when it comes back idle. */
  readonly pin: boolean
  /** After this the backend's settings are unknown: reset them before anyone else's use. */
  readonly taints: boolean
  /** Code that runs in it may change settings meanwhile: of plans that it makes nobody knows what they mean. */
  readonly unsettles?: boolean | undefined
  /** Runs on the backend that the session holds as it is: a look at what its statements have left there. */
  readonly asItIs?: boolean | undefined
  /** What it may do to the values of sequences that a session remembers: a mask of SEQUENCES; absent: nothing. */
  readonly sequences?: number | undefined
  /**
   * 0: forward every reply byte. Otherwise a mask of SWALLOW bits: the agent leaves those replies out.
   */
  readonly swallow: number
  /**
   * The statement gets its snapshot from a cut (DESIGN 5). Everything is made ready, then the sink is told `ready`;
   * the snapshot is taken under the hold of the cut that names the session, and the statement runs after its release.
   * The payload must be of the extended protocol, with one Bind; ParseComplete and BindComplete are left out.
   * `statement`: the snapshot is that of the Bind. With a Close right ahead of that, and nothing between Bind and
   * Execute, it is a DECLARE of the portal that is closed: its snapshot is that of its Execute, which waits for nobody,
   * once it was executed while it was made ready; under the hold it is closed and executed again, and not answered.
   * `transaction`: `begin` opens a transaction whose snapshot is that of
   * its first statement, so Parse comes under the hold too, and a second try begins the transaction again.
   * `execution`: the snapshot is that of its Execute, after the Bind and after the release; the hold lasts on until the
   * statement says that it has begun (sql/plan/begun-text.ts), or has ended. When the hold ended before, so does the
   * statement, with 40001.
   */
  readonly cut?: 'statement' | 'transaction' | 'execution' | undefined
  /**
   * The session has seen what is committed at or below this on other shards: what is prepared here at or below it is
   * waited for, unless this is a commit; and no cut has what it commits without what it has seen.
   */
  readonly seen?: Timestamp | undefined
  /**
   * With `seen`: nothing of this coordinator's transactions that it has not decided yet has taken effect anywhere, so
   * those that it prepared here over this link a moment ago need not be waited for.
   */
  readonly ownUnseen?: boolean | undefined
}

/** Replies that an exec may ask to have left out. */
export const SWALLOW_PARSE_COMPLETE = 1
export const SWALLOW_BIND_COMPLETE = 2
export const SWALLOW_NO_DATA = 4

/** What `lastval` and `currval` tell, as an exec may change it or ask for it. */
export const SEQUENCES = {
  /** It may draw from a sequence, or set one. */
  draws: 1,
  /** It may ask what the session has drawn. */
  reads: 2,
  /** Code asks Postgres itself, and not the functions of schema weft. */
  readsInCode: 16,
  /** The coordinator has drawn for the session, which Postgres does not know of. */
  drawnElsewhere: 32,
  /** From here on the session has drawn nothing. */
  forgets: 4,
  /** It draws for the session, which has the values by itself: those left in the backend are nobody's. */
  uses: 8,
  /** It may set a sequence, or change one: no matter of the agent's. */
  sets: 64,
  /** With `sets`: its text says so, or that of the code which it names; otherwise nobody can tell. */
  setsAsSaid: 128,
} as const

/** Where a session's replies go. All calls come in order; `data` with `ready !== 0` or `failed` ends an exec. */
export interface ReplySink {
  /**
   * Bytes as Postgres sent them. A message may be split over calls. `ready` is 0, or the status byte ('I', 'T', 'E')
   * of the ReadyForQuery that ends the exec and is the last message in `chunk`.
   */
  data(chunk: Buffer, ready: number): void
  /** Nothing (more) will come. `sent` tells whether any of it may have run, and stayed. */
  failed(error: PgError, sent: boolean): void
  /** Something that belongs to no exec: every NotificationResponse, a late ParameterStatus. */
  async(chunk: Buffer): void
  /** `copyData` returned false earlier; there is room again. */
  drained(): void
  /** An exec with `cut` waits for its cut now. May be said again when a cut came to nothing. */
  ready?(): void
  /** The backend that the session held has died while nothing ran: what it was pinned for is gone. */
  released?(): void
}

export interface PrepareOptions {
  /**
   * The transaction is SERIALIZABLE and touched other shards: it uses the shard's probe (DESIGN 6), so that Postgres
   * ends it, or whoever overwrites what it read, with 40001.
   */
  readonly probe?: boolean
  /**
   * It does not prepare: what is deferred is done, and it stays open. Its own commit is going to be the decision
   * (`commitLast`). Where it cannot be (code made it READ ONLY, or gave it one snapshot) it prepares all the same.
   */
  readonly last?: boolean
  /** Another participant's commit is the decision: it can be seen there before this coordinator knows of it. */
  readonly follows?: boolean
  /** Rows have left this shard, or come to it, by a change of their shard key (`moved`). */
  readonly moves?: boolean
}

export interface PrepareReply {
  readonly prepareTs: Timestamp
  /** With `last`: its `pg_current_xact_id()`; none when it has prepared. */
  readonly xid?: string
}

/** One client session's line to one shard. It has a backend only while it runs, is in a transaction, or is pinned. */
export interface AgentSession {
  /** One at a time: the next after the previous one ended. */
  exec(request: ExecRequest): void
  /** Raw frontend bytes (CopyData, CopyDone, CopyFail, Sync) for the running exec. False: wait for `drained`. */
  copyData(bytes: Buffer): boolean
  /** Postgres' cancel request for whatever runs now; nothing if idle. */
  cancel(): void
  /** Stops and restarts reading from the backend (the client is slow). */
  pause(): void
  resume(): void
  /**
   * PREPARE TRANSACTION; only in a transaction. The backend then serves others, unless it is pinned or its settings are
   * not known. Rejects with the shard's PgError (a synchronous-replication warning counts); then nothing is prepared, and
   * the backend is idle again, except when the error's code is 08006/57P01: unknown.
   */
  prepare(gid: string, options?: PrepareOptions): Promise<PrepareReply>
  /** COMMIT PREPARED under the gate; a repeated call for an applied gid succeeds only if this agent applied it. */
  commitPrepared(gid: string, commitTs: Timestamp): Promise<void>
  rollbackPrepared(gid: string): Promise<void>
  /**
   * `sql`, which creates the decision record, and COMMIT, under the gate; of what was prepared with `last`. Rejects with
   * the shard's PgError: it did not commit, and the backend is idle again, except when the code is 08006/57P01: unknown.
   */
  commitLast(gid: string, commitTs: Timestamp, sql: string): Promise<void>
  /** If what is prepared here commits, it does so at this timestamp. No answer: it only spares cuts a wait. */
  timestampFixed(gid: string, commitTs: Timestamp): void
  /** Rolls back when in a transaction, releases the backend (after DISCARD ALL when pinned); the session stays usable. */
  reset(): Promise<void>
  /** As `reset`, but a pinned backend stays with the session, and what it has there. */
  rollBack(): Promise<void>
  /**
   * Gives a pinned backend back that was looked at: nothing of the session is left in it but, perhaps, settings. Nothing
   * when it is in a transaction.
   */
  giveBack(): void
  /** True while a backend is held (in a transaction or pinned). */
  readonly holdsBackend: boolean
  /** `reset` without an answer, then gone. */
  close(): void
}

export interface AgentStatus {
  readonly shard: number
  readonly up: boolean
  readonly serverVersion: string
  /** Startup ParameterStatus values of the shard's backends (server_version, TimeZone, …). */
  readonly parameters: Readonly<Record<string, string>>
  readonly mapVersion: number
  readonly coordinators?: readonly string[]
  readonly poolSize: number
  readonly busy: number
  readonly idle: number
  readonly waiting: number
  readonly prepared: number
  /** Since when the one is prepared that is so for longest; 0: none. */
  readonly oldestPreparedSeconds: number
  /** Transactions that cannot be settled without a person, by gid or, if only in the log, by transaction id. */
  readonly problems?: readonly { readonly gid: string; readonly why: string }[]
  readonly error?: string
}

/** Requests that belong to no session. All are idempotent. */
export type ControlRequest =
  | { readonly kind: 'status' }
  /**
   * Before a transaction that changes the map commits: wait until no statement planned on an older version runs
   * (those blocked by `blockers`' backends are cancelled as stale), and hold newcomers with older versions.
   */
  | {
      readonly kind: 'fence'
      readonly token: string
      readonly version: number
      readonly sessions: readonly number[]
      /** It ends by itself after that. */
      readonly timeoutMs: number
      /** How long newcomers may be held for older statements to end; then it fails with 55P03. Default: `timeoutMs`. */
      readonly holdMs?: number
    }
  /** Waits until what runs now, and was planned before `version`, has ended (as for a fence), and holds nobody meanwhile. */
  | {
      readonly kind: 'drain'
      readonly version: number
      readonly sessions: readonly number[]
      readonly timeoutMs: number
    }
  /** Ends the fence: committed → older versions are refused as stale from now on, and everyone is told. */
  | { readonly kind: 'unfence'; readonly token: string; readonly committed: boolean }
  /**
   * Takes part in a cut: holds commits, and takes the snapshots of the sessions named, which were `ready`. Ids rise
   * from cut to cut of a coordinator. The same id again, with a higher timestamp, after `behind`.
   */
  | {
      readonly kind: 'cut'
      readonly id: number
      /** A Timestamp in decimal: requests must fit into JSON. */
      readonly ts: string
      readonly leaseMs: number
      readonly sessions: readonly number[]
      /** Gids of prepared transactions that, if they commit, do so above `ts`. */
      readonly outside?: readonly string[]
      /** Gids of those prepared here that no shard was told to commit, nor is before the cut is over. */
      readonly untold?: readonly string[]
    }
  /**
   * Ends the hold. `go`: the cut was taken on every shard, its sessions' statements run now; those with `execution` keep
   * the hold until they have begun.
   */
  | { readonly kind: 'release'; readonly id: number; readonly go: boolean }
  /** Statements with `weft.begun_behind(key)` wait here, once they have begun, while that latch is shut. */
  | { readonly kind: 'latch'; readonly key: number; readonly shut: boolean }
  /** Defaults of roles or databases have changed: who comes next gets a backend that was started afterwards. */
  | { readonly kind: 'renew' }
  /**
   * The other coordinators are told (`LinkEvents.news`), and have heard of it when this is answered; who does not say so
   * within a second is not waited for.
   */
  | { readonly kind: 'news'; readonly what: News }
  /** Between processes: what the coordinator was told under this number it has heard. */
  | { readonly kind: 'heard'; readonly id: number }
  /**
   * The highest timestamp of a commit here by which rows changed their shard. Whoever waited for such a row where it was has
   * found it gone, and one with a snapshot from before does not see it where it is.
   */
  | { readonly kind: 'moved' }
  /** Which sessions, of all coordinators, wait on this shard for which others. `now`: waits that began just now too. */
  | { readonly kind: 'waits'; readonly now?: boolean }
  /** The client sessions of all coordinators, and what Postgres' view shows of their backends on this shard. */
  | { readonly kind: 'sessions'; readonly view?: 'pg_stat_activity' | 'pg_locks' | undefined }
  /**
   * Asks the session's coordinator to cancel what it runs, or to end it. With `secret` (base64) it is a client's
   * CancelRequest that came to a coordinator which has no such session: whoever has one with that key.
   */
  | {
      readonly kind: 'signal'
      readonly coordinatorId?: string | undefined
      readonly pid: number
      readonly verb: SignalVerb
      readonly secret?: string | undefined
    }

/**
 * What a coordinator did that others must know of. `schema`: objects may have other columns now, what is prepared may be out
 * of date. `sequences`: a sequence may have been set, what was drawn ahead is nobody's any more.
 */
export type News = 'schema' | 'sequences'

export type SignalVerb = 'cancel' | 'terminate'
export type SignalRequest = Extract<ControlRequest, { readonly kind: 'signal' }>

/** A client session as an agent knows it. */
export interface ClientSessionInfo {
  readonly coordinatorId: string
  /** That of its BackendKeyData. */
  readonly pid: number
  readonly user: string
  /** Rows of the view that was asked for, as JSON objects, as long as it has a backend here. */
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

export interface CutAnswer {
  readonly kind: 'cut'
  readonly id: number
  /** That of the request. */
  readonly ts: string
  /**
   * `taken`: the snapshots are, and commits are held until the release or the end of the lease. `behind`: `highest` is
   * the timestamp of a commit that was applied already; the cut stays active and wants a higher one. `busy`: not now.
   * `expired`: too late, or overtaken by a later request.
   */
  readonly result: 'taken' | 'behind' | 'busy' | 'expired'
  readonly highest?: string
  /** `busy`: not within that time. `taken`: commits met the hold, and the next cut leaves them that time; 0: none did. */
  readonly afterMs?: number
  readonly why?: string
}

export type ControlReply =
  | { readonly kind: 'ok' }
  | { readonly kind: 'status'; readonly status: AgentStatus }
  /** A Timestamp in decimal; 0: none. */
  | { readonly kind: 'moved'; readonly ts: string }
  | { readonly kind: 'waits'; readonly edges: readonly WaitEdge[] }
  | { readonly kind: 'sessions'; readonly sessions: readonly ClientSessionInfo[] }
  | CutAnswer

/** A session of some coordinator, as a wait on one shard shows it. */
export interface WaitParty {
  readonly coordinatorId: string
  readonly sessionId: number
  /** Its backend's. */
  readonly pid: number
  /** When its transaction on this shard began: milliseconds since 1970; 0 when it is prepared. */
  readonly startedMs: number
  /** What it does here lasts to the end of a transaction block, not just of a statement. */
  readonly isInBlock: boolean
  readonly user: string
  /** The statement it runs, or ran last. */
  readonly query: string
}

/** One session waits for a lock that another has, or has asked for before. */
export interface WaitEdge {
  readonly waiter: WaitParty
  readonly blocker: WaitParty
  /** As Postgres names them: `ShareLock`, `transaction 756`. */
  readonly mode: string
  readonly lock: string
  /** When this very wait began, by the shard's clock: the same text means the same wait. */
  readonly since: string
}

export interface LinkEvents {
  /** The agent knows this map version now. */
  mapVersion(shard: number, version: number): void
  /** How many transactions this coordinator may have open at a time (pool size over connected coordinators). */
  quota(shard: number, transactionsMax: number): void
  up(shard: number): void
  down(shard: number, why: string): void
  /** Somebody who may wants a session of this coordinator cancelled, or ended. */
  signal?(pid: number, verb: SignalVerb, secret?: string): void
  /** Aborts in the log of transactions of this coordinator, a while after recovery created them. */
  abortsLeft?(txnIds: readonly string[]): void
  /** Of another coordinator, or `schema` of a backend that met a plan which no longer fits. Resolves when it is heard. */
  news?(what: News): Promise<void> | undefined
}

export interface AgentLink {
  readonly shard: number
  /**
   * Id of this coordinator on this link is part of the link. `sessionId` is unique per link; `knownAs` is what waits
   * call the session, the same on every link (default: `sessionId`).
   */
  open(sessionId: number, identity: BackendIdentity, sink: ReplySink, knownAs?: number): AgentSession
  control(request: ControlRequest): Promise<ControlReply>
  subscribe(events: LinkEvents): void
  readonly isUp: boolean
  /** At the end of an exec at least the highest timestamp of a cross-shard commit that it can have seen. */
  readonly appliedTs: Timestamp
  close(): Promise<void>
}
