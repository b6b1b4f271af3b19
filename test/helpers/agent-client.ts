import { PgError } from '../../errors/pg-error.ts'
import type {
  AgentLink,
  AgentSession,
  BackendIdentity,
  ExecRequest,
  ReplySink,
  Settings,
} from '../../protocol/agent-link.ts'
import { parseDataRow, parseErrorFields } from '../../protocol/wire/backend-messages.ts'
import { bind, execute, parse, query, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { type Agent, type AgentOptions, parsePostgresUrl, startAgent } from '../../shard-agent/main.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { MemoryLogStore, MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'

export const quietLog = { debug() {}, info() {}, warn() {}, error() {} }

export const clientOf = (user: string): BackendIdentity => ({ kind: 'client', user })

let settingsIds = 0
/** Interned, as a coordinator does. */
export function settingsOf(sql: string): Settings {
  return { id: ++settingsIds, sql }
}
export const NO_SETTINGS = settingsOf('')

export interface Reply {
  readonly bytes: Buffer
  /** Status letter, or '' after `failed`. */
  readonly ready: string
  /** Of an ErrorResponse, or given to `failed`. */
  readonly error: PgError | undefined
  /** Only after `failed`. */
  readonly sent: boolean | undefined
  readonly types: string
  readonly rows: (string | null)[][]
}

/** A session of an agent, with promises. */
export class TestSession implements ReplySink {
  readonly session: AgentSession
  readonly asyncs: Buffer[] = []
  /** Sees each chunk instead of it being collected. */
  onChunk: ((chunk: Buffer) => void) | undefined
  onDrained: () => void = () => {}
  /** An exec with `cut` waits for its cut. */
  onReady: () => void = () => {}
  private chunks: Buffer[] = []
  private done: ((reply: Reply) => void) | undefined

  constructor(link: AgentLink, id: number, identity: BackendIdentity) {
    this.session = link.open(id, identity, this)
  }

  exec(request: Partial<ExecRequest> & { readonly payload: Buffer }): Promise<Reply> {
    return new Promise((resolve) => {
      this.done = resolve
      this.session.exec({
        mapVersion: 0,
        settings: NO_SETTINGS,
        access: 'read',
        pin: false,
        taints: false,
        swallow: 0,
        ...request,
      })
    })
  }

  query(sql: string, request: Partial<ExecRequest> = {}): Promise<Reply> {
    return this.exec({ payload: query(sql), ...request })
  }

  /** First column of the first row; an error is thrown. */
  async value(sql: string, request: Partial<ExecRequest> = {}): Promise<string | null | undefined> {
    const reply = await this.query(sql, request)
    if (reply.error !== undefined) throw reply.error
    return reply.rows[0]?.[0]
  }

  data(chunk: Buffer, ready: number): void {
    if (this.onChunk !== undefined) this.onChunk(chunk)
    else this.chunks.push(chunk)
    if (ready !== 0) this.end(String.fromCharCode(ready), undefined, undefined)
  }

  failed(error: PgError, sent: boolean): void {
    this.end('', error, sent)
  }

  async(chunk: Buffer): void {
    this.asyncs.push(Buffer.from(chunk))
  }

  drained(): void {
    this.onDrained()
  }

  ready(): void {
    this.onReady()
  }

  private end(ready: string, error: PgError | undefined, sent: boolean | undefined): void {
    const done = this.done
    if (done === undefined) throw new Error('a reply that nobody waits for')
    this.done = undefined
    const bytes = Buffer.concat(this.chunks)
    this.chunks = []
    done({ bytes, ready, sent, ...readReply(bytes, error) })
  }
}

function readReply(bytes: Buffer, failed: PgError | undefined): Pick<Reply, 'types' | 'rows' | 'error'> {
  let types = ''
  let error = failed
  const rows: (string | null)[][] = []
  for (let at = 0; at + 5 <= bytes.length; ) {
    const type = String.fromCharCode(bytes[at]!)
    const end = at + 1 + bytes.readInt32BE(at + 1)
    types += type
    if (type === 'D') rows.push(parseDataRow(bytes, at + 5, end).map((v) => v?.toString() ?? null))
    if (type === 'E') error ??= new PgError(parseErrorFields(bytes, at + 5, end))
    at = end
  }
  return { types, rows, error }
}

/** Parse, Bind, Execute of the unnamed statement, and Sync. */
export function extended(sql: string, params: readonly string[] = []): Buffer {
  return Buffer.concat([parse('', sql), bind({ params }), execute(), SYNC])
}

/** An agent of the database at `url`, by default over its unix socket when `socketDir` is given. */
export function startTestAgent(
  server: { readonly url: string; readonly socketDir?: string },
  options: Partial<AgentOptions> = {},
): Promise<Agent> {
  const address = parsePostgresUrl(server.url)
  return startAgent({
    shard: 0,
    postgres: server.socketDir === undefined ? address : { ...address, host: server.socketDir },
    cluster: 'test',
    clock: new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 }),
    log: quietLog,
    txnLog: new MemoryTxnLog(new MemoryLogStore()),
    ...options,
  })
}
