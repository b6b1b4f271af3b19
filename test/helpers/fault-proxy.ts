import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Direction = 'to-server' | 'to-client'

/** A TCP proxy on a loopback port that can break the connections that go through it. */
export interface FaultProxy {
  readonly port: number
  /**
   * From now on nothing gets through in these directions, neither bytes nor the end of a connection, as when a cable is
   * pulled; the other directions go on. Like TCP's own, what was held back arrives after `heal`, if both ends still wait.
   */
  block(...directions: readonly Direction[]): void
  heal(): void
  /** Resets every connection; new ones are accepted. */
  cut(): void
  stop(): Promise<void>
}

export async function startFaultProxy(serverPort: () => number): Promise<FaultProxy> {
  const pairs = new Set<Pair>()
  const blocked = new Set<Direction>()
  const server = createServer({ pauseOnConnect: true }, (client) => {
    const pair = new Pair(client, connect(serverPort(), '127.0.0.1'), blocked, () => pairs.delete(pair))
    pairs.add(pair)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => {
    for (const pair of [...pairs]) pair.reset()
  }
  return {
    port: (server.address() as AddressInfo).port,
    block: (...directions) => {
      for (const direction of directions) blocked.add(direction)
      for (const pair of pairs) pair.update()
    },
    heal: () => {
      blocked.clear()
      for (const pair of [...pairs]) pair.update()
    },
    cut,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
  }
}

/** One connection through the proxy. */
class Pair {
  private readonly ways: readonly Way[]
  private readonly onGone: () => void

  constructor(client: Socket, server: Socket, blocked: ReadonlySet<Direction>, onGone: () => void) {
    this.onGone = onGone
    this.ways = [
      new Way(client, server, () => blocked.has('to-server')),
      new Way(server, client, () => blocked.has('to-client')),
    ]
    for (const socket of [client, server]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) this.onGone()
      })
    }
  }

  update(): void {
    for (const way of this.ways) way.update()
  }

  reset(): void {
    for (const way of this.ways) way.from.resetAndDestroy()
    this.onGone()
  }
}

/** One direction of one connection. */
class Way {
  readonly from: Socket
  private readonly to: Socket
  private readonly isBlocked: () => boolean
  private held: Buffer[] = []
  private end: 'open' | 'ended' | 'closed' = 'open'

  constructor(from: Socket, to: Socket, isBlocked: () => boolean) {
    this.from = from
    this.to = to
    this.isBlocked = isBlocked
    // Everything is read, also while blocked: else a paused socket would not tell of its end.
    from.on('data', (chunk: Buffer) => {
      this.held.push(chunk)
      this.update()
    })
    from.on('end', () => this.over('ended'))
    from.on('close', () => this.over('closed'))
    from.resume()
  }

  private over(how: 'ended' | 'closed'): void {
    this.end = how
    this.update()
  }

  update(): void {
    if (this.isBlocked()) return
    for (const chunk of this.held.splice(0)) if (this.to.writable) this.to.write(chunk)
    if (this.end === 'ended') this.to.end()
    // After an end of its own the other side closes by itself; after a reset it must be told.
    else if (this.end === 'closed') this.to.destroySoon()
  }
}
