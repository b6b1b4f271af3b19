import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PgError } from '../../errors/pg-error.ts'

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

const SSL_MODES: readonly string[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']

/** Where a shard's Postgres is, and the administrative login of its agent. */
export interface PostgresAddress {
  /** A host name, or the directory of the server's unix socket when it begins with `/`. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password?: string | undefined
  readonly sslMode: SslMode
  /** PEM of the authority that signed the server's certificate. */
  readonly sslCa?: string | undefined
}

export function isUnixSocket(address: PostgresAddress): boolean {
  return address.host.startsWith('/')
}

export function unixSocketPath(address: PostgresAddress): string {
  return join(address.host, `.s.PGSQL.${address.port}`)
}

/** For messages: never the password. */
export function describeAddress(address: PostgresAddress): string {
  return isUnixSocket(address) ? unixSocketPath(address) : `${address.host}:${address.port}`
}

/** `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…&host=/socket/dir`, as libpq reads it. */
export function parsePostgresUrl(text: string): PostgresAddress {
  const url = parseUrl(text)
  const query = url.searchParams
  const user = decodeURIComponent(url.username) || query.get('user') || 'postgres'
  const rootCert = query.get('sslrootcert')
  return {
    host: query.get('host') ?? (decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost'),
    port: Number(url.port || query.get('port') || 5432),
    database: decodeURIComponent(url.pathname.slice(1)) || query.get('dbname') || user,
    user,
    password: decodeURIComponent(url.password) || query.get('password') || undefined,
    sslMode: parseSslMode(query.get('sslmode')),
    sslCa: rootCert === null ? undefined : readFileSync(rootCert, 'utf8'),
  }
}

function parseUrl(text: string): URL {
  // libpq allows a user without a host, URL does not.
  text = text.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, '$1localhost')
  const usable = URL.canParse(text) ? new URL(text) : undefined
  if (usable !== undefined && /^postgres(ql)?:$/.test(usable.protocol)) return usable
  throw new PgError({
    code: '22023',
    message: 'a shard is given as postgres://user@host:port/database',
  })
}

function parseSslMode(value: string | null): SslMode {
  if (value === null) return 'prefer'
  if (SSL_MODES.includes(value)) return value as SslMode
  throw new PgError({ code: '22023', message: `sslmode "${value}" is not one of ${SSL_MODES.join(', ')}` })
}
