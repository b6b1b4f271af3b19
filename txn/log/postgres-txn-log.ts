import { createHash } from 'node:crypto'
import { InvariantError, PgError } from '../../errors/pg-error.ts'
import type { Timestamp } from '../../protocol/agent-link.ts'
import { decodeRecord, encodeRecord } from '../decision.ts'
import { incarnationOf } from '../gid.ts'
import { judgeOutcome, type TxnOutcome } from '../outcome.ts'
import { stringConstant } from '../string-constant.ts'
import { CreateGroups, DropQueue } from './grouping.ts'
import {
  connectLog,
  type LogConnection,
  type LogRow,
  type LogServer,
  type LogStatement,
} from './log-connection.ts'
import { installSql, statements } from './postgres-txn-log-sql.ts'
import { Registration } from './registration.ts'
import {
  type CreateResult,
  type CreateWithin,
  type DecisionRecord,
  LogUnavailableError,
  LogUnknownError,
  type LookupResult,
  OUTCOMES_KEPT_MS,
  type SweepResult,
  type TxnLog,
} from './txn-log.ts'

export interface PostgresTxnLogOptions extends LogServer {
  /** Registers this process as a coordinator. An agent's log needs none. */
  readonly coordinatorId?: string
  readonly connect?: (server: LogServer) => Promise<LogConnection>
  readonly limits?: Partial<PostgresTxnLogLimits>
  /** Told when the log becomes reachable and unreachable. */
  readonly onHealth?: (reachable: boolean, why: string) => void
  /** Open also when it does not answer: until it does, every call rejects with `LogUnavailableError`. */
  readonly mayBeDown?: boolean
}

export interface PostgresTxnLogLimits {
  readonly groupMax: number
  /**
   * Decision writes under way at a time, each on a connection of its own. With one the groups are the largest, for the
   * least work; and two at a time would both lock the registration's row, which makes a MultiXact each time.
   */
  readonly writersMax: number
  readonly queryTimeoutMs: number
  /** Of all but writes. A beat may wait for one that hangs, and still has to come again within the time to live. */
  readonly deskTimeoutMs: number
  /** A coordinator that has not been heard of for so long can decide nothing any more. */
  readonly registrationTtlMs: number
  readonly dropAfterMs: number
  /** How long `outcome` can be asked for commits that recovery has concluded. */
  readonly keptMs: number
}

export const defaultPostgresTxnLogLimits: PostgresTxnLogLimits = {
  groupMax: 256,
  writersMax: 1,
  queryTimeoutMs: 5_000,
  deskTimeoutMs: 3_000,
  registrationTtlMs: 7_000,
  dropAfterMs: 100,
  keptMs: OUTCOMES_KEPT_MS,
}

/** The shard on which the log lies. */
const HOME = 0

/** Connections to the home shard that a coordinator's log uses at most. */
export const postgresTxnLogConnections = defaultPostgresTxnLogLimits.writersMax + 2

/** The transaction log as two tables on the home shard: the default that needs nothing else running. */
export class PostgresTxnLog implements TxnLog {
  private readonly limits: PostgresTxnLogLimits
  private readonly groups: CreateGroups
  private readonly drops: DropQueue
  private readonly writers: Lane[]
  /** Recovery's questions, registrations and the like, in turn. */
  private readonly desk: Lane
  private readonly dropper: Lane
  private readonly registration: Registration
  private isInstalled = false
  private secret: Buffer | undefined
  private closed = false

  private constructor(options: PostgresTxnLogOptions) {
    this.limits = { ...defaultPostgresTxnLogLimits, ...options.limits }
    const connect = (): Promise<LogConnection> => (options.connect ?? connectLog)(options)
    const { writersMax, groupMax, dropAfterMs } = this.limits
    this.writers = Array.from({ length: writersMax }, () => new Lane(connect))
    this.desk = new Lane(async () => {
      const connection = await connect()
      this.drops.again()
      return connection
    })
    // A drop that is lost in a crash is made up for by `sweep` and `confirm`: it need not wait for the disk.
    this.dropper = new Lane(async () => {
      const connection = await connect()
      await connection.script('SET synchronous_commit = off')
      return connection
    })
    this.groups = new CreateGroups({
      write: (records) => this.write(records),
      groupMax,
      writesMax: writersMax,
    })
    this.drops = new DropQueue((txnIds) => this.dropNow(txnIds), groupMax, dropAfterMs)
    this.registration = new Registration({
      coordinatorId: options.coordinatorId,
      beat: async (incarnation) => (await this.ask(statements.beat, [incarnation])).length > 0,
      register: async (incarnation) => {
        await this.install()
        return (await this.ask(statements.register, [incarnation])).length > 0
      },
      ping: async () => {
        await this.install()
        await this.ask(statements.list, [0])
      },
      beatEveryMs: this.limits.registrationTtlMs / 6,
      onHealth: options.onHealth,
    })
  }

  /** Installs the tables and registers. Rejects with `LogUnavailableError` when the server is out of reach. */
  static async open(options: PostgresTxnLogOptions): Promise<PostgresTxnLog> {
    const log = new PostgresTxnLog(options)
    try {
      const { mayBeDown = false } = options
      // Its failure tells more than a registration's.
      if (!mayBeDown) await log.install()
      await log.registration.start(mayBeDown)
    } catch (error) {
      await log.close()
      throw error
    }
    return log
  }

  incarnation(): string {
    return this.registration.current
  }

  /** Once it is installed: until then nothing is registered either, so nothing can be decided. */
  get within(): CreateWithin | undefined {
    const { secret } = this
    if (secret === undefined) return undefined
    return { shard: HOME, sql: (record, xid) => decideSql(secret, record, xid) }
  }

  create(record: DecisionRecord): Promise<CreateResult> {
    return this.groups.create(record)
  }

  async lookup(txnId: string): Promise<LookupResult> {
    const [row] = await this.ask(statements.look, [[txnId], [incarnationOf(txnId)]])
    return lookupOf(row)
  }

  async read(txnId: string): Promise<DecisionRecord | undefined> {
    const found = await this.lookup(txnId)
    if (found.kind === 'unreadable') throw new LogUnknownError(found.why)
    return found.kind === 'record' ? found.record : undefined
  }

  async outcome(txnId: string, commitTs: Timestamp): Promise<TxnOutcome> {
    // In this order: a record that is gone by the first question was kept ahead of the second.
    const found = await this.lookup(txnId)
    const [row] = await this.ask(statements.kept, [txnId])
    const kept = { isKept: row?.kept === true, forgottenTs: BigInt(textOf(row?.forgotten)) }
    return judgeOutcome(found, kept, commitTs)
  }

  async confirm(txnId: string, shard: number): Promise<void> {
    await this.ask(statements.confirm, [txnId, shard])
    await this.ask(statements.conclude, [txnId])
  }

  async drop(txnIds: readonly string[]): Promise<void> {
    this.drops.add(txnIds)
  }

  /** Resolves when what was to be dropped is (for tests, and before closing). */
  async settled(): Promise<void> {
    await this.drops.flush()
  }

  async list(limit: number): Promise<readonly DecisionRecord[]> {
    const rows = await this.ask(statements.list, [limit])
    return rows.flatMap((row) => {
      const decoded = decodeRecord(Buffer.from(textOf(row.record)))
      return decoded.kind === 'record' ? [decoded.record] : []
    })
  }

  async sweep(): Promise<SweepResult> {
    const ttl = [this.limits.registrationTtlMs / 1000]
    if ((await this.ask(statements.expired, ttl)).length > 0) await this.ask(statements.expire, ttl)
    const dropped = await this.ask(statements.sweep, [])
    await this.ask(statements.forget, [this.limits.keptMs / 1000])
    const unreadable = await this.ask(statements.unreadable, [])
    return { dropped: dropped.length, unreadable: unreadable.map((row) => textOf(row.txn_id)) }
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.groups.close()
    await this.drops.close()
    const incarnation = await this.registration.stop()
    if (incarnation !== undefined) await this.ask(statements.unregister, [incarnation]).catch(() => {})
    await Promise.all([...this.writers, this.desk, this.dropper].map((lane) => lane.close()))
  }

  /** Before anything else is asked; the log may have been out of reach when it was opened. */
  private async install(): Promise<void> {
    if (this.isInstalled) return
    await this.desk.use((connection) => connection.script(installSql)).catch(throwUnavailable)
    const [row] = await this.ask(statements.secret, [])
    this.secret = Buffer.from(textOf(row?.secret), 'hex')
    this.isInstalled = true
  }

  private async write(records: readonly DecisionRecord[]): Promise<readonly (CreateResult | Error)[]> {
    const lane = this.writers.find((writer) => !writer.busy) ?? this.writers[0]
    if (lane === undefined) throw new InvariantError('a log without writers')
    try {
      return await lane.use((connection) => this.writeOn(connection, records))
    } catch (error) {
      this.registration.failed(error)
      throw asLogError(error)
    }
  }

  private async writeOn(
    connection: LogConnection,
    records: readonly DecisionRecord[],
  ): Promise<readonly (CreateResult | Error)[]> {
    const { queryTimeoutMs } = this.limits
    const txnIds = records.map((r) => r.txnId)
    const incarnations = txnIds.map(incarnationOf)
    const params = [
      txnIds,
      incarnations,
      records.map((r) => r.decision),
      records.map((r) => `{${r.participants.join(',')}}`),
      records.map((r) => encodeRecord(r).toString()),
    ]
    const rows = await connection.query(statements.create, params, queryTimeoutMs)
    if (rows.length === records.length) return records.map(() => created)
    const createdIds = new Set(rows.map((row) => textOf(row.txn_id)))
    const others = txnIds.filter((txnId) => !createdIds.has(txnId))
    const found = new Map<string, LookupResult>()
    const looked = await connection
      .query(statements.look, [others, others.map(incarnationOf)], queryTimeoutMs)
      // Some of the group were created, and only their callers' repeated question can sort them from the rest.
      .catch((error: unknown) => Promise.reject(new LogUnknownError(String(error))))
    for (const row of looked) found.set(textOf(row.txn_id), lookupOf(row))
    return Promise.all(
      records.map((r) => (createdIds.has(r.txnId) ? created : this.refused(r, found.get(r.txnId)))),
    )
  }

  /** What became of a record that was not inserted. */
  private refused(record: DecisionRecord, found: LookupResult | undefined): CreateResult | Error {
    if (found?.kind === 'record') return { kind: 'exists', record: found.record }
    if (found?.kind === 'absent' && !found.ownerRegistered && record.decision === 'commit') {
      this.registration.fenced(incarnationOf(record.txnId))
      return { kind: 'fenced' }
    }
    // It was there a moment ago and is gone, or cannot be read: neither is an answer.
    return new LogUnknownError(found?.kind === 'unreadable' ? found.why : 'the record came and went')
  }

  private async dropNow(txnIds: readonly string[]): Promise<void> {
    const { queryTimeoutMs } = this.limits
    await this.dropper.use((connection) => connection.query(statements.drop, [txnIds], queryTimeoutMs))
  }

  private async ask(statement: LogStatement, params: readonly unknown[]): Promise<readonly LogRow[]> {
    const { deskTimeoutMs } = this.limits
    try {
      return await this.desk.use((connection) => connection.query(statement, params, deskTimeoutMs))
    } catch (error) {
      throw asLogError(error)
    }
  }
}

/** See `withinSql`. */
function decideSql(secret: Buffer, record: DecisionRecord, xid: string): string {
  const { txnId } = record
  const fields = [
    txnId,
    incarnationOf(txnId),
    `{${record.participants.join(',')}}`,
    encodeRecord(record).toString(),
  ]
  const message = [xid, ...fields].join(' ')
  const digest = (text: string | Buffer): Buffer => createHash('sha256').update(secret).update(text).digest()
  const proof = digest(digest(message)).toString('hex')
  const [txn, incarnation, participants, text] = fields.map(stringConstant)
  return `SELECT weft.txn_decide(${text}, ${txn}, ${incarnation}, ${participants}, '${proof}')`
}

const created: CreateResult = { kind: 'created' }

/** A connection that is opened when needed, and again after it was lost; its users take turns. */
class Lane {
  private readonly connect: () => Promise<LogConnection>
  private connection: LogConnection | undefined
  private turn: Promise<unknown> = Promise.resolve()
  private users = 0

  constructor(connect: () => Promise<LogConnection>) {
    this.connect = connect
  }

  get busy(): boolean {
    return this.users > 0
  }

  use<T>(run: (connection: LogConnection) => Promise<T>): Promise<T> {
    this.users++
    const result = this.turn.then(async () => {
      try {
        if (this.connection?.isOpen !== true) this.connection = await this.connect()
        return await run(this.connection)
      } finally {
        this.users--
      }
    })
    this.turn = result.catch(() => {})
    return result
  }

  async close(): Promise<void> {
    await this.turn
    await this.connection?.close()
  }
}

function lookupOf(row: LogRow | undefined): LookupResult {
  if (row === undefined) throw new LogUnknownError('no answer')
  if (row.record === null) return { kind: 'absent', ownerRegistered: row.registered === true }
  const decoded = decodeRecord(Buffer.from(textOf(row.record)))
  switch (decoded.kind) {
    case 'record':
      return decoded
    case 'unknown-version':
      return { kind: 'unreadable', why: `record of version ${String(decoded.version)}` }
    case 'corrupt':
      return { kind: 'unreadable', why: `corrupt record: ${decoded.why}` }
  }
}

/** An ERROR of the server: the statement was undone. */
function asLogError(error: unknown): unknown {
  return error instanceof PgError ? new LogUnavailableError(error.message, { cause: error }) : error
}

function throwUnavailable(error: unknown): never {
  if (error instanceof LogUnavailableError) throw error
  throw new LogUnavailableError(error instanceof Error ? error.message : String(error), { cause: error })
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new InvariantError(`not a text: ${String(value)}`)
  return value
}
