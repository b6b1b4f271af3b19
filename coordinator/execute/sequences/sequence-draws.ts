import { weftError } from '../../../errors/catalog.ts'
import { type BackendIdentity, SEQUENCES, type Settings } from '../../../protocol/agent-link.ts'
import type { ConnectedAs, InternalConnection, TextRow } from '../../catalog/internal-connection.ts'

/** Of one request to the home shard, about. */
const ROUND_ROWS = 10_000

/** With whose privileges a sequence is drawn from. */
export interface Drawer {
  readonly identity: BackendIdentity
  /** Its role, if it is another. */
  readonly settings: Settings
}

interface Wanted {
  readonly rows: number
  resolve(rows: readonly TextRow[]): void
  reject(error: Error): void
}

/**
 * Draws from sequences for all sessions of a node, beside their transactions. While one request is on its way to the home
 * shard those who come wait, and the next one draws for all of them: every value is drawn after it was asked for, as by a
 * statement of the session's own. (docs/decisions/0040-draws-in-one-request.md)
 */
export class SequenceDraws {
  private readonly connect: (as: ConnectedAs) => InternalConnection
  private readonly groups = new Map<string, Group>()

  /** `connect`: to the home shard. */
  constructor(connect: (as: ConnectedAs) => InternalConnection) {
    this.connect = connect
  }

  /**
   * One row of texts for each that is wanted: a value of each sequence (names, quoted as in a string), then the numbers of
   * the sequences. Rejects when there is nothing to be had this way: whoever asked draws by itself, and hears why.
   */
  draw(
    { identity, settings }: Drawer,
    sequences: readonly string[],
    rows: number,
  ): Promise<readonly TextRow[]> {
    const user = identity.kind === 'client' ? identity.user : ''
    const key = JSON.stringify([user, settings.sql, sequences])
    let group = this.groups.get(key)
    if (group === undefined) {
      const as = { identity, settings, sequences: SEQUENCES.uses }
      group = new Group(
        drawSql(sequences),
        () => this.connect(as),
        () => this.groups.delete(key),
      )
      this.groups.set(key, group)
    }
    return group.draw(rows)
  }
}

/** Those who draw from the same sequences with the same privileges. */
class Group {
  private readonly sql: (rows: number) => string
  private readonly connect: () => InternalConnection
  private readonly onIdle: () => void
  private readonly waiting: Wanted[] = []
  private isRunning = false

  constructor(sql: (rows: number) => string, connect: () => InternalConnection, onIdle: () => void) {
    this.sql = sql
    this.connect = connect
    this.onIdle = onIdle
  }

  draw(rows: number): Promise<readonly TextRow[]> {
    const drawn = new Promise<readonly TextRow[]>((resolve, reject) =>
      this.waiting.push({ rows, resolve, reject }),
    )
    if (!this.isRunning) void this.run()
    return drawn
  }

  /** Until nobody waits. Never rejects. */
  private async run(): Promise<void> {
    this.isRunning = true
    let connection: InternalConnection | undefined
    try {
      connection = this.connect()
      while (this.waiting.length > 0) await this.round(connection, this.nextRound())
    } catch (error) {
      for (const wanted of this.waiting.splice(0)) wanted.reject(error as Error)
    } finally {
      connection?.close()
      this.isRunning = false
      this.onIdle()
    }
  }

  private nextRound(): readonly Wanted[] {
    let rows = 0
    let count = 0
    while (count < this.waiting.length && (count === 0 || rows < ROUND_ROWS))
      rows += this.waiting[count++]!.rows
    return this.waiting.splice(0, count)
  }

  private async round(connection: InternalConnection, round: readonly Wanted[]): Promise<void> {
    try {
      const { rows } = await connection.query(this.sql(round.reduce((sum, wanted) => sum + wanted.rows, 0)))
      let at = 0
      for (const { rows: count, resolve, reject } of round) {
        const own = rows.slice(at, at + count)
        at += count
        if (own.length === count) resolve(own.map(valuesIn))
        else reject(NONE_LEFT)
      }
    } catch (error) {
      for (const wanted of round) wanted.reject(error as Error)
    }
  }
}

const NONE_LEFT = weftError('internal', { what: 'a sequence has given fewer values than were wanted' })

function drawSql(sequences: readonly string[]): (rows: number) => string {
  const names = sequences.map((name) => `'${name}'::regclass`)
  const numbers = names.map((name) => `, ${name}::oid`).join('')
  return (rows) => `SELECT weft.draw(ARRAY[${names.join(', ')}], ${rows})${numbers}`
}

/** `{1,2}`, and the rest as it is. */
function valuesIn([values, ...numbers]: TextRow): TextRow {
  return [...values!.slice(1, -1).split(','), ...numbers]
}
