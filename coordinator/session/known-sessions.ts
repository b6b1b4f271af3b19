/** What this coordinator can learn about the sessions of all of them, in the forms that functions of schema weft take. */
import type { AgentLink, ClientSessionInfo, SignalVerb } from '../../protocol/agent-link.ts'
import type { Known } from '../../sql/plan/known.ts'
import { isSumOfTables, type SumOfTables } from '../../sql/plan/sums-of-tables.ts'
import { type Execution, HOME } from '../execute/context.ts'
import { queryShard } from '../execute/shards/send.ts'
import type { ClientSession } from './client-session.ts'
import { cursorRows, preparedRows } from './own-lists.ts'
import { sumsJson } from './sums-of-tables.ts'

type View = 'pg_stat_activity' | 'pg_locks'
type Row = Readonly<Record<string, unknown>>

/** What one session may do to those of a role. */
interface Rights {
  readonly signal: string
  readonly look: boolean
}

const RIGHTS = `SELECT r.rolname, CASE WHEN me.rolsuper THEN 'yes' WHEN r.rolsuper THEN 'super'
    WHEN pg_catalog.pg_has_role(r.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE') THEN 'yes' ELSE 'no' END,
  pg_catalog.pg_has_role(r.oid, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
FROM pg_catalog.pg_roles r, pg_catalog.pg_roles me
WHERE me.rolname = current_user AND r.rolname IN (SELECT pg_catalog.jsonb_array_elements_text($1))`

export class KnownSessions {
  /** Those that the session may signal. */
  readonly signallable = new Map<number, ClientSessionInfo>()
  private readonly session: ClientSession
  private readonly asked = new Map<string, Promise<string>>()

  constructor(session: ClientSession) {
    this.session = session
  }

  /** The value as JSON, or as a number. `exec`: as its client wrote it; `relation`: it is about this one only. */
  async value(known: Known, exec: Execution, relation?: string): Promise<string> {
    if (isSumOfTables(known)) return this.sums(known, relation)
    switch (known) {
      case 'pid':
        return String(this.session.sessionId)
      case 'drawn':
        return this.session.state.drawn.json()
      case 'sessions':
        return JSON.stringify(await this.rightsByPid())
      case 'waits':
        return JSON.stringify(await this.waits())
      case 'pg_stat_activity':
        return JSON.stringify(await this.activity(exec.text))
      case 'pg_prepared_statements':
        return JSON.stringify(preparedRows(this.session))
      case 'pg_cursors':
        return JSON.stringify(await cursorRows(this.session, exec))
      case 'transactions':
        return JSON.stringify(await this.openOnHome())
      case 'pg_locks':
        return JSON.stringify((await this.sessionsOn(this.home, known)).flatMap(({ rows }) => rows))
    }
  }

  /** All shards are asked once for what a statement names several times. */
  private sums(sum: SumOfTables, relation: string | undefined): Promise<string> {
    const name = `${sum} ${relation ?? ''}`
    const asked = this.asked.get(name) ?? sumsJson(this.session, sum, relation)
    this.asked.set(name, asked)
    return asked
  }

  /** Signals those that a statement named, and that its session may signal. */
  async signal(pid: number, verb: SignalVerb): Promise<void> {
    const target = this.signallable.get(pid)
    if (target === undefined) return
    await this.home.control({ kind: 'signal', coordinatorId: target.coordinatorId, pid, verb })
  }

  private get home(): AgentLink {
    return this.session.node.links[HOME]!
  }

  /** Every client session has a line to the home shard: its agent knows all. */
  private async sessionsOn(link: AgentLink, view?: View): Promise<readonly ClientSessionInfo[]> {
    const reply = await link.control({ kind: 'sessions', view })
    return reply.kind === 'sessions' ? reply.sessions : []
  }

  private async rightsByPid(): Promise<Readonly<Record<string, string>>> {
    const sessions = await this.sessionsOn(this.home)
    const rights = await this.rights(sessions)
    const found: Record<string, string> = {}
    for (const info of sessions) {
      const { signal = 'no' } = rights.get(info.user) ?? {}
      // Two coordinators gave the same number: nobody can tell whom it means.
      const isTwice = found[info.pid] !== undefined
      found[info.pid] = isTwice ? 'no' : signal
      if (isTwice) this.signallable.delete(info.pid)
      else if (signal === 'yes') this.signallable.set(info.pid, info)
    }
    return found
  }

  private async rights(sessions: readonly ClientSessionInfo[]): Promise<ReadonlyMap<string, Rights>> {
    const { session } = this
    const line = session.line(HOME)
    const users = JSON.stringify([...new Set(sessions.map(({ user }) => user))])
    const options = { writes: false, looks: false, joins: line.joined }
    const { rows } = await queryShard(session, line, RIGHTS, [users], options)
    return new Map(
      rows.map(([user, signal, look]) => [
        String(user),
        { signal: String(signal), look: String(look) === 't' },
      ]),
    )
  }

  private async waits(): Promise<readonly (readonly [number, number])[]> {
    const { links } = this.session.node
    const replies = await Promise.all(links.map((link) => link.control({ kind: 'waits', now: true })))
    return replies.flatMap((reply) =>
      reply.kind === 'waits'
        ? reply.edges.map(({ waiter, blocker }) => [waiter.sessionId, blocker.sessionId] as const)
        : [],
    )
  }

  /** What Postgres shows of those that have a backend of the home shard. */
  private async openOnHome(): Promise<readonly Row[]> {
    const home = await this.sessionsOn(this.home, 'pg_stat_activity')
    const rights = await this.rights(home)
    return home.flatMap((info) => {
      const mayLook = rights.get(info.user)?.look === true
      return info.rows.map((row) => (mayLook ? row : { ...row, query: '<insufficient privilege>' }))
    })
  }

  private async activity(text: string): Promise<readonly Row[]> {
    const { links } = this.session.node
    const [home = [], ...others] = await Promise.all(
      links.map((link) => this.sessionsOn(link, 'pg_stat_activity')),
    )
    const elsewhere = others.flat()
    const rights = await this.rights(home)
    return home.map((info) => {
      const rows = [...info.rows, ...elsewhere.filter(({ pid }) => pid === info.pid).flatMap((o) => o.rows)]
      const row = rows.find(({ state }) => state === 'active') ?? rows[0]
      return shown(info, row, this.own(info.pid, text), rights.get(info.user)?.look === true)
    })
  }

  private own(pid: number, text: string): Row | undefined {
    return pid === this.session.sessionId ? { state: 'active', query: text } : undefined
  }
}

const BARE = { client_addr: null, client_hostname: null, client_port: null, backend_type: 'client backend' }

/** A session without a backend is idle; what it does is for those only who may look. */
function shown(info: ClientSessionInfo, row: Row | undefined, own: Row | undefined, mayLook: boolean): Row {
  const who = { pid: info.pid, usename: info.user }
  if (!mayLook) {
    const name = row?.application_name ?? ''
    return { ...who, application_name: name, query: '<insufficient privilege>' }
  }
  return { application_name: '', state: 'idle', query: '', ...row, ...own, ...who, ...BARE }
}
