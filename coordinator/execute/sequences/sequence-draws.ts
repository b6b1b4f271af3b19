import { weftError } from '../../../errors/catalog.ts'
import { type BackendIdentity, SEQUENCES, type Settings } from '../../../protocol/agent-link.ts'
import type { SequenceBlock } from '../../../sql/plan/utility/several-settings.ts'
import type { ConnectedAs, InternalConnection, TextRow } from '../../catalog/internal-connection.ts'
import { KeptBlock } from './kept-block.ts'

/** Of one request to the home shard, about. */
const ROUND_ROWS = 10_000
/** As long as nobody says how many: after so many values of a sequence so many are drawn ahead. */
const AHEAD_FROM = 200
const AHEAD_MAX = 64
/** Of sequences and roles with values ahead: when there are more, all begin anew. */
const BLOCKS_MAX = 1000

/** With whose privileges a sequence is drawn from. */
export interface Drawer {
  readonly identity: BackendIdentity
  /** Its role, if it is another. */
  readonly settings: Settings
}

export interface DrawnSequence {
  /** Quoted as in a string. */
  readonly name: string
  /** Of an identity column, for which nobody needs a privilege on it. */
  readonly isIdentity: boolean
}

interface Wanted {
  readonly rows: number
  /** The first of them, if there were some left. */
  own: readonly TextRow[]
  /** As many more are drawn for those who come later. None: and none that was drawn ahead will do. */
  readonly ahead: number
  readonly takesAhead: boolean
  resolve(rows: readonly TextRow[]): void
  reject(error: Error): void
}

/**
 * Draws from sequences for all sessions of a node, beside their transactions. While one request is on its way to the home
 * shard those who come wait, and the next one draws for all of them: every value is drawn after it was asked for, as by a
 * statement of the session's own; but those drawn ahead for who does not mind. (docs/decisions/0040-draws-in-one-request.md)
 */
export class SequenceDraws {
  private readonly connect: (as: ConnectedAs) => InternalConnection
  private readonly schema: { readonly epoch: number }
  private readonly groups = new Map<string, Group>()
  private forgotten = 0

  /** `connect`: to the home shard. `schema`: what was drawn ahead in an earlier epoch is nobody's any more. */
  constructor(connect: (as: ConnectedAs) => InternalConnection, schema: { readonly epoch: number }) {
    this.connect = connect
    this.schema = schema
  }

  /**
   * One row of texts for each that is wanted: a value of each sequence, then the numbers of the sequences. Rejects when
   * there is nothing to be had this way: whoever asked draws by itself, and hears why.
   */
  draw(
    { identity, settings }: Drawer,
    sequences: readonly DrawnSequence[],
    rows: number,
    block: SequenceBlock,
  ): readonly TextRow[] | Promise<readonly TextRow[]> {
    const user = identity.kind === 'client' ? identity.user : ''
    const key = JSON.stringify([user, settings.sql, sequences])
    return (this.groups.get(key) ?? this.made(key, { identity, settings }, sequences)).draw(rows, block)
  }

  /** A sequence may have been set: whatever is drawn from now on comes after that. */
  forget(): void {
    this.forgotten++
  }

  private made(key: string, who: Drawer, sequences: readonly DrawnSequence[]): Group {
    if (this.groups.size >= BLOCKS_MAX) this.dropIdle()
    const group = new Group(
      drawSql(sequences),
      () => this.connect({ ...who, sequences: SEQUENCES.uses }),
      () => `${this.schema.epoch} ${this.forgotten}`,
      () => this.groups.delete(key),
    )
    this.groups.set(key, group)
    return group
  }

  private dropIdle(): void {
    for (const [key, group] of this.groups) if (!group.isRunning) this.groups.delete(key)
  }
}

/** Those who draw from the same sequences with the same privileges. */
class Group {
  private readonly sql: (rows: number) => string
  private readonly connect: () => InternalConnection
  private readonly onIdle: () => void
  private readonly waiting: Wanted[] = []
  private readonly ahead: KeptBlock
  isRunning = false

  constructor(
    sql: (rows: number) => string,
    connect: () => InternalConnection,
    ageNow: () => string,
    onIdle: () => void,
  ) {
    this.sql = sql
    this.connect = connect
    this.ahead = new KeptBlock(ageNow)
    this.onIdle = onIdle
  }

  draw(rows: number, block: SequenceBlock): readonly TextRow[] | Promise<readonly TextRow[]> {
    const takesAhead = block === 'auto' || Math.max(block, this.ahead.cache) > 1
    const own = takesAhead && this.waiting.length === 0 ? this.ahead.take(rows) : []
    if (own.length === rows) return own
    const ahead = takesAhead ? this.aheadOf(rows, block) : 0
    const drawn = new Promise<readonly TextRow[]>((resolve, reject) =>
      this.waiting.push({ rows, own, ahead, takesAhead, resolve, reject }),
    )
    if (!this.isRunning) void this.run()
    return drawn
  }

  /**
   * Nobody said how many: none before many were used. So a few rows leave no gaps, many seldom wait, and where blocks become
   * void again and again few values are lost.
   */
  private aheadOf(rows: number, block: SequenceBlock): number {
    const { cache, used } = this.ahead
    if (block === 'auto' && cache === 1) return used < AHEAD_FROM ? 0 : AHEAD_MAX
    return Math.max(block === 'auto' ? 1 : block, cache) - rows
  }

  /** Until nobody waits. Never rejects. */
  private async run(): Promise<void> {
    this.isRunning = true
    let connection: InternalConnection | undefined
    try {
      connection = this.connect()
      while (this.waiting.length > 0) {
        await this.round(connection, this.nextRound())
        this.serveAhead()
      }
    } catch (error) {
      for (const wanted of this.waiting.splice(0)) wanted.reject(error as Error)
    } finally {
      connection?.close()
      this.isRunning = false
      if (!this.ahead.isWorthKeeping) this.onIdle()
    }
  }

  private nextRound(): readonly Wanted[] {
    let rows = 0
    let count = 0
    while (count < this.waiting.length && (count === 0 || rows < ROUND_ROWS))
      rows += missing(this.waiting[count++]!)
    return this.waiting.splice(0, count)
  }

  private async round(connection: InternalConnection, round: readonly Wanted[]): Promise<void> {
    const wanted = round.reduce((sum, one) => sum + missing(one), 0)
    const ahead = Math.max(0, ...round.map((one) => one.ahead))
    const age = this.ahead.begin()
    try {
      const { rows } = await connection.query(this.sql(wanted + ahead))
      share(round, rows.map(valuesIn))
      this.ahead.keep(rows.slice(wanted).map(valuesIn), Number(rows[0]?.at(-1) ?? 1), age, wanted)
    } catch (error) {
      for (const { reject } of round) reject(error as Error)
    }
  }

  private serveAhead(): void {
    for (;;) {
      const first = this.waiting[0]
      if (first === undefined || !first.takesAhead) return
      first.own = [...first.own, ...this.ahead.take(first.rows - first.own.length)]
      if (first.own.length < first.rows) return
      this.waiting.shift()
      first.resolve(first.own)
    }
  }
}

function share(round: readonly Wanted[], rows: readonly TextRow[]): void {
  let at = 0
  for (const wanted of round) {
    const drawn = rows.slice(at, at + missing(wanted))
    at += drawn.length
    if (drawn.length === missing(wanted)) wanted.resolve([...wanted.own, ...drawn])
    else wanted.reject(NONE_LEFT)
  }
}

function missing({ rows, own }: Wanted): number {
  return rows - own.length
}

const NONE_LEFT = weftError('internal', { what: 'a sequence has given fewer values than were wanted' })

/** Rows of the values, the numbers of the sequences, and how many values these give to a session at a time (CACHE). */
function drawSql(sequences: readonly DrawnSequence[]): (rows: number) => string {
  const names = sequences.map(({ name }) => `'${name}'::regclass`)
  const identities = `'{${sequences.map(({ isIdentity }) => isIdentity).join(',')}}'`
  const numbers = names.map((name) => `${name}::oid`).join(', ')
  const cache = `(SELECT min(seqcache) FROM pg_catalog.pg_sequence WHERE seqrelid IN (${numbers}))`
  return (rows) =>
    `SELECT weft.draw(ARRAY[${names.join(', ')}], ${identities}, ${rows}), ${numbers}, ${cache}`
}

/** `{1,2}`, the numbers as they are, and not the last. */
function valuesIn([values, ...more]: TextRow): TextRow {
  return [...values!.slice(1, -1).split(','), ...more.slice(0, -1)]
}
