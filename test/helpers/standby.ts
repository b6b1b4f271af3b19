import { execFile } from 'node:child_process'
import { chmod, chown, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startEmbeddedPostgres } from '../../embedded/embedded-postgres.ts'
import { chooseRunAs } from '../../embedded/run-as.ts'
import { freePort } from './free-port.ts'
import { ownServer, query, systemBin, type TestPostgres } from './postgres.ts'
import { until } from './process-cluster.ts'

export interface TestStandby extends TestPostgres {
  /** Resolves when it takes writes. */
  promote(): Promise<void>
}

/** A streaming standby of a Postgres 15 of ours, which from now on waits for it before it confirms a commit. */
export async function startStandby(primary: TestPostgres): Promise<TestStandby> {
  const root = await mkdtemp(join(tmpdir(), 'weft-standby-'))
  await chmod(root, 0o755)
  const dataDir = join(root, 'data')
  const runAs = chooseRunAs(dataDir)
  if (runAs !== undefined) await chown(root, runAs.uid, runAs.gid)
  const source = ['-h', primary.host, '-p', String(primary.port), '-U', primary.user]
  await promisify(execFile)(
    join(systemBin, 'pg_basebackup'),
    [...source, '-D', dataDir, '-R', '-X', 'stream', '-c', 'fast'],
    { cwd: '/', ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }) },
  )
  const port = await freePort()
  const standby = await ownServer(root, () =>
    startEmbeddedPostgres({
      dataDir,
      binDir: systemBin,
      port,
      settings: { shared_buffers: '16MB', fsync: 'off', synchronous_commit: 'on' },
    }),
  )
  await query(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
  await query(primary.url, 'SELECT pg_reload_conf()')
  await until('the standby is synchronous', async () => {
    const rows = await query(primary.url, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
    return rows.length === 1
  })
  return Object.assign(standby, {
    promote: async () => {
      await query(standby.url, 'SELECT pg_promote()')
    },
  })
}
