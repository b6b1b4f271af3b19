import type { CommandReply } from './command.ts'
import { SEQUENCE_STATE, type SequenceSeat } from './sequence-seat.ts'

interface Commanded {
  command(sql: string): Promise<CommandReply>
}

/** A statement that must succeed, for a connection that is to serve somebody else. */
export async function cleaning(backend: Commanded, sql: string): Promise<void> {
  let reply = await backend.command(sql)
  // A late cancel can hit even this.
  if (reply.error?.code === '57014') reply = await backend.command(sql)
  if (reply.error !== undefined) throw reply.error
}

/** Of all that a session had there; `markSql` marks the connection as the agent's again. */
export async function discardAll(backend: Commanded, markSql: string): Promise<void> {
  await cleaning(backend, 'DISCARD ALL')
  // The seed of random() is no setting, and is not discarded.
  await cleaning(backend, `SELECT pg_catalog.setseed(${Math.random()})`)
  if (markSql !== '') await cleaning(backend, markSql)
}

/** For whoever does not care what others have drawn there. */
export async function clearSeat(backend: Commanded & { readonly seat: SequenceSeat }): Promise<void> {
  if (!backend.seat.isTaken) return
  const { rows } = await backend.command(SEQUENCE_STATE)
  backend.seat.cleared(rows[0]?.[0] ?? undefined)
}
