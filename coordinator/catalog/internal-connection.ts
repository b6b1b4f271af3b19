import { weftError } from '../../errors/catalog.ts'
import { invariant, PgError } from '../../errors/pg-error.ts'
import {
  type AgentLink,
  type AgentSession,
  ANY_MAP_VERSION,
  type BackendIdentity,
  type ExecRequest,
  type ReplySink,
  type Settings,
} from '../../protocol/agent-link.ts'
import { parseDataRow, parseErrorFields } from '../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../protocol/wire/frames.ts'
import { query } from '../../protocol/wire/frontend-messages.ts'

const FRAME_BYTES_MAX = 0x3fff_ffff

export type TextRow = readonly (string | null)[]

interface Answer {
  readonly rows: readonly TextRow[]
  /** How many rows there were when each statement had ended. */
  readonly ends: readonly number[]
}

/** Other than the administrator's. */
export interface ConnectedAs {
  readonly identity: BackendIdentity
  readonly settings: Settings
  /** See ExecRequest. */
  readonly sequences?: number
}

/** Statements of Weft's own on one shard, as its administrator or whom it is told, one after the other. */
export class InternalConnection implements ReplySink {
  private readonly session: AgentSession
  private readonly as: ConnectedAs
  private readonly shard: number
  private queue: Promise<unknown> = Promise.resolve()
  private running: { resolve(answer: Answer): void; reject(error: Error): void } | undefined
  private reader = new FrameReader({ frameBytesMax: FRAME_BYTES_MAX })
  private rows: TextRow[] = []
  private ends: number[] = []
  private error: PgError | undefined

  constructor(link: AgentLink, sessionId: number, as: ConnectedAs = ADMINISTRATOR) {
    this.shard = link.shard
    this.as = as
    this.session = link.open(sessionId, as.identity, this)
  }

  /** Runs a simple Query; rows of all its statements, as text. Rejects with the first error. */
  query(sql: string): Promise<Answer> {
    const next = this.queue.then(() => this.run(sql))
    this.queue = next.catch(() => {})
    return next
  }

  /** Requests with nothing in between. Each is of several statements: `work` is given the rows of each of them. */
  exclusively<T>(
    work: (each: (statements: readonly string[]) => Promise<(readonly TextRow[])[]>) => Promise<T>,
  ): Promise<T> {
    const each = async (statements: readonly string[]) => {
      const { rows, ends } = await this.run(statements.join(';\n'))
      return ends.map((end, i) => rows.slice(ends[i - 1] ?? 0, end))
    }
    const next = this.queue.then(() => work(each))
    this.queue = next.catch(() => {})
    return next
  }

  private run(sql: string): Promise<Answer> {
    invariant(this.running === undefined, 'two internal statements at once')
    return new Promise((resolve, reject) => {
      this.running = { resolve, reject }
      this.rows = []
      this.ends = []
      this.error = undefined
      const request: ExecRequest = {
        mapVersion: ANY_MAP_VERSION,
        settings: this.as.settings,
        sequences: this.as.sequences,
        payload: query(sql),
        access: 'read',
        pin: false,
        taints: false,
        swallow: 0,
      }
      this.session.exec(request)
    })
  }

  data(chunk: Buffer, ready: number): void {
    const { reader } = this
    reader.push(chunk)
    while (reader.next()) {
      const { type, buffer, bodyStart, end } = reader
      if (type === MSG.dataRow) {
        this.rows.push(parseDataRow(buffer, bodyStart, end).map((v) => v?.toString('utf8') ?? null))
      } else if (type === MSG.commandComplete) {
        this.ends.push(this.rows.length)
      } else if (type === MSG.errorResponse) {
        this.error ??= new PgError(parseErrorFields(buffer, bodyStart, end))
      }
    }
    if (ready === 0) return
    const running = this.running
    this.running = undefined
    if (this.error === undefined) running?.resolve({ rows: this.rows, ends: this.ends })
    else running?.reject(this.error)
  }

  failed(error: PgError): void {
    const running = this.running
    this.running = undefined
    this.reader = new FrameReader({ frameBytesMax: FRAME_BYTES_MAX })
    running?.reject(error)
  }

  async(): void {}

  drained(): void {}

  close(): void {
    this.running?.reject(weftError('shard_unreachable', { shard: this.shard, why: 'this node is stopping' }))
    this.running = undefined
    this.session.close()
  }
}

const ADMINISTRATOR: ConnectedAs = { identity: { kind: 'internal' }, settings: { id: 0, sql: '' } }
