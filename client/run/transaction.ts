import { Closed, ConnectionLost, OutcomeUnknown, RolledBack } from '../errors/errors.ts'
import type { Session } from '../pool/session.ts'
import type { Limits } from '../pool/watch.ts'
import { hadNoEffect } from '../retry/retry.ts'
import type { Sql } from '../sql/fragment.ts'
import { sql } from '../sql/sql.ts'
import { CopyIn, type CopySource } from '../stream/copy-in.ts'
import type { Exchange } from '../wire/exchange.ts'
import type { TypeParsers } from '../wire/rows.ts'
import { command } from './command.ts'
import { compileCopy, type Lease, Queries } from './queries.ts'

/** For a ROLLBACK to be answered. */
const ROLLBACK_MS = 5_000

/** Statements at one state of the database, for reading: what `db.snapshot` gives. */
export class Snapshot extends Queries {
  protected readonly types: TypeParsers
  protected readonly session: Session
  readonly #limits: Limits
  readonly #writes: boolean
  #transactionId: string | undefined
  #isOver = false
  /** Why the transaction is in the state that only a rollback leaves. */
  #failure: unknown

  /** @internal */
  constructor(session: Session, types: TypeParsers, limits: Limits, writes: boolean) {
    super()
    this.session = session
    this.types = types
    this.#limits = limits
    this.#writes = writes
  }

  protected async run<T>(exchange: () => Exchange<T>, limits: Limits): Promise<T> {
    if (this.#isOver) throw new Closed('the transaction is over')
    try {
      return await this.session.run(exchange(), this.#both(limits))
    } catch (error) {
      if (this.session.status === 'E' || !this.session.isOpen) this.#failure ??= error
      throw error
    }
  }

  protected async lease(): Promise<Lease> {
    if (this.#isOver) throw new Closed('the transaction is over')
    return { session: this.session, isOwn: false, giveBack: async () => undefined }
  }

  /** By which it is asked what became of it. @internal */
  async trace(): Promise<void> {
    const { id } = await this.one(sql<{ id: string }>`SELECT weft.txn_id() AS id`)
    this.#transactionId = id
  }

  /** The statement's, and those of the whole. */
  #both({ signal, timeoutMs }: Limits): Limits {
    const signals = [signal, this.#limits.signal].filter((one) => one !== undefined)
    return {
      signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0],
      timeoutMs: timeoutMs ?? this.#limits.timeoutMs,
    }
  }

  /** A rollback to a savepoint has undone what had failed. */
  protected forgive(): void {
    this.#failure = undefined
  }

  /**
   * Runs `work`, then COMMIT, or ROLLBACK when it throws.
   *
   * @internal
   * @throws what `work` throws, or what had made the transaction fail when another try may mend that.
   */
  async finish<T>(work: () => Promise<T>): Promise<T> {
    try {
      const value = await work()
      await this.#commit()
      return value
    } catch (error) {
      await this.#rollback()
      throw hadNoEffect(this.#failure) && !(error instanceof OutcomeUnknown) ? this.#failure : error
    } finally {
      this.#isOver = true
    }
  }

  async #commit(): Promise<void> {
    this.#isOver = true
    const commit = command('COMMIT')
    const { command: tag } = await this.session.run(commit, this.#both({})).catch((error: unknown) => {
      throw this.#writes
        ? unknownIfLost(error, 'the connection was lost during COMMIT', this.#transactionId)
        : error
    })
    if (tag === 'COMMIT') return
    throw new RolledBack('a statement failed, so the transaction was rolled back', { cause: this.#failure })
  }

  async #rollback(): Promise<void> {
    this.#isOver = true
    if (!this.session.isOpen || this.session.status === 'I') return
    // A connection on which not even that works is dropped, and the server rolls back.
    await this.session
      .run(command('ROLLBACK'), { timeoutMs: ROLLBACK_MS })
      .catch(() => this.session.destroy())
  }
}

/** A connection that is lost leaves it open whether a COMMIT, or a statement by itself, took effect. */
export function unknownIfLost(error: unknown, what: string, transactionId?: string): unknown {
  if (error instanceof ConnectionLost && error.sent)
    return new OutcomeUnknown(`${what}: it may have taken effect`, { cause: error, transactionId })
  if (!(error instanceof OutcomeUnknown) || transactionId === undefined) return error
  const { message, cause, sqlstate } = error
  return new OutcomeUnknown(message, {
    cause,
    transactionId,
    ...(sqlstate === undefined ? {} : { sqlstate }),
  })
}

/** What `db.transaction` gives. */
export class Transaction extends Snapshot {
  #savepoints = 0

  /**
   * As `Db.copyIn`. Until it ends the transaction takes no other statement, from the source neither.
   *
   * @throws as `Db.copyIn`.
   * @example await tx.copyIn(sql`COPY orders (id, amount) FROM STDIN`, copyRows([[1, 10]]))
   */
  copyIn(statement: Sql, source: CopySource, options: Limits = {}): Promise<number> {
    const { text } = compileCopy(statement)
    return this.run(() => new CopyIn(text, source), options)
  }

  /**
   * Work that is undone by itself: when `work` throws, what it did is rolled back, and the transaction goes on for who
   * catches the error. Savepoints nest; while one is open, all statements of the transaction are in it.
   *
   * @throws what `work` throws; Closed.
   * @example await tx.savepoint(() => tx.query(sql`INSERT INTO tags VALUES (${'new'})`)).catch(() => undefined)
   */
  async savepoint<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    this.#savepoints += 1
    const name = `weft_${this.#savepoints}`
    await this.run(() => command(`SAVEPOINT ${name}`), {})
    try {
      const value = await work(this)
      await this.run(() => command(`RELEASE SAVEPOINT ${name}`), {})
      return value
    } catch (error) {
      if (this.session.isOpen && this.session.status !== 'I') {
        await this.run(() => command(`ROLLBACK TO SAVEPOINT ${name}`), { timeoutMs: ROLLBACK_MS })
        await this.run(() => command(`RELEASE SAVEPOINT ${name}`), {})
        this.forgive()
      }
      throw error
    } finally {
      this.#savepoints -= 1
    }
  }
}
