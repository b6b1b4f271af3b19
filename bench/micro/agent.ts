/**
 * What the agent costs per statement: 32 sessions in this process do point selects by simple Query through an agent,
 * against the same on raw sockets that only look for ReadyForQuery.
 *
 *   node --experimental-strip-types bench/micro/agent.ts postgres://… [seconds] [rounds]
 */
import { connect, type Socket } from 'node:net'
import type { AgentSession, ReplySink, Settings } from '../../protocol/agent-link.ts'
import { query, startup } from '../../protocol/wire/frontend-messages.ts'
import { startAgent } from '../../shard-agent/main.ts'
import { isUnixSocket, parsePostgresUrl, unixSocketPath } from '../../shard-agent/pool/address.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'

const SESSIONS = 32
const BACKENDS = 18
const ROWS = 10_000
const url = process.argv[2] ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const seconds = Number(process.argv[3] ?? 3)
const rounds = Number(process.argv[4] ?? 3)
const only = process.argv[5]
const address = parsePostgresUrl(url)
const payloads = Array.from({ length: 1_000 }, (_, i) =>
  query(`SELECT abalance FROM bench_accounts WHERE aid = ${1 + ((i * 7919) % ROWS)}`),
)
const settings: Settings = { id: 1, sql: '' }

interface Result {
  readonly perSecond: number
  readonly cpuUs: number
}

async function measure(start: (count: () => boolean) => void): Promise<Result> {
  let done = 0
  let running = true
  const cpu = process.cpuUsage()
  const from = performance.now()
  start(() => {
    done++
    return running
  })
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  running = false
  const elapsed = performance.now() - from
  const used = process.cpuUsage(cpu)
  const total = done
  await new Promise((resolve) => setTimeout(resolve, 200))
  return { perSecond: (total / elapsed) * 1000, cpuUs: (used.user + used.system) / total }
}

class Driver implements ReplySink {
  session!: AgentSession
  count!: () => boolean
  private next = Math.floor(Math.random() * payloads.length)
  private readonly request = {
    mapVersion: 0,
    settings,
    payload: payloads[0]!,
    access: 'read' as const,
    pin: false,
    taints: false,
    swallow: 0,
  }

  go(): void {
    this.request.payload = payloads[this.next++ % payloads.length]!
    this.session.exec(this.request)
  }

  data(_chunk: Buffer, ready: number): void {
    if (ready !== 0 && this.count()) this.go()
  }

  failed(error: Error): void {
    throw error
  }

  async(): void {}
  drained(): void {}
}

function rawConnection(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = isUnixSocket(address)
      ? connect(unixSocketPath(address))
      : connect({ host: address.host, port: address.port, noDelay: true })
    socket.write(startup({ user: address.user, database: address.database }))
    socket.on('error', reject)
    socket.on('data', function ready(chunk: Buffer) {
      if (chunk[chunk.length - 6] !== 0x5a) return
      socket.off('data', ready)
      resolve(socket)
    })
  })
}

function driveRaw(sockets: readonly Socket[], count: () => boolean): void {
  for (const socket of sockets) {
    let next = Math.floor(Math.random() * payloads.length)
    socket.removeAllListeners('data')
    socket.on('data', (chunk: Buffer) => {
      if (chunk[chunk.length - 6] === 0x5a && count()) socket.write(payloads[next++ % payloads.length]!)
    })
    socket.write(payloads[next]!)
  }
}

const agent = await startAgent({
  shard: 0,
  postgres: address,
  cluster: 'bench',
  clock: new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 }),
  log: { debug() {}, info() {}, warn: console.warn, error: console.error },
  txnLog: new MemoryTxnLog(),
  pool: { size: BACKENDS + 3 },
})
const link = agent.connect('bench')
const drivers = Array.from({ length: SESSIONS }, (_, i) => {
  const driver = new Driver()
  driver.session = link.open(i, { kind: 'client', user: address.user }, driver)
  return driver
})
const setup = new Driver()
setup.session = link.open(SESSIONS, { kind: 'client', user: address.user }, setup)
await new Promise<void>((resolve) => {
  setup.data = (_chunk, ready) => {
    if (ready !== 0) resolve()
  }
  setup.session.exec({
    ...{ mapVersion: 0, settings, access: 'write', pin: false, taints: false, swallow: 0 },
    payload: query(`CREATE TABLE IF NOT EXISTS bench_accounts (aid int PRIMARY KEY, abalance int NOT NULL);
      INSERT INTO bench_accounts SELECT i, i FROM generate_series(1, ${ROWS}) i ON CONFLICT DO NOTHING`),
  })
})
const sockets = await Promise.all(Array.from({ length: BACKENDS }, rawConnection))

for (let round = 0; round < rounds; round++) {
  if (only !== 'agent') report('raw sockets', await measure((count) => driveRaw(sockets, count)))
  if (only === 'raw') continue
  report(
    'agent',
    await measure((count) => {
      for (const driver of drivers) {
        driver.count = count
        driver.go()
      }
    }),
  )
}
for (const socket of sockets) socket.destroy()
await agent.stop()

function report(name: string, { perSecond, cpuUs }: Result): void {
  console.log(
    `${name.padEnd(12)} ${perSecond.toFixed(0).padStart(7)}/s   ${cpuUs.toFixed(1)} µs CPU per statement`,
  )
}
