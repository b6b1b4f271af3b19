import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../embedded/embedded-postgres.ts'
import { freePort } from './free-port.ts'
import { initdbTemplate } from './initdb-template.ts'

export interface TestPostgresOptions {
  /** 18 (default) is the embedded one; 15 is the system's own, where it is installed. */
  readonly version?: 18 | 15
  readonly database?: string
  readonly settings?: Readonly<Record<string, string>>
  /** Off by default: a throw-away server need not survive a power cut. A killed server does not need it. */
  readonly fsync?: boolean
}

export interface TestPostgres extends EmbeddedPostgres {
  /** Stops the server and removes its data. */
  stop(): Promise<void>
  /** Starts it again on the same data and port, after a stop of its own or a `crash()`. */
  restart(): Promise<void>
}

export const systemBin = '/usr/lib/postgresql/15/bin'

/** Whether `startPostgres({ version: 15 })` can work here; for `describe.skipIf`. */
export const hasPostgres15 = existsSync(join(systemBin, 'postgres'))

/** A throw-away Postgres server on a free loopback port and a unix socket, with trust authentication. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  if (options.version === 15 && !hasPostgres15) throw new Error(`no Postgres 15 in ${systemBin}`)
  const root = await mkdtemp(join(tmpdir(), 'weft-test-'))
  // As root the server runs as somebody else, who must be able to get in.
  await chmod(root, 0o755)
  const fast =
    options.fsync === true ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
  const port = await freePort()
  const template = options.version === 15 ? undefined : await initdbTemplate()
  return ownServer(root, () =>
    startEmbeddedPostgres({
      dataDir: join(root, 'data'),
      ...(options.database === undefined ? {} : { database: options.database }),
      ...{ port, template },
      ...(options.version === 15 ? { binDir: systemBin } : {}),
      settings: { shared_buffers: '16MB', ...fast, ...options.settings },
    }),
  )
}

/** A server with its data below `root`; `start` starts it, each time on the same port. */
export async function ownServer(root: string, start: () => Promise<EmbeddedPostgres>): Promise<TestPostgres> {
  let server = await start()
  const { host, port, socketDir, database, user, url, socketUrl, dataDir } = server
  return {
    ...{ host, port, socketDir, database, user, url, socketUrl, dataDir },
    get pid() {
      return server.pid
    },
    get exited() {
      return server.exited
    },
    crash: () => server.crash(),
    restart: async () => {
      await server.stop()
      server = await start()
    },
    stop: async () => {
      await server.stop('immediate')
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** Has a server read its configuration again; connections made from then on go by it. */
export async function reload(url: string): Promise<void> {
  const [before] = await query<{ at: string }>(
    url,
    'SELECT pg_conf_load_time()::text AS at, pg_reload_conf()',
  )
  for (;;) {
    const rows = await query<{ at: string }>(url, 'SELECT pg_conf_load_time()::text AS at').catch(() => [])
    // What lets nobody in any more is new too.
    if (rows[0]?.at !== before?.at) return
  }
}

/** A connection that may break: its next query then says so. */
export async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** One statement on a connection of its own. */
export async function query<Row extends pg.QueryResultRow = Record<string, unknown>>(
  url: string,
  sql: string,
  params?: unknown[],
): Promise<Row[]> {
  const client = await connectTo(url)
  try {
    return (await client.query<Row>(sql, params)).rows
  } finally {
    await client.end()
  }
}
