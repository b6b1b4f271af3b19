import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import {
  BIND_COMPLETE,
  commandComplete,
  dataRow,
  PARSE_COMPLETE,
  READY_IDLE,
  rowDescription,
} from '../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG, StartupReader } from '../../protocol/wire/frames.ts'
import {
  parseBind,
  parseParse,
  parseStartupParameters,
  startup,
} from '../../protocol/wire/frontend-messages.ts'

/**
 * Stands between Postgres' isolationtester and Weft. That program asks one server which of its sessions wait for which;
 * Weft's sessions run on pooled connections of several servers. So each session is named when it connects (Weft carries
 * application_name to the shards), and the question whether it waits is asked of all shards, with Postgres' own
 * pg_isolation_test_session_is_blocked. All else goes through as it is.
 */
export interface IsolationProxy {
  readonly port: number
  stop(): Promise<void>
}

export interface IsolationProxyOptions {
  readonly port: number
  /** URLs of the shards' servers. */
  readonly shards: readonly string[]
}

const WAITING = 'isolationtester_waiting'
const PREFIX = 'isolation-'

const MINE = `SELECT pid FROM pg_stat_activity WHERE application_name LIKE '${PREFIX}%'`
const IS_BLOCKED = `SELECT EXISTS (
  SELECT FROM pg_stat_activity WHERE application_name = $1
    AND pg_isolation_test_session_is_blocked(pid, ARRAY(${MINE}))) AS blocked`

/** The session's own number, by the process id that it was told. */
type Names = Map<number, string>

export async function startIsolationProxy(options: IsolationProxyOptions): Promise<IsolationProxy> {
  const shards = await Promise.all(
    options.shards.map(async (connectionString) => {
      const client = new pg.Client({ connectionString })
      client.on('error', () => {})
      await client.connect()
      return client
    }),
  )
  const names: Names = new Map()
  const sockets = new Set<Socket>()
  let count = 0
  const isBlocked = async (pid: number): Promise<boolean> => {
    const answers = shards.map((shard) => shard.query<{ blocked: boolean }>(IS_BLOCKED, [names.get(pid)]))
    return (await Promise.all(answers)).some(({ rows }) => rows[0]?.blocked === true)
  }
  const server = createServer((client) => {
    const upstream = connect(options.port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    const name = `${PREFIX}${++count}`
    noteKey(upstream, (pid) => names.set(pid, name))
    upstream.on('data', (chunk: Buffer) => client.write(chunk))
    upstream.on('close', () => client.destroy())
    client.on('close', () => upstream.destroy())
    new FromTester(client, upstream, name, isBlocked).start()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
      await Promise.all(shards.map((shard) => shard.end()))
    },
  }
}

const FRAME_LIMITS = { frameBytesMax: 1_000_000 }

/** Calls back with the process id of BackendKeyData. */
function noteKey(upstream: Socket, note: (pid: number) => void): void {
  const reader = new FrameReader(FRAME_LIMITS)
  const look = (chunk: Buffer): void => {
    reader.push(chunk)
    while (reader.next()) {
      if (reader.type !== MSG.backendKeyData) continue
      note(reader.buffer.readInt32BE(reader.start + 5))
      upstream.off('data', look)
      return
    }
  }
  upstream.on('data', look)
}

class FromTester {
  private readonly client: Socket
  private readonly upstream: Socket
  private readonly name: string
  private readonly isBlocked: (pid: number) => Promise<boolean>
  private readonly startup = new StartupReader()
  private readonly frames = new FrameReader(FRAME_LIMITS)
  private hasStarted = false
  /** Messages up to a Sync. */
  private batch: Buffer[] = []

  constructor(client: Socket, upstream: Socket, name: string, isBlocked: (pid: number) => Promise<boolean>) {
    this.client = client
    this.upstream = upstream
    this.name = name
    this.isBlocked = isBlocked
  }

  start(): void {
    this.client.on('data', (chunk: Buffer) => {
      if (this.hasStarted) return this.messages(chunk)
      this.startup.push(chunk)
      if (this.startup.next()) this.begin()
    })
  }

  /** The tester says nothing more before it has been let in. */
  private begin(): void {
    const { buffer, start, end } = this.startup
    this.hasStarted = true
    const packet = buffer.subarray(start, end)
    if (packet.readInt32BE(4) !== 0x30000) return void this.upstream.write(packet)
    const parameters = Object.fromEntries(parseStartupParameters(buffer, start + 8, end))
    this.upstream.write(startup({ ...parameters, application_name: this.name }))
  }

  private messages(chunk: Buffer): void {
    this.frames.push(chunk)
    while (this.frames.next()) {
      const { buffer, start, end, type } = this.frames
      const message = Buffer.from(buffer.subarray(start, end))
      if (type === MSG.query || type === MSG.terminate) {
        this.upstream.write(message)
        continue
      }
      this.batch.push(message)
      if (type === MSG.sync) this.answer(this.batch.splice(0))
    }
  }

  /** Statements of the extended protocol are the tester's own: what it asks about sessions, and names them. */
  private answer(batch: readonly Buffer[]): void {
    const [first] = batch
    if (first?.[0] === MSG.parse) {
      const { name } = parseParse(first, 5, first.length)
      const text = first.toString('latin1')
      if (name === WAITING && text.includes('pg_isolation_test_session_is_blocked')) {
        this.client.write(Buffer.concat([PARSE_COMPLETE, READY_IDLE]))
        return
      }
      if (text.includes("set_config('application_name'")) {
        this.client.write(Buffer.concat([PARSE_COMPLETE, BIND_COMPLETE, ...one('set_config', 25, '')]))
        return
      }
    }
    if (first?.[0] === MSG.bind && parseBind(first, 5, first.length).statement === WAITING) {
      const { paramStarts, paramLengths } = parseBind(first, 5, first.length)
      const from = paramStarts[0] ?? 0
      const pid = Number(first.subarray(from, from + (paramLengths[0] ?? 0)).toString())
      void this.isBlocked(pid).then(
        (blocked) => {
          this.client.write(Buffer.concat([BIND_COMPLETE, ...one('blocked', 16, blocked ? 't' : 'f')]))
        },
        () => this.client.destroy(),
      )
      return
    }
    for (const message of batch) this.upstream.write(message)
  }
}

function one(name: string, typeOid: number, value: string): Buffer[] {
  const column = { name, tableOid: 0, attnum: 0, typeOid, typlen: -1, typmod: -1, format: 0 }
  return [rowDescription([column]), dataRow([value]), commandComplete('SELECT 1'), READY_IDLE]
}
