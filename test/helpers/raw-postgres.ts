import { connect, type Socket } from 'node:net'
import { startup } from '../../protocol/wire/frontend-messages.ts'

/** A connection straight to Postgres, as bytes: what the agent's replies are compared with. */
export class RawPostgres {
  private readonly socket: Socket
  private received: Buffer[] = []
  private wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.received.push(chunk)
      this.wake()
    })
  }

  static async connect(server: {
    host: string
    port: number
    user: string
    database: string
  }): Promise<RawPostgres> {
    const raw = new RawPostgres(connect({ host: server.host, port: server.port, noDelay: true }))
    raw.socket.write(
      startup({
        user: server.user,
        database: server.database,
        application_name: 'weft',
        client_encoding: 'UTF8',
      }),
    )
    await raw.untilReady()
    return raw
  }

  /** Sends, and answers everything up to ReadyForQuery. */
  async send(payload: Buffer): Promise<Buffer> {
    this.socket.write(payload)
    return await this.untilReady()
  }

  private async untilReady(): Promise<Buffer> {
    for (;;) {
      const bytes = Buffer.concat(this.received)
      let at = 0
      while (at + 5 <= bytes.length) {
        const end = at + 1 + bytes.readInt32BE(at + 1)
        if (bytes[at] === 0x5a && end <= bytes.length) {
          this.received = []
          return bytes
        }
        at = end
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  close(): void {
    this.socket.destroy()
  }
}
