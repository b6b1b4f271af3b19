import pg from 'pg'
import { PgError } from '../../errors/pg-error.ts'
import { LogUnavailableError, LogUnknownError } from './txn-log.ts'

export interface LogStatement {
  /** Prepared once per connection under this name. */
  readonly name: string
  readonly text: string
}

export type LogRow = Readonly<Record<string, unknown>>

/** One connection to the server that keeps the log. One query at a time. */
export interface LogConnection {
  /**
   * Rejects with a PgError when the server refused it (nothing happened), with `LogUnknownError` when the connection
   * was lost or the time ran out. After the latter it is closed.
   */
  query(statement: LogStatement, params: readonly unknown[], timeoutMs: number): Promise<readonly LogRow[]>
  /** Several statements without parameters, in one implicit transaction. */
  script(sql: string): Promise<void>
  close(): Promise<void>
  readonly isOpen: boolean
}

export interface LogServer {
  /** postgres://… */
  readonly url: string
  readonly connectTimeoutMs?: number
  readonly applicationName?: string
}

/** Synchronous replication that was waited for in vain: committed here, but perhaps not where a failover would go. */
const notReplicated = /might not have been replicated/

/** Rejects with `LogUnavailableError`. */
export async function connectLog(server: LogServer): Promise<LogConnection> {
  const client = new pg.Client({
    connectionString: server.url,
    connectionTimeoutMillis: server.connectTimeoutMs ?? 3000,
    application_name: server.applicationName ?? 'weft log',
    keepAlive: true,
  })
  const connection = new PgLogConnection(client)
  try {
    await client.connect()
    // A decision must be on disk before it is one, whatever the role, database or server says. `remote_apply` is more.
    await client.query(
      "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'",
    )
    await client.query("SET statement_timeout = 0; SET idle_session_timeout = 0; SET lock_timeout = '5s'")
    return connection
  } catch (error) {
    await connection.close()
    throw new LogUnavailableError(messageOf(error), { cause: error })
  }
}

class PgLogConnection implements LogConnection {
  private readonly client: pg.Client
  private open = true
  private unreplicated = false

  constructor(client: pg.Client) {
    this.client = client
    client.on('error', () => {
      this.open = false
    })
    client.on('end', () => {
      this.open = false
    })
    client.on('notice', (notice) => {
      if (notReplicated.test(`${notice.message} ${notice.detail ?? ''}`)) this.unreplicated = true
    })
  }

  get isOpen(): boolean {
    return this.open
  }

  async query(
    statement: LogStatement,
    params: readonly unknown[],
    timeoutMs: number,
  ): Promise<readonly LogRow[]> {
    this.unreplicated = false
    const timer = setTimeout(() => this.destroy(), timeoutMs)
    try {
      const result = await this.client.query<LogRow>({ ...statement, values: [...params] })
      if (this.unreplicated) throw new LogUnknownError('written, but perhaps not replicated')
      return result.rows
    } catch (error) {
      throw this.classify(error)
    } finally {
      clearTimeout(timer)
    }
  }

  async script(sql: string): Promise<void> {
    try {
      await this.client.query(sql)
    } catch (error) {
      throw this.classify(error)
    }
  }

  async close(): Promise<void> {
    this.open = false
    await this.client.end().catch(() => {})
  }

  /** An ERROR says that the statement was undone; FATAL and everything else can come after it took effect. */
  private classify(error: unknown): Error {
    if (error instanceof pg.DatabaseError && error.severity === 'ERROR') {
      return new PgError({ code: error.code ?? 'XX000', message: error.message, detail: error.detail })
    }
    this.destroy()
    if (error instanceof LogUnknownError) return error
    return new LogUnknownError(messageOf(error), { cause: error })
  }

  private destroy(): void {
    this.open = false
    // `end` would wait for the server; the socket must go now so that the query under way fails.
    const { connection } = this.client as unknown as { connection?: { stream?: { destroy(): void } } }
    connection?.stream?.destroy()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}
