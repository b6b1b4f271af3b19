import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

export interface EtcdOptions {
  readonly members?: 1 | 3
  /** Extra command line flags of every member, e.g. for TLS. */
  readonly flags?: readonly string[]
  /** Of the client URLs. */
  readonly scheme?: 'http' | 'https'
}

export interface EtcdMember {
  readonly name: string
  readonly clientUrl: string
  readonly pid: number | undefined
  readonly isRunning: boolean
  /** SIGKILL. */
  kill(): Promise<void>
  /** After a kill, on the same data and ports. */
  restart(): Promise<void>
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
}

export interface TestEtcd {
  readonly endpoints: readonly string[]
  readonly members: readonly EtcdMember[]
  /** Whether the member answers and knows a leader. */
  isHealthy(member: EtcdMember): Promise<boolean>
  stop(): Promise<void>
}

/** Whether `startEtcd` can work here; for `describe.skipIf`. Debian: `apt-get install etcd-server`. */
export const hasEtcd = spawnSync('etcd', ['--version']).status === 0

interface Ports {
  readonly client: number
  readonly peer: number
}

/** A throw-away etcd cluster on free loopback ports. Its data survives kills, not `stop`. */
export async function startEtcd(options: EtcdOptions = {}): Promise<TestEtcd> {
  if (!hasEtcd) throw new Error('no etcd here: apt-get install etcd-server')
  const count = options.members ?? 1
  const root = await mkdtemp(join(tmpdir(), 'weft-etcd-'))
  const scheme = options.scheme ?? 'http'
  const ports = await Promise.all(Array.from({ length: count * 2 }, () => freePort()))
  const plan = Array.from(
    { length: count },
    (_, i): Ports => ({ client: ports[2 * i] ?? 0, peer: ports[2 * i + 1] ?? 0 }),
  )
  const peers = plan.map(({ peer }, i) => `m${i}=http://127.0.0.1:${peer}`).join(',')
  const members = plan.map((p, i) => {
    const clientUrl = `${scheme}://127.0.0.1:${p.client}`
    return new Member(`m${i}`, clientUrl, [
      ...['--name', `m${i}`, '--data-dir', join(root, `m${i}`), '--log-level', 'error', '--logger', 'zap'],
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', `http://127.0.0.1:${p.peer}`],
      ...['--initial-advertise-peer-urls', `http://127.0.0.1:${p.peer}`],
      ...['--initial-cluster', peers, '--initial-cluster-state', 'new'],
      ...['--heartbeat-interval', '50', '--election-timeout', '500'],
      ...(options.flags ?? []),
    ])
  })
  const stop = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.kill()))
    await rm(root, { recursive: true, force: true })
  }
  try {
    await Promise.all(members.map((member) => member.restart()))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    endpoints: members.map((member) => member.clientUrl),
    members,
    isHealthy: (member) => (member as Member).answers(),
    stop,
  }
}

class Member implements EtcdMember {
  readonly name: string
  readonly clientUrl: string
  private readonly args: readonly string[]
  private child: ChildProcess | undefined

  constructor(name: string, clientUrl: string, args: readonly string[]) {
    this.name = name
    this.clientUrl = clientUrl
    this.args = args
  }

  get pid(): number | undefined {
    return this.child?.pid
  }

  get isRunning(): boolean {
    const { child } = this
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** Starts it and waits until it listens; with a quorum up, until it knows a leader. */
  async restart(): Promise<void> {
    this.child = spawn('etcd', this.args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    this.child.stderr?.on('data', (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-2000)
    })
    const deadline = performance.now() + 60_000
    while (!(await this.listens())) {
      if (this.child.exitCode !== null) throw new Error(`etcd ${this.name} has ended: ${said}`)
      if (performance.now() > deadline) throw new Error(`etcd ${this.name} does not answer: ${said}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async kill(): Promise<void> {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  pause(): void {
    this.child?.kill('SIGSTOP')
  }

  resume(): void {
    this.child?.kill('SIGCONT')
  }

  async answers(): Promise<boolean> {
    try {
      const response = await fetch(`${this.clientUrl}/health`, { signal: AbortSignal.timeout(2000) })
      return ((await response.json()) as { health?: string }).health === 'true'
    } catch {
      return false
    }
  }

  private async listens(): Promise<boolean> {
    if (!this.clientUrl.startsWith('https:')) return this.answers()
    return new Promise((resolve) => {
      const socket = connect(Number(new URL(this.clientUrl).port), '127.0.0.1')
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('close', () => socket.destroy())
      socket.once('connect', () => socket.end())
    })
  }
}
