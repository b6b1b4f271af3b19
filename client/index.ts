import { settle, type WeftOptions } from './options.ts'
import { Pool } from './pool/pool.ts'
import { Causal } from './run/causal.ts'
import { Db } from './run/db.ts'

export {
  Canceled,
  CheckViolation,
  ClientError,
  Closed,
  ConnectionLost,
  ConstraintViolation,
  DatabaseError,
  type DatabaseErrorFields,
  DeadlockDetected,
  ExclusionViolation,
  ForeignKeyViolation,
  InsufficientPrivilege,
  LockNotAvailable,
  LoginRefused,
  NoRow,
  NotNullViolation,
  type OutcomeOptions,
  OutcomeUnknown,
  QueryCanceled,
  Refused,
  RolledBack,
  SerializationFailure,
  SeveralRows,
  TimedOut,
  type TransactionOutcome,
  UniqueViolation,
  Unreachable,
} from './errors/errors.ts'
export type { WeftOptions } from './options.ts'
export type { Limits } from './pool/watch.ts'
export type { Clock } from './retry/clock.ts'
export type { RetryEvent } from './retry/retrying.ts'
export type { Db, Isolation, TransactionOptions, TryOptions } from './run/db.ts'
export type { Queries, QueryOptions, StreamOptions } from './run/queries.ts'
export type { Snapshot, Transaction } from './run/transaction.ts'
export { Saga, SagaBusy, type SagaOptions, type SagaOutcome, type SagaStep } from './saga/saga.ts'
export type { Compiled, Sql } from './sql/fragment.ts'
export { type AnyRow, type Param, type SqlTag, sql, type Value } from './sql/sql.ts'
export type { CopySource } from './stream/copy-in.ts'
export { copyRows } from './stream/copy-rows.ts'
export type { Result } from './wire/query.ts'
export type { TypeParsers } from './wire/rows.ts'

/**
 * A Db on one server, or on several coordinators that are all the same: connections are made when they are wanted, to
 * whom has the least to do, and to others while one is down.
 *
 * @throws TypeError for options that mean nothing. Nothing is connected yet, so servers that are down are no error here.
 * @example
 * const db = weft(['postgres://app@node-a:6432/shop', 'postgres://app@node-b:6432/shop'])
 * const orders = await db.many(sql<{ id: string }>`SELECT id FROM orders WHERE customer = ${7}`)
 * await db.close()
 */
export function weft(options: WeftOptions | string | readonly string[]): Db {
  const isUrls = typeof options === 'string' || Array.isArray(options)
  const settled = settle(isUrls ? { urls: options } : (options as WeftOptions))
  return new Db(new Pool(settled), settled, settled.causal ? new Causal() : undefined)
}
