import type { Gid } from '../../txn/gid.ts'
import { stringConstant } from '../../txn/string-constant.ts'

/** The beginning of the gids of probes (probe.ts). */
export const PROBE_GID_PREFIX = 'weft-probe:'

/**
 * The agent's administrative login on a connection of its own. Rejects with something that has the SQLSTATE as
 * `code` (a PgError, or node-postgres' DatabaseError).
 */
export interface Admin {
  query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

export interface PreparedRow {
  readonly gid: string
  /** The role that prepared it: only that one, or a superuser, may end it. */
  readonly owner: string
}

/** Everything prepared in this database, whoever did it, but for the agent's own probes. */
export async function listPrepared(admin: Admin): Promise<readonly PreparedRow[]> {
  const rows = await admin.query(
    `SELECT gid, owner::text AS owner FROM pg_prepared_xacts
     WHERE database = current_database() AND gid NOT LIKE '${PROBE_GID_PREFIX}%'`,
  )
  return rows.map((row) => ({ gid: String(row.gid), owner: String(row.owner) }))
}

export async function isStillPrepared(admin: Admin, gid: Gid): Promise<boolean> {
  const rows = await admin.query(
    `SELECT 1 FROM pg_prepared_xacts WHERE gid = ${stringConstant(gid)} AND database = current_database()`,
  )
  return rows.length > 0
}

/** The admin connection's user of the moment matters: what sets it, and what relies on it, must not interleave. */
const turns = new WeakMap<Admin, Promise<unknown>>()

/**
 * COMMIT PREPARED or ROLLBACK PREPARED, as the owner where the login is no superuser. False when it is not prepared any
 * more (42704): somebody else has carried the same decision out. Rejects when it did not work: then it is as before.
 */
export function applyDecision(
  admin: Admin,
  row: PreparedRow,
  decision: 'commit' | 'abort',
): Promise<boolean> {
  const result = (turns.get(admin) ?? Promise.resolve()).then(() => applyNow(admin, row, decision))
  turns.set(
    admin,
    result.catch(() => {}),
  )
  return result
}

async function applyNow(admin: Admin, row: PreparedRow, decision: 'commit' | 'abort'): Promise<boolean> {
  const verb = decision === 'commit' ? 'COMMIT' : 'ROLLBACK'
  const command = `${verb} PREPARED ${stringConstant(row.gid)}`
  const [me] = await admin.query(
    `SELECT current_setting('is_superuser') = 'on' OR session_user = ${stringConstant(row.owner)} AS may`,
  )
  try {
    if (me?.may === true) {
      await admin.query(command)
      return true
    }
    await admin.query(`SET ROLE "${row.owner.replaceAll('"', '""')}"`)
    try {
      await admin.query(command)
    } finally {
      await admin.query('RESET ROLE')
    }
    return true
  } catch (error) {
    if (codeOf(error) === '42704') return false
    throw error
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
