/**
 * What the operations of each workload look like: `f`, the value of the invocation and of its completion. Where only one
 * value is given it is that of both. A `fail` or `info` repeats the value of its invocation. Ops of the nemesis may be
 * anywhere. Reads of the final phase carry `final: true` on the op.
 */
import type { MicroOp } from '../history/op.ts'

/**
 * list-append: `txn`; values that are appended are unique for each key. Reads are null when invoked and lists when ok
 * (null or an empty one when there is none). The final phase reads every key, in one or more transactions.
 *
 * rw-register: `txn`; values that are written are unique for each key, and a register that was never written reads null.
 *
 * long-fork: `txn` with one `w` (of value 1, each key written once in the whole run) or with `r`s of a whole group of
 * keys: those that are read together are always the same.
 */
export type TxnValue = readonly MicroOp[]

/** bank: `transfer`. `fail` when the account had too little. Its id goes into another table in the same transaction. */
export type Transfer = {
  readonly from: number
  readonly to: number
  readonly amount: number
  readonly id: number
}

/**
 * bank: `read`, null when invoked. All accounts at one cut; `total` when the database added them up in the same
 * statement or transaction; `transfers` when the ids of transfers were read in the same cut: then the balances have to be
 * exactly what these make of those before the run. The final read has them.
 */
export type BankRead = {
  readonly accounts: Readonly<Record<string, number>>
  readonly total?: number
  readonly transfers?: readonly number[]
}

/**
 * write-skew: `insert` as in Jepsen's G2: a transaction that reads by predicate both rows that may exist for the key, and
 * inserts one of them only if there is none: `[key, [id, null]]` into the first table or `[key, [null, id]]` into the
 * second. Two for each key, at most one of which may commit. `fail` when it has seen one.
 * Final `read` of each key: `[key, ids]`, with null for the ids when invoked.
 */
export type Insert = readonly [number, readonly [number | null, number | null]]
export type InsertRead = readonly [number, readonly number[] | null]

/**
 * register: `read` `[key, null]`, ok `[key, value or null]`; `write` `[key, value]`; `cas` `[key, [old, new]]`, `fail`
 * when the value was another. A register that was never written is null.
 */
export type RegisterValue = readonly [number, number | null | readonly [number, number]]

/** set: `add` of a number that is added once; `read`, null when invoked, then all there are. A final read is a must. */
export type SetAdd = number
export type SetRead = readonly number[] | null

/**
 * monotonic: `add`, null when invoked: a transaction that reads the greatest value over all shards and inserts one that is
 * greater by one, on a shard of its choice; ok: `{ value, node }`. `read`, null when invoked: all values, in any order.
 */
export type MonotonicAdd = { readonly value: number; readonly node?: string } | null
export type MonotonicRead = readonly number[] | null

/**
 * sequential: `write` of key k: its parts (0, 1, 2, …, on different shards) one after the other, each a transaction of its
 * own. `read` `[k, null]`, ok `[k, parts]`: the parts read one after the other in the OPPOSITE order, last written
 * first, each 1 or null: what comes after one that is there has to be there.
 */
export type SequentialWrite = number
export type SequentialRead = readonly [number, readonly (number | null)[] | null]

/**
 * read-your-writes: each key is written by one process only, with values that rise, through one coordinator; the reads go
 * through the other, with the causal token that the process (or another, which told it) has. `write` `[key, value]`.
 * `read` `{ key, value: null }`, ok with the value, null when there is none. A process that was handed the token of another
 * says in `after` the last value of the key that was acknowledged to the one it has the token from. `first` is what the
 * session had read of the key in the statement before, from another shard.
 */
export type SessionWrite = readonly [number, number]
export type SessionRead = {
  readonly key: number
  readonly value: number | null
  readonly after?: number
  readonly first?: number | null
}

/** counter: `add` of a number, which may be negative; `read`, null when invoked, then the sum. */
export type CounterValue = number | null

/** unique-ids: `generate`, null when invoked, then what the sequence gave: one or several. */
export type Generated = number | readonly number[] | null

/**
 * foreign-keys: `insert-parent` p, `delete-parent` p, `insert-child` `[c, p]`, `delete-child` c; numbers are used once.
 * `fail` where the constraint refuses. `read`, null when invoked: both tables at one cut. A final read is a must.
 */
export type ChildInsert = readonly [number, number]
export type FamilyRead = {
  readonly parents: readonly number[]
  readonly children: readonly (readonly [number, number])[]
}

/**
 * ddl: `add` of a number, a row; `ddl` of one column: `{ add: name }` or `{ drop: name }`, names used once; `read`, null
 * when invoked: all rows, and for the final one the columns that each shard has.
 */
export type Ddl = { readonly add?: string; readonly drop?: string }
export type DdlRead = {
  readonly rows: readonly number[]
  readonly columns?: Readonly<Record<string, readonly string[]>>
}

/**
 * declaring: `add` of a number, a row; `declare`, of any value: the table becomes distributed, a reference table or local
 * again; `read`, null when invoked: all rows, and for the final one what each shard itself holds, when it is distributed.
 */
export type DeclaredRead = {
  readonly rows: readonly number[]
  readonly shards?: Readonly<Record<string, readonly number[]>>
}

/**
 * crashed-clients: `write`: one transaction that writes its id under several keys of different shards. With `crash` its
 * client cuts the connection at that point; before it asked for COMMIT that is a `fail`, then an `info`. `read`, null when
 * invoked: for each key the ids there, at one cut.
 */
export type CrashWrite = {
  readonly id: number
  readonly keys: readonly number[]
  readonly crash?: 'idle' | 'in-statement' | 'at-commit'
}
export type CrashRead = Readonly<Record<string, readonly number[]>>
