import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../cluster/cluster.ts'
import type { Fault } from './fault.ts'

const CHUNK = Buffer.alloc(1 << 20)

/** The file system that a shard's data have for themselves is filled up. */
export const diskFull: Fault = {
  name: 'disk-full',
  whyNot: (cluster: Cluster) => cluster.servers.whyNoDisk,
  start: async (cluster) => {
    const { name } = cluster.servers.small ?? { name: '' }
    const ballast = join(cluster.servers.dataOf(name), 'ballast')
    const postgres = cluster.postgres.find((each) => each.name === name)
    // It panics when it cannot write its log.
    if (postgres !== undefined) postgres.mayDie = true
    fill(ballast)
    return { what: [name], mend: async () => rmSync(ballast, { force: true }) }
  },
}

function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, CHUNK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}
