import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { FailpointNews, FailpointOrder } from '../../embedded/failpoint-control.ts'
import type { FailpointName } from '../../txn/failpoints.ts'
import { buildChild } from './child.ts'
import { startEtcd, type TestEtcd } from './etcd.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { freePort } from './free-port.ts'
import { startPostgres, type TestPostgres, type TestPostgresOptions } from './postgres.ts'

export interface ProcessClusterOptions {
  /** Default 2. */
  readonly shards?: number
  /** Default 1. */
  readonly coordinators?: number
  /** Default: an etcd of three members. */
  readonly log?: 'etcd' | 'postgres'
  readonly postgres?: TestPostgresOptions
  readonly inDoubtAfterMs?: number
}

/** One of Weft's processes, which can be killed and started again, and whose failpoints a test sets. */
export interface TestNode {
  readonly name: string
  readonly isRunning: boolean
  /** Resolves when it serves; rejects with what it said when it does not. */
  start(): Promise<void>
  /** Resolves when its admin server answers, which it does before it serves. */
  answers(): Promise<void>
  /** SIGKILL, and until it is gone. */
  kill(): Promise<void>
  /** SIGTERM, and until it is gone. */
  stop(): Promise<void>
  /** SIGSTOP: it stands still, its connections stay open. */
  pause(): void
  resume(): void
  /** Resolves when it is armed. */
  arm(name: FailpointName, how: 'hold' | 'kill' | 'error', atHit?: number): Promise<void>
  /** Resolves when it stands at the failpoint. */
  held(name: FailpointName): Promise<void>
  release(): void
  ended(): Promise<void>
  /** Sets its wall clock so many milliseconds off, now if it runs, and at its next start. */
  setWall(shiftMs: number): void
  /** All it has printed. */
  output(): string
  isReady(): Promise<boolean>
  /** Why it does not serve; undefined when it does. */
  notReady(): Promise<string | undefined>
  /** What its admin server says. */
  status(): Promise<unknown>
}

/** Coordinator, agents, Postgres servers and etcd as processes of their own; a proxy before each agent. */
export interface ProcessCluster {
  readonly postgres: readonly TestPostgres[]
  readonly agents: readonly TestNode[]
  /** The first of the coordinators. */
  readonly coordinator: TestNode
  readonly coordinators: readonly TestNode[]
  readonly proxies: readonly FaultProxy[]
  readonly etcd: TestEtcd | undefined
  readonly name: string
  /** Of a coordinator, for clients; default: the first. */
  url(coordinator?: number): string
  connect(coordinator?: number): Promise<pg.Client>
  /** Starts what does not run: a case that failed leaves nothing broken for the next. */
  startAll(): Promise<void>
  /** Until the coordinator reaches all shards and commits can be decided. */
  ready(): Promise<void>
  /** The server that the agent of this shard is given at its next start. The one before is no longer ours to stop. */
  setPostgres(shard: number, server: TestPostgres): void
  stop(): Promise<void>
}

const shiftedWall = new URL('shifted-wall.js', import.meta.url).href

export const waitLong = { timeout: 90_000, interval: 50 }

/** A killed server must not lose what it has told to be there. */
const durable = { settings: { synchronous_commit: 'on' } }

export async function startProcessCluster(options: ProcessClusterOptions = {}): Promise<ProcessCluster> {
  const count = options.shards ?? 2
  const coordinators = options.coordinators ?? 1
  const [program, postgres, etcd, ports] = await Promise.all([
    buildChild('cli/main.ts'),
    Promise.all(Array.from({ length: count }, () => startPostgres(options.postgres ?? durable))),
    options.log === 'postgres' ? undefined : startEtcd({ members: 3 }),
    Promise.all(Array.from({ length: count + coordinators }, () => freePort())),
  ])
  const cluster = new Cluster(program, postgres, etcd, ports, options.inDoubtAfterMs ?? 1000)
  try {
    await cluster.start()
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return cluster
}

class Cluster implements ProcessCluster {
  readonly name = 'crash'
  readonly postgres: TestPostgres[]
  readonly etcd: TestEtcd | undefined
  readonly agents: readonly Node[]
  readonly coordinator: Node
  readonly coordinators: readonly Node[]
  proxies: readonly FaultProxy[] = []
  private readonly directory = mkdtempSync(join(tmpdir(), 'weft-crash-'))
  private readonly ports: readonly number[]
  private readonly inDoubtAfterMs: number

  constructor(
    program: string,
    postgres: TestPostgres[],
    etcd: TestEtcd | undefined,
    ports: readonly number[],
    inDoubtAfterMs: number,
  ) {
    this.postgres = postgres
    this.etcd = etcd
    this.ports = ports
    this.inDoubtAfterMs = inDoubtAfterMs
    const agentFile = join(this.directory, 'agents.yaml')
    this.agents = postgres.map(
      (_, shard) =>
        new Node(`agent ${shard}`, program, ['agent', '--config', agentFile, '--shard', String(shard)]),
    )
    this.coordinators = ports
      .slice(postgres.length)
      .map(
        (_, i) =>
          new Node(i === 0 ? 'coordinator' : `coordinator ${i}`, program, [
            'coordinator',
            '--config',
            this.coordinatorFile(i),
          ]),
      )
    this.coordinator = this.coordinators[0] as Node
  }

  async start(): Promise<void> {
    this.proxies = await Promise.all(this.postgres.map((_, shard) => startFaultProxy(() => this.port(shard))))
    this.writeConfig()
    await this.startAll()
    const client = await this.connect()
    await client.query("CREATE TABLE probe (id int PRIMARY KEY, n int NOT NULL) WITH (shard_key = 'id')")
    await client.query('INSERT INTO probe SELECT i, 0 FROM generate_series(1, 50) i')
    await client.end()
    await this.ready()
  }

  async startAll(): Promise<void> {
    const stopped = [...this.agents, ...this.coordinators].filter((node) => !node.isRunning)
    await Promise.all(stopped.map((node) => node.start()))
  }

  private coordinatorFile(index: number): string {
    return join(this.directory, `coordinator-${index}.yaml`)
  }

  private port(index: number): number {
    return this.ports[index] ?? 0
  }

  setPostgres(shard: number, server: TestPostgres): void {
    this.postgres[shard] = server
    this.writeConfig()
  }

  /** The agents listen where the proxies connect to, and the coordinator connects to the proxies. */
  private writeConfig(): void {
    const { ports } = this
    const log =
      this.etcd === undefined
        ? '{ kind: postgres }'
        : `{ kind: etcd, endpoints: [${this.etcd.endpoints.map((each) => `"${each}"`).join(', ')}] }`
    const config = (agentPorts: readonly number[], coordinator = 0): string =>
      [
        `cluster: ${this.name}`,
        'shards:',
        ...this.postgres.map(
          ({ url }, id) => `  - { id: ${id}, postgres: "${url}", agent: "127.0.0.1:${agentPorts[id]}" }`,
        ),
        `log: ${log}`,
        'coordinator:',
        `  listen: 127.0.0.1:${this.port(this.postgres.length + coordinator)}`,
        '  adminListen: 127.0.0.1:0',
        '  auth: [{ from: 127.0.0.1, method: trust }]',
        'agent: { adminListen: 127.0.0.1:0 }',
        `inDoubtAfterMs: ${this.inDoubtAfterMs}`,
        '',
      ].join('\n')
    writeFileSync(join(this.directory, 'agents.yaml'), config(ports))
    const proxied = this.proxies.map((proxy) => proxy.port)
    for (const i of this.coordinators.keys()) writeFileSync(this.coordinatorFile(i), config(proxied, i))
  }

  url(coordinator = 0): string {
    return `postgres://postgres@127.0.0.1:${this.port(this.postgres.length + coordinator)}/postgres`
  }

  async connect(coordinator = 0): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url(coordinator) })
    // A coordinator that dies takes its clients' connections along.
    client.on('error', () => {})
    await client.connect()
    return client
  }

  async ready(): Promise<void> {
    for (const one of this.coordinators) await until(`${one.name} is ready`, () => one.isReady())
    await until('a commit over all shards can be decided', () => this.canDecide())
  }

  private async canDecide(): Promise<boolean> {
    const client = await this.connect().catch(() => undefined)
    if (client === undefined) return false
    try {
      // On all shards, and locks nothing that anybody waits for.
      await client.query('BEGIN; UPDATE probe SET n = n + 1; COMMIT')
      return true
    } catch {
      return false
    } finally {
      await client.end().catch(() => {})
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.coordinators, ...this.agents].map((node) => node.kill()))
    await Promise.all(this.proxies.map((proxy) => proxy.stop()))
    await Promise.all([...this.postgres.map((server) => server.stop()), this.etcd?.stop()])
    rmSync(this.directory, { recursive: true, force: true })
  }
}

class Node implements TestNode {
  readonly name: string
  private readonly program: string
  private readonly args: readonly string[]
  private child: ChildProcess | undefined
  private said = ''
  private adminUrl = ''
  private news: FailpointNews[] = []
  private wake: (() => void)[] = []

  constructor(name: string, program: string, args: readonly string[]) {
    this.name = name
    this.program = program
    this.args = args
  }

  setWall(shiftMs: number): void {
    writeFileSync(this.wallFile, String(shiftMs))
  }

  /** Beside its configuration. */
  private get wallFile(): string {
    return `${this.args[this.args.indexOf('--config') + 1]}-${this.name}.wall`
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, ['--import', shiftedWall, this.program, ...this.args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, WEFT_FAILPOINT: 'ipc', WEFT_TEST_WALL: this.wallFile },
    })
    this.child = child
    this.news = []
    this.adminUrl = ''
    let stdout = ''
    let stderr = ''
    child.on('message', (news: FailpointNews) => {
      this.news.push(news)
      this.wakeAll()
    })
    child.on('exit', () => this.wakeAll())
    child.stderr?.on('data', (chunk: Buffer) => {
      this.said += chunk.toString()
      stderr += chunk.toString()
      this.adminUrl ||= /"url":"([^"]+)","msg":"admin server: listening"/.exec(stderr)?.[1] ?? ''
      this.wakeAll()
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
      this.said += chunk.toString()
      this.wakeAll()
    })
    await this.wait(() => stdout.split('\n').find((line) => line.startsWith('{"event":"up"')))
  }

  async answers(): Promise<void> {
    await this.wait(() => this.adminUrl || undefined)
  }

  /** Until `find` finds something; rejects when the process ends before. */
  private async wait<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (!this.isRunning) throw new Error(`${this.name} has ended: ${this.said.slice(-2000)}`)
      await new Promise<void>((resolve) => this.wake.push(resolve))
    }
  }

  private wakeAll(): void {
    for (const resolve of this.wake.splice(0)) resolve()
  }

  kill(): Promise<void> {
    return this.end('SIGKILL')
  }

  stop(): Promise<void> {
    return this.end('SIGTERM')
  }

  pause(): void {
    this.child?.kill('SIGSTOP')
  }

  resume(): void {
    this.child?.kill('SIGCONT')
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.isRunning || this.child === undefined) return
    const gone = once(this.child, 'exit')
    this.child.kill(signal)
    await gone
  }

  async ended(): Promise<void> {
    if (this.isRunning && this.child !== undefined) await once(this.child, 'exit')
  }

  async arm(name: FailpointName, how: 'hold' | 'kill' | 'error', atHit = 1): Promise<void> {
    this.news = this.news.filter((each) => each.name !== name)
    this.order({ kind: 'arm', name, how, atHit })
    await this.wait(() => this.news.find((each) => each.kind === 'armed' && each.name === name))
  }

  async held(name: FailpointName): Promise<void> {
    await this.wait(() => this.news.find((each) => each.kind === 'held' && each.name === name))
  }

  release(): void {
    if (this.isRunning) this.order({ kind: 'release' })
  }

  private order(order: FailpointOrder): void {
    this.child?.send(order, () => {})
  }

  output(): string {
    return this.said
  }

  async isReady(): Promise<boolean> {
    if (!this.isRunning) return false
    const answer = await fetch(`${this.adminUrl}/ready`).catch(() => undefined)
    return answer?.status === 200
  }

  async notReady(): Promise<string | undefined> {
    const answer = await fetch(`${this.adminUrl}/ready`)
    return ((await answer.json()) as { why?: string }).why
  }

  async status(): Promise<unknown> {
    return (await fetch(`${this.adminUrl}/api/status`)).json()
  }
}

/** Polls a condition; there is no test whose result depends on how long it takes. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  timeoutMs = waitLong.timeout,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`still not: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, waitLong.interval))
  }
}
