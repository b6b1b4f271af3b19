/** Three members of etcd on this machine, for Weft's log. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { SetupError } from '../errors/setup-error.ts'
import { watched } from './child.ts'
import { freePort } from './tools.ts'

const memberCount = 3
const startTimeoutMs = 60_000

export interface BenchEtcd {
  readonly endpoints: readonly string[]
  stop(): Promise<void>
}

export async function startEtcd(dir: string): Promise<BenchEtcd> {
  if (spawnSync('etcd', ['--version']).status !== 0)
    throw new SetupError('etcd is not installed', 'As root: apt-get install etcd-server')
  const members: { readonly name: string; readonly client: string; readonly peer: string }[] = []
  for (let i = 0; i < memberCount; i++)
    members.push({ name: `m${i}`, client: await freeUrl(), peer: await freeUrl() })
  const all = members.map(({ name, peer }) => `${name}=${peer}`).join(',')
  const children = members.map(({ name, client, peer }) => {
    const urls = ['--listen-client-urls', client, '--advertise-client-urls', client]
    const peers = [
      '--listen-peer-urls',
      peer,
      '--initial-advertise-peer-urls',
      peer,
      '--initial-cluster',
      all,
    ]
    const what = ['--name', name, '--data-dir', join(dir, `etcd-${name}`), '--log-level', 'error']
    return watched(spawn('etcd', [...what, ...urls, ...peers], { stdio: 'ignore', detached: true }))
  })
  const stop = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.stop()))
  }
  const endpoints = members.map(({ client }) => client)
  for (const end = Date.now() + startTimeoutMs; !(await areHealthy(endpoints)); ) {
    if (Date.now() < end) continue
    await stop()
    throw new SetupError('etcd did not start in a minute')
  }
  return { endpoints, stop }
}

async function freeUrl(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`
}

async function areHealthy(endpoints: readonly string[]): Promise<boolean> {
  const answers = await Promise.all(
    endpoints.map((url) =>
      fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) }).then(
        (answer) => answer.ok,
        () => false,
      ),
    ),
  )
  if (answers.every((isHealthy) => isHealthy)) return true
  await new Promise((done) => setTimeout(done, 50))
  return false
}
