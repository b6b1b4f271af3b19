/** One Weft and one plain Postgres, both with TLS and a password, that clients are run against. */
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../admin/logger.ts'
import { startDevCluster } from '../../embedded/dev-cluster.ts'
import { chooseRunAs } from '../../embedded/run-as.ts'
import { initdbTemplate } from '../helpers/initdb-template.ts'
import { query, startPostgres } from '../helpers/postgres.ts'
import { testTls } from '../helpers/test-tls.ts'

export interface ClientServer {
  readonly kind: 'plain' | 'weft'
  /** Of the superuser `postgres`. */
  readonly url: string
  /** Environment of a program. */
  readonly env: Readonly<Record<string, string>>
}

export interface ClientServers {
  readonly plain: ClientServer
  readonly weft: ClientServer
  /** Weft's own servers. */
  readonly shardUrls: readonly string[]
  stop(): Promise<void>
}

const fast = { shared_buffers: '16MB', fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
const password = "pass'word"
/** Refused by Weft; Postgres knows no such transaction. */
const refused = "COMMIT PREPARED 'nobody'"

export async function startClientServers(): Promise<ClientServers> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-clients-'))
  chmodSync(dir, 0o755)
  const files = writeCertificate(dir)
  const template = await initdbTemplate()
  const [weft, plain] = await Promise.all([
    startDevCluster({
      shards: 3,
      port: 0,
      adminPort: 0,
      dataDir: join(dir, 'data'),
      logger: createLogger({ level: 'error' }),
      postgresSettings: fast,
      postgresTemplate: template,
      tls: testTls,
      auth: [{ from: ['all'], method: 'scram-sha-256' }],
    }),
    startPostgres({ settings: { ...fast, ssl: 'on', ssl_cert_file: files.cert, ssl_key_file: files.key } }),
  ])
  const setPassword = `ALTER ROLE postgres PASSWORD '${password.replace("'", "''")}'`
  await query(plain.url, setPassword)
  const shardUrls = weft.shards.map((shard) => shard.url)
  for (const url of shardUrls) await query(url, setPassword)
  const server = (kind: 'plain' | 'weft', port: number): ClientServer => ({
    kind,
    url: `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
    env: {
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGUSER: 'postgres',
      PGPASSWORD: password,
      PGDATABASE: 'postgres',
      CLIENT_SERVER: kind,
      CLIENT_CA: files.cert,
      CLIENT_REFUSED: refused,
    },
  })
  return {
    plain: server('plain', plain.port),
    weft: server('weft', weft.port),
    shardUrls,
    stop: async () => {
      await Promise.all([weft.stop(), plain.stop()])
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Postgres takes a key only if nobody but its own user can read it. */
function writeCertificate(dir: string): { cert: string; key: string } {
  const files = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') }
  writeFileSync(files.cert, testTls.cert)
  writeFileSync(files.key, testTls.key, { mode: 0o600 })
  const owner = chooseRunAs(join(dir, 'plain'))
  if (owner !== undefined) chownSync(files.key, owner.uid, owner.gid)
  return files
}

/** Drops what the client before has left. */
export async function clear({ url }: ClientServer): Promise<void> {
  const tables = await query<{ name: string }>(
    url,
    `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
  )
  if (tables.length > 0) {
    await query(url, `DROP TABLE ${tables.map(({ name }) => name).join(', ')} CASCADE`)
  }
}
