import { invariant, type PgError } from '../../../errors/pg-error.ts'
import type {
  AgentLink,
  AgentSession,
  ExecRequest,
  ReplySink,
  Settings,
  StatementRef,
  Timestamp,
} from '../../../protocol/agent-link.ts'
import { STATUS } from '../../../protocol/wire/frames.ts'
import { FIRST_USER_OID } from '../../../sql/catalog.ts'
import type { SessionTracing } from '../../tracing/session-tracing.ts'
import type { OpenSpan } from '../../tracing/tracing.ts'
import type { LineNumbers } from '../answers/row-types.ts'
import type { Causal } from '../transaction/causal.ts'
import { CANCELED, withoutCancel } from '../transaction/victim.ts'
import type { CutWait } from './cut-wait.ts'
import { hasPlainBackslash, PLAIN_BACKSLASH } from './plain-backslashes.ts'

/** Receives what one exec brings, in order, until `data` with `ready !== 0` or `failed`. */
export interface ReplyConsumer {
  data(line: ShardLine, chunk: Buffer, ready: number): void
  failed(line: ShardLine, error: PgError, sent: boolean): void
}

/** The one request object of a line: an exec is over before the next fills it again, so nothing is allocated. */
type MutableRequest = { -readonly [K in keyof Required<ExecRequest>]: ExecRequest[K] }

const HOME = 0
const NO_PAYLOAD = Buffer.alloc(0)

/** What a line shares with the others of its session. */
export interface LineOwner {
  readonly causal: Causal
  readonly tracing: SessionTracing | undefined
  /** Execs of all lines that may have written: what they did is not undone by running the statement again. */
  writes: number
  async(chunk: Buffer): void
  /** A backend of the session has died while nothing ran on it. */
  released(line: ShardLine): void
}

/**
 * A client session's line to one shard: the agent session, and who gets its replies now. At most one exec runs on a
 * line at a time.
 */
export class ShardLine implements ReplySink {
  readonly shard: number
  private readonly link: AgentLink
  private readonly owner: LineOwner
  private readonly numbers: LineNumbers
  /** Set right after construction, by whoever opens the link. */
  session!: AgentSession
  readonly request: MutableRequest
  /** The shard takes part in the running transaction. */
  joined = false
  /** A statement of the running transaction wrote, or may have written, here. */
  wrote = false
  /** A statement of the running transaction ran here; it did more than open its snapshot. */
  touched = false
  /** The session keeps its backend: something of the session is there, or may be until it has been looked at. */
  kept = false
  /** An exec has ended on the backend that is kept: what is there is the session's. */
  private keeps = false
  /** The backend that was kept was gone when the next exec began. */
  private isLost = false
  /** What the backend was made to fit when the last transaction, or statement by itself, began on it. */
  base: Settings | undefined
  /** The running exec waits for a cut. */
  cutWait: CutWait | undefined
  /** An exec is under way. */
  active = false
  /** Status byte of the last exec's ReadyForQuery; 0 while one runs, or when it never came. */
  status = 0
  /** What the running exec shows is data. */
  private looks = true
  /** Execs so far. */
  execs = 0
  /** The answer to the cancel request that ends the running exec, and replies since, until its end. */
  private victim: PgError | undefined
  private tail: Buffer[] = []
  private consumer: ReplyConsumer | undefined
  /** Of the running exec, where it is traced. */
  private span: OpenSpan | undefined
  private waitingForRoom: (() => void)[] = []

  constructor(link: AgentLink, settings: Settings, owner: LineOwner, numbers: LineNumbers) {
    this.shard = link.shard
    this.link = link
    this.owner = owner
    this.numbers = numbers
    this.request = {
      mapVersion: 0,
      settings,
      begin: undefined,
      within: undefined,
      needs: undefined,
      payload: NO_PAYLOAD,
      access: 'read',
      pin: false,
      taints: false,
      unsettles: undefined,
      asItIs: undefined,
      sequences: 0,
      commits: undefined,
      swallow: 0,
      cut: undefined,
      seen: undefined,
      ownUnseen: false,
    }
  }

  /** Starts the exec that `request` describes. `looks`: it may show data; else it waits for none, and has seen none. */
  exec(consumer: ReplyConsumer, looks = true): void {
    invariant(!this.active, `exec on shard ${this.shard} while one runs`)
    this.active = true
    this.execs++
    if (this.status !== STATUS.inTransaction && this.status !== STATUS.failed && this.request.asItIs !== true)
      this.base = this.request.settings
    this.status = 0
    // It would begin on another backend, which knows nothing of it.
    if (this.keeps && !this.session.holdsBackend) this.isLost = true
    this.consumer = consumer
    this.looks = looks
    const { request, owner } = this
    if (owner.tracing !== undefined) this.span = owner.tracing.shard(this.shard)
    request.within = this.joined && request.begin === undefined
    const tells = (looks || request.access === 'commit') && request.cut === undefined
    request.seen = tells ? owner.causal.before(this.shard) : undefined
    if (request.seen !== undefined) request.ownUnseen = owner.causal.ownUnseen
    if (request.settings.escapes === true && hasPlainBackslash(request.payload))
      return this.failed(PLAIN_BACKSLASH, false)
    this.session.exec(request as ExecRequest)
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
      if (this.request.access !== 'read') this.owner.writes++
      if (this.request.pin) this.keeps = true
      this.consumer = undefined
      this.over()
      // Nobody will make room for a COPY that is over.
      if (this.waitingForRoom.length > 0) this.drained()
    }
    consumer.data(this, chunk, ready)
  }

  failed(error: PgError, sent: boolean): void {
    const consumer = this.consumer
    const told = error.code === CANCELED ? (this.victim ?? error) : error
    if (sent) this.owner.writes++
    this.consumer = undefined
    if (this.span !== undefined) this.owner.tracing?.shardFailed(this.span, told)
    this.over()
    this.notVictim()
    this.drained()
    consumer?.failed(this, told, sent)
  }

  /** The exec has ended, one way or the other. */
  private over(): void {
    this.active = false
    if (this.span !== undefined) {
      this.span.end(performance.now())
      this.span = undefined
    }
    const { appliedTs } = this.link
    if (this.looks && appliedTs !== 0n) this.owner.causal.saw(this.shard, appliedTs)
    if (this.request.cut === undefined) return
    this.request.cut = undefined
    this.cutWait?.ended(this)
  }

  /** At least the highest timestamp of a cross-shard commit that its last exec can have seen. */
  get appliedTs(): Timestamp {
    return this.link.appliedTs
  }

  /** See the request `moved`. */
  async movedTs(): Promise<Timestamp> {
    const answer = await this.link.control({ kind: 'moved' })
    return answer.kind === 'moved' ? BigInt(answer.ts) : 0n
  }

  ready(): void {
    this.cutWait?.ready(this)
  }

  /** What to translate in a RowDescription of this shard; undefined: nothing. */
  get typeNumbers(): ReadonlyMap<number, number> | undefined {
    return this.numbers.of(this.shard)
  }

  /**
   * What clients call the types of parameters, in this shard's numbers: they know the home shard's. 0 for a type that is
   * not known here (yet): Postgres infers it.
   */
  typesHere(types: readonly number[]): readonly number[] {
    if (this.shard === HOME || types.every((type) => type < FIRST_USER_OID)) return types
    const numbers = this.numbers.there(this.shard)
    return types.map((type) => {
      if (type < FIRST_USER_OID) return type
      const here = numbers?.get(type)
      if (here === undefined) this.numbers.missed()
      return here ?? 0
    })
  }

  /** A type came up that has no number of the home shard. */
  readonly missedType = (): void => this.numbers.missed()

  async(chunk: Buffer): void {
    this.owner.async(chunk)
  }

  /** What the session had on its backend is gone with it. */
  get hasLostState(): boolean {
    return this.kept && this.keeps && (this.isLost || !this.session.holdsBackend)
  }

  released(): void {
    this.owner.released(this)
  }

  /** The session has nothing there any more. */
  letGo(): void {
    this.kept = false
    this.keeps = false
    this.isLost = false
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
