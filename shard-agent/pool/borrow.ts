/**
 * A backend for a moment's work on a prepared transaction, which needs none of its own and is finished by any backend of
 * its role.
 */
import type { PgError } from '../../errors/pg-error.ts'
import type { Settings } from '../../protocol/agent-link.ts'
import type { Backend } from './backend.ts'
import { clearSeat } from './cleaning.ts'
import type { IdentityPool, PoolUser } from './identity-pool.ts'
import { plainRequest } from './internal-work.ts'
import type { Pool } from './pool.ts'
import { preludeSql } from './prelude.ts'

/**
 * After this there is none to be had: all may be in the hands of statements that wait for the locks of the very
 * transaction that is to be finished.
 */
const PATIENCE_MS = 20

/**
 * Gives the work a backend of the identity with these settings, before any statement that waits for one; or, when all
 * are taken for long, undefined: then it has to do without.
 */
export async function withBorrowed<T>(
  pool: Pool,
  identity: IdentityPool,
  settings: Settings,
  work: (backend: Backend | undefined) => Promise<T>,
): Promise<T> {
  const backend = await new Promise<Backend | undefined>((resolve, reject) =>
    new Borrower(pool, identity, settings, resolve, reject).ask(),
  )
  if (backend === undefined) return work(undefined)
  try {
    // A role that is gone, for one: whoever finishes it then does so without.
    return await work((await adopt(backend, settings)) ? backend : undefined)
  } finally {
    if (!backend.isDead) void backend.handBack()
  }
}

/** Brings it to these settings; false: Postgres refuses them. */
async function adopt(backend: Backend, settings: Settings): Promise<boolean> {
  const { sql } = settings
  await clearSeat(backend)
  if (backend.settingsSql === sql) return true
  backend.settingsSql = undefined
  backend.names.note(settings)
  const reply = await backend.command(preludeSql(sql))
  if (reply.error !== undefined) return false
  backend.settingsSql = sql
  return true
}

class Borrower implements PoolUser {
  readonly request
  queuedAtMs = 0
  overtaken = 0
  private readonly pool: Pool
  private readonly identity: IdentityPool
  private readonly resolve: (backend: Backend | undefined) => void
  private readonly reject: (error: PgError) => void
  private patience: NodeJS.Timeout | undefined
  private isServed = false

  constructor(
    pool: Pool,
    identity: IdentityPool,
    settings: Settings,
    resolve: (backend: Backend | undefined) => void,
    reject: (error: PgError) => void,
  ) {
    this.request = plainRequest(settings)
    this.pool = pool
    this.identity = identity
    this.resolve = resolve
    this.reject = reject
  }

  ask(): void {
    this.pool.acquire(this.identity, this, true)
    if (this.isServed) return
    this.patience = setTimeout(() => {
      if (this.pool.withdraw(this.identity, this)) this.resolve(undefined)
    }, PATIENCE_MS)
  }

  granted(backend: Backend): boolean {
    this.served()
    this.resolve(backend)
    return true
  }

  refused(error: PgError): void {
    this.served()
    this.reject(error)
  }

  private served(): void {
    this.isServed = true
    clearTimeout(this.patience)
  }
}
