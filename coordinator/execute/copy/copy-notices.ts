import { PgError } from '../../../errors/pg-error.ts'
import {
  noticeResponse,
  parseErrorFields,
  type WireErrorFields,
} from '../../../protocol/wire/backend-messages.ts'
import { HEADER_BYTES } from '../../../protocol/wire/bytes.ts'
import { limitedContext } from '../../../sql/copy/copy-errors.ts'
import type { CopyPlan } from '../../../sql/plan/copy-plan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { atClientLine, type CopyLines } from './copy-lines.ts'

interface Said {
  /** Of the client's data; none for what is said when all rows are there. */
  readonly line: number | undefined
  readonly notice: Buffer
}

/** Where Postgres says which rows it leaves out, and how many. */
const SKIPPED_ONE = 'copyfromparse.c'
const SKIPPED_ALL = 'copyfrom.c'

/** What the shards had to say in a COPY FROM, told to the client as one Postgres would. */
export class CopyNotices {
  private readonly plan: CopyPlan
  private readonly account: MemoryAccount | undefined
  private readonly said: Said[] = []
  /** Lines of rows that were left out, with the CONTEXT of each. Only with a limit. */
  private readonly skippedAt: { readonly line: number; readonly where: string }[] = []
  private skipped = 0

  constructor(plan: CopyPlan, account: MemoryAccount | undefined) {
    this.plan = plan
    this.account = account
  }

  /** The notices of one COPY of a shard. */
  add(notices: readonly Buffer[], lines: CopyLines): void {
    for (const notice of notices) {
      this.account?.add(notice.length)
      const fields = parseErrorFields(notice, HEADER_BYTES, notice.length)
      if (fields.file === SKIPPED_ONE) this.addSkipped(fields, lines)
      else if (fields.file === SKIPPED_ALL) this.countSkipped(fields)
      else this.say(fields, lines)
    }
  }

  private countSkipped({ message }: WireErrorFields): void {
    if (this.plan.skips?.max === undefined) this.skipped += Number(/\d+/.exec(message)?.[0] ?? 0)
  }

  private addSkipped(fields: WireErrorFields, lines: CopyLines): void {
    const { max, says } = this.plan.skips ?? { says: 'each' }
    let line = 0
    const message = fields.message.replace(/\d+/, (shardLine) => {
      line = lines.lookup(Number(shardLine)) ?? Number(shardLine)
      return String(line)
    })
    if (max !== undefined) {
      this.skipped++
      this.skippedAt.push({ line, where: limitedContext(this.plan.table.name, line, message) })
    }
    if (says === 'each') this.said.push({ line, notice: noticeResponse({ ...fields, message }) })
  }

  private say(fields: WireErrorFields, lines: CopyLines): void {
    const { where, line } = atClientLine(fields.where ?? '', lines)
    const notice = noticeResponse(line === undefined ? fields : { ...fields, where })
    this.said.push({ line, notice })
  }

  /** In the order of the data. Throws when more rows were left out than may be. */
  end(): readonly Buffer[] {
    const { max, says } = this.plan.skips ?? { says: 'silent' }
    if (max !== undefined && BigInt(this.skipped) > max) throw this.tooMany(max)
    const ofRows = this.said.filter((one) => one.line !== undefined).sort((a, b) => a.line! - b.line!)
    const after = this.said.filter((one) => one.line === undefined)
    const total = says === 'silent' || this.skipped === 0 ? [] : [totalNotice(this.skipped)]
    return [...ofRows.map(({ notice }) => notice), ...total, ...after.map(({ notice }) => notice)]
  }

  /** In the order of the data, where a row was wrong, or (no line) something at their end. */
  until(line: number | undefined): readonly Buffer[] {
    const ofRows = this.said.filter((one) => one.line !== undefined && one.line <= (line ?? Infinity))
    const after = line === undefined ? this.said.filter((one) => one.line === undefined) : []
    return [...ofRows.sort((a, b) => a.line! - b.line!), ...after].map(({ notice }) => notice)
  }

  private tooMany(max: bigint): PgError {
    const last = this.skippedAt.sort((a, b) => a.line - b.line)[Number(max)]!
    return new PgError({
      code: '22P02',
      message: `skipped more than REJECT_LIMIT (${max}) rows due to data type incompatibility`,
      where: last.where,
    })
  }
}

function totalNotice(rows: number): Buffer {
  const what = rows === 1 ? '1 row was' : `${rows} rows were`
  return noticeResponse({ code: '00000', message: `${what} skipped due to data type incompatibility` })
}
