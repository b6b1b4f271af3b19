import { execFile } from 'node:child_process'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startEmbeddedPostgres } from '../../embedded/embedded-postgres.ts'
import { chooseRunAs } from '../../embedded/run-as.ts'
import { query, systemBin, type TestPostgres } from './postgres.ts'
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
  const start = (port?: number) =>
    startEmbeddedPostgres({
      dataDir,
      binDir: systemBin,
      ...(port === undefined ? {} : { port }),
      settings: { shared_buffers: '16MB', fsync: 'off', synchronous_commit: 'on' },
    })
  let server = await start()
  const isSynchronous = async (): Promise<boolean> => {
    const rows = await query(primary.url, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
    return rows.length === 1
  }
  await query(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
  await query(primary.url, 'SELECT pg_reload_conf()')
  await until('the standby is synchronous', isSynchronous)
  const { host, port, socketDir, database, user, url, socketUrl } = server
  return {
    ...{ host, port, socketDir, database, user, url, socketUrl, dataDir },
    get pid() {
      return server.pid
    },
    get exited() {
      return server.exited
    },
    crash: () => server.crash(),
    promote: async () => {
      await query(url, 'SELECT pg_promote()')
    },
    restart: async () => {
      await server.stop()
      server = await start(port)
    },
    stop: async () => {
      await server.stop('immediate')
      await rm(root, { recursive: true, force: true })
    },
  }
}
