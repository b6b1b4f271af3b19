import { weftError } from '../../errors/catalog.ts'
import { CONNECTION_MARK } from '../../protocol/agent-link.ts'
import { HOME } from '../execute/context.ts'
import { queryShard } from '../execute/send.ts'
import type { ClientSession } from './client-session.ts'

/** Why a session needs its backend, as the backend sees it; the last column lists its temporary relations. */
const REASONS = `SELECT
  EXISTS (SELECT FROM pg_catalog.pg_listening_channels())
  OR EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)
  OR EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()
    AND NOT (classid = ${CONNECTION_MARK.classid} AND objid = ${CONNECTION_MARK.objid} AND objsubid = 2)),
  (SELECT pg_catalog.json_agg(relname) FROM pg_catalog.pg_class
   WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'v', 'S', 'p'))`

/**
 * What needs one Postgres connection (LISTEN, temporary tables, session advisory locks, WITH HOLD cursors) gets it:
 * the session keeps its home backend until nothing of that kind is left.
 */
export class Pins {
  private readonly session: ClientSession
  private hasTicket = false

  constructor(session: ClientSession) {
    this.session = session
  }

  get pinned(): boolean {
    return this.session.state.pinned
  }

  /** A pin holds a backend for long: it takes a place among the node's transactions. */
  async acquire(): Promise<void> {
    if (this.pinned) return
    const { node } = this.session
    if (!node.pins.tryAcquire()) throw weftError('too_many_pins', { max: node.pins.max })
    this.hasTicket = true
    this.session.state.pinned = true
  }

  /** Looks whether the reasons are still there; lets the backend go when none is. */
  async review(): Promise<void> {
    const { session } = this
    if (!this.pinned || session.tx.failed) return
    const answer = await queryShard(session, session.line(HOME), REASONS, [], { writes: false })
    const [keeps, temporary] = answer.rows[0]!
    const names = temporary === null ? [] : (JSON.parse(temporary!.toString('utf8')) as string[])
    if (names.join() !== [...session.state.tempTables].join()) {
      session.state.tempTables = new Set(names)
      session.scopes.forget()
    }
    if (keeps?.toString() === 't' || names.length > 0 || session.tx.isOpen) return
    await this.release()
  }

  async release(): Promise<void> {
    const { session } = this
    if (!this.pinned) return
    session.state.pinned = false
    session.state.tempTables = new Set()
    session.scopes.forget()
    await session.line(HOME).session.reset()
    this.close()
  }

  /** Gives the place back. */
  close(): void {
    if (!this.hasTicket) return
    this.hasTicket = false
    this.session.node.pins.release()
  }
}
