/** The keys by which a CancelRequest, which comes over a connection of its own, names a session of this node. */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { invariant } from '../../errors/pg-error.ts'

/** Protocol 3.0. */
const SECRET_BYTES = 4
/** Session pids begin where those of Linux processes end: none is ever mistaken for a backend's. */
const PID_MIN = 2 ** 22
const PID_MAX = 2 ** 31

export interface CancelKey {
  readonly pid: number
  readonly secret: Buffer
  /** The key is void from now on; may be called again. */
  release(): void
}

interface Entry {
  readonly secret: Buffer
  readonly onCancel: () => void
}

export class CancelKeys {
  readonly #entries = new Map<number, Entry>()

  /** A new key; `onCancel` is called for each request that knows it. */
  create(onCancel: () => void): CancelKey {
    invariant(this.#entries.size < PID_MAX / 2, 'cancel keys leak')
    let pid = randomInt(PID_MIN, PID_MAX)
    while (this.#entries.has(pid)) pid = randomInt(PID_MIN, PID_MAX)
    const entry: Entry = { secret: randomBytes(SECRET_BYTES), onCancel }
    this.#entries.set(pid, entry)
    const release = () => {
      // The pid may be somebody else's by now.
      if (this.#entries.get(pid) === entry) this.#entries.delete(pid)
    }
    return { pid, secret: entry.secret, release }
  }

  /** False when there is no such key. The client is never told. */
  cancel(pid: number, secret: Buffer): boolean {
    const entry = this.#entries.get(pid)
    if (entry === undefined || secret.length !== SECRET_BYTES) return false
    if (!timingSafeEqual(secret, entry.secret)) return false
    entry.onCancel()
    return true
  }

  get size(): number {
    return this.#entries.size
  }
}
