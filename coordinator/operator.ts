import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import { PgError } from '../errors/pg-error.ts'
import type { AgentLink } from '../protocol/agent-link.ts'
import { AUTHENTICATION_OK } from '../protocol/wire/backend-messages.ts'
import { type Explained, FileExplainer } from '../sql/workload/explained.ts'
import { timestampMs } from '../txn/hlc.ts'
import type { Decision, TxnLog } from '../txn/log/txn-log.ts'
import { partsOf } from './catalog/catalog-value.ts'
import type { InternalConnection, TextRow } from './catalog/internal-connection.ts'
import type { CatalogStore } from './catalog/store.ts'
import { statusOf } from './links/agent-status.ts'
import type { CancelKeys } from './listener/cancel-keys.ts'
import { innerSockets } from './listener/inner-socket.ts'
import type { SessionContext } from './listener/listener.ts'

export interface OperatorOptions {
  /** In the gids of its transactions. */
  readonly cluster: string
  readonly database: string
  /** The role of shard 0's administrative login. */
  readonly user: () => Promise<string>
  readonly cancelKeys: CancelKeys
  readonly onSession: (context: SessionContext) => void
  readonly links: readonly AgentLink[]
  readonly connect: (shard: number) => InternalConnection
  readonly log: TxnLog
  readonly catalogs: CatalogStore
}

export type Row = Readonly<Record<string, unknown>>

/** What the log says of a transaction that is prepared. */
export type Logged = Decision | 'undecided' | 'coordinator gone' | 'unreadable'

const STATEMENT_MS_MAX = 30_000
/** Of planning without a break: sessions want their turns. */
const TURN_MS = 10

/** What whoever runs the cluster does on it: as a session through Weft, and on the shards themselves. */
export class Operator {
  private readonly options: OperatorOptions
  private readonly connections = new Map<number, InternalConnection>()

  constructor(options: OperatorOptions) {
    this.options = options
  }

  get cluster(): string {
    return this.options.cluster
  }

  get shardCount(): number {
    return this.options.links.length
  }

  /** A statement of the administrative role; cancelled when it takes too long (0: never) or nobody waits for it. */
  async query(
    text: string,
    values: readonly unknown[] = [],
    { limitMs = STATEMENT_MS_MAX, signal }: { limitMs?: number; signal?: AbortSignal } = {},
  ): Promise<readonly Row[]> {
    const { client, cancel } = await this.connected(limitMs)
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      signal?.throwIfAborted()
      const { rows } = await client.query<Row>(text, [...values])
      return rows
    } catch (error) {
      throw ofDriver(error)
    } finally {
      signal?.removeEventListener('abort', cancel)
      await client.end().catch(() => undefined)
    }
  }

  /** On the server of one shard. */
  async onShard(shard: number, text: string): Promise<readonly TextRow[]> {
    let connection = this.connections.get(shard)
    if (connection === undefined) {
      connection = this.options.connect(shard)
      this.connections.set(shard, connection)
    }
    return (await connection.query(text)).rows
  }

  status(shard: number): ReturnType<typeof statusOf> {
    return statusOf(this.options.links[shard]!)
  }

  async logged(txnId: string): Promise<Logged> {
    const found = await this.options.log.lookup(txnId)
    if (found.kind === 'unreadable') return 'unreadable'
    if (found.kind === 'record') return found.record.decision
    return found.ownerRegistered ? 'undecided' : 'coordinator gone'
  }

  /** What is in the log now. */
  async records(limit: number) {
    const found = await this.options.log.list(limit)
    return found.map(({ txnId, decision, commitTs, participants }) => ({
      ...{ transaction: txnId, decision, participants },
      at: commitTs === 0n ? null : new Date(timestampMs(commitTs)).toISOString(),
    }))
  }

  /** Creates its abort, unless it is decided. Only for one that is prepared and was seen to have no record (rule R3). */
  async abort(txnId: string): Promise<Logged> {
    const record = {
      version: 1,
      txnId,
      decision: 'abort',
      commitTs: 0n,
      participants: [],
      writer: 'operator',
    } as const
    const result = await this.options.log.create(record)
    if (result.kind === 'exists') return result.record.decision
    return result.kind === 'created' ? 'abort' : this.logged(txnId)
  }

  /** How the statements of a file would be run; none is, and nothing is sent to a shard but the look for the newest map. */
  async explain(
    file: string,
    searchPath: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly Explained[]> {
    const { catalogs } = this.options
    const { version } = catalogs.current
    if (await catalogs.hasNewer(version)) await catalogs.reload(version + 1)
    const catalog = catalogs.current
    const systemNames = partsOf(catalog)?.systemNames ?? new Set()
    const explained: Explained[] = []
    let begunAt = performance.now()
    for (const one of new FileExplainer(catalog, { searchPath, systemNames }).explain(file)) {
      explained.push(one)
      if (performance.now() - begunAt < TURN_MS) continue
      await setImmediate()
      signal?.throwIfAborted()
      begunAt = performance.now()
    }
    return explained
  }

  stop(): void {
    for (const connection of this.connections.values()) connection.close()
  }

  private async connected(limitMs: number): Promise<{ client: pg.Client; cancel: () => void }> {
    const user = await this.options.user()
    const [near, far] = innerSockets()
    let cancel = (): void => undefined
    // The startup packet: who it is we know.
    far.once('data', () => {
      far.pause()
      far.write(AUTHENTICATION_OK)
      cancel = this.open(far, user, limitMs)
    })
    const client = new pg.Client({
      stream: () => near,
      user,
      database: this.options.database,
      application_name: 'weft admin',
      connectionTimeoutMillis: STATEMENT_MS_MAX,
      ssl: false,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
    } catch (error) {
      near.destroy()
      throw ofDriver(error)
    }
    return { client, cancel: () => cancel() }
  }

  /** How its statement is cancelled. */
  private open(socket: SessionContext['socket'], user: string, limitMs: number): () => void {
    let onCancel: (() => void) | undefined
    const { pid, secret, release } = this.options.cancelKeys.create(() => onCancel?.())
    socket.once('close', release)
    this.options.onSession({
      ...{ socket, user, pid, secret, tls: false, address: '', remainder: Buffer.alloc(0) },
      database: this.options.database,
      parameters: new Map([
        ['user', user],
        ['database', this.options.database],
        ['application_name', 'weft admin'],
        ['client_encoding', 'UTF8'],
        ['statement_timeout', String(limitMs)],
      ]),
      onCancel: (handler) => {
        onCancel = handler
      },
    })
    return () => onCancel?.()
  }
}

interface DriverError extends Error {
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
}

/** Errors of `pg` with a SQLSTATE, as Weft's own. */
function ofDriver(error: unknown): unknown {
  const { message, code, detail, hint } = error as DriverError
  if (error instanceof PgError || code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return error
  return new PgError({ code, message, ...(detail && { detail }), ...(hint && { hint }) }, { cause: error })
}
