import { isIP } from 'node:net'
import type { ClusterConfig } from './config.ts'

/** What a configuration allows that its author may not have meant. */
export function configWarnings(config: ClusterConfig): string[] {
  const { coordinator, agent, admin, muxTls, log, shards } = config
  const warnings: string[] = []
  const reached = (host: string): boolean => !isLoopback(host)
  if (
    muxTls === undefined &&
    (reached(agent.listenHost) || shards.some((shard) => reached(shard.agent.host)))
  )
    warnings.push(
      'coordinators and agents talk in the clear, and whoever reaches an agent owns its shard: set muxTls',
    )
  const mayNobody = admin.tokens.length === 0 && (admin.tls?.clients.length ?? 0) === 0
  if (mayNobody && (reached(coordinator.adminListen.host) || reached(agent.adminListen.host)))
    warnings.push(
      'adminListen is not loopback and there are no admin.tokens or admin.tls.clients: nobody can use /api and the weft commands',
    )
  if (
    admin.tls === undefined &&
    !mayNobody &&
    (reached(coordinator.adminListen.host) || reached(agent.adminListen.host))
  )
    warnings.push('admin tokens travel in the clear: set admin.tls, or keep adminListen on a closed network')
  if (coordinator.auth.some(({ method, from }) => method === 'trust' && !from.every(isLoopbackNetwork)))
    warnings.push(
      'coordinator.auth trusts addresses that are not loopback: whoever reaches it is whom they say they are',
    )
  if (coordinator.tls === undefined && reached(coordinator.listen.host))
    warnings.push('clients talk to the coordinator in the clear: set coordinator.tls')
  if (log.kind === 'etcd' && log.endpoints.length < 3)
    warnings.push(
      `the log has ${log.endpoints.length} etcd endpoints: with less than three, the loss of one stops it`,
    )
  return warnings
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function isLoopbackNetwork(network: string): boolean {
  const [address = '', bits] = network.split('/')
  if (address === '::1') return bits === undefined || bits === '128'
  return isLoopback(address) && (bits === undefined || Number(bits) >= 8)
}
