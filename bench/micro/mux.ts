/**
 * What a link over TCP costs: 32 sessions do point selects through an agent by direct calls, over TCP to an agent in
 * the same process, and over TCP to an agent in a process of its own.
 *
 *   npx esbuild bench/micro/mux.ts bench/micro/mux-agent.ts --bundle --platform=node --format=esm \
 *     --packages=external --outdir=dist/bench --out-extension:.js=.mjs
 *   node dist/bench/mux.mjs postgres://… [seconds] [rounds]
 */
import { fork } from 'node:child_process'
import { extname, join } from 'node:path'
import { connectLink } from '../../coordinator/links/mux-link.ts'
import type { AgentLink, AgentSession, ReplySink, Settings } from '../../protocol/agent-link.ts'
import { query } from '../../protocol/wire/frontend-messages.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { beginAgent, CLUSTER, serveAgent } from './mux-agent.ts'

const SESSIONS = 32
const ROWS = 10_000
const url = process.argv[2] ?? 'postgres://postgres@127.0.0.1:5432/postgres'
const seconds = Number(process.argv[3] ?? 3)
const rounds = Number(process.argv[4] ?? 3)
const only = process.argv[5]
const settings: Settings = { id: 1, sql: '' }
const log = { debug() {}, info() {}, warn: console.warn, error: console.error }
const clock = new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 })

class Driver implements ReplySink {
  session!: AgentSession
  running = false
  done = 0
  ended: () => void = () => {}
  private readonly request = {
    ...{ mapVersion: 0, settings, payload: Buffer.alloc(0) as Buffer, access: 'read' as const },
    ...{ pin: false, taints: false, swallow: 0 },
  }

  run(sql: string): Promise<void> {
    this.request.payload = query(sql)
    return new Promise((resolve) => {
      this.ended = resolve
      this.session.exec(this.request)
    })
  }

  go(): void {
    this.request.payload = payloads[(this.done * 7 + this.start) % payloads.length]!
    this.session.exec(this.request)
  }
  private readonly start = Math.floor(Math.random() * 1_000)

  data(_chunk: Buffer, ready: number): void {
    if (ready === 0) return
    this.done++
    if (this.running) this.go()
    else this.ended()
  }

  failed(error: Error): void {
    throw error
  }
  async(): void {}
  drained(): void {}
}

const payloads = Array.from({ length: 1_000 }, (_, i) =>
  query(`SELECT abalance FROM bench_accounts WHERE aid = ${1 + ((i * 7919) % ROWS)}`),
)

function open(link: AgentLink, id: number): Driver {
  const driver = new Driver()
  const user = decodeURIComponent(new URL(url).username)
  driver.session = link.open(id, { kind: 'client', user }, driver)
  return driver
}

async function measure(name: string, drivers: readonly Driver[]): Promise<number> {
  const before = drivers.reduce((sum, driver) => sum + driver.done, 0)
  const cpu = process.cpuUsage()
  const from = performance.now()
  const ends = drivers.map((driver) => {
    driver.running = true
    driver.go()
    return new Promise<void>((resolve) => {
      driver.ended = resolve
    })
  })
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  for (const driver of drivers) driver.running = false
  await Promise.all(ends)
  const total = drivers.reduce((sum, driver) => sum + driver.done, 0) - before
  const perSecond = (total / (performance.now() - from)) * 1000
  const used = process.cpuUsage(cpu)
  const cpuUs = (used.user + used.system) / total
  console.log(
    `${name.padEnd(28)} ${perSecond.toFixed(0).padStart(7)}/s   ${cpuUs.toFixed(1)} µs CPU here per statement`,
  )
  return perSecond
}

async function dial(port: number, coordinatorId: string): Promise<AgentLink> {
  const link = connectLink({ shard: 0, host: '127.0.0.1', port, cluster: CLUSTER, coordinatorId, clock, log })
  await new Promise<void>((resolve) =>
    link.subscribe({ mapVersion() {}, quota() {}, down() {}, up: () => resolve() }),
  )
  return link
}

const drivers = (link: AgentLink): Driver[] => Array.from({ length: SESSIONS }, (_, i) => open(link, i))
const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1]!

async function main(): Promise<void> {
  const rates: Record<string, number[]> = { direct: [], tcp: [], process: [] }
  for (let round = 0; round < rounds; round++) {
    const agent = await beginAgent(url)
    const server = await serveAgent(agent)
    const direct = agent.connect('direct')
    if (round === 0) {
      await open(direct, 1_000).run(
        `CREATE TABLE IF NOT EXISTS bench_accounts (aid int PRIMARY KEY, abalance int NOT NULL);
         INSERT INTO bench_accounts SELECT i, i FROM generate_series(1, ${ROWS}) i ON CONFLICT DO NOTHING`,
      )
    }
    if (only === undefined || only === 'direct')
      rates.direct!.push(await measure('direct calls', drivers(direct)))
    const link = await dial(server.port, 'tcp')
    if (only === undefined || only === 'tcp')
      rates.tcp!.push(await measure('TCP, one process', drivers(link)))
    await link.close()
    await server.close()
    await agent.stop()
    if (only === undefined || only === 'process') rates.process!.push(await otherProcess())
  }
  const base = median(rates.direct!)
  for (const [name, list] of Object.entries(rates)) {
    if (list.length > 0) console.log(`${name}: ${(median(list) / base).toFixed(2)} of direct`)
  }
}

async function otherProcess(): Promise<number> {
  const child = fork(join(import.meta.dirname, `mux-agent${extname(import.meta.filename)}`), [url])
  const port = await new Promise<number>((resolve) =>
    child.once('message', (value) => resolve(Number(value))),
  )
  const link = await dial(port, 'process')
  const rate = await measure('TCP, agent in own process', drivers(link))
  await link.close()
  child.disconnect()
  await new Promise((resolve) => child.once('exit', resolve))
  return rate
}

await main()
