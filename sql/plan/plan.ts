import type { PgError } from '../../errors/pg-error.ts'
import type { KeyType, Relation } from '../catalog.ts'
import type { Reach } from '../code/overreach.ts'
import type { CopyPlan } from './copy-plan.ts'
import type { CursorPlan, FetchStep } from './cursor-plan.ts'
import type { ExplainOption, ExplainPlan } from './explain-plan.ts'
import type { FirstStep } from './first/first-step.ts'
import type { GatherContext, GatheredStep, GatherStep, ListStep } from './gather/gather-plan.ts'
import type { HomeFirstStep } from './home-first.ts'
import type { Known } from './known.ts'
import type { MaterializePlan } from './materialize-plan.ts'
import type { SessionEffects } from './session-effects.ts'
import type { TimePlace, TimeWord } from './times/time-place.ts'

export type { CursorPlan, ExplainOption, ExplainPlan, FetchStep, SessionEffects, TimePlace, TimeWord }

/** A value that picks a slot; it is read from each execution's own text or parameters. */
export type ValueSource =
  /** The n-th literal (0-based) that `sql/lex` found in the text; `negate` when a unary minus stands before it. */
  | { readonly kind: 'literal'; readonly index: number; readonly negate: boolean }
  /** Parameter $number. */
  | { readonly kind: 'param'; readonly number: number }
  /** A keyword constant: true, false, or NULL. */
  | { readonly kind: 'constant'; readonly value: 'true' | 'false' | null }

export interface KeyValue {
  readonly source: ValueSource
  /** Type name of an explicit cast around it (`$1::bigint` → `int8`); conversion to the key type follows. */
  readonly castTo?: string
}

/** The rows a statement touches in one sharded table (or one class of tables joined on their keys). */
export interface KeyRestriction {
  readonly keyType: KeyType
  /** The key equals one of these; a NULL among them matches nothing. */
  readonly values: readonly KeyValue[]
  /**
   * An INSERT stores the value: it is converted by assignment (5.5 becomes 6, and `typmod` of the column applies), so
   * "matches nothing" is no answer here, and NULL is an error.
   */
  readonly assigned?: { readonly typmod?: number; readonly notNull?: true }
}

export type Route =
  /** The home shard (local tables, catalogs, no table at all). */
  | { readonly kind: 'home' }
  /** Any shard: reference tables only. */
  | { readonly kind: 'any' }
  /**
   * The shards that own the restrictions' slots. With `spread`, all must come out as the same single shard, else that
   * is the error.
   */
  | { readonly kind: 'keys'; readonly restrictions: readonly KeyRestriction[]; readonly spread?: PgError }
  | { readonly kind: 'all' }
  /** The shard on whose row a cursor stands. */
  | { readonly kind: 'cursor'; readonly name: string }

export interface ShardedName {
  readonly table: string
  readonly key: string
}

/** What every plan says. */
export interface PlanCommon {
  /** Command tag word(s), e.g. `SELECT`, `INSERT`, `CREATE TABLE`. */
  readonly tag: string
  /** `write`: takes row locks or changes anything; its shards become participants and its commit passes the gate. */
  readonly access: 'read' | 'write'
  readonly effects: SessionEffects
  /** The statement returns rows (SELECT, RETURNING, SHOW, EXPLAIN, FETCH). */
  readonly returnsRows: boolean
  /** Number of the highest $n used. */
  readonly paramCount: number
  /**
   * Plan holds for every text with the same fingerprint. False when it depends on a literal's value, or on
   * literal positions: cached under the exact text only.
   */
  readonly generic: boolean
  /**
   * Parameters whose type cannot be told from this statement alone (used more than once, or in a place other than
   * `key = $n`): the executor asks Postgres (Describe) before it reads a key from one of these in binary form.
   */
  readonly paramsToDescribe: readonly number[]
  /** Cannot run inside a transaction block (VACUUM, CREATE INDEX CONCURRENTLY, …). */
  readonly outsideTransaction: boolean
  /**
   * Changes no row, and no snapshot shows what it does (VACUUM, ANALYZE, index builds): by itself it need not pass the
   * gate, where cuts would wait for it for as long as it takes.
   */
  readonly maintenance?: boolean
  /**
   * Of a write that commits by itself and is no DML, for whoever must not wait for it. `apart`: it may last, and its commit
   * can be sent apart, when it has run. `within`: it may commit in its midst, so what was begun cannot be undone.
   */
  readonly commits?: 'apart' | 'within' | undefined
  /** It runs code that may read or write tables which it does not name: what became of them is looked at afterwards. */
  readonly reach?: Reach | undefined
  /** Sharded tables of which it reads or writes rows; absent: none. */
  readonly sharded?: readonly ShardedName[] | undefined
  /** Where it tells a time that must be one for all shards and statements of the transaction. */
  readonly times?: readonly TimePlace[]
  readonly timeWords?: readonly TimeWord[]
}

/** Runs on one shard, forwarded byte for byte. With `keys` that name several shards: see `onSeveral`. */
export interface ForwardPlan extends PlanCommon {
  readonly kind: 'forward'
  readonly route: Route
  /** Sent in place of the text as written (sql/plan/dump-text.ts). */
  readonly sentAs?: string
  /** Parameters that an OFFSET names: over several shards all of them must be 0. */
  readonly skips?: readonly number[]
  /** What an UPDATE of one key's rows sets the key to: it must come out as the same. */
  readonly setsKey?: { readonly table: Relation; readonly value: KeyValue }
  /** Why it is not run as it is on each shard, for EXPLAIN. */
  readonly because?: string
  /** A rule has nothing done in its place; where that does not fire (session_replication_role) it must not write. */
  readonly doesNothing?: true
  /** Its row locks of reference tables are taken on all copies, in a transaction: on that of the route first. */
  readonly locksCopies?: true
  /**
   * What to do when the route comes out as more than one shard: run it as written on each and
   * `concat` the rows, `sum` the counts (with RETURNING rows concatenated), or refuse with the error.
   * `first`: reference tables, run everywhere, answer of the first shard.
   */
  readonly onSeveral:
    | { readonly kind: 'concat' | 'sum' | 'first' }
    | { readonly kind: 'aggregate'; readonly aggregate: AggregatePlan }
    | GatheredStep
    | FirstStep
    | ListStep
    | HomeFirstStep
    | { readonly kind: 'refuse'; readonly error: PgError }
}

/** SELECT of count/sum/min/max/avg over several shards. */
export interface AggregatePlan {
  /** Run on every shard with the client's parameters; one row of partial values. */
  readonly partialSql: string
  /** Parameters of `partialSql`, by their number in the client's statement (its $1 is partialParams[0]). */
  readonly partialParams: readonly number[]
  /**
   * Run on one shard over the partial rows. `__WEFT_PARTIALS__` stands for
   * `(VALUES ($1::t1, $2::t2, …), …)`; its columns are named c0, c1, … The types come from the partial rows'
   * RowDescription.
   */
  readonly combineSql: string
  readonly partialColumns: number
}

export interface InsertRow {
  /** Range of `( … )` in the statement text, end exclusive. UTF-16 offsets of the JS string. */
  readonly start: number
  readonly end: number
  readonly key:
    | KeyValue
    /** Another expression: evaluated by Postgres, then spliced in. Range of the expression. */
    | { readonly source: { readonly kind: 'expression'; readonly start: number; readonly end: number } }
    /** Omitted or DEFAULT: the column's default is evaluated on the home shard (NULL if it has none). */
    | { readonly source: { readonly kind: 'default' } }
  /** Range of each DEFAULT keyword that stands for a column in `fill` (index into `fill`). */
  readonly defaults: readonly { readonly fill: number; readonly start: number; readonly end: number }[]
  /**
   * The value in which the row can tell that its statement has begun (sql/plan/begun-rows.ts), and the type that it must be
   * cast to for that. Only when the plan `looks`; absent: no value will do.
   */
  readonly begins?: { readonly start: number; readonly end: number; readonly castTo?: string }
}

/**
 * INSERT … VALUES into a sharded table; also into a reference table (`table.kind`) that needs `fill` or `looks`: then
 * `keyType` and the rows' keys mean nothing, and the built text with all rows goes to every shard.
 */
export interface InsertPlan extends PlanCommon {
  readonly kind: 'insert'
  readonly table: Relation
  /** Why its rows must all be of one shard. */
  readonly onOneShard?: PgError
  readonly keyType: KeyType
  readonly rows: readonly InsertRow[]
  /**
   * Columns whose default the coordinator evaluates once per row on the home shard, because a shard's own sequence
   * would repeat values (also the shard key when it is omitted, and in reference tables every default that would
   * come out differently on each copy). Empty: rows can be forwarded as written.
   */
  readonly fill: readonly {
    readonly column: string
    readonly expression: string
    readonly isKey: boolean
    readonly appended: boolean
  }[]
  /** Its values, ON CONFLICT or RETURNING may read tables: on several shards all of them are to see one state. */
  readonly looks: boolean
  /** Where the column list's `)` stands, or where one `("a","b")` must be put; see `sql/plan/insert-text.ts`. */
  readonly columnList:
    | { readonly kind: 'explicit'; readonly closeAt: number }
    | { readonly kind: 'implicit'; readonly at: number; readonly columns: readonly string[] }
  /** Range of everything after the last row (ON CONFLICT, RETURNING): [tailStart, end of text). */
  readonly tailStart: number
  /** OVERRIDING must be added because an ALWAYS identity column is filled. */
  readonly overridingAt?: number
  /**
   * Of a plan that holds for other literals too: where those of the planned text end, from which all ranges are told in
   * another (sql/plan/insert-elsewhere.ts).
   */
  readonly literalEnds?: readonly number[]
}

/**
 * INSERT … SELECT where the SELECT reads no sharded table and the target is sharded. DEFAULT VALUES is a SELECT
 * without columns. All texts keep the client's parameter numbers; `tailSql` uses none.
 */
export interface InsertSelectPlan extends PlanCommon {
  readonly kind: 'insert-select'
  readonly table: Relation
  /** By which `tailSql` may name the table. */
  readonly alias?: string
  readonly keyType: KeyType
  /** Target columns in order of the SELECT's outputs; '': the value is ignored. */
  readonly columns: readonly string[]
  /** Of those that are parts of columns (`tags[1]`): as the statement writes them. */
  readonly written?: readonly (string | undefined)[]
  /** Where the query runs, when that is not the home shard: rows of sharded tables that may belong to others. */
  readonly source?: Route | GatherStep
  /** Text range of the SELECT (with its WITH clause, when that belongs to it). */
  readonly selectSql: string
  readonly fill: readonly { readonly column: string; readonly expression: string; readonly isKey: boolean }[]
  /** OVERRIDING SYSTEM VALUE must be said: the statement says so, or an ALWAYS identity column is filled. */
  readonly overriding?: boolean
  /** Text after the SELECT (ON CONFLICT … RETURNING …), empty when none. */
  readonly tailSql: string
  readonly hasReturning: boolean
}

/** A table to be declared sharded or reference, or taken back, in the running transaction. */
export type Declaration =
  | {
      readonly kind: 'sharded'
      readonly schema?: string
      readonly table: string
      readonly keyColumn: string
      /** A table name, `'none'`, or undefined for the default group of the key's type. */
      readonly colocateWith?: string
      readonly ifNotExists?: boolean
    }
  | {
      readonly kind: 'reference'
      readonly schema?: string
      readonly table: string
      readonly ifNotExists?: boolean
    }
  | { readonly kind: 'undistribute'; readonly schema?: string; readonly table: string }

/** DDL and other utility statements, run as written (or as rewritten here) on the home shard or on every shard. */
export interface DdlPlan extends PlanCommon {
  readonly kind: 'ddl'
  readonly where: 'home' | 'all'
  /** What the home shard runs; undefined: as written. `uncheckedSql`: once it has been found that it would do as written. */
  readonly homeSql?: string
  readonly uncheckedSql?: string
  /** What the other shards run; undefined: as written. Given: they may find that there is nothing to do. */
  readonly othersSql?: string
  /** A relation, quoted, that a shard must have to run it; the others, home apart, do nothing. */
  readonly othersOnlyWith?: string
  /** Run on home right before, and right after. */
  readonly readySql?: string
  readonly tidySql?: string
  /** Declared right after the statement, in the same transaction (CREATE TABLE … WITH (shard_key = …)). */
  readonly declare?: Declaration
  /** An INSERT of the query that the table was made of, run after it; '': none. In `homeSql` parameters are `typedNull`s. */
  readonly fill?: string
  /** Statements run after it, each by itself, as this role and with this schema first in the search path. */
  readonly elements?: { readonly schema: string; readonly role?: string; readonly sqls: readonly string[] }
  /** It can alter plans: raise the map version in the same transaction and fence the agents before the commit. */
  readonly changesMap: boolean
  /** Tables that it empties. */
  readonly truncated?: readonly Relation[]
  /** … and what refers to them. */
  readonly cascades?: true
  /** New columns whose values for the rows that there are differ from shard to shard. */
  readonly added?: AddedColumns
  /** CREATE/ALTER ROLE … PASSWORD: text range of the password literal, to be replaced by one SCRAM verifier for all. */
  readonly password?: { readonly start: number; readonly end: number; readonly value: string }
}

/** Of a sharded table: they draw from sequences of their own. Of a reference table: copies are to have what home has. */
export interface AddedColumns {
  readonly table: Relation
  readonly columns: readonly string[]
}

/** SELECT create_distributed_table(…) and its kin. Arguments may be literals or parameters. */
export interface DeclarePlan extends PlanCommon {
  readonly kind: 'declare'
  readonly function: string
  /** Named and positional arguments resolved to parameter names of the function; literal texts or $n. */
  readonly args: Readonly<
    Record<
      string,
      | { readonly kind: 'text'; readonly value: string | null }
      | { readonly kind: 'param'; readonly number: number }
    >
  >
}

export interface TransactionPlan extends PlanCommon {
  readonly kind: 'transaction'
  readonly verb:
    | 'begin'
    | 'commit'
    | 'rollback'
    | 'savepoint'
    | 'release'
    | 'rollback-to'
    | 'set-characteristics'
  /** Savepoint name. */
  readonly name?: string
  /** AND CHAIN. */
  readonly chain: boolean
  /** `ISOLATION LEVEL …, READ ONLY, DEFERRABLE` of BEGIN, START TRANSACTION and SET TRANSACTION. */
  readonly modes?: {
    readonly isolation?: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable'
    readonly readOnly?: boolean
    readonly deferrable?: boolean
  }
}

export interface SettingPlan extends PlanCommon {
  readonly kind: 'setting'
  readonly verb:
    | 'set'
    | 'set-local'
    | 'reset'
    | 'reset-all'
    | 'show-weft'
    | 'discard-all'
    | 'discard-plans'
    | 'discard-temp'
    | 'discard-sequences'
    | 'set-constraints'
  /** Setting name, lower case: `search_path`, `role`, `session_authorization`, `timezone`, `weft.…`. */
  readonly name?: string
  /** A `SELECT set_config(…)`: the result is a row, not a SET tag. */
  readonly viaFunction: boolean
  /**
   * set, set-local: what the text assigns, each value as `set_config` takes it; null means DEFAULT. Usually one;
   * SET SESSION CHARACTERISTICS assigns up to three. Absent when only Postgres can tell (an interval, viaFunction).
   */
  readonly assignments?: readonly { readonly name: string; readonly value: string | null }[]
}

/** A statement that names backends, in which something is to be put before it is planned (sql/plan/session-pids.ts). */
export interface SessionPidsPlan extends PlanCommon {
  readonly kind: 'session-pids'
  /** Its columns are those of the text as written. */
  readonly keepsColumns?: true
  /** It is a SELECT of views in whose place functions come: of which columns its own are only the text as written tells. */
  readonly namesViews?: true
  /** From `start` to `end` of the text comes `head`, what is `known`, and `tail`. */
  readonly places: readonly {
    readonly start: number
    readonly end: number
    readonly head: string
    readonly known: Known | undefined
    /** What is known of this one is enough. */
    readonly relation?: string | undefined
    readonly tail: string
  }[]
}

/** SQL-level PREPARE / EXECUTE / DEALLOCATE. */
export interface PreparedPlan extends PlanCommon {
  readonly kind: 'prepared'
  readonly verb: 'prepare' | 'execute' | 'deallocate' | 'deallocate-all'
  readonly name: string
  /** PREPARE: the inner statement's text and the declared type names. */
  readonly sql?: string
  readonly types?: readonly string[]
  /** EXECUTE: text of each argument expression. */
  readonly args?: readonly string[]
  /** EXECUTE inside EXPLAIN or CREATE TABLE … AS: the text around it, in which the prepared statement takes its place. */
  readonly around?: { readonly before: string; readonly after: string }
  /** EXECUTE: what Postgres answers where it answers what is run in its place with something else. */
  readonly answer?: string
}

/** Known, and not done: the error says what and what to do instead. */
export interface RefusedPlan extends PlanCommon {
  readonly kind: 'refused'
  readonly error: PgError
  /** What is wrong Postgres can tell better, and where: it is asked first. */
  readonly isPostgres?: true
}

/** Nothing but white space and comments. */
export interface EmptyPlan extends PlanCommon {
  readonly kind: 'empty'
}

export type Plan =
  | ForwardPlan
  | InsertPlan
  | InsertSelectPlan
  | CopyPlan
  | DdlPlan
  | MaterializePlan
  | DeclarePlan
  | TransactionPlan
  | SettingPlan
  | SessionPidsPlan
  | PreparedPlan
  | CursorPlan
  | ExplainPlan
  | RefusedPlan
  | EmptyPlan

export interface PlanContext extends GatherContext {
  /** Effective search path with `$user` resolved; pg_catalog is implied first. */
  readonly searchPath: readonly string[]
  /** Lower-case names of the session's temporary relations: they shadow everything and are local. */
  readonly tempTables: ReadonlySet<string>
  /** False: shards do no more for a SELECT over several of them than to give its tables' rows (`weft.pushdown = off`). */
  readonly pushdown?: boolean
  /** Parameter types the client declared in Parse (0: not declared); empty in the simple protocol. */
  readonly paramTypes: readonly number[]
}
