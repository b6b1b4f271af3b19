import { weftError } from '../../../errors/catalog.ts'
import { invariant, PgError } from '../../../errors/pg-error.ts'
import type { Catalog, ShardKey } from '../../../sql/catalog.ts'
import { BINARY_HEADER, BINARY_TRAILER } from '../../../sql/copy/binary-rows.ts'
import { lineContext } from '../../../sql/copy/copy-errors.ts'
import { type CopyFormat, ROW_BYTES_MAX, rowReader } from '../../../sql/copy/copy-format.ts'
import { fieldWriter, withoutAdded } from '../../../sql/copy/field-writer.ts'
import type { RowReader } from '../../../sql/copy/row-reader.ts'
import {
  type KeyContext,
  NO_MATCH,
  slotForBinary,
  slotForTextBytes,
  UNSURE,
} from '../../../sql/hash/key-value.ts'
import type { CopyPlan } from '../../../sql/plan/copy-plan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { quoteLiteral } from '../../settings/settings-sql.ts'
import { HeldRows } from '../answers/held-rows.ts'
import { culpritOf, fetchFills, fetchSlots } from '../shards/ask-home.ts'
import { CopiesInTurn, type InTurnOptions } from '../shards/copies-in-turn.ts'
import { type CopyTarget, ShardCopies } from '../shards/shard-copies.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import { errorLine, firstError } from './copy-failure.ts'
import { CopyLines, withClientLine } from './copy-lines.ts'
import { CopyNotices } from './copy-notices.ts'
import { copyStatement, copyTable } from './copy-statement.ts'

const HOME = 0
const LF = 0x0a
const ASK = -9
/** Of a row that no shard owns, and that Postgres will say so of, or leave out. */
const NOWHERE = -10
/** Of a row that has no key: any will do. */
const FOR_ALL = 0

/**
 * COPY FROM STDIN into a sharded or reference table: rows are cut from the client's bytes and given, as they are, to
 * the COPY of the shard that owns their key, or of every copy in turn. Rows whose shard, or whose defaults, only the home
 * shard can tell are held until it was asked, many at a time; its own COPY has to end for that, and goes on in another.
 */
export class CopyInExecutor {
  private readonly plan: CopyPlan
  private readonly catalog: Catalog
  private readonly runner: ShardRunner
  private readonly lines: readonly CopyLines[]
  private readonly held = new HeldRows()
  private readonly key: ShardKey | undefined
  private context: KeyContext = {}
  private readonly copies: CopyTarget
  private readonly heard: CopyNotices
  private reader: RowReader | undefined
  private writeFields: ((values: readonly (string | null)[]) => Buffer) | undefined
  /** What is added to every row, when that is the same for all. */
  private sameFields: Buffer | undefined
  private tail: Promise<void> | undefined
  private started = false
  /** Home can say which keys are none without an error: its COPY says it then, and rows before them are looked at. */
  private knowsValid = false

  /** `inTurn`: for the copies of a reference table. `saidAccount`: of what the shards say. */
  constructor(
    plan: CopyPlan,
    catalog: Catalog,
    runner: ShardRunner,
    inTurn: Pick<InTurnOptions, 'account' | 'onHome'> = {},
    saidAccount?: MemoryAccount,
  ) {
    this.plan = plan
    this.catalog = catalog
    this.runner = runner
    this.key = plan.table.key
    this.lines = Array.from({ length: runner.shardCount }, () => new CopyLines())
    const sql = copyStatement(plan, 'FROM STDIN', 'none')
    this.heard = new CopyNotices(plan, saidAccount)
    const heard = (shard: number, notices: readonly Buffer[]) => this.heard.add(notices, this.lines[shard]!)
    const around = plan.format === 'binary' ? { header: BINARY_HEADER, trailer: BINARY_TRAILER } : {}
    const explain = (shard: number, error: unknown) =>
      withClientLine(error, this.lines[this.toCopies ? HOME : shard]!)
    this.copies = this.toCopies
      ? new CopiesInTurn(runner, sql, {
          ...around,
          ...inTurn,
          explain,
          heard,
          onBatch: () => this.lines[HOME]!.reset(),
        })
      : new ShardCopies(runner, sql, { ...around, explain, heard })
  }

  /** Payloads of CopyData, cut anywhere. A promise: wait before the next; the bytes may change once this returned. */
  write(data: Buffer): void | Promise<void> {
    if (this.started && this.tail === undefined) return this.follow(this.take(data))
    const own = Buffer.from(data)
    const before = this.tail ?? this.start()
    return this.follow(before.then(() => this.take(own)))
  }

  /** What is wrong with the options is said before there are any rows. */
  async open(): Promise<void> {
    if (!CHECKED.test(this.plan.optionsSql)) return
    await this.start()
    await this.copies.openIfUnused(HOME)
  }

  /** The client has sent everything. Returns the number of rows, and what is to be said of them. */
  async finish(): Promise<{ rows: number; notices: readonly Buffer[] }> {
    await (this.tail ?? (this.started ? undefined : this.start()))
    if (this.reader !== undefined) {
      this.reader.finish()
      await this.drain()
      await this.sendHeld()
    }
    // Not a single row: Postgres still says what is wrong with the statement.
    await this.copies.openIfUnused(HOME)
    const counts = await this.copies.finish()
    const rows = this.toCopies ? counts[HOME]! : counts.reduce((sum, n) => sum + n, 0)
    return { rows, notices: this.heard.end() }
  }

  /** What one Postgres would have said where this was met: rows before it may be under way still. */
  async firstOf(error: unknown): Promise<unknown> {
    await this.tail?.catch(() => {})
    const held = await this.sendHeld().then(
      () => [],
      (other: unknown) => [other],
    )
    return firstError([error, ...held, ...(await this.copies.errors())])
  }

  /** What was said of the rows up to the one that is wrong. */
  noticesBefore(error: unknown): readonly Buffer[] {
    return this.heard.until(errorLine(error))
  }

  /** After an error, or when the client gave up: leaves no COPY open. */
  async abort(): Promise<void> {
    await this.tail?.catch(() => {})
    await this.copies.fail('COPY was given up')
  }

  private get toCopies(): boolean {
    return this.plan.table.kind === 'reference'
  }

  /** While something is waited for, writes queue up behind it. */
  private follow(wait: void | Promise<void>): void | Promise<void> {
    if (wait === undefined) return
    const tail: Promise<void> = wait.then(() => {
      if (this.tail === tail) this.tail = undefined
    })
    this.tail = tail
    return tail
  }

  private async start(): Promise<void> {
    const same = this.isSameForAll ? this.plan.fill.map(({ expression }) => `, (${expression})::text`) : []
    const whole = this.toCopies ? looksAtWhole(this.plan) : 'true'
    const { rows } = await this.runner.query(
      HOME,
      `SELECT pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('server_version_num'),
        pg_catalog.current_setting('TimeZone'), ${whole}, pg_catalog.current_setting('client_min_messages')${same.join('')}`,
    )
    const [encoding, version, zone, looks, level, ...values] = rows[0]!
    if (this.plan.skips?.max !== undefined) checkHears(level!)
    if (this.copies instanceof CopiesInTurn) this.copies.mayCut = looks === 'f'
    this.started = true
    this.knowsValid = Number(version) >= 160000
    if (encoding !== 'UTF8' && encoding !== 'SQL_ASCII') {
      throw weftError('not_supported', {
        id: 'client_encoding',
        what: `COPY into ${this.plan.table.kind} table "${this.plan.table.name}" with client_encoding ${encoding}`,
        hint: "Send the data as UTF8: SET client_encoding = 'UTF8'.",
      })
    }
    const typmod = this.key?.typmod
    this.context = { ...(zone === 'UTC' ? { zone } : {}), ...(typmod === undefined ? {} : { typmod }) }
    const format = formatOf(this.plan, Number(version))
    this.reader = rowReader(format)
    if (this.plan.fill.length > 0) this.writeFields = fieldWriter(format, this.fillColumns())
    if (this.plan.fill.length > 0 && format.format !== 'binary') {
      for (const lines of this.lines)
        lines.written = (row) => withoutAdded(row, format, this.plan.fill.length)
    }
    if (this.isSameForAll) this.sameFields = this.writeFields?.(values)
  }

  /** A row of the binary format would have to be changed where it begins. */
  private get isSameForAll(): boolean {
    const { fill, format } = this.plan
    if (this.key === undefined || format === 'binary' || fill.length === 0) return false
    return fill.every((f) => f.once !== undefined && !f.isKey)
  }

  private fillColumns() {
    return this.plan.fill.map(({ column }) => {
      const known = this.plan.table.columns.find((c) => c.name === column)
      invariant(known !== undefined, `column ${column} is one of the table`)
      return { column, typeOid: known.typeOid }
    })
  }

  private take(data: Buffer): void | Promise<void> {
    this.reader!.push(data)
    return this.drain()
  }

  private drain(): void | Promise<void> {
    const reader = this.reader!
    while (reader.next()) {
      const slot = this.slotOf(reader)
      if (slot >= 0) this.send(this.toCopies ? HOME : this.catalog.slots[slot]!, reader)
      else if (slot === NOWHERE) this.send(HOME, reader)
      else {
        this.held.add(reader, this.lacksKey(reader) ? NOWHERE : slot, this.keyOf(reader))
        if (this.held.isFull) {
          reader.detach()
          return this.sendHeld().then(() => this.drain())
        }
      }
    }
    return this.copies.room()
  }

  /** A slot; ASK when the row must be held: for its defaults, or because its key is UNSURE. */
  private slotOf(reader: RowReader): number {
    if (reader.isShort) return NOWHERE
    if (this.writeFields !== undefined && this.sameFields === undefined) return ASK
    if (this.key === undefined) return FOR_ALL
    if (this.plan.keyIndex < 0 || reader.keyIsNull) return this.nullKey(reader.line)
    return this.isDefault(reader) ? NOWHERE : this.hash(reader)
  }

  /** The key is to be its default, and has none: Postgres says so. */
  private lacksKey(reader: RowReader): boolean {
    if (this.key === undefined || this.plan.keyIndex < 0 || reader.keyIsNull) return false
    return this.isDefault(reader)
  }

  private isDefault({ buffer, keyStart, keyEnd, keyEscaped }: RowReader): boolean {
    const { defaultText, format } = this.plan
    if (defaultText === undefined || (format === 'csv' && keyEscaped)) return false
    return buffer.subarray(keyStart, keyEnd).equals(Buffer.from(defaultText))
  }

  private hash(reader: RowReader): number {
    const { type } = this.key!
    const { buffer, keyStart, keyEnd } = reader
    if (this.plan.format === 'binary') {
      return slotForBinary(type, 0, buffer, keyStart, keyEnd - keyStart, this.context)
    }
    if (!reader.keyEscaped)
      return slotForTextBytes(type, buffer, keyStart, keyEnd, 'unknown', false, this.context)
    const text = reader.keyText()
    return slotForTextBytes(type, text, 0, text.length, 'unknown', false, this.context)
  }

  private keyOf(reader: RowReader): Buffer | null {
    return this.plan.keyIndex < 0 || reader.keyIsNull ? null : Buffer.from(reader.keyText())
  }

  private send(shard: number, reader: RowReader): void {
    this.copies.append(shard, reader.buffer, reader.rowStart, reader.rowEnd)
    if (this.sameFields !== undefined && !reader.isShort)
      this.copies.append(shard, this.sameFields, 0, this.sameFields.length)
    if (this.plan.format !== 'binary') this.copies.appendByte(shard, LF)
    this.countLines(shard, reader.line, reader.innerLf, reader.innerCr)
  }

  /** On the first line that a shard sees it counts carriage returns, on the others line feeds (as in `sql/copy`). */
  private countLines(shard: number, line: number, innerLf: number, innerCr: number): void {
    const lines = this.lines[shard]!
    lines.add(line, 1 + (lines.isEmpty ? innerCr : innerLf))
  }

  /** Asks home for what the held rows lack, and sends them. */
  private async sendHeld(): Promise<void> {
    const { held } = this
    if (held.count === 0) return
    // A backend in the middle of a COPY answers nothing else.
    await this.copies.end(HOME)
    // Copies of a reference table tell by themselves when a batch has ended.
    if (!this.toCopies) this.lines[HOME]!.reset()
    const asks = this.writeFields !== undefined && this.sameFields === undefined
    const fills = asks ? await fetchFills(this.runner, this.plan.fill, held.count) : []
    const shards = this.key === undefined ? undefined : await this.heldShards(fills)
    for (let row = 0; row < held.count; row++) {
      const added = this.sameFields ?? this.writeFields?.(fills[row]!)
      this.sendHeldRow(row, shards?.[row] ?? HOME, added)
    }
    held.clear()
    await this.copies.room()
  }

  private sendHeldRow(row: number, shard: number, added: Buffer | undefined): void {
    const { held, copies } = this
    const start = row === 0 ? 0 : held.ends[row - 1]!
    if (this.plan.format === 'binary' && added !== undefined) {
      // The row begins with the number of its fields.
      held.data.writeInt16BE(this.plan.columns.length + this.plan.fill.length, start)
    }
    copies.append(shard, held.data, start, held.ends[row]!)
    if (added !== undefined) copies.append(shard, added, 0, added.length)
    if (this.plan.format !== 'binary') copies.appendByte(shard, LF)
    this.countLines(shard, held.lines[row]!, held.innerLf[row]!, held.innerCr[row]!)
  }

  /** The shard of every held row. */
  private async heldShards(fills: readonly (readonly (string | null)[])[]): Promise<readonly number[]> {
    const { held } = this
    const keyFill = this.plan.fill.findIndex((f) => f.isKey)
    const slots = held.slots.map((slot, row) => {
      if (keyFill >= 0) {
        const text = fills[row]![keyFill]!
        held.keys[row] = text === null ? null : Buffer.from(text)
      }
      return slot === ASK ? this.heldSlot(row, keyFill >= 0) : slot
    })
    const unsure = slots.flatMap((slot, row) => (slot === UNSURE || slot === NO_MATCH ? [row] : []))
    if (unsure.length > 0) {
      const answers = await this.askSlots(unsure, keyFill >= 0)
      for (const [i, row] of unsure.entries()) slots[row] = answers[i]!
    }
    return slots.map((slot) => (slot === NOWHERE ? HOME : this.catalog.slots[slot]!))
  }

  private heldSlot(row: number, isText: boolean): number {
    const key = this.held.keys[row]!
    if (key === null) return this.nullKey(this.held.lines[row]!)
    const { type } = this.key!
    if (this.plan.format === 'binary' && !isText) {
      return slotForBinary(type, 0, key, 0, key.length, this.context)
    }
    return slotForTextBytes(type, key, 0, key.length, 'unknown', false, this.context)
  }

  private async askSlots(rows: readonly number[], isText: boolean): Promise<readonly number[]> {
    const { held } = this
    if (this.plan.format === 'binary' && !isText) throw this.unreadable(held.lines[rows[0]!]!)
    const texts = rows.map((row) => held.keys[row]!.toString())
    try {
      if (!this.knowsValid && this.plan.skips === undefined)
        return await fetchSlots(this.runner, this.key!, texts)
      const slots = await fetchSlots(this.runner, this.key!, texts, 'if valid')
      return slots.map((slot) => slot ?? NOWHERE)
    } catch (error) {
      const culprit = culpritOf(error, texts)
      if (!(error instanceof PgError) || culprit < 0) throw error
      const line = lineContext(this.plan.table.name, held.lines[rows[culprit]!]!)
      const where = `${line}, column ${this.key!.column}: "${texts[culprit]}"`
      throw new PgError({ ...error.fields, where, position: undefined }, { cause: error })
    }
  }

  /** The column's own constraint says so, with the row. */
  private nullKey(line: number): number {
    if (this.plan.table.columns[this.key!.index]!.notNull) return NOWHERE
    const error = weftError('key_null', { table: this.plan.table.name, column: this.key!.column })
    throw new PgError({ ...error.fields, where: lineContext(this.plan.table.name, line) })
  }

  private unreadable(line: number): PgError {
    const error = weftError('not_supported', {
      id: 'copy',
      what: `a binary value of the shard key "${this.key!.column}" cannot be read`,
      hint: 'Use the text or csv format.',
    })
    return new PgError({ ...error.fields, where: lineContext(this.plan.table.name, line) })
  }
}

/** Options that Postgres may refuse, or not know. */
const CHECKED = /\b(ON_ERROR|REJECT_LIMIT|LOG_VERBOSITY|DEFAULT)\b/

/** Rows that are left out are counted by what the shards say of them. */
function checkHears(level: string): void {
  if (!/^(warning|error)$/.test(level)) return
  throw weftError('not_supported', {
    id: 'copy',
    what: `COPY with REJECT_LIMIT under client_min_messages = ${level} is not supported`,
    hint: 'SET client_min_messages = notice.',
  })
}

/** Whether something looks at all rows of a COPY: triggers do, and checks of rows that refer to others of the table. */
function looksAtWhole(plan: CopyPlan): string {
  const table = `${quoteLiteral(copyTable(plan))}::regclass`
  return `(EXISTS (SELECT FROM pg_trigger WHERE tgrelid = ${table} AND NOT tgisinternal)
    OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = ${table} AND confrelid = ${table}))`
}

function formatOf(plan: CopyPlan, serverVersion: number): CopyFormat {
  return {
    format: plan.format,
    table: plan.table.name,
    columns: plan.columns,
    delimiter: plan.delimiter,
    nullText: plan.nullText,
    quote: plan.quote,
    escape: plan.escape,
    header: plan.header,
    keyIndex: plan.keyIndex,
    keyForceNull: plan.forceNull.includes(plan.keyIndex),
    keyForceNotNull: plan.forceNotNull.includes(plan.keyIndex),
    countFields: plan.fill.length > 0,
    skips: plan.skips !== undefined,
    defaultText: plan.defaultText,
    ownDefaults: plan.ownDefaults ?? [],
    csvEndMarker: serverVersion < 180000,
    rowBytesMax: ROW_BYTES_MAX,
  }
}
