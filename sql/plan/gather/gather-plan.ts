import type { Column, Relation } from '../../catalog.ts'
import type { Node } from '../../parse/ast.ts'
import type { HeldWrite } from '../first/first-step.ts'
import type { ForwardPlan, Route } from '../plan.ts'
import type { Transport } from './transport.ts'

/** A text with a selection of the client's parameters: its $1 is the client's `params[0]`. */
export interface PartText {
  readonly sql: string
  readonly params: readonly number[]
}

/** Rows of one FROM item. */
export interface GatherInput {
  /** Name for errors. */
  readonly table: string
  /** Column that it is sharded by. */
  readonly key?: string
  readonly columns: readonly Transport[]
  /** Which columns of `part`'s rows they are, from left to right; those between are NULL. */
  readonly slots: readonly number[]
  readonly names: readonly string[]
  /** The last column is the number of the shard that a row came from, which is not in the row. */
  readonly tellsShard?: boolean
}

/**
 * The general way to answer a query over several shards (rule 2 of the design): the rows and columns it needs are gathered,
 * all of them as of one moment by one statement, and one Postgres runs the query over them.
 */
export interface GatherPlan {
  readonly inputs: readonly GatherInput[]
  /**
   * Runs on every shard. Its rows: number of the input (int4), then columns that inputs share, NULL but for those of its
   * own (`slots`). `UNSAFE_ROW` in place of the number: the session's settings lose something in a column
   * sent as text.
   */
  readonly part: PartText
  /** On one of the shards in its place: rows of what is there in one place, too. */
  readonly first: PartText
  /** Shards that may have rows; absent: those of the statement's route. */
  readonly route?: Route
  /** It has to be the home shard, on which the query is run, too: some of its relations are nowhere else. */
  readonly atHome: boolean
  /**
   * Runs on one of them. The client's parameters keep their numbers; the inputs' columns, as arrays, are the parameters
   * after them.
   */
  readonly finish: string
  /** Parameters ahead of the arrays. */
  readonly paramCount: number
  /** Those are not the client's first ones, but these. */
  readonly finishParams?: readonly number[]
  /** It has arrays of the inputs from this one on; default: of all. */
  readonly finishFrom?: number
  /** The arrays are put into the text, in the place of `VALUES`: its statement takes no parameters. */
  readonly isInline: boolean
}

/**
 * UPDATE, DELETE or MERGE of rows that are found by what is gathered: `gather` finishes with the places of the rows that are
 * meant, each as `PLACE_PARTS` says.
 */
export interface ModifyPlan {
  /**
   * Runs where such rows are: the client's statement, with gathered rows in the place of all but its target. Parameters:
   * those of the client's, the columns of some inputs, and the places as arrays of oid, tid and int8; of `copies` the
   * columns that those give.
   */
  readonly write: string
  readonly writeParams: readonly number[]
  readonly writeInputs: readonly number[]
  /** Gives those of the places $1 oid[], $2 tid[], $3 int8[] that have their row still. */
  readonly look: string
  /** Locks those, or none when one has changed. */
  readonly lock: string
  /** Rows that policies keep from being locked are its business all the same: it says that they are. */
  readonly keepsHidden?: true
  /** It is run on every shard, places or not: it inserts. */
  readonly isEverywhere?: true
  /** After that its parameters are the slots of the shard as int8[], and whether it is the first. */
  readonly ownsKeys?: true
  /** What it changes is told by no place, so it takes none: its transaction has to have one snapshot. */
  readonly needsSnapshot?: true
  /** None is updated: locked only where an UPDATE may change this table of home, by its oid; else as `unlocked` says. */
  readonly locksByUpdate?: number
  /** Others than its rows could be locked: it takes a snapshot, and Postgres tells when one has changed since. */
  readonly unlocked?: true
  /** Its target is a reference table. */
  readonly copies?: ComputedPlan
  /** Code that runs with its rows may read tables, and is to see one state on all copies: it takes a snapshot, too. */
  readonly codeReads?: true
  /** A MERGE inserts rows with values that only the home shard can give: its last parameters. */
  readonly draws?: MergeDraws
  /** It changes the shard key: what becomes of rows that belong to another shard then. */
  readonly move?: MovePlan
  /** What rows are given is computed ahead: `OWN_INPUT` of the other texts. */
  readonly computed?: ComputedPlan
}

/** In the place of an input's number: rows that were computed for the rows of the shard. */
export const OWN_INPUT = -1

/**
 * Values for rows that a MERGE inserts. Parameters of the statement that inserts them are numbers of rows of its source, as
 * int8[], and a text[] for each column.
 */
export interface MergeDraws {
  /** Gives the numbers of the source's rows that are inserted, in order, and by which clause. Over what was gathered. */
  readonly compute: string
  readonly computeParams: readonly number[]
  readonly computeInputs: readonly number[]
  /** `isComputed`: after those, of the row. */
  readonly columns: readonly {
    readonly column: string
    readonly typeOid: number
    readonly expression: string
    readonly isComputed?: true
  }[]
  /** Numbers of columns that a clause leaves to their defaults. */
  readonly byClause: readonly (readonly number[])[]
}

/**
 * Rows of a reference table, found on home's copy: what tells them on the others (their primary keys), and what they are set
 * to. Of a sharded table: the parts of their places, what they are set to, and, in the row alone, the shard.
 */
export interface ComputedPlan {
  /**
   * Gives, on home, 0 or `UNSAFE_ROW`, what tells each row, and its new values. Parameters: some of the client's, the
   * columns of some inputs, the places; of a sharded table those of all shards, with the shards as int4[].
   */
  readonly compute: string
  readonly computeParams: readonly number[]
  readonly computeInputs: readonly number[]
  /** Of its columns, as in a Bind. */
  readonly formats: readonly number[]
  readonly input: GatherInput
  /** Functions of users run in it, which may write. */
  readonly callsUsers?: true
}

/** An UPDATE of the shard key, of rows that leave their shard: they are deleted there, and inserted where they belong. */
export interface MovePlan {
  readonly table: Relation
  /**
   * Gives the new rows of places, where they are: 0 or `UNSAFE_ROW`, all columns that are no generated ones (or all columns
   * of the old row, where RETURNING is about that, too), the slot of the new key, whether rows of FROM give it others, the
   * place of the old row (tableoid, ctid, xmin), and hashes of its old key and its new one. Parameters: some of the
   * client's, the columns of some inputs, the places.
   */
  readonly compute: string
  readonly computeParams: readonly number[]
  /** Those whose rows it has, in order. */
  readonly computeInputs: readonly number[]
  /** Of its columns, as in a Bind. */
  readonly formats: readonly number[]
  readonly input: GatherInput
  /** How many columns come ahead of that slot. */
  readonly cells: number
  /** Deletes the old ones: $1 oid[], $2 tid[], $3 int8[]. */
  readonly delete: string
  /** Inserts new rows, and returns what the client wants. Parameters: the same, the new rows' columns. */
  readonly insert: string
  readonly insertParams: readonly number[]
  readonly insertInputs: readonly number[]
  /** Columns that the UPDATE sets. */
  readonly sets: readonly string[]
  /** It is about tables that inherit from it, too. */
  readonly withChildren: boolean
  /** A row of which others of FROM say something, too, is an error. */
  readonly isMerge?: true
}

/**
 * SELECT … FOR UPDATE and its kin: `gather` finishes with the rows of the query, in their order, and beside them the
 * places of what each of them is made of. Those are locked, and then they are the answer.
 */
export interface LockPlan {
  /** In the order in which the rows tell their places. */
  readonly tables: readonly LockedTable[]
  /** The rows come in an order that the query says: so they are locked. */
  readonly isOrdered: boolean
  /** Whether what is locked may have no row, which is refused, only Postgres' planner knows; and the rights on views. */
  readonly isJudged: boolean
}

export interface LockedTable {
  /** Gives those of the places $1 oid[], $2 tid[], $3 int8[] that have their row still; with `strength` it locks them. */
  readonly look: string
  /** The same for who may have to wait: of all, or none. */
  readonly whole: string
  /** For who locks them in the order given, and in one of their own. */
  readonly order: string
  readonly keyOrder: string
  /** From FOR on. */
  readonly strength: string
  /** Rows that others have locked are left out. */
  readonly skips: boolean
}

/** A relation that the catalog does not describe: a table of the home shard only, a view, one of Postgres' own. */
export interface OutsideRelation {
  readonly schema: string
  readonly name: string
  readonly columns: readonly Column[]
  readonly primaryKey?: readonly string[]
  /** Its rows have places: it is no view, and no foreign table. */
  readonly isTable: boolean
  /** Of a view: its query, where that means the same to whoever asks as by the view's name. */
  readonly definition?: string
}
/** By text. */
export type Described = ReadonlyMap<string, readonly Column[]>
export type Outside = ReadonlyMap<string, OutsideRelation>

/** What servers have told for a plan. */
export interface ToldContext {
  /** What home has told of relations that the statement names, by `writtenName`; absent: not asked yet. */
  readonly outside?: Outside
  /** Columns of texts that home has described. */
  readonly described?: Described
  /** What an UPDATE sets the shard key to belongs to another shard than its rows. */
  readonly movesKey?: true
}

/** What planning a query by gathering may be told. */
export interface GatherContext extends ToldContext {
  /** What is planned is the query of another statement, which runs on the home shard. */
  readonly around?: Around
  /** FROM items of which every shard is given all rows: there they are what a reference table is. */
  readonly spread?: ReadonlySet<object>
}

export interface Around extends OverRows {
  statement(query: Node): Node
}

/** How a statement has the gathered rows in it. */
export interface OverRows {
  /** It takes no parameters. */
  readonly isInline?: boolean
  /** A plan that reads them can go backward where one that reads tables could. */
  readonly goesBack?: boolean
}

export type GatherStep =
  | { readonly kind: 'gather'; readonly gather: GatherPlan; readonly spreads?: Spreads }
  | OutsideStep

/** Other ways to the answer: rows of some tables are gathered first, and given to every shard for its part of a join. */
export interface Spreads {
  /** Whose EXPLAIN tells how many rows each sharded table gives: an arm for each, whose one column is its number. */
  readonly sizes: PartText
  readonly ways: readonly SpreadWay[]
}

export interface SpreadWay {
  /** Gives the rows that are spread. */
  readonly spread: Pick<GatherPlan, 'inputs' | 'part' | 'first'>
  /** After them: its `part` and `first` have arrays of those rows as their last parameters. */
  readonly gather: GatherPlan
  /** Numbers of the tables in `Spreads.sizes`: those that are spread, and those whose rows stay where they are. */
  readonly moves: readonly number[]
  readonly stays: readonly number[]
}

export interface ModifyStep {
  readonly kind: 'gather-modify'
  readonly gather: GatherPlan
  readonly modify: ModifyPlan
  /** How it is run where it needs a snapshot that no transaction has. */
  readonly held?: HeldWrite
}

export interface LockStep {
  readonly kind: 'gather-lock'
  readonly gather: GatherPlan
  readonly lock: LockPlan
}

/** It is planned when the definitions of views have taken their places in the text. */
export interface ViewsStep {
  readonly kind: 'gather-views'
  readonly places: readonly ViewPlace[]
}

/** An INSERT of a query that is planned when home has counted its columns, with a list of as many of the table's at `at`. */
export interface ListStep {
  readonly kind: 'list-columns'
  readonly query: PartText
  /** UTF-16 offset. */
  readonly at: number
  readonly names: readonly string[]
}

/** From `start` to `end` of the text a view is named. UTF-16. */
export interface ViewPlace {
  readonly start: number
  readonly end: number
  readonly text: string
}

export interface OutsideStep {
  readonly kind: 'gather-outside'
  /** It can be planned when home has told of these relations, which are named as the statement names them. */
  readonly relations: readonly string[]
  /** The same of queries whose columns a shard describes. */
  readonly parts?: readonly PartText[]
}

export type GatheredStep = GatherStep | ModifyStep | LockStep | ViewsStep

export const UNSAFE_ROW = -1

export const isGathered = (step: ForwardPlan['onSeveral'] | Route | GatherStep): step is GatherStep =>
  step.kind === 'gather' || step.kind === 'gather-outside'

/** Stands for an input's rows while the query's text is made. */
const NAME = '__weft_gathered_'
export const gatheredName = (input: number): string => `${NAME}${input}`
export const isGatheredName = (text: string): boolean => text.includes(NAME)
export const GATHERED_NAMES = new RegExp(`${NAME}(\\d+)`, 'g')

/** Names of columns that are none of the client's begin like this. */
export const ownName = (name: string): string => `${NAME}${name}`
export const isOwnName = (column: string): boolean => column.startsWith(NAME)
/** Of such columns of the `n`-th item: where a row is, and by its xmin whether it is the same one. The last is the shard. */
export const PLACE_PARTS = ['tableoid', 'ctid', 'xmin', 'shard'] as const
export type PlacePart = (typeof PLACE_PARTS)[number]
export const placeName = (part: PlacePart, item: number): string => `${NAME}${part}_${item}`
const PLACE_NAME = new RegExp(`^${NAME}([a-z]+)_\\d+$`)
export const placePart = (column: string): PlacePart | undefined =>
  PLACE_NAME.exec(column)?.[1] as PlacePart | undefined
/** Stands for how many rows more than are asked for are found, for those that cannot be locked. */
export const EXTRA = `${NAME}extra`

export function withExtra(gather: GatherPlan, extra: number): GatherPlan {
  const put = (sql: string): string => sql.replaceAll(EXTRA, String(extra))
  const { part, first, finish } = gather
  return {
    ...gather,
    part: { ...part, sql: put(part.sql) },
    first: { ...first, sql: put(first.sql) },
    finish: put(finish),
  }
}

/** What the query's LIMIT and OFFSET come to. */
export const LIMIT_COLUMN = `${NAME}limit`
export const OFFSET_COLUMN = `${NAME}offset`

const VALUES = `${NAME}values_`
/** Where the n-th gathered column goes, when it does not go as a parameter. */
export const valuesName = (column: number): string => `${VALUES}${column}`
export const VALUES_NAMES = new RegExp(`${VALUES}(\\d+)`)
