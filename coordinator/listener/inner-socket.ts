import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** One end of a pipe in this process, with what sessions and drivers ask of a socket beyond a stream. */
class End extends Duplex {
  other: End | undefined
  private taken: (() => void) | undefined

  override _read(): void {
    const { taken } = this
    this.taken = undefined
    taken?.()
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const { other } = this
    if (other === undefined || other.destroyed) return done()
    // The reader says when there is room for more.
    if (other.push(chunk)) done()
    else other.taken = done
  }

  override _final(done: () => void): void {
    this.other?.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { other, taken } = this
    this.taken = undefined
    taken?.()
    if (other?.destroyed === false) setImmediate(() => other.destroy())
    done(error)
  }

  destroySoon(): void {
    this.end(() => this.destroy())
  }

  connect(): this {
    setImmediate(() => this.emit('connect'))
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

/** Two ends: what is written to one is read from the other. */
export function innerSockets(): readonly [Socket, Socket] {
  const [near, far] = [new End(), new End()]
  near.other = far
  far.other = near
  return [near as unknown as Socket, far as unknown as Socket]
}
