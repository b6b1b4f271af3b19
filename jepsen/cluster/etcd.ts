import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Machine } from './net.ts'
import { ClusterProcess } from './process.ts'

const CLIENT_PORT = 22379
const PEER_PORT = 22380

/** Debian: apt-get install etcd-server. */
export const hasEtcd = (): boolean => spawnSync('etcd', ['--version']).status === 0

/** "3.4.23". */
export function etcdVersion(): string {
  const { stdout } = spawnSync('etcd', ['--version'], { encoding: 'utf8' })
  return /etcd Version: (\S+)/.exec(stdout ?? '')?.[1] ?? 'unknown'
}

export function etcdMembers(machines: readonly Machine[], directory: string): ClusterProcess[] {
  const cluster = machines.map(({ name, address }) => `${name}=http://${address}:${PEER_PORT}`).join(',')
  return machines.map((machine) => {
    const { name, address } = machine
    const peer = `http://${address}:${PEER_PORT}`
    const args = [
      ...[
        '--name',
        name,
        '--data-dir',
        join(directory, 'data', name),
        '--log-level',
        'error',
        '--logger',
        'zap',
      ],
      ...['--listen-client-urls', etcdUrl(machine), '--advertise-client-urls', etcdUrl(machine)],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', cluster, '--initial-cluster-state', 'new'],
      ...['--heartbeat-interval', '50', '--election-timeout', '500', '--unsafe-no-fsync'],
    ]
    return new ClusterProcess({ name, machine, role: 'etcd', command: 'etcd', args }, directory)
  })
}

export function etcdUrl({ address }: Machine): string {
  return `http://${address}:${CLIENT_PORT}`
}

/** Asks a member over its HTTP side; rejects when it has no answer soon. */
async function ask<T>(machine: Machine, path: string, body?: object): Promise<T> {
  const response = await fetch(`${etcdUrl(machine)}${path}`, {
    signal: AbortSignal.timeout(1500),
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  })
  return (await response.json()) as T
}

export async function isHealthy(machine: Machine): Promise<boolean> {
  const answer = await ask<{ health?: string }>(machine, '/health').catch(() => undefined)
  return answer?.health === 'true'
}

/** Index of the member that leads, as the first says that knows; undefined when none does. */
export async function leaderOf(machines: readonly Machine[]): Promise<number | undefined> {
  for (const machine of machines) {
    const answer = await ask<{ leader?: string }>(machine, '/v3/maintenance/status', {}).catch(
      () => undefined,
    )
    if (answer?.leader === undefined) continue
    for (const [i, other] of machines.entries()) {
      const own = await ask<{ header?: { member_id?: string } }>(other, '/v3/maintenance/status', {}).catch(
        () => undefined,
      )
      if (own?.header?.member_id === answer.leader) return i
    }
  }
  return undefined
}

interface Range {
  readonly header?: object
  readonly kvs?: readonly { readonly value?: string }[]
}

/** The values of all keys that begin so, by the first member that answers. */
export async function valuesUnder(machines: readonly Machine[], prefix: string): Promise<Buffer[]> {
  const key = Buffer.from(prefix)
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  const range = { key: key.toString('base64'), range_end: end.toString('base64') }
  for (const machine of machines) {
    const answer = await ask<Range>(machine, '/v3/kv/range', range).catch(() => undefined)
    if (answer?.header !== undefined)
      return (answer.kvs ?? []).map(({ value = '' }) => Buffer.from(value, 'base64'))
  }
  throw new Error('no etcd member answers')
}
