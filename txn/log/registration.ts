import { incarnationFor } from '../gid.ts'
import { LogUnavailableError } from './txn-log.ts'

export interface RegistrationOptions {
  /** Undefined: nothing is registered, only the log's health is watched. */
  readonly coordinatorId: string | undefined
  /** False when the registration is gone. */
  readonly beat: (incarnation: string) => Promise<boolean>
  /** False when somebody has it already. */
  readonly register: (incarnation: string) => Promise<boolean>
  readonly ping: () => Promise<void>
  readonly beatEveryMs: number
  readonly onHealth: ((reachable: boolean, why: string) => void) | undefined
}

/** Often enough that commits work again within a second of the log's return. */
const probeEveryMs = 1_000

/** Keeps a coordinator registered with its log, and knows whether the log can be reached. */
export class Registration {
  private readonly options: RegistrationOptions
  private epoch = 0
  private incarnation: string | undefined
  private reachable = false
  private lastBeatMs = Number.NEGATIVE_INFINITY
  private timer: NodeJS.Timeout | undefined
  private probing: Promise<void> | undefined
  private stopped = false

  constructor(options: RegistrationOptions) {
    this.options = options
  }

  /** Throws `LogUnavailableError`: better to abort before anything is prepared than to be in doubt after. */
  get current(): string {
    if (!this.reachable) throw new LogUnavailableError('it does not answer')
    if (this.incarnation === undefined) throw new LogUnavailableError('this coordinator is not registered')
    return this.incarnation
  }

  /** Rejects when the log is out of reach, unless it `mayBeDown`: then it is asked again until it answers. */
  async start(mayBeDown: boolean): Promise<void> {
    let why = ''
    await this.probe((reason) => {
      why = reason
    })
    if (!this.reachable && !mayBeDown) throw new LogUnavailableError(why)
    if (!this.reachable) this.options.onHealth?.(false, why)
    this.timer = setInterval(() => void this.probe(), probeEveryMs).unref()
  }

  /** A call failed: until the log has answered a probe it counts as out of reach. */
  failed(error: unknown): void {
    this.setReachable(false, messageOf(error))
    void this.probe()
  }

  /** The log says that this registration is gone. */
  fenced(incarnation: string): void {
    if (incarnation !== this.incarnation) return
    this.incarnation = undefined
    void this.probe()
  }

  /** What is to be given up, if anything. */
  async stop(): Promise<string | undefined> {
    this.stopped = true
    clearInterval(this.timer)
    await this.probing
    const { incarnation } = this
    this.incarnation = undefined
    return incarnation
  }

  private probe(onError?: (why: string) => void): Promise<void> {
    this.probing ??= this.probeOnce(onError).finally(() => {
      this.probing = undefined
    })
    return this.probing
  }

  private async probeOnce(onError?: (why: string) => void): Promise<void> {
    if (this.stopped) return
    const now = performance.now()
    const registered = this.options.coordinatorId === undefined || this.incarnation !== undefined
    if (this.reachable && registered && now - this.lastBeatMs < this.options.beatEveryMs) return
    try {
      await this.beatOrRegister()
      this.lastBeatMs = now
      this.setReachable(true, '')
    } catch (error) {
      onError?.(messageOf(error))
      this.setReachable(false, messageOf(error))
    }
  }

  private async beatOrRegister(): Promise<void> {
    const { coordinatorId, beat, register, ping } = this.options
    if (coordinatorId === undefined) return ping()
    if (this.incarnation !== undefined) {
      if (await beat(this.incarnation)) return
      this.incarnation = undefined
    }
    // An epoch is used at most once, also when the answer to its registration was lost.
    const incarnation = incarnationFor(coordinatorId, this.epoch++)
    if (!(await register(incarnation))) throw new LogUnavailableError(`${incarnation} is registered already`)
    this.incarnation = incarnation
  }

  private setReachable(reachable: boolean, why: string): void {
    if (this.reachable === reachable || this.stopped) return
    this.reachable = reachable
    this.options.onHealth?.(reachable, why)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}
