import pg from 'pg'
import type { CopyInStream, QueryResult, ShardRunner } from '../../coordinator/execute/shards/shard-runner.ts'
import { PgError } from '../../errors/pg-error.ts'

/** What node-postgres' connection has beyond its types, as far as COPY needs it. */
interface RawConnection {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
  readonly stream: { readonly writableNeedDrain: boolean; once(event: 'drain', f: () => void): void }
}

type Waiter<T> = { resolve(value: T): void; reject(error: unknown): void; promise: Promise<T> }

function waiter<T>(): Waiter<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  promise.catch(() => {})
  return { resolve, reject, promise }
}

const asPgError = (e: unknown): unknown =>
  e instanceof pg.DatabaseError
    ? new PgError({
        severity: e.severity ?? 'ERROR',
        code: e.code ?? 'XX000',
        message: e.message,
        detail: e.detail,
        hint: e.hint,
        where: e.where,
        table: e.table,
        column: e.column,
        constraint: e.constraint,
      })
    : e

/** One COPY of either direction, in the form in which node-postgres lets foreign queries run. */
class CopyQuery {
  readonly opened = waiter<void>()
  readonly done = waiter<string>()
  connection: RawConnection | undefined
  private failure: unknown
  private tag = ''
  private readonly sql: string
  private readonly onData: ((row: Buffer) => void | Promise<void>) | undefined

  constructor(sql: string, onData?: (row: Buffer) => void | Promise<void>) {
    this.sql = sql
    this.onData = onData
  }
  submit(connection: RawConnection): void {
    this.connection = connection
    connection.query(this.sql)
  }
  handleCopyInResponse(): void {
    this.opened.resolve()
  }
  handleCopyData(message: { chunk: Buffer }): void {
    void this.onData?.(Buffer.from(message.chunk))
  }
  handleCommandComplete(message: { text: string }): void {
    this.tag = message.text
  }
  handleError(error: unknown): void {
    this.failure ??= asPgError(error)
    this.opened.reject(this.failure)
    this.done.reject(this.failure)
  }
  handleReadyForQuery(): void {
    if (this.failure !== undefined) this.done.reject(this.failure)
    else this.done.resolve(this.tag)
  }
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
}

/** A session's transaction over the databases of a test, for what is written against ShardRunner. */
export class PgShardRunner implements ShardRunner {
  readonly shardCount: number
  /** Every statement, for tests of which shards were asked. */
  readonly log: { shard: number; sql: string }[] = []
  private readonly urls: readonly string[]
  private readonly clients = new Map<number, pg.Client>()
  private readonly begin: string
  private readonly setup: string

  constructor(urls: readonly string[], options: { begin?: string; setup?: string } = {}) {
    this.urls = urls
    this.shardCount = urls.length
    this.begin = options.begin ?? 'BEGIN'
    this.setup = options.setup ?? ''
  }

  async query(shard: number, sql: string, params: readonly (string | null)[] = []): Promise<QueryResult> {
    const client = await this.client(shard)
    this.log.push({ shard, sql })
    try {
      const result = await client.query({
        text: sql,
        values: [...params],
        rowMode: 'array',
        types: { getTypeParser: () => (value: unknown) => value },
        queryMode: 'extended',
      } as pg.QueryArrayConfig)
      return {
        rows: result.rows as (string | null)[][],
        columns: result.fields.map((f) => ({ name: f.name, typeOid: f.dataTypeID })),
        tag: `${result.command} ${result.rowCount ?? ''}`.trim(),
      }
    } catch (e) {
      throw asPgError(e)
    }
  }

  async copyIn(shard: number, sql: string): Promise<CopyInStream> {
    const query = await this.submit(shard, new CopyQuery(sql))
    await query.opened.promise
    const connection = query.connection!
    return {
      write: (data) => {
        connection.sendCopyFromChunk(data)
        if (!connection.stream.writableNeedDrain) return
        return Promise.race([
          new Promise<void>((resolve) => connection.stream.once('drain', resolve)),
          query.done.promise.then(() => undefined),
        ])
      },
      end: async () => {
        connection.endCopyFrom()
        return { rows: Number((await query.done.promise).split(' ').at(-1)), notices: [] }
      },
      fail: async (message) => {
        connection.sendCopyFail(message)
        await query.done.promise.catch(() => {})
      },
      notices: () => [],
    }
  }

  async copyOut(
    shard: number,
    sql: string,
    onData: (row: Buffer) => void | Promise<void>,
  ): Promise<QueryResult> {
    // node-postgres cannot pause inside a query: wait for the consumer at the end.
    let chain = Promise.resolve()
    const query = new CopyQuery(sql, (row) => {
      chain = chain.then(() => onData(row))
    })
    const tag = await (await this.submit(shard, query)).done.promise
    await chain
    return { rows: [], columns: [], tag }
  }

  async commit(): Promise<void> {
    await this.end('COMMIT')
  }

  async rollback(): Promise<void> {
    await this.end('ROLLBACK')
  }

  private async submit(shard: number, query: CopyQuery): Promise<CopyQuery> {
    const client = await this.client(shard)
    this.log.push({ shard, sql: (query as unknown as { sql: string }).sql })
    client.query(query as unknown as pg.Submittable)
    return query
  }

  private async client(shard: number): Promise<pg.Client> {
    const known = this.clients.get(shard)
    if (known !== undefined) return known
    const client = new pg.Client({ connectionString: this.urls[shard]! })
    this.clients.set(shard, client)
    await client.connect()
    client.on('error', () => {})
    if (this.setup !== '') await client.query(this.setup)
    await client.query(this.begin)
    return client
  }

  private async end(verb: string): Promise<void> {
    for (const client of this.clients.values()) {
      await client.query(verb)
      await client.end()
    }
    this.clients.clear()
  }
}
