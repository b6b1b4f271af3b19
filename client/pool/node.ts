import { DatabaseError } from '../errors/errors.ts'
import type { Settled } from '../options.ts'
import { downMs, type NodeView } from './choose-node.ts'
import { Session } from './session.ts'

/** One server and its connections. */
export class Node implements NodeView {
  /** Host and port. */
  readonly name: string
  readonly #url: string
  readonly #options: Settled
  readonly #sessions = new Set<Session>()
  /** The one used last comes last, and is taken first: the others may time out. */
  readonly #free: { readonly session: Session; readonly timer: NodeJS.Timeout | undefined }[] = []
  #opening = 0
  #failures = 0
  downUntil = 0
  /** A connection was closed: there is room for another. */
  onRoom: () => void = () => undefined

  constructor(url: string, options: Settled) {
    const { host, pathname } = parseUrl(url)
    this.name = host === '' ? pathname : host
    this.#url = url
    this.#options = options
  }

  get idle(): number {
    return this.#free.length
  }

  get busy(): number {
    return this.#sessions.size - this.#free.length + this.#opening
  }

  get opening(): number {
    return this.#opening
  }

  get hasRoom(): boolean {
    return this.#sessions.size + this.#opening < this.#options.poolMax
  }

  /** A connection that nobody uses. */
  take(): Session | undefined {
    const free = this.#free.pop()
    clearTimeout(free?.timer)
    return free?.session
  }

  /** @throws ConnectionLost, DatabaseError; it is down for a while after those that say so. */
  async open(): Promise<Session> {
    this.#opening += 1
    try {
      const session = await Session.open(this.#url, this.#options)
      this.#failures = 0
      this.downUntil = 0
      this.#sessions.add(session)
      session.onEnd = () => this.#forget(session)
      return session
    } catch (error) {
      if (isDown(error)) {
        this.#failures += 1
        this.downUntil = this.#options.clock.now() + downMs(this.#failures, this.#options.random)
      }
      throw error
    } finally {
      this.#opening -= 1
    }
  }

  /** Takes a connection back that is fit for others. */
  put(session: Session): void {
    const { idleTimeoutMs } = this.#options
    const close = (): void => void session.close()
    const timer = idleTimeoutMs === 0 ? undefined : setTimeout(close, idleTimeoutMs)
    this.#free.push({ session, timer })
  }

  #forget(session: Session): void {
    this.#sessions.delete(session)
    const i = this.#free.findIndex((free) => free.session === session)
    if (i >= 0) clearTimeout(this.#free.splice(i, 1)[0]!.timer)
    this.onRoom()
  }

  async closeFree(): Promise<void> {
    await Promise.all([...this.#free].map(({ session }) => session.close()))
  }
}

/** SQLSTATEs of a server that lets nobody in now: connection errors, too many clients, shutting down, starting. */
export function isDown(error: unknown): boolean {
  return !(error instanceof DatabaseError) || /^(08|53|57P|58)/.test(error.sqlstate)
}

function parseUrl(url: string): { host: string; pathname: string } {
  try {
    return new URL(url)
  } catch {
    // Not the URL itself: it may hold a password.
    throw new TypeError('urls: not all of them are URLs like postgres://user@host:5432/database')
  }
}
