import { NoRow, SeveralRows } from '../errors/errors.ts'
import type { Session } from '../pool/session.ts'
import type { Limits } from '../pool/watch.ts'
import { type Compiled, Sql } from '../sql/fragment.ts'
import { statementName } from '../sql/statement-name.ts'
import type { Exchange } from '../wire/exchange.ts'
import { Query, type Result } from '../wire/query.ts'
import type { TypeParsers } from '../wire/rows.ts'
import { copyOut, streamRows } from './streams.ts'

/** How one statement runs. */
export interface QueryOptions extends Limits {
  /** Keeps it prepared on the connection, for texts that come again and again. Default false. */
  readonly prepare?: boolean | undefined
}

/** How rows are streamed. */
export interface StreamOptions extends Limits {
  /** Rows that are fetched at a time, and kept at most. Default 1,000. `timeoutMs` counts for each batch. */
  readonly batchRows?: number | undefined
}

/** A connection for some time. */
export interface Lease {
  readonly session: Session
  /** Whether nobody else uses it meanwhile. */
  readonly isOwn: boolean
  giveBack(): Promise<void>
}

/** What a Db, a transaction and a snapshot have in common: statements. */
export abstract class Queries {
  protected abstract readonly types: TypeParsers

  /** Runs what `exchange` makes; it is made anew for each try. */
  protected abstract run<T>(exchange: () => Exchange<T>, limits: Limits): Promise<T>

  /** A connection, for what runs in several steps. */
  protected abstract lease(signal?: AbortSignal): Promise<Lease>

  /**
   * Runs a statement; gives its rows, their count and its command.
   *
   * @throws DatabaseError (UniqueViolation, Refused, …), OutcomeUnknown, Canceled, TimedOut, Unreachable.
   * @example const { count } = await db.query(sql`DELETE FROM orders WHERE id = ${1}`)
   */
  query<Row extends object>(statement: Sql<Row>, options: QueryOptions = {}): Promise<Result<Row>> {
    return this.queryCompiled<Row>(compile(statement), options)
  }

  /** What a query builder has written. @internal */
  queryCompiled<Row extends object>(compiled: Compiled, options: QueryOptions = {}): Promise<Result<Row>> {
    const name = options.prepare === true ? statementName(compiled.text) : ''
    return this.run(() => new Query<Row>(compiled, this.types, name), options)
  }

  /** The same with the values of rows in the order of their columns, by types that the builder adjusts. @internal */
  arraysCompiled(
    compiled: Compiled,
    adjust: (types: TypeParsers) => TypeParsers,
  ): Promise<Result<readonly unknown[]>> {
    return this.run(() => new Query<readonly unknown[]>(compiled, adjust(this.types), '', true), {})
  }

  /**
   * All rows.
   *
   * @throws as `query`.
   * @example const orders = await db.many(sql<{ id: string }>`SELECT id FROM orders`)
   */
  async many<Row extends object>(statement: Sql<Row>, options?: QueryOptions): Promise<Row[]> {
    return (await this.query(statement, options)).rows as Row[]
  }

  /**
   * The row, or undefined.
   *
   * @throws SeveralRows; as `query`.
   * @example const order = await db.maybe(sql<{ state: string }>`SELECT state FROM orders WHERE id = ${1}`)
   */
  async maybe<Row extends object>(statement: Sql<Row>, options?: QueryOptions): Promise<Row | undefined> {
    const { rows } = await this.query(statement, options)
    if (rows.length > 1) throw new SeveralRows(`${rows.length} rows where one at most was expected`)
    return rows[0]
  }

  /**
   * The one row.
   *
   * @throws NoRow, SeveralRows; as `query`.
   * @example const { n } = await db.one(sql<{ n: string }>`SELECT count(*) AS n FROM orders`)
   */
  async one<Row extends object>(statement: Sql<Row>, options?: QueryOptions): Promise<Row> {
    const row = await this.maybe(statement, options)
    if (row === undefined) throw new NoRow('no row where one was expected')
    return row
  }

  /**
   * Rows as they are wanted, in batches, of one state of the database. Leaving the loop leaves nothing behind. On a Db
   * it is a read-only transaction of its own; in a transaction, other statements may run between two rows.
   *
   * @throws RangeError for `batchRows` below 1; ConnectionLost; as `query`.
   * @example for await (const { id } of db.stream(sql<{ id: string }>`SELECT id FROM orders`)) seen.add(id)
   */
  stream<Row extends object>(statement: Sql<Row>, options: StreamOptions = {}): AsyncGenerator<Row, void> {
    return this.streamCompiled<Row>(compile(statement), options)
  }

  /** What a query builder has written. @internal */
  streamCompiled<Row extends object>(
    compiled: Compiled,
    options: StreamOptions = {},
  ): AsyncGenerator<Row, void> {
    const { batchRows = 1_000 } = options
    if (!Number.isInteger(batchRows) || batchRows < 1) throw new RangeError('batchRows is 1 at least')
    return streamRows<Row>(() => this.lease(options.signal), compiled, this.types, batchRows, options)
  }

  /**
   * `COPY … TO STDOUT`: its bytes as they come, one row each in the text formats. A reader that is slow slows the server
   * down. Leaving the loop cancels it on a Db; in a transaction, which that would end, the rest is read and dropped.
   *
   * @throws TypeError for a statement with parameters, which COPY cannot have; as `query`.
   * @example await pipeline(db.copyOut(sql`COPY orders TO STDOUT (FORMAT csv)`), createWriteStream('orders.csv'))
   */
  copyOut(statement: Sql, options: Limits = {}): AsyncGenerator<Buffer, void> {
    const { text } = compileCopy(statement)
    return copyOut(() => this.lease(options.signal), text, options)
  }
}

export function compileCopy(statement: unknown): Compiled {
  const compiled = compile(statement)
  if (compiled.values.length > 0)
    throw new TypeError('COPY takes no parameters: name what it copies by sql.id')
  return compiled
}

export function compile(statement: unknown): Compiled {
  if (!Sql.isSql(statement)) throw new TypeError('a statement is written sql`…`, not as a text')
  return statement.compile()
}
