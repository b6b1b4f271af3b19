/**
 * Who serves a shard. One connection holds a session advisory lock for as long as the agent lives; whoever has it is
 * the shard's agent. Every other connection of an agent carries a shared lock as a mark, so that the next agent finds
 * what a dead one left running and ends it before it serves.
 */
import { PgError } from '../../errors/pg-error.ts'
import { CONNECTION_MARK } from '../../protocol/agent-link.ts'
import type { AgentLog } from '../config.ts'
import { agentBus } from '../events.ts'
import { describeAddress, type PostgresAddress } from '../pool/address.ts'
import { Backend } from '../pool/backend.ts'
import type { CommandReply, Row } from '../pool/command.ts'
import { NEVER_IDLES_OUT } from '../pool/prelude.ts'
import { logIn } from '../pool/startup.ts'
import { Gate } from './gate.ts'

/** "weft", as the first half of the key; the second tells the owner from its other connections. */
const { classid: LOCK_CLASS, objid: MARK_LOCK } = CONNECTION_MARK
const OWNER_LOCK = 0

export const MARK_SQL = `SELECT pg_catalog.pg_advisory_lock_shared(${LOCK_CLASS}, ${MARK_LOCK})`

const SERVER_VERSION_MIN = 150_000
const SERVER_VERSION_MAX = 189_999
const POLL_MS = 50
const LEFTOVERS_TIMEOUT_MS = 10_000

export interface OwnershipSetup {
  readonly shard: number
  readonly address: PostgresAddress
  readonly connectTimeoutMs: number
  readonly takeoverTimeoutMs: number
  readonly log: AgentLog
  /** The lock is gone with its connection: another agent may serve the shard from now on. */
  onLost(why: string): void
}

/** What the shard remembers of its agents. */
export interface AgentRecord {
  /** Rises with each agent that takes the shard. */
  readonly generation: bigint
  readonly mapVersion: number
  /** Milliseconds: no timestamp at or above it was issued. */
  readonly hlcUpperMs: number
}

export class Ownership {
  serverVersion = ''
  parameters: Readonly<Record<string, string>> = {}
  private readonly setup: OwnershipSetup
  private backend: Backend | undefined
  /** Statements on this one connection go one after the other. */
  private last: Promise<unknown> = Promise.resolve()
  private onClosed: () => void = () => {}
  private isClosing = false

  constructor(setup: OwnershipSetup) {
    this.setup = setup
  }

  get isHeld(): boolean {
    return this.backend !== undefined
  }

  /** Takes the shard, or rejects with a PgError that says why not. */
  async acquire(): Promise<AgentRecord> {
    const { shard, address, connectTimeoutMs } = this.setup
    const login = await logIn({
      shard,
      address,
      identity: { kind: 'internal' },
      timeoutMs: connectTimeoutMs,
      markSql: NEVER_IDLES_OUT,
    }).catch((error: PgError) => {
      throw this.explained(error)
    })
    const backend = new Backend(
      {
        shard,
        address,
        gate: new Gate(agentBus()),
        preparedMax: 1,
        sessionOf: () => undefined,
        markSql: '',
        release: () => {},
        told: () => {},
        died: () => this.onDied(backend),
        closing: () => this.onDied(backend),
        closed: () => this.onClosed(),
      },
      login,
    )
    this.parameters = Object.fromEntries(login.parameters)
    this.serverVersion = login.parameters.get('server_version') ?? ''
    try {
      await this.checkServer(backend)
      await this.lock(backend)
      await this.endLeftovers(backend)
      const record = await this.register(backend)
      this.backend = backend
      return record
    } catch (error) {
      backend.close()
      throw error
    }
  }

  private explained(error: PgError): PgError {
    const { shard, address } = this.setup
    if (error.code.startsWith('08')) return error
    return new PgError(
      { ...error.fields, message: `shard ${shard} (${describeAddress(address)}): ${error.message}` },
      { cause: error },
    )
  }

  private async checkServer(backend: Backend): Promise<void> {
    const { shard } = this.setup
    const rows = await rowsOf(
      backend,
      `SELECT current_setting('server_version_num'), current_setting('max_prepared_transactions'),
              pg_catalog.pg_is_in_recovery()`,
    )
    const [version, prepared, inRecovery] = rows[0]!
    const fault = (code: string, message: string): PgError =>
      new PgError({ code, message: `shard ${shard}: ${message}` })
    if (Number(version) < SERVER_VERSION_MIN || Number(version) > SERVER_VERSION_MAX) {
      throw fault('0A000', `its server is Postgres ${this.serverVersion}; Weft needs Postgres 15 to 18`)
    }
    if (inRecovery === 't') throw fault('25006', 'its server is a standby; Weft needs the primary')
    if (prepared === '0') {
      throw fault(
        '55000',
        'max_prepared_transactions is 0; run ALTER SYSTEM SET max_prepared_transactions = 200 and restart that server',
      )
    }
  }

  private async lock(backend: Backend): Promise<void> {
    const { shard, takeoverTimeoutMs, log } = this.setup
    const deadlineMs = performance.now() + takeoverTimeoutMs
    for (let attempt = 0; ; attempt++) {
      const rows = await rowsOf(
        backend,
        `SELECT pg_catalog.pg_try_advisory_lock(${LOCK_CLASS}, ${OWNER_LOCK})`,
      )
      if (rows[0]?.[0] === 't') return
      if (performance.now() >= deadlineMs) {
        throw new PgError({
          code: '55006',
          message: `shard ${shard} is served by another agent; stop that one first`,
          hint: 'A shard has one agent at a time; it holds an advisory lock in the database.',
        })
      }
      if (attempt === 0) log.info({ shard }, 'ownership: waiting for another agent to give way')
      await pause(POLL_MS)
    }
  }

  /** Ends what a former agent's connections still run: their sessions believe in a gate that is gone. */
  private async endLeftovers(backend: Backend): Promise<void> {
    const { shard, log } = this.setup
    const marked = `FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.classid = ${LOCK_CLASS}
      AND l.objid = ${MARK_LOCK} AND l.objsubid = 2 AND l.pid <> pg_catalog.pg_backend_pid()
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())`
    const deadlineMs = performance.now() + LEFTOVERS_TIMEOUT_MS
    for (;;) {
      const found = await rowsOf(backend, `SELECT l.pid, pg_catalog.pg_terminate_backend(l.pid) ${marked}`)
      if (found.length === 0) return
      log.info({ shard, connections: found.length }, 'ownership: ending connections of a former agent')
      if (performance.now() >= deadlineMs) {
        throw new PgError({
          code: '55006',
          message: `shard ${shard}: ${found.length} connections of a former agent do not end`,
        })
      }
      await pause(POLL_MS)
    }
  }

  private async register(backend: Backend): Promise<AgentRecord> {
    const { shard } = this.setup
    const exists = await rowsOf(backend, `SELECT to_regclass('weft.agent') IS NOT NULL`)
    if (exists[0]?.[0] !== 't') await rowsOf(backend, AGENT_TABLE_SQL)
    const rows = await rowsOf(
      backend,
      `INSERT INTO weft.agent AS a (shard, generation) VALUES (${shard}, 1)
       ON CONFLICT (shard) DO UPDATE SET generation = a.generation + 1
       RETURNING generation, map_version, hlc_upper`,
    )
    const [generation, mapVersion, hlcUpper] = rows[0]!
    return {
      generation: BigInt(generation!),
      mapVersion: Number(mapVersion),
      hlcUpperMs: Number(hlcUpper),
    }
  }

  private onDied(backend: Backend): void {
    if (this.backend !== backend) return
    this.backend = undefined
    if (!this.isClosing) this.setup.onLost('the connection that holds its lock was lost')
  }

  /** Runs a statement on the owner's connection. Rejects with a PgError. */
  run(sql: string): Promise<CommandReply> {
    const next = this.last.then(() => {
      if (this.backend === undefined)
        throw new PgError({ code: '08006', message: 'this agent lost its shard' })
      return this.backend.command(sql)
    })
    this.last = next.catch(() => {})
    return next.then((reply) => {
      if (reply.error !== undefined) throw reply.error
      return reply
    })
  }

  async saveMapVersion(version: number): Promise<void> {
    await this.run(
      `UPDATE weft.agent SET map_version = ${version} WHERE shard = ${this.setup.shard} AND map_version < ${version}`,
    )
  }

  async saveHlcUpper(upperMs: number): Promise<void> {
    await this.run(
      `UPDATE weft.agent SET hlc_upper = ${upperMs} WHERE shard = ${this.setup.shard} AND hlc_upper < ${upperMs}`,
    )
  }

  async lowerHlcUpper(fromMs: number, toMs: number): Promise<void> {
    await this.run(
      `UPDATE weft.agent SET hlc_upper = ${toMs} WHERE shard = ${this.setup.shard} AND hlc_upper = ${fromMs}`,
    )
  }

  /** Which of `waiters` wait for a lock that one of `blockers`, or anybody, has or asked for earlier. */
  async blocked(waiters: readonly number[], blockers?: readonly number[]): Promise<ReadonlySet<number>> {
    const by = blockers === undefined ? `<> '{}'` : `&& ARRAY[${blockers.join()}]::int[]`
    const reply = await this.run(
      `SELECT w.pid FROM unnest(ARRAY[${waiters.join()}]) AS w(pid)
       WHERE pg_catalog.pg_blocking_pids(w.pid) ${by}`,
    )
    return new Set(reply.rows.map((row) => Number(row[0])))
  }

  /** Gives the shard up; the server has let go of the lock when it resolves: another agent may come at once. */
  async close(): Promise<void> {
    this.isClosing = true
    await this.last
    const { backend } = this
    if (backend === undefined) return
    await new Promise<void>((resolve) => {
      this.onClosed = resolve
      backend.close()
    })
  }
}

const AGENT_TABLE_SQL = `CREATE SCHEMA IF NOT EXISTS weft;
CREATE TABLE IF NOT EXISTS weft.agent (
  shard int PRIMARY KEY,
  map_version bigint NOT NULL DEFAULT 0,
  generation bigint NOT NULL DEFAULT 0,
  hlc_upper bigint NOT NULL DEFAULT 0
)`

async function rowsOf(backend: Backend, sql: string): Promise<readonly Row[]> {
  const reply = await backend.command(sql)
  if (reply.error !== undefined) throw reply.error
  return reply.rows
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
