import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FailpointNews, FailpointOrder, FailpointWay } from '../../embedded/failpoint-control.ts'
import type { FailpointName } from '../../txn/failpoints.ts'
import type { Machine } from './net.ts'
import { POSTGRES_PORT } from './postgres.ts'
import { ClusterProcess, type Role } from './process.ts'
import { root } from './root.ts'

const COORDINATOR_PORT = 26432
const AGENT_PORT = 26433
const ADMIN_PORT = 26480
export const CLUSTER = 'jepsen'

export interface NodesOptions {
  readonly directory: string
  /** What is run as `weft`. */
  readonly program: string
  readonly coordinators: readonly Machine[]
  readonly shards: readonly Machine[]
  /** URLs of etcd's members; undefined: the log is in Postgres. */
  readonly etcd: readonly string[] | undefined
}

/** An agent or a coordinator: `weft` as a process, with its own configuration, clock and failpoints. */
export class WeftNode extends ClusterProcess {
  readonly adminUrl: string
  private readonly wallFile: string
  private backMs = 0
  /** Told of each failpoint that holds it. */
  private onHeld: () => void = () => undefined

  constructor(
    role: Role & ('agent' | 'coordinator'),
    machine: Machine,
    args: string[],
    options: NodesOptions,
  ) {
    const { directory, program } = options
    const name = role === 'agent' ? `${machine.name}-agent` : machine.name
    const wallFile = join(directory, 'wall', name)
    super(
      {
        ...{ name, role, machine, ipc: true, command: process.execPath },
        args: [
          ...['--enable-source-maps', '--import', join(root, 'jepsen/cluster/wall.js'), program],
          ...[role, '--config', configFile(directory, machine), ...args],
        ],
        env: { WEFT_FAILPOINT: 'ipc', WEFT_JEPSEN_WALL: wallFile },
      },
      directory,
    )
    this.wallFile = wallFile
    this.adminUrl = `http://${machine.address}:${ADMIN_PORT}`
    this.onMessage = (message) => {
      if ((message as FailpointNews).kind === 'held') this.onHeld()
    }
  }

  /** Its wall clock jumps by so much, and runs so many millionths too fast. */
  setWall(shiftMs: number, ppm = 0): void {
    writeFileSync(this.wallFile, `${shiftMs - this.backMs} ${ppm} ${Date.now()}`)
  }

  /** Its wall clock is behind for good, by so much more than before. */
  setBack(byMs: number): void {
    this.backMs += byMs
    this.setWall(0)
  }

  /** At its next hit the failpoint does that; nothing waits for it. */
  arm(name: FailpointName, how: FailpointWay): void {
    this.order({ kind: 'arm', name, how, atHit: 1 })
  }

  /** Resolves when it stands still there, or when nothing has come there for so long: false. */
  holdAt(name: FailpointName, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const tooLong = setTimeout(() => resolve(false), timeoutMs)
      this.onHeld = () => {
        clearTimeout(tooLong)
        resolve(true)
      }
      this.arm(name, 'hold')
    })
  }

  release(): void {
    this.order({ kind: 'release' })
  }

  private order(order: FailpointOrder): void {
    this.send(order)
  }

  /** Why it does not serve; undefined when it does. */
  async notReady(): Promise<string | undefined> {
    if (!this.isRunning) return 'it does not run'
    try {
      const answer = await fetch(`${this.adminUrl}/ready`, { signal: AbortSignal.timeout(1500) })
      return answer.status === 200
        ? undefined
        : (((await answer.json()) as { why?: string }).why ?? 'not ready')
    } catch (error) {
      return `no answer: ${(error as Error).message}`
    }
  }

  async status(): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.adminUrl}/api/status`, { signal: AbortSignal.timeout(1500) })
    return (await answer.json()) as Record<string, unknown>
  }
}

export function makeNodes(options: NodesOptions): { agents: WeftNode[]; coordinators: WeftNode[] } {
  for (const machine of [...options.coordinators, ...options.shards]) writeConfig(options, machine)
  return {
    agents: options.shards.map((m, shard) => new WeftNode('agent', m, ['--shard', String(shard)], options)),
    coordinators: options.coordinators.map((m) => new WeftNode('coordinator', m, [], options)),
  }
}

export function clientUrl({ address }: Machine): string {
  return `postgres://postgres@${address}:${COORDINATOR_PORT}/postgres`
}

export function shardUrl({ address }: Machine, port = POSTGRES_PORT): string {
  return `postgres://postgres@${address}:${port}/postgres`
}

function configFile(directory: string, { name }: Machine): string {
  return join(directory, `${name}.yaml`)
}

/** The same for all but for where each listens; `ports`: of Postgres servers that are not where they were at first. */
export function writeConfig(
  options: NodesOptions,
  at: Machine,
  ports: readonly (number | undefined)[] = [],
): void {
  const { shards, etcd, directory } = options
  const quoted = etcd?.map((url) => `"${url}"`).join(', ')
  const lines = [
    `cluster: ${CLUSTER}`,
    'shards:',
    ...shards.map(
      (shard, id) =>
        `  - { id: ${id}, postgres: "${shardUrl(shard, ports[id])}", agent: "${shard.address}:${AGENT_PORT}" }`,
    ),
    quoted === undefined ? 'log: { kind: postgres }' : `log: { kind: etcd, endpoints: [${quoted}] }`,
    'coordinator:',
    `  listen: ${at.address}:${COORDINATOR_PORT}`,
    `  adminListen: ${at.address}:${ADMIN_PORT}`,
    '  auth: [{ from: all, method: trust }]',
    `agent: { listenHost: ${at.address}, adminListen: "${at.address}:${ADMIN_PORT}" }`,
    '',
  ]
  writeFileSync(configFile(directory, at), lines.join('\n'))
}
