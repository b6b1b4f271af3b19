/**
 * What the planner knows of the database: an immutable value, made by `coordinator/catalog` from the home
 * shard, identified by `version` (the shard map version; it rises with every change that can alter a plan).
 */

import type { Code } from './code/code-graph.ts'
import type { Procedures } from './ends-transaction.ts'

/** Types a shard key can have, also by a domain over them; each hashes with Postgres' own extended hash function, seed 0. */
export type KeyType =
  | 'int2'
  | 'int4'
  | 'int8'
  | 'text'
  | 'varchar'
  | 'uuid'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'bool'
  | 'numeric'
  | 'bytea'
  | 'bpchar'
  | 'name'
  | 'oid'
  | 'float4'
  | 'float8'
  | 'time'
  | 'timetz'
  | 'inet'
  | 'cidr'
  | 'macaddr'
  | 'macaddr8'
  /** By its label: the number of a value is another on each server. */
  | 'enum'
  /** Of the extension: as text in lower case. */
  | 'citext'

export const SLOT_COUNT = 4096

/** Types and relations below are Postgres' own, with the same number on every server. */
export const FIRST_USER_OID = 16384

export interface Column {
  readonly name: string
  /** As `format_type` prints it without typmod, e.g. `bigint`, `character varying`, `public.mood`. */
  readonly type: string
  readonly typeOid: number
  /** Of a domain: the type under it, as `format_type` prints it; values are compared as of that. */
  readonly base?: string
  /** As `format_type` prints it with its typmod, where it has one. */
  readonly declared?: string
  readonly notNull: boolean
  /** The default's expression text (`pg_get_expr`), also for identity columns (`nextval('…'::regclass)`). */
  readonly default?: string
  /** The default draws from a sequence: the coordinator must evaluate it on the home shard. */
  readonly usesSequence: boolean
  /** GENERATED ALWAYS AS (…) STORED/VIRTUAL: never written by an INSERT. */
  readonly generated: boolean
  /** `always` and `by default` identity columns. */
  readonly identity?: 'always' | 'by default'
  /** Set when values do not sort by the database's own collation. */
  readonly collation?: string
}

export interface ShardKey {
  readonly column: string
  /** Position among the live columns, 0-based. */
  readonly index: number
  readonly type: KeyType
  /** Of the type or its domain, where it has one (varchar(n), numeric(p, s), …): an assignment may change the value. */
  readonly typmod?: number
}

export type RelationKind =
  | 'sharded' /** rows spread by key */
  | 'reference' /** a full copy on every shard */
  | 'local' /** only on the home shard (also foreign tables, materialized views, sequences) */
  | 'view' /** `definition` holds the SELECT */

export interface WrittenThrough {
  /** The table under the view. */
  readonly table: Relation
  /** Its columns that the view does not show. */
  readonly hidden: readonly Column[]
  /** Names by which the view shows the shard key. */
  readonly keys: readonly string[]
}

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: RelationKind
  /** Live columns in order. */
  readonly columns: readonly Column[]
  /** Sharded tables only. */
  readonly key?: ShardKey
  /** Sharded tables only: tables with the same number have equal keys on equal shards. */
  readonly colocation?: number
  /** Of what is partitioned, of partitions, and of what inherits: a number that all have whose rows may be the same. */
  readonly root?: number
  /** All its rows are those of its partitions. */
  readonly isPartitioned?: true
  /** Others inherit from it, as no partitions do: no key is one of their rows and its own. */
  readonly hasHeirs?: true
  /** Columns of the primary key of sharded and reference tables that have one, in its order. */
  readonly primaryKey?: readonly string[]
  /** Reference tables only: a sharded table with a foreign key to it. */
  readonly referredBy?: string
  /**
   * Of sharded and reference tables: the events (`FIRES` of sql/plan/statement-triggers.ts) of which triggers for whole
   * statements or with transition tables fire on sharded ones: its own, or those of tables that its foreign keys change.
   */
  readonly statementTriggers?: number
  /** Reference tables only: the events of which they have triggers, which are on home. */
  readonly copyTriggers?: number
  /** … and of which foreign keys lead to rows of reference tables whose triggers fire then: UPDATE, DELETE. */
  readonly actionsFire?: number
  /** … and whether any foreign key refers to it. */
  readonly isReferred?: true
  /** … and lead to local tables with triggers as well as to tables that more than home has. */
  readonly actionsMix?: true
  /** Of sharded and reference tables: the events in place of which their rules have nothing done; and of all their rules. */
  readonly ignores?: number
  readonly ruled?: number
  /** Of sharded and reference tables with row level security. */
  readonly rowSecurity?: RowSecurity
  /** Views only: `pg_get_viewdef`. */
  readonly definition?: string
  /** Views only: triggers, rules or defaults of its own have a say in what is written through it. */
  readonly hasOwnCode?: true
  /** A view as the target of a write. */
  readonly through?: WrittenThrough
  /**
   * Somebody's transaction has locked this relation (or that one, under a view), so its definition could not be read:
   * `resolve` throws.
   */
  readonly lockedBy?: number
}

/** Whether all policies of a table are FOR ALL, so that they say the same of what is read and written, or not. */
export type RowSecurity = 'alike' | 'by command'

/** Columns that tell each row that a statement on the table may be about. */
export const rowKey = ({
  primaryKey,
  hasHeirs,
}: Pick<Relation, 'primaryKey' | 'hasHeirs'>): readonly string[] | undefined =>
  hasHeirs ? undefined : primaryKey

/** The table that a write through a view is about; any other relation itself. */
export const underlying = (relation: Relation): Relation => relation.through?.table ?? relation

/** A function, or a procedure, that `create_distributed_function` has given a shard key; no other has its name. */
export interface KeyedFunction {
  readonly schema: string
  readonly name: string
  readonly isProcedure: boolean
  readonly language: string
  /** Of a parsed body as Postgres prints it. */
  readonly body: string
  /** The key's argument: its name, if it has one; its place in calls, 0-based; which `$n` it is in the body. */
  readonly argument: string | undefined
  readonly position: number
  readonly number: number
  readonly typeOid: number
  readonly keyType: KeyType
  readonly colocation: number
  /** Names of its own settings (`SET … TO` in its definition); schemas of its search path, if that is one of them. */
  readonly settings: readonly string[]
  readonly searchPath: readonly string[]
}

export interface Catalog {
  readonly version: number
  /** False: some of it was locked. It is read again soon, with the same version. Absent: true. */
  readonly isWhole?: boolean
  readonly shardCount: number
  /** slot → shard, SLOT_COUNT long. */
  readonly slots: Uint16Array
  /** The relation a name means under a search path; undefined when Weft knows none (Postgres will say so). */
  resolve(schema: string | undefined, name: string, searchPath: readonly string[]): Relation | undefined
  /** Every sharded and reference table. */
  readonly distributed: readonly Relation[]
  /**
   * True when any schema has a sharded or reference table or a view of this name, or a sequence that their defaults draw
   * from: a new relation of that name may shadow it, and plans say the name. Absent: only `distributed` and `resolve` are
   * looked at.
   */
  hasName?(name: string): boolean
  /** Schemas with an operator `=` of the user's that may be meant where a key is compared. Absent: none. */
  readonly equalitySchemas?: ReadonlySet<string>
  /** True when a function of this name outside pg_catalog exists: a call of it may do anything. */
  isUserFunction(name: string): boolean
  /** Functions of Postgres' own that may give something else on another server. Absent: none. */
  readonly unlikeFunctions?: ReadonlySet<string>
  /** Domains that have a default, by name: its expression. Absent: none. */
  readonly domainDefaults?: ReadonlyMap<string, string>
  /** Procedures outside pg_catalog. Absent: any may end a transaction. */
  readonly procedures?: Procedures
  /** What code outside pg_catalog may do to a session. Absent: a function may do anything. */
  readonly code?: Code
  /** By name. Absent: none. */
  readonly keyedFunctions?: ReadonlyMap<string, KeyedFunction>
  /** A table that a function of this name may read or write, and sees one shard of. Absent: none. */
  tableInFunction?(name: string): string | undefined
}
