import pg from 'pg'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { AgentSession, PrepareReply } from '../../protocol/agent-link.ts'
import type { HlcClock } from '../../txn/hlc.ts'

/**
 * A session on a shard without an agent, for tests of the commit driver against real servers: one connection, whose
 * transaction the test fills through `sql`.
 */
export class DirectSession implements AgentSession {
  readonly client: pg.Client
  private readonly shard: number
  private readonly clock: HlcClock
  private open = true

  private constructor(shard: number, client: pg.Client, clock: HlcClock) {
    this.shard = shard
    this.client = client
    this.clock = clock
    client.on('error', () => {
      this.open = false
    })
  }

  static async connect(shard: number, url: string, clock: HlcClock, user?: string): Promise<DirectSession> {
    const to = new URL(url)
    if (user !== undefined) to.username = user
    const client = new pg.Client({ connectionString: to.href })
    await client.connect()
    return new DirectSession(shard, client, clock)
  }

  get holdsBackend(): boolean {
    return this.open
  }

  sql(text: string): Promise<pg.QueryResult> {
    return this.client.query(text)
  }

  async prepare(gid: string): Promise<PrepareReply> {
    await this.run(`PREPARE TRANSACTION '${gid}'`)
    return { prepareTs: this.clock.now() }
  }
  async commitPrepared(gid: string): Promise<void> {
    await this.run(`COMMIT PREPARED '${gid}'`)
  }
  async rollbackPrepared(gid: string): Promise<void> {
    await this.run(`ROLLBACK PREPARED '${gid}'`)
  }
  async commitLast(_gid: string, _commitTs: bigint, sql: string): Promise<void> {
    await this.run(`${sql}; COMMIT`)
  }
  timestampFixed(): void {}
  rollBack(): Promise<void> {
    return this.reset()
  }

  async reset(): Promise<void> {
    await this.run('ROLLBACK')
  }
  giveBack(): void {}
  close(): void {
    this.open = false
    void this.client.end().catch(() => {})
  }
  async end(): Promise<void> {
    this.open = false
    await this.client.end().catch(() => {})
  }
  cancel(): void {}
  exec(): void {}
  copyData(): boolean {
    return true
  }
  pause(): void {}
  resume(): void {}

  private async run(sql: string): Promise<void> {
    if (!this.open) throw weftError('shard_unreachable', { shard: this.shard, why: 'connection lost' })
    try {
      await this.client.query(sql)
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.severity === 'ERROR') {
        throw new PgError({ code: error.code ?? 'XX000', message: error.message })
      }
      this.open = false
      throw weftError('backend_lost', { shard: this.shard, why: String(error) })
    }
  }
}
