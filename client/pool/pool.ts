import { Closed, TimedOut, Unreachable } from '../errors/errors.ts'
import type { Settled } from '../options.ts'
import { chooseNode } from './choose-node.ts'
import { isDown, Node } from './node.ts'
import type { Session } from './session.ts'
import { canceledBy, throwIfAborted } from './watch.ts'

interface Waiter {
  readonly give: (session: Session) => void
  readonly fail: (error: unknown) => void
  /** Why servers could not be reached since it waits. */
  readonly errors: Map<Node, unknown>
}

/** Connections to several servers that are all the same. One queue for all: whoever has one first serves who came first. */
export class Pool {
  readonly #options: Settled
  readonly #nodes: readonly Node[]
  readonly #waiters: Waiter[] = []
  readonly #used = new Map<Session, Node>()
  #isClosed = false
  #whenUnused: (() => void) | undefined

  constructor(options: Settled) {
    this.#options = options
    this.#nodes = options.urls.map((url) => new Node(url, options))
    for (const node of this.#nodes) node.onRoom = () => this.#serve()
  }

  /** Connections in use, and callers that wait for one. */
  get load(): { readonly used: number; readonly waiting: number } {
    return { used: this.#used.size, waiting: this.#waiters.length }
  }

  /** @throws Closed, Canceled, TimedOut, Unreachable, DatabaseError of the login. */
  async acquire(signal?: AbortSignal): Promise<Session> {
    if (this.#isClosed) throw new Closed('the Db is closed')
    throwIfAborted(signal)
    let stop = (): void => undefined
    const session = new Promise<Session>((give, fail) => {
      const waiter: Waiter = { give, fail, errors: new Map() }
      stop = this.#limit(waiter, signal)
      this.#waiters.push(waiter)
      this.#serve()
    })
    return session.finally(stop)
  }

  #limit(waiter: Waiter, signal: AbortSignal | undefined): () => void {
    const leave = (error: unknown): void => {
      const i = this.#waiters.indexOf(waiter)
      if (i < 0) return
      this.#waiters.splice(i, 1)
      waiter.fail(error)
    }
    const { acquireTimeoutMs } = this.#options
    const late = (): void => leave(new TimedOut(`no connection came free within ${acquireTimeoutMs} ms`))
    const timer = acquireTimeoutMs === 0 ? undefined : setTimeout(late, acquireTimeoutMs)
    const onAbort = (): void => leave(canceledBy(signal))
    signal?.addEventListener('abort', onAbort, { once: true })
    return () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Gives a connection back; one that has state of its user is closed. */
  release(session: Session): void {
    const node = this.#used.get(session)
    this.#used.delete(session)
    if (!session.isClean || this.#isClosed) void session.close()
    else node?.put(session)
    this.#serve()
    if (this.#used.size === 0) this.#whenUnused?.()
  }

  #serve(): void {
    while (this.#waiters.length > 0) {
      const opening = this.#nodes.reduce((sum, node) => sum + node.opening, 0)
      const chosen = chooseNode(this.#nodes, this.#options.clock.now(), this.#options.random)
      const node = chosen === undefined ? undefined : this.#nodes[chosen]!
      const session = node?.take()
      if (session !== undefined) this.#give(session, node!)
      else if (node === undefined || opening >= this.#waiters.length) return
      else void this.#open(node)
    }
  }

  async #open(node: Node): Promise<void> {
    try {
      const session = await node.open()
      if (this.#waiters.length > 0) this.#give(session, node)
      else if (this.#isClosed) await session.close()
      else node.put(session)
    } catch (error) {
      this.#failed(node, error)
    }
    this.#serve()
  }

  #give(session: Session, node: Node): void {
    this.#used.set(session, node)
    this.#waiters.shift()!.give(session)
  }

  #failed(node: Node, error: unknown): void {
    // All servers would say the same of a login that is refused.
    if (!isDown(error)) return this.#waiters.shift()?.fail(error)
    for (const waiter of this.#waiters) waiter.errors.set(node, error)
    const failed = this.#waiters.filter(({ errors }) => errors.size >= this.#nodes.length)
    for (const waiter of failed) {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
      waiter.fail(new Unreachable(new Map([...waiter.errors].map(([{ name }, why]) => [name, why]))))
    }
  }

  /** Ends when all that is under way has ended; who waits for a connection is told `Closed`. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const waiter of this.#waiters.splice(0)) waiter.fail(new Closed('the Db is closed'))
    await Promise.all(this.#nodes.map((node) => node.closeFree()))
    if (this.#used.size === 0) return
    await new Promise<void>((done) => {
      this.#whenUnused = done
    })
  }
}
