import { readFileSync } from 'node:fs'
import type { AdminOptions } from '../admin/server.ts'
import type { ClusterConfig } from '../cluster/config.ts'

/** What the configuration says of the admin ports of all nodes. */
export function adminAccess({
  admin,
}: ClusterConfig): Pick<AdminOptions, 'tokens' | 'tls' | 'requestsPerMinute'> {
  const { tokens, requestsPerMinute, tls } = admin
  if (tls === undefined) return { tokens, requestsPerMinute }
  const read = (file: string): string => readFileSync(file, 'utf8')
  const { cert, key, clientCa, clients } = tls
  const ca = clientCa === undefined ? undefined : read(clientCa)
  return { tokens, requestsPerMinute, tls: { cert: read(cert), key: read(key), ca, clients } }
}
