/**
 * While a shard is exposed (participant/probe.ts) transactions in doubt may have lost their conflicts: then nothing
 * SERIALIZABLE commits that could complete a cycle with them. Other isolation levels go on as ever.
 */
import { PgError } from '../../errors/pg-error.ts'
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { STATUS } from '../../protocol/wire/frames.ts'
import type { ProbeKeeper } from '../participant/probe.ts'
import type { Backend } from '../pool/backend.ts'

/** As a coordinator writes it (set_config), or as SET. */
const DEFAULT_SET = /default_transaction_isolation'?\s*(?:,|=|to\b)\s*(?:E?')?(\w+)/i

/** Whether `request` can end a transaction that has written: a COMMIT, or a write in autocommit. */
export function mayCommit(request: ExecRequest): boolean {
  return request.access === 'commit' || (request.access === 'write' && !(request.begin?.length ?? 0))
}

/**
 * Waits, if what `request` commits on `backend` is SERIALIZABLE, until the shard is not exposed. Answers why it must
 * not commit: then its transaction is rolled back.
 */
export async function refusalOfCommit(
  backend: Backend,
  request: ExecRequest,
  probe: ProbeKeeper,
): Promise<PgError | undefined> {
  try {
    if (!(await isSerializable(backend, request))) return undefined
    await probe.covered()
    return undefined
  } catch (error) {
    if (!(error instanceof PgError)) throw error
    if (!backend.isDead && backend.status !== STATUS.idle) await backend.command('ROLLBACK').catch(() => {})
    return error
  }
}

/** Asks Postgres: the level may come from the role, the database, a setting or the transaction itself. */
async function isSerializable(backend: Backend, request: ExecRequest): Promise<boolean> {
  const inBlock = backend.status !== STATUS.idle
  if (inBlock && request.access !== 'commit') return false
  const set = inBlock ? undefined : DEFAULT_SET.exec(request.settings.sql)?.[1]
  if (set !== undefined) return set.toLowerCase() === 'serializable'
  // The backend's settings may be those of another session; what they are reset to is its role's.
  const reply = await backend.command(inBlock ? IN_BLOCK_SQL : BY_DEFAULT_SQL)
  // A failed transaction answers nothing else, and commits nothing.
  if (reply.error !== undefined && reply.error.code !== IN_FAILED_TRANSACTION) throw reply.error
  return reply.rows[0]?.[0] === 'serializable'
}

const IN_FAILED_TRANSACTION = '25P02'
const IN_BLOCK_SQL = 'SHOW transaction_isolation'
const BY_DEFAULT_SQL = `SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'default_transaction_isolation'`
