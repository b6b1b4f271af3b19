import { invariant, type PgError } from '../../errors/pg-error.ts'
import type {
  AgentSession,
  ExecRequest,
  ReplySink,
  Settings,
  StatementRef,
} from '../../protocol/agent-link.ts'
import type { LineNumbers } from './row-types.ts'
import { CANCELED, withoutCancel } from './victim.ts'

/** Receives what one exec brings, in order, until `data` with `ready !== 0` or `failed`. */
export interface ReplyConsumer {
  data(line: ShardLine, chunk: Buffer, ready: number): void
  failed(line: ShardLine, error: PgError, sent: boolean): void
}

/** The one request object of a line: an exec is over before the next fills it again, so nothing is allocated. */
type MutableRequest = { -readonly [K in keyof Required<ExecRequest>]: ExecRequest[K] }

const NO_PAYLOAD = Buffer.alloc(0)

/**
 * A client session's line to one shard: the agent session, and who gets its replies now. At most one exec runs on a
 * line at a time.
 */
export class ShardLine implements ReplySink {
  readonly shard: number
  private readonly numbers: LineNumbers
  /** Set right after construction, by whoever opens the link. */
  session!: AgentSession
  readonly request: MutableRequest
  /** The shard takes part in the running transaction. */
  joined = false
  /** A statement of the running transaction wrote, or may have written, here. */
  wrote = false
  /** An exec is under way. */
  active = false
  /** Status byte of the last exec's ReadyForQuery; 0 while one runs, or when it never came. */
  status = 0
  /** Execs so far. */
  execs = 0
  /** The answer to the cancel request that ends the running exec, and replies since, until its end. */
  private victim: PgError | undefined
  private tail: Buffer[] = []
  private consumer: ReplyConsumer | undefined
  private readonly onAsync: (chunk: Buffer) => void
  private waitingForRoom: (() => void)[] = []

  constructor(shard: number, settings: Settings, onAsync: (chunk: Buffer) => void, numbers: LineNumbers) {
    this.shard = shard
    this.numbers = numbers
    this.onAsync = onAsync
    this.request = {
      mapVersion: 0,
      settings,
      begin: undefined,
      needs: undefined,
      payload: NO_PAYLOAD,
      access: 'read',
      pin: false,
      taints: false,
      swallow: 0,
      cut: undefined,
      seen: undefined,
    }
  }

  /** Starts the exec that `request` describes. */
  exec(consumer: ReplyConsumer): void {
    invariant(!this.active, `exec on shard ${this.shard} while one runs`)
    this.active = true
    this.execs++
    this.status = 0
    this.consumer = consumer
    this.session.exec(this.request as ExecRequest)
  }

  /** Cancels the running exec; the client is told `error` in place of Postgres' own, if that comes to pass. */
  endAsVictim(error: PgError): void {
    if (!this.active) return
    this.victim = error
    this.session.cancel()
  }

  data(chunk: Buffer, ready: number): void {
    if (this.victim === undefined) return this.take(chunk, ready)
    this.tail.push(chunk)
    if (ready === 0) return
    const tail = withoutCancel(Buffer.concat(this.tail), this.victim)
    this.notVictim()
    this.take(tail, ready)
  }

  private notVictim(): void {
    this.victim = undefined
    this.tail = []
  }

  private take(chunk: Buffer, ready: number): void {
    const consumer = this.consumer
    if (consumer === undefined) return
    if (ready !== 0) {
      this.status = ready
      this.active = false
      this.consumer = undefined
      // Nobody will make room for a COPY that is over.
      if (this.waitingForRoom.length > 0) this.drained()
    }
    consumer.data(this, chunk, ready)
  }

  failed(error: PgError, sent: boolean): void {
    const consumer = this.consumer
    const told = error.code === CANCELED ? (this.victim ?? error) : error
    this.active = false
    this.consumer = undefined
    this.notVictim()
    this.drained()
    consumer?.failed(this, told, sent)
  }

  /** What to translate in a RowDescription of this shard; undefined: nothing. */
  get typeNumbers(): ReadonlyMap<number, number> | undefined {
    return this.numbers.of(this.shard)
  }

  /** A type came up that has no number of the home shard. */
  readonly missedType = (): void => this.numbers.missed()

  async(chunk: Buffer): void {
    this.onAsync(chunk)
  }

  drained(): void {
    const waiting = this.waitingForRoom
    this.waitingForRoom = []
    for (const resolve of waiting) resolve()
  }

  /** Sends COPY bytes; resolves when there is room for more (at once, without a promise, when there is now). */
  copyData(bytes: Buffer): void | Promise<void> {
    if (this.session.copyData(bytes) || !this.active) return
    return new Promise((resolve) => this.waitingForRoom.push(resolve))
  }

  /** Wakes whoever waits for room on a line that is going away. */
  abandon(): void {
    this.drained()
  }
}

/** Statements that a request may need, as the request wants them. */
export function needing(statement: StatementRef): readonly StatementRef[] {
  return [statement]
}
