/** The reply to a statement of the agent's own, collected. */
import { PgError } from '../../errors/pg-error.ts'
import {
  parseCommandTag,
  parseDataRow,
  parseErrorFields,
  parseRowDescription,
  type WireErrorFields,
} from '../../protocol/wire/backend-messages.ts'
import { MSG } from '../../protocol/wire/frames.ts'

const HEADER_BYTES = 5

/** The one statement of the agent's own that runs on a backend, if any. */
export class CommandSlot {
  private reply: CommandReply | undefined
  private done: ((reply: CommandReply) => void) | undefined
  private lost: ((error: PgError) => void) | undefined

  /** Resolves at ReadyForQuery, rejects when the backend dies. */
  start(send: () => void): Promise<CommandReply> {
    return new Promise((resolve, reject) => {
      this.done = resolve
      this.lost = reject
      this.reply = new CommandReply()
      send()
    })
  }

  take(type: number, chunk: Buffer, start: number, end: number): void {
    this.reply?.take(type, chunk, start, end)
  }

  ready(status: number): void {
    const { reply, done } = this
    this.clear()
    if (reply === undefined) return
    reply.status = status
    done?.(reply)
  }

  fail(error: PgError): void {
    const { lost } = this
    this.clear()
    lost?.(error)
  }

  private clear(): void {
    this.reply = undefined
    this.done = undefined
    this.lost = undefined
  }
}

export type Row = readonly (string | null)[]

export class CommandReply {
  readonly rows: Row[] = []
  /** Of the last result. */
  columns: readonly string[] = []
  /** Tag of the last statement. */
  tag = ''
  error: PgError | undefined
  readonly notices: WireErrorFields[] = []
  /** ReadyForQuery's status byte. */
  status = 0

  take(type: number, chunk: Buffer, start: number, end: number): void {
    const body = start + HEADER_BYTES
    if (type === MSG.dataRow) {
      this.rows.push(parseDataRow(chunk, body, end).map((value) => value?.toString() ?? null))
    } else if (type === MSG.rowDescription) {
      this.columns = parseRowDescription(chunk, body, end).map((column) => column.name)
    } else if (type === MSG.commandComplete) this.tag = parseCommandTag(chunk, body, end).text
    else if (type === MSG.errorResponse) this.error ??= new PgError(parseErrorFields(chunk, body, end))
    else if (type === MSG.noticeResponse) this.notices.push(parseErrorFields(chunk, body, end))
  }

  /** The rows by column name. */
  records(): Readonly<Record<string, string | null>>[] {
    return this.rows.map((row) => Object.fromEntries(this.columns.map((name, i) => [name, row[i] ?? null])))
  }
}
