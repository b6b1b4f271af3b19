import type { PgError } from '../../errors/pg-error.ts'
import type { ExecRequest, Settings } from '../../protocol/agent-link.ts'
import type { AgentLog } from '../config.ts'
import type { Backend } from './backend.ts'
import type { CommandReply } from './command.ts'
import type { PoolUser } from './identity-pool.ts'
import type { Pool } from './pool.ts'
import { preludeSql } from './prelude.ts'

const NO_PAYLOAD = Buffer.alloc(0)

/** For a user of the pool who runs no exec: all that the pool looks at is the settings. */
export function plainRequest(settings: Settings): ExecRequest {
  return {
    mapVersion: 0,
    settings,
    payload: NO_PAYLOAD,
    access: 'read',
    pin: false,
    taints: false,
    swallow: 0,
  }
}

const PLAIN_REQUEST = plainRequest({ id: 0, sql: '' })

/** Runs one statement; an error of Postgres rejects. */
export type RunSql = (sql: string) => Promise<CommandReply>

/** For what works on the shard on the agent's own account. */
export interface InternalHost {
  readonly shard: number
  readonly log: AgentLog
  /** On a connection of the agent's own, with its default settings. */
  withInternal<T>(work: (run: RunSql) => Promise<T>): Promise<T>
}

/** Runs `work` on a connection of the agent's administrative login, with default settings. */
export async function withInternal<T>(pool: Pool, work: (run: RunSql) => Promise<T>): Promise<T> {
  const identity = pool.enter({ kind: 'internal' })
  try {
    const backend = await new Promise<Backend>((resolve, reject) =>
      pool.acquire(identity, new InternalUser(resolve, reject)),
    )
    try {
      const run: RunSql = (sql) => runSql(backend, sql)
      if (backend.settingsSql !== '') await run(preludeSql(''))
      // Until it is known what `work` leaves behind.
      backend.settingsSql = undefined
      return await work(run)
    } finally {
      if (!backend.isDead) void backend.handBack()
    }
  } finally {
    pool.leave(identity)
  }
}

async function runSql(backend: Backend, sql: string): Promise<CommandReply> {
  const reply = await backend.command(sql)
  if (reply.error !== undefined) throw reply.error
  return reply
}

class InternalUser implements PoolUser {
  readonly request = PLAIN_REQUEST
  queuedAtMs = 0
  overtaken = 0
  private readonly resolve: (backend: Backend) => void
  private readonly reject: (error: PgError) => void

  constructor(resolve: (backend: Backend) => void, reject: (error: PgError) => void) {
    this.resolve = resolve
    this.reject = reject
  }

  granted(backend: Backend): boolean {
    this.resolve(backend)
    return true
  }

  refused(error: PgError): void {
    this.reject(error)
  }
}
