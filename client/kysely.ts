import {
  AbortedTransactionError,
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely'
import type { Db } from './run/db.ts'
import type { Queries } from './run/queries.ts'
import type { Snapshot, Transaction } from './run/transaction.ts'
import { encodeValue } from './sql/encode.ts'
import type { Compiled } from './sql/fragment.ts'

/**
 * Kysely on a Db, a transaction or a snapshot of this library, with its pool, errors and cancellation.
 *
 * Kysely's own `transaction()` is not run again when it collides with others: begin it with `db.transaction`, and make a
 * Kysely on it, which costs nothing. `destroy` leaves the Db open: close that.
 *
 * @throws TypeError for `transaction()` on a transaction or a snapshot: use `tx.savepoint`.
 * @example
 * const kysely = new Kysely<Database>({ dialect: new WeftDialect(db) })
 * await db.transaction(async (tx) => {
 *   const k = new Kysely<Database>({ dialect: new WeftDialect(tx) })
 *   await k.updateTable('orders').set({ state: 'paid' }).where('id', '=', 7).execute()
 * })
 */
export class WeftDialect implements Dialect {
  readonly #target: Db | Transaction | Snapshot

  constructor(target: Db | Transaction | Snapshot) {
    this.#target = target
  }

  createDriver(): Driver {
    return 'reserve' in this.#target ? new DbDriver(this.#target) : new TransactionDriver(this.#target)
  }

  createQueryCompiler(): QueryCompiler {
    return new PostgresQueryCompiler()
  }

  createAdapter(): DialectAdapter {
    return new PostgresAdapter()
  }

  // Kysely's own type.
  createIntrospector(db: Parameters<Dialect['createIntrospector']>[0]): DatabaseIntrospector {
    return new PostgresIntrospector(db as Kysely<unknown>)
  }
}

/** One connection, as Kysely uses it. */
class WeftConnection implements DatabaseConnection {
  readonly #queries: Queries
  readonly release: () => Promise<void>

  constructor(queries: Queries, release: () => Promise<void>) {
    this.#queries = queries
    this.release = release
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { rows, count, command } = await this.#queries.queryCompiled(compiledOf(query))
    if (command === 'COMMIT' || command === 'ROLLBACK') return { rows: [{ command }] as Row[] }
    const counts = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'].includes(command)
    return { rows: rows as Row[], ...(counts ? { numAffectedRows: BigInt(count) } : {}) }
  }

  async *streamQuery<Row>(query: CompiledQuery, chunkSize = 100): AsyncGenerator<QueryResult<Row>> {
    let rows: Row[] = []
    for await (const row of this.#queries.streamCompiled(compiledOf(query), { batchRows: chunkSize })) {
      rows.push(row as Row)
      if (rows.length < chunkSize) continue
      yield { rows }
      rows = []
    }
    if (rows.length > 0) yield { rows }
  }
}

const compiledOf = ({ sql, parameters }: CompiledQuery): Compiled => ({
  text: sql,
  values: parameters.map((value) => encodeValue(value ?? null)),
})

/** Connections of the pool. */
class DbDriver implements Driver {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async init(): Promise<void> {}
  async destroy(): Promise<void> {}

  async acquireConnection(): Promise<WeftConnection> {
    const { queries, giveBack } = await this.#db.reserve()
    return new WeftConnection(queries, giveBack)
  }

  async releaseConnection(connection: WeftConnection): Promise<void> {
    await connection.release()
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    const { isolationLevel, accessMode } = settings
    const modes = [isolationLevel && `isolation level ${isolationLevel}`, accessMode]
    await connection.executeQuery(CompiledQuery.raw(['begin', ...modes.filter(Boolean)].join(' ')))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const { rows } = await connection.executeQuery<{ command: string }>(CompiledQuery.raw('commit'))
    if (rows[0]?.command === 'ROLLBACK') throw new AbortedTransactionError()
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // Its error would hide what made it necessary, an unknown outcome perhaps; the pool drops such a connection.
    await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => undefined)
  }

  savepoint = (connection: DatabaseConnection, name: string): Promise<void> =>
    runWithName(connection, 'savepoint', name)
  rollbackToSavepoint = (connection: DatabaseConnection, name: string): Promise<void> =>
    runWithName(connection, 'rollback to', name)
  releaseSavepoint = (connection: DatabaseConnection, name: string): Promise<void> =>
    runWithName(connection, 'release', name)
}

async function runWithName(connection: DatabaseConnection, verb: string, name: string): Promise<void> {
  await connection.executeQuery(CompiledQuery.raw(`${verb} "${name.replaceAll('"', '""')}"`))
}

/** The connection of a transaction, which others begin and end. */
class TransactionDriver implements Driver {
  readonly #connection: WeftConnection

  constructor(queries: Queries) {
    this.#connection = new WeftConnection(queries, async () => undefined)
  }

  async init(): Promise<void> {}
  async destroy(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(): Promise<void> {
    throw new TypeError('it is a transaction already: use tx.savepoint')
  }

  async commitTransaction(): Promise<void> {}
  async rollbackTransaction(): Promise<void> {}
}
