import {
  ConnectionLost,
  DatabaseError,
  type OutcomeOptions,
  OutcomeUnknown,
  type TransactionOutcome,
  Unreachable,
} from '../errors/errors.ts'
import type { Settled } from '../options.ts'
import type { Pool } from '../pool/pool.ts'
import type { Session } from '../pool/session.ts'
import { type Limits, throwIfAborted } from '../pool/watch.ts'
import { defaultRetries } from '../retry/retry.ts'
import { type RetryEvent, retrying } from '../retry/retrying.ts'
import type { Sql } from '../sql/fragment.ts'
import { sql } from '../sql/sql.ts'
import { CopyIn, type CopySource } from '../stream/copy-in.ts'
import type { Exchange } from '../wire/exchange.ts'
import type { TypeParsers } from '../wire/rows.ts'
import { Causal } from './causal.ts'
import { command } from './command.ts'
import { compileCopy, type Lease, Queries } from './queries.ts'
import { Reserved } from './reserved.ts'
import { Snapshot, Transaction, unknownIfLost } from './transaction.ts'

/** How a transaction sees others. Default: the server's, which is READ COMMITTED unless it was set. */
export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

/** How a transaction is tried. */
export interface TryOptions extends Limits {
  /** Tries after the first. Default 5. */
  readonly retries?: number | undefined
  /** Upper bound of the wait before the second try, in milliseconds; it doubles with each. Default 10. */
  readonly retryBaseMs?: number | undefined
  /** No wait is longer, in milliseconds. Default 1,000. */
  readonly retryCapMs?: number | undefined
  /** Told of each try that failed and is followed by another. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined
}

/** How a transaction runs, and is tried. */
export interface TransactionOptions extends TryOptions {
  readonly isolation?: Isolation | undefined
  /** Writes are errors (25006). Default false. */
  readonly readOnly?: boolean | undefined
  /**
   * Leaves a marker with the transaction, so that `OutcomeUnknown.outcome()` can tell what became of it even if the server
   * died at its COMMIT. Costs a request and a row on the home shard, which takes part in the commit then. Not on a plain
   * Postgres. Default false.
   */
  readonly traceable?: boolean | undefined
}

/** Servers and what runs on them. Made by `weft`. */
export class Db extends Queries {
  protected readonly types: TypeParsers
  readonly #pool: Pool
  readonly #options: Settled
  readonly #causal: Causal | undefined

  /** @internal */
  constructor(pool: Pool, options: Settled, causal?: Causal) {
    super()
    this.types = options.types
    this.#pool = pool
    this.#options = options
    this.#causal = causal
  }

  /** A statement by itself is a transaction, and tried again like one. */
  protected run<T>(exchange: () => Exchange<T>, limits: Limits): Promise<T> {
    return this.#retrying({ signal: limits.signal }, () => this.#runOnce(exchange(), limits))
  }

  async #runOnce<T>(exchange: Exchange<T>, limits: Limits): Promise<T> {
    const { session, giveBack } = await this.lease(limits.signal)
    try {
      return await session.run(exchange, this.#withDefault(limits))
    } catch (error) {
      throw this.#asks(unknownIfLost(error, 'the connection was lost during the statement'))
    } finally {
      await giveBack()
    }
  }

  #withDefault({ signal, timeoutMs }: Limits): Limits {
    return { signal, timeoutMs: timeoutMs ?? this.#options.statementTimeoutMs }
  }

  protected async lease(signal?: AbortSignal): Promise<Lease> {
    const session = await this.#pool.acquire(signal)
    const release = (): void => this.#pool.release(session)
    try {
      await this.#causal?.tell(session, { signal })
    } catch (error) {
      release()
      throw error
    }
    const giveBack = async (): Promise<void> => {
      // What it has seen is lost with the connection; what it told its user was told before.
      await this.#causal?.learn(session).catch(() => session.destroy())
      release()
    }
    return { session, isOwn: true, giveBack }
  }

  /** A connection for a query builder, until it is given back. @internal */
  async reserve(): Promise<{ readonly queries: Queries; giveBack(): Promise<void> }> {
    const { session, giveBack } = await this.lease()
    return { queries: new Reserved(session, this.types, this.#withDefault({}), true), giveBack }
  }

  /**
   * Runs `work` in a transaction: COMMIT when it returns, ROLLBACK when it throws. A serialization failure (40001), a
   * deadlock (40P01) and a connection lost before COMMIT run it again, on another server perhaps, after a short random
   * wait: `work` may run several times, and shall do nothing else that counts. What may have been committed
   * (`OutcomeUnknown`) is never tried again. `timeoutMs` counts for each statement in it, `signal` ends the whole.
   *
   * @throws what `work` throws; RolledBack, OutcomeUnknown, SerializationFailure, DeadlockDetected, Canceled, Unreachable.
   * @example
   * await db.transaction({ isolation: 'serializable' }, async (tx) => {
   *   await tx.query(sql`UPDATE accounts SET balance = balance - 5 WHERE id = ${1}`)
   *   await tx.query(sql`UPDATE accounts SET balance = balance + 5 WHERE id = ${2}`)
   * })
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  transaction<T>(options: TransactionOptions, work: (tx: Transaction) => Promise<T>): Promise<T>
  transaction<T>(
    first: TransactionOptions | ((tx: Transaction) => Promise<T>),
    second?: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const [options, work] = typeof first === 'function' ? [{}, first] : [first, second!]
    const { isolation, readOnly, traceable } = options
    const modes = [isolation && `ISOLATION LEVEL ${levelOf(isolation)}`, readOnly && 'READ ONLY']
    const begin = ['BEGIN', ...modes.filter(Boolean)].join(' ')
    return this.#inTransaction(begin, options, (session, limits) => {
      const tx = new Transaction(session, this.types, limits, readOnly !== true)
      return tx.finish(async () => {
        if (traceable === true && readOnly !== true) await tx.trace()
        return work(tx)
      })
    })
  }

  /**
   * What became of a transaction of which an `OutcomeUnknown` had the id, in this or another process. Any coordinator can
   * tell, for as long as the cluster keeps it (a day, by default); while the transaction is in doubt it is asked again.
   *
   * @throws DatabaseError (22023) for what is no id; Canceled, Unreachable.
   * @example if ((await db.outcome(id)) === 'aborted') await again()
   */
  async outcome(
    id: string,
    { timeoutMs = 10_000, signal }: OutcomeOptions = {},
  ): Promise<TransactionOutcome> {
    const { clock } = this.#options
    const endMs = performance.now() + timeoutMs
    for (let waitMs = OUTCOME_WAIT_MS; ; waitMs = Math.min(2 * waitMs, OUTCOME_WAIT_MS_MAX)) {
      const told = await this.one(sql<{ outcome: TransactionOutcome }>`SELECT weft.outcome(${id})`, {
        signal,
      }).catch((error: unknown) => {
        // Nothing was changed by asking; whoever could tell may be on its way back.
        if (!isAway(error) || performance.now() >= endMs) throw error
        return undefined
      })
      const isSettled = told !== undefined && told.outcome !== 'in doubt'
      if (isSettled || (told !== undefined && performance.now() >= endMs)) return told.outcome
      await clock.sleep(waitMs, signal)
      throwIfAborted(signal)
    }
  }

  /**
   * Reads at one state of the database: through Weft one cut of all shards. Tried again like a transaction.
   *
   * @throws as `transaction`.
   * @example
   * const { debits, credits } = await db.snapshot(async (s) => ({
   *   debits: await s.one(sql<{ sum: string }>`SELECT sum(amount) FROM debits`),
   *   credits: await s.one(sql<{ sum: string }>`SELECT sum(amount) FROM credits`),
   * }))
   */
  snapshot<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T>
  snapshot<T>(options: TryOptions, work: (snapshot: Snapshot) => Promise<T>): Promise<T>
  snapshot<T>(
    first: TryOptions | ((snapshot: Snapshot) => Promise<T>),
    second?: (snapshot: Snapshot) => Promise<T>,
  ): Promise<T> {
    const [options, work] = typeof first === 'function' ? [{}, first] : [first, second!]
    const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'
    return this.#inTransaction(begin, options, (session, limits) => {
      const snapshot = new Snapshot(session, this.types, limits, false)
      return snapshot.finish(() => work(snapshot))
    })
  }

  #inTransaction<T>(
    begin: string,
    options: TryOptions,
    work: (session: Session, limits: Limits) => Promise<T>,
  ): Promise<T> {
    return this.#retrying(options, async () => {
      const { session, giveBack } = await this.lease(options.signal)
      try {
        const limits = this.#withDefault(options)
        await session.run(command(begin), limits)
        return await work(session, limits)
      } catch (error) {
        throw this.#asks(error)
      } finally {
        await giveBack()
      }
    })
  }

  #asks(error: unknown): unknown {
    if (error instanceof OutcomeUnknown) error.ask = (id, options) => this.outcome(id, options)
    return error
  }

  #retrying<T>(options: TryOptions, attempt: () => Promise<T>): Promise<T> {
    const policy = {
      retries: options.retries ?? defaultRetries.retries,
      baseMs: options.retryBaseMs ?? defaultRetries.baseMs,
      capMs: options.retryCapMs ?? defaultRetries.capMs,
    }
    const { clock, random } = this.#options
    return retrying(attempt, { policy, clock, random, signal: options.signal, onRetry: options.onRetry })
  }

  /**
   * `COPY … FROM STDIN`; gives the number of rows. `source` is read as fast as the server takes it. Not tried again, since
   * a source can be read once.
   *
   * @throws what `source` throws; TypeError for a statement with parameters; as `query`.
   * @example await db.copyIn(sql`COPY orders (id, amount) FROM STDIN (FORMAT csv)`, createReadStream('orders.csv'))
   */
  copyIn(statement: Sql, source: CopySource, options: Limits = {}): Promise<number> {
    const { text } = compileCopy(statement)
    return this.#runOnce(new CopyIn(text, source), options)
  }

  /**
   * The same servers for somebody who has seen what `token` stands for: no statement shows less, on any server. It keeps
   * track of what it sees, for its own `token`. Without an argument it begins with nothing seen. A plain Postgres is one
   * server, where tokens are empty.
   *
   * @throws TypeError for what is no token.
   * @example const mine = db.after(request.headers['x-seen'])
   */
  after(token?: string): Db {
    return new Db(this.#pool, this.#options, new Causal(token))
  }

  /**
   * What this Db has seen, for `after` on this or another machine. Only of one made by `after`, or by
   * `weft({ causal: true })`: others do not keep track.
   *
   * @throws TypeError for others.
   * @example response.setHeader('x-seen', mine.token())
   */
  token(): string {
    if (this.#causal === undefined) throw new TypeError('only a Db of after(), or with causal, has a token')
    return this.#causal.token
  }

  /** Connections in use, and callers that wait for one. */
  get load(): { readonly used: number; readonly waiting: number } {
    return this.#pool.load
  }

  /** Ends when what is under way has ended; nothing new begins. Views made by `after` end with it. */
  close(): Promise<void> {
    return this.#pool.close()
  }
}

/** Before it is asked again what became of a transaction, in milliseconds; doubled each time. */
const OUTCOME_WAIT_MS = 25
const OUTCOME_WAIT_MS_MAX = 500

/** A shard, or a coordinator, is not there: SQLSTATE classes 08, 53 and 57P. */
function isAway(error: unknown): boolean {
  if (error instanceof Unreachable || error instanceof ConnectionLost || error instanceof OutcomeUnknown)
    return true
  return error instanceof DatabaseError && /^(08|53|57P)/.test(error.sqlstate)
}

function levelOf(isolation: Isolation): string {
  const levels: readonly string[] = ['read committed', 'repeatable read', 'serializable']
  if (!levels.includes(isolation))
    throw new TypeError(`isolation: ${isolation} is none of ${levels.join(', ')}`)
  return isolation.toUpperCase()
}
