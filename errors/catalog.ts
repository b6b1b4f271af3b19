import { PgError, type PgErrorFields } from './pg-error.ts'
import { type Refused, refusalDetail } from './refusals/refusals.ts'

/**
 * Whether a client may simply run the transaction again:
 * `safe`: nothing happened; `unknown`: the outcome is not known, a blind retry may do the work twice;
 * `no`: the same statement will fail again.
 */
export type Retry = 'safe' | 'unknown' | 'no'

interface ErrorKind<P> {
  readonly sqlstate: string
  readonly retry: Retry
  readonly severity?: 'ERROR' | 'FATAL'
  /** Drivers know some errors of Postgres by it. */
  readonly routine?: string | ((p: P) => string)
  message(p: P): string
  detail?(p: P): string | undefined
  hint?(p: P): string | undefined
}

const kind = <P>(k: ErrorKind<P>): ErrorKind<P> => k

/** Every error that Weft itself raises; errors of Postgres are passed on as they are. The key is the id. */
export const catalog = {
  protocol_violation: kind<{ what: string }>({
    sqlstate: '08P01',
    retry: 'no',
    severity: 'FATAL',
    message: (p) => p.what,
  }),
  not_supported: kind<Refused>({
    sqlstate: '0A000',
    retry: 'no',
    routine: (p) => p.id,
    message: (p) => p.what,
    detail: (p) => refusalDetail(p.id),
    hint: (p) => p.hint,
  }),
  shard_unreachable: kind<{ shard: number; why: string }>({
    sqlstate: '08006',
    retry: 'safe',
    message: (p) => `shard ${p.shard} cannot be reached: ${p.why}`,
    hint: () => 'The statement was not run. Try again once the shard is back; weft.shards shows its state.',
  }),
  backend_lost: kind<{ shard: number; why: string }>({
    sqlstate: '57P01',
    retry: 'unknown',
    message: (p) => `connection to shard ${p.shard} was lost while the statement ran: ${p.why}`,
  }),
  state_lost: kind<{ shard: number }>({
    sqlstate: '57P01',
    retry: 'unknown',
    severity: 'FATAL',
    message: (p) => `terminating connection: the session's own connection to shard ${p.shard} was lost`,
    detail: () => 'Its temporary tables, session advisory locks, channels or held cursors were there.',
    hint: () => 'Reconnect.',
  }),
  pool_timeout: kind<{ shard: number; waitedMs: number; max: number }>({
    sqlstate: '53300',
    retry: 'safe',
    message: (p) => `no connection to shard ${p.shard} became free within ${p.waitedMs} ms`,
    detail: (p) => `Sessions may have ${p.max} connections to it at a time, and all of them are in use.`,
    hint: () => 'Too many open transactions hold connections. End idle transactions or raise pool.size.',
  }),
  too_many_pins: kind<{ max: number }>({
    sqlstate: '53300',
    retry: 'safe',
    message: (p) => `more than ${p.max} sessions need a connection of their own`,
    hint: () =>
      'LISTEN, temporary tables, session advisory locks and WITH HOLD cursors keep a connection. Raise pool.size.',
  }),
  stale_map: kind<{ have: number; need: number }>({
    sqlstate: '40001',
    retry: 'safe',
    message: () => 'the shard map changed while the transaction ran',
    detail: (p) => `planned on map version ${p.have}, the shard is at ${p.need}`,
    hint: () => 'Run the transaction again.',
  }),
  /** As Postgres has it: told only where it cannot be run again unseen. */
  plan_outdated: kind<Record<never, never>>({
    sqlstate: '0A000',
    retry: 'safe',
    routine: 'RevalidateCachedQuery',
    message: () => 'cached plan must not change result type',
  }),
  rows_changed: kind<{ verb: string }>({
    sqlstate: '40001',
    retry: 'safe',
    message: () => 'could not serialize access due to concurrent update',
    detail: (p) => `The rows that the ${p.verb} is about kept changing while they were to be locked.`,
    hint: () => 'Run the transaction again.',
  }),
  rows_moved: kind<Record<never, never>>({
    sqlstate: '40001',
    retry: 'safe',
    message: () => 'could not serialize access: rows were moved to another shard due to concurrent update',
    hint: () => 'Run the transaction again.',
  }),
  view_replaced: kind<Record<never, never>>({
    sqlstate: '40001',
    retry: 'safe',
    message: () => 'could not serialize access: the materialized view was replaced by another transaction',
    hint: () => 'Run the transaction again.',
  }),
  run_again: kind<Record<never, never>>({
    sqlstate: '40001',
    retry: 'safe',
    message: () => 'a consistent read over several shards had to wait for this statement, which was ended',
    hint: () => 'Run it again.',
  }),
  outcome_unknown: kind<{ gid: string; id: string; why: string }>({
    sqlstate: '08007',
    retry: 'unknown',
    message: (p) => `the outcome of transaction ${p.gid} is not known: ${p.why}`,
    detail: (p) => `Transaction ${p.id}.`,
    hint: (p) =>
      `Recovery settles it as soon as the transaction log can be reached. Ask before you retry: SELECT weft.outcome('${p.id}').`,
  }),
  commit_unknown: kind<{ shard: number; why: string }>({
    sqlstate: '08007',
    retry: 'unknown',
    message: (p) => `shard ${p.shard} was lost while it committed, the outcome is not known: ${p.why}`,
    hint: () => 'Check whether the change is there before you run it again.',
  }),
  log_unavailable: kind<{ why: string }>({
    sqlstate: '08006',
    retry: 'safe',
    message: (p) => `the transaction log cannot be reached, the transaction was rolled back: ${p.why}`,
  }),
  prepare_refused: kind<{ shard: number; why: string }>({
    sqlstate: '40001',
    retry: 'safe',
    message: (p) => `shard ${p.shard} could not prepare the transaction: ${p.why}`,
    hint: () => 'The transaction was rolled back on every shard. Run it again.',
  }),
  key_null: kind<{ table: string; column: string }>({
    sqlstate: '23502',
    retry: 'no',
    message: (p) => `null value in column "${p.column}" of relation "${p.table}": it is the shard key`,
  }),
  in_doubt: kind<{ shard: number; gid: string }>({
    sqlstate: '40001',
    retry: 'safe',
    message: (p) => `shard ${p.shard}: transaction ${p.gid} is in doubt, and a statement has to wait for it`,
    hint: () => 'Recovery settles it as soon as the transaction log can be reached. Run the statement again.',
  }),
  not_covered: kind<{ shard: number }>({
    sqlstate: '40001',
    retry: 'safe',
    message: () => 'could not serialize access: transactions in doubt are not told from their conflicts',
    detail: (p) => `shard ${p.shard} was restarted while serializable transactions were prepared on it`,
    hint: () =>
      'Recovery settles them as soon as the transaction log can be reached. Run the transaction again.',
  }),
  no_cut: kind<{ shard: number | undefined; why: string; waitedMs: number }>({
    sqlstate: '40001',
    retry: 'safe',
    message: (p) => `no consistent snapshot of the shards could be taken within ${p.waitedMs} ms`,
    detail: (p) => (p.shard === undefined ? undefined : `shard ${p.shard}: ${p.why}`),
    hint: () => 'Run the statement again, or SET weft.consistent_reads = off to read without one.',
  }),
  cut_lapsed: kind<{ shard: number }>({
    sqlstate: '40001',
    retry: 'safe',
    message: () => 'the consistent snapshot of the shards was given up before the statement had begun',
    detail: (p) => `shard ${p.shard} holds commits for no longer`,
    hint: () => 'Run the transaction again, or SET weft.consistent_reads = off to run without one.',
  }),
  in_failed_transaction: kind<Record<never, never>>({
    sqlstate: '25P02',
    retry: 'no',
    message: () => 'current transaction is aborted, commands ignored until end of transaction block',
  }),
  clock_offset: kind<{ aheadMs: number; maxMs: number }>({
    sqlstate: '58000',
    retry: 'safe',
    message: (p) => `a timestamp is ${p.aheadMs} ms ahead of this node's clock, ${p.maxMs} ms are allowed`,
    hint: () => 'Synchronize the clocks of the nodes (chrony, ntpd), or raise max_clock_offset.',
  }),
  clock_stalled: kind<{ why: string }>({
    sqlstate: '58030',
    retry: 'safe',
    message: (p) => `this node's clock cannot go on: ${p.why}`,
    hint: () => 'Its disk or shard is too slow or full; the log of the node has the details.',
  }),
  aborted_by_recovery: kind<{ why: string }>({
    sqlstate: '40001',
    retry: 'safe',
    message: (p) => `the transaction was aborted while it committed: ${p.why}`,
    hint: () => 'It was rolled back on every shard. Run it again.',
  }),
  query_canceled: kind<Record<never, never>>({
    sqlstate: '57014',
    retry: 'safe',
    message: () => 'canceling statement due to user request',
  }),
  statement_too_long: kind<{ bytes: number; max: number }>({
    sqlstate: '54000',
    retry: 'no',
    message: (p) => `statement of ${p.bytes} bytes is too long: ${p.max} bytes are allowed`,
    hint: () => 'Load data with COPY, or send the values as parameters.',
  }),
  gathers_too_much: kind<{ table: string; key: string | undefined; max: number }>({
    sqlstate: '54000',
    retry: 'no',
    message: (p) =>
      `the rows of "${p.table}" and others that this query needs from several shards are over ${p.max} bytes (weft.max_gathered)`,
    hint: ({ table, key }) => {
      const which = key === undefined ? '' : `: "${table}" is sharded by "${key}"`
      return `Restrict the rows, name fewer columns than *, or join and group by the shard key${which}.`
    },
  }),
  scatters: kind<{ shards: number; tables: readonly { table: string; key: string }[] }>({
    sqlstate: '54000',
    retry: 'no',
    message: ({ shards, tables }) =>
      `the statement goes to ${shards} shards: ${tables.map(({ table, key }) => `table "${table}" is sharded by "${key}"`).join(', ')} (weft.scatter)`,
    hint: ({ tables: [first] }) =>
      `Restrict the shard key to one value, as in WHERE ${first?.key} = $1, or SET weft.scatter = allow.`,
  }),
  too_many_tokens: kind<{ max: number }>({
    sqlstate: '54000',
    retry: 'no',
    message: (p) => `statement is too long: ${p.max} words, values and signs are allowed`,
    hint: () => 'Load data with COPY, or in several statements.',
  }),
  out_of_memory: kind<{ what: string; hint?: string }>({
    sqlstate: '53200',
    retry: 'safe',
    message: () => 'out of memory',
    detail: (p) => p.what,
    hint: (p) => p.hint,
  }),
  statement_too_complex: kind<Record<never, never>>({
    sqlstate: '54001',
    retry: 'no',
    message: () => 'stack depth limit exceeded',
    hint: () => 'Nest the expression less deeply.',
  }),
  too_many_prepared: kind<{ max: number }>({
    sqlstate: '54000',
    retry: 'no',
    message: (p) => `a session can have at most ${p.max} prepared statements`,
    hint: () => 'Close (DEALLOCATE) statements that are not needed any more.',
  }),
  shutting_down: kind<Record<never, never>>({
    sqlstate: '57P01',
    retry: 'safe',
    severity: 'FATAL',
    message: () => 'terminating connection: this Weft node is shutting down',
    hint: () => 'Reconnect.',
  }),
  internal: kind<{ what: string }>({
    sqlstate: 'XX000',
    retry: 'unknown',
    message: (p) => `internal error: ${p.what}`,
    hint: () => 'This is a bug in Weft. The log of the node has the details.',
  }),
}

type Catalog = typeof catalog
export type ErrorId = keyof Catalog
type ParamsOf<K extends ErrorId> = Parameters<Catalog[K]['message']>[0]

/** Makes an error of the catalog, e.g. `weftError('query_canceled', {})`. */
export function weftError<K extends ErrorId>(id: K, params: ParamsOf<K>, cause?: unknown): PgError {
  const k = catalog[id] as unknown as ErrorKind<ParamsOf<K>>
  const routine = typeof k.routine === 'function' ? k.routine(params) : k.routine
  const fields: PgErrorFields = {
    severity: k.severity ?? 'ERROR',
    code: k.sqlstate,
    message: k.message(params),
    detail: k.detail?.(params),
    hint: k.hint?.(params),
    ...(routine === undefined ? {} : { routine }),
  }
  return new PgError(fields, { cause })
}
