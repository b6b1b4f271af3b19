import pg from 'pg'
import type { OpError } from '../history/op.ts'

export type Row = Record<string, unknown>

/** What a workload's operation throws when it comes to nothing by its own choice: certainly nothing was done. */
export class Declined extends Error {
  override readonly name = 'Declined'
}

export interface SessionOptions {
  readonly node: string
  readonly url: string
  /** Said to each new session, `SET` statements. */
  readonly settings: readonly string[]
  /** Of an operation; what has not ended by then has its connection cut. */
  readonly timeoutMs: number
}

/**
 * A client's connection, made when it is needed. It knows at each moment whether what was sent may have taken effect: that
 * is what makes an error mean `fail` or `info`.
 */
export class Session {
  readonly node: string
  private readonly options: SessionOptions
  private client: pg.Client | undefined
  private isDeciding = false
  private hasDecided = false
  private isBroken = false
  private late: NodeJS.Timeout | undefined

  constructor(options: SessionOptions) {
    this.options = options
    this.node = options.node
  }

  /** Its connection has gone: the next operation makes another. */
  get isLost(): boolean {
    return this.isBroken
  }

  /** Runs an operation within its time. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.isDeciding = false
    this.hasDecided = false
    this.takes(1)
    try {
      await this.connect()
      return await work()
    } finally {
      clearTimeout(this.late)
    }
  }

  /** The operation may take so many times as long as others, from now on. */
  takes(times: number): void {
    clearTimeout(this.late)
    this.late = setTimeout(() => this.cut('timed out'), times * this.options.timeoutMs)
  }

  private async connect(): Promise<void> {
    if (this.client !== undefined && !this.isBroken) return
    this.close()
    const client = new pg.Client({
      connectionString: this.options.url,
      connectionTimeoutMillis: Math.min(3000, this.options.timeoutMs),
    })
    this.client = client
    this.isBroken = false
    client.on('error', () => {
      if (this.client === client) this.isBroken = true
    })
    await client.connect()
    for (const setting of this.options.settings) await client.query(setting)
  }

  /** A statement of a transaction, or one by itself that only reads. */
  async read<R extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<R[]> {
    return (await this.query<R>(sql, values)).rows
  }

  /** A statement by itself that writes: from here on it may have taken effect. */
  async write<R extends Row = Row>(sql: string, values: readonly unknown[] = []): Promise<R[]> {
    this.isDeciding = true
    const { rows } = await this.query<R>(sql, values)
    this.decided()
    return rows
  }

  /** How many rows a statement of a transaction has changed. */
  async change(sql: string, values: readonly unknown[] = []): Promise<number> {
    return (await this.query(sql, values)).rowCount ?? 0
  }

  /** `cutAfterMs`: so soon after COMMIT was sent the connection is cut. */
  async transaction<T>(begin: string, work: () => Promise<T>, cutAfterMs?: number): Promise<T> {
    await this.query(begin)
    let result: T
    try {
      result = await work()
    } catch (error) {
      // What cannot be rolled back is cut, which rolls it back.
      await this.query('ROLLBACK').catch(() => this.cut('rollback failed'))
      throw error
    }
    this.isDeciding = true
    const cut = cutAfterMs === undefined ? undefined : setTimeout(() => this.cut('cut at COMMIT'), cutAfterMs)
    const { command } = await this.query('COMMIT').finally(() => clearTimeout(cut))
    this.decided()
    if (command !== 'COMMIT') throw new Declined(`COMMIT was answered with ${command}`)
    return result
  }

  private query<R extends Row = Row>(
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<pg.QueryResult<R>> {
    if (this.client === undefined || this.isBroken) throw new Error('the connection is lost')
    return values.length === 0 ? this.client.query<R>(sql) : this.client.query<R>(sql, [...values])
  }

  /** The connection is gone at once, without a word to the server. */
  cut(why: string): void {
    this.isBroken = true
    // node-postgres has no way of its own to drop a connection.
    const { connection } = (this.client ?? {}) as {
      connection?: { stream?: { destroy(error: Error): void } }
    }
    connection?.stream?.destroy(new Error(why))
  }

  close(): void {
    const { client } = this
    this.client = undefined
    if (client === undefined) return
    void client.end().catch(() => undefined)
  }

  private decided(): void {
    this.isDeciding = false
    this.hasDecided = true
  }

  /** What an operation that ended with this error has become. */
  outcomeOf(error: unknown): 'fail' | 'info' {
    if (error instanceof Declined) return 'fail'
    const { code, severity } = error as { code?: string; severity?: string }
    const isOfServer = severity !== undefined && code !== undefined
    if (!isOfServer || severity === 'FATAL') this.isBroken = true
    // Of several transactions, one has committed.
    if (this.hasDecided) return 'info'
    if (!this.isDeciding) return 'fail'
    return isOfServer && severity !== 'FATAL' && !UNKNOWN.has(code) ? 'fail' : 'info'
  }
}

/** Transaction resolution unknown, statement completion unknown: whether it took effect cannot be told. */
const UNKNOWN = new Set(['08007', '40003'])

export function errorOf(error: unknown): OpError {
  const { code, severity, message } = error as { code?: string; severity?: string; message?: string }
  // Those of sockets have codes as well.
  const sqlstate = severity === undefined ? undefined : code
  return { ...(sqlstate === undefined ? {} : { sqlstate }), message: message ?? String(error) }
}
