import { isIP } from 'node:net'
import { z } from 'zod'

/** Where something listens, or is reached. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port`, with an IPv6 address in brackets; undefined if it isn't one. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s/@]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535) return undefined
  return { host: match[1] ?? match[2]!, port }
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** True for `postgres://` URLs that name a host or a socket directory. */
export function isPostgresUrl(text: string): boolean {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) return false
  const url = new URL(text)
  return url.hostname !== '' || url.searchParams.has('host')
}

/** `10.0.0.0/8`, a single address, or `all`. */
function isNetwork(text: string): boolean {
  if (text === 'all') return true
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

const address = z.string().transform((text, context): Address => {
  const parsed = parseAddress(text)
  if (parsed !== undefined) return parsed
  context.issues.push({
    code: 'custom',
    input: text,
    message: 'write it as host:port, for example 127.0.0.1:6432',
  })
  return z.NEVER
})

const postgresUrl = z
  .string()
  .refine(isPostgresUrl, 'write it as postgres://user:password@host:5432/database')

const httpUrl = z
  .string()
  .refine((text) => /^https?:\/\/[^/]+\/?$/.test(text), 'write it as http://host:2379 or https://host:2379')

const milliseconds = z.int().min(1).max(86_400_000)

const keyPair = { cert: z.string(), key: z.string() }

const network = z.string().refine(isNetwork, 'write a network (10.0.0.0/8), an address, or all')

const authRule = z.strictObject({
  /** Networks of the client: CIDR, single addresses, or `all`. */
  from: z
    .preprocess((from) => (typeof from === 'string' ? [from] : from), z.array(network).min(1))
    .prefault('all'),
  /** Absent: everyone. */
  users: z.array(z.string().min(1)).min(1).exactOptional(),
  /** Only over TLS. */
  tls: z.literal('require').exactOptional(),
  method: z.enum(['trust', 'scram-sha-256', 'reject']),
})

const log = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('postgres') }),
    z.strictObject({
      kind: z.literal('etcd'),
      endpoints: z.array(httpUrl).min(1),
      tls: z
        .strictObject({ ca: z.string(), cert: z.string().exactOptional(), key: z.string().exactOptional() })
        .exactOptional(),
      username: z.string().exactOptional(),
      password: z.string().exactOptional(),
    }),
  ],
  { error: 'kind is either postgres or etcd' },
)

const shard = z.strictObject({
  /** 0 is the home shard. */
  id: z.int().min(0).max(1023),
  /** How the shard's agent reaches its server, as a role that owns Weft's tables there. */
  postgres: postgresUrl,
  /** Where coordinators reach the shard's agent. */
  agent: address,
})

const coordinator = z.strictObject({
  listen: address.prefault('127.0.0.1:6432'),
  /** The HTTP side: /healthz, /readyz, /metrics, /api, /docs. */
  adminListen: address.prefault('127.0.0.1:6480'),
  /** Presented to clients that ask for TLS. */
  tls: z.strictObject(keyPair).exactOptional(),
  /** The first rule that matches decides; no match is a refusal. */
  auth: z
    .array(authRule)
    .min(1)
    .prefault([{ from: 'all', method: 'scram-sha-256' }]),
  sessionsMax: z.int().min(1).max(100_000).default(1000),
  /** Statements that take as long as this are told in the log; default: none. */
  logMinDurationMs: z.number().min(0).max(86_400_000).exactOptional(),
  /** What clients may make it keep, in MB (docs/operations.md). */
  memory: z
    .strictObject({
      /** All sessions together; default: an eighth of what the machine has. */
      nodeMb: z.int().min(16).max(1_000_000).exactOptional(),
      /** One session; default: a quarter of `nodeMb`, 16 at least. */
      sessionMb: z.int().min(1).max(1_000_000).exactOptional(),
    })
    .prefault({}),
})

const adminToken = z.strictObject({
  /** Of who has it, for the audit. */
  name: z.string().regex(/^[\w.@-]{1,60}$/, 'up to 60 letters, digits, or . _ @ -'),
  /** `viewer` sees, `admin` changes. */
  role: z.enum(['viewer', 'admin']),
  token: z.string().regex(/^\S{16,200}$/, 'a token has 16 to 200 characters, and no blanks'),
})

const adminCertificate = z
  .strictObject({
    role: z.enum(['viewer', 'admin']),
    /** Of the certificate: all that is said here. Its common name. */
    cn: z.string().min(1).exactOptional(),
    /** One of its organizational units. */
    ou: z.string().min(1).exactOptional(),
    /** One of its alternative names. */
    san: z
      .string()
      .regex(/^(DNS|URI|IP Address|email):./, 'write it as DNS:name, URI:…, IP Address:… or email:…')
      .exactOptional(),
  })
  .refine(({ cn, ou, san }) => (cn ?? ou ?? san) !== undefined, 'say cn, ou or san')

const adminTls = z
  .strictObject({
    ...keyPair,
    /** Who signs the certificates of clients. */
    clientCa: z.string().exactOptional(),
    /** Who needs no token; the first one that fits a certificate counts. */
    clients: z.array(adminCertificate).max(1000).default([]),
  })
  .refine(
    ({ clientCa, clients }) => (clientCa === undefined) === (clients.length === 0),
    'clientCa and clients go together',
  )

const admin = z.strictObject({
  tokens: z.array(adminToken).max(1000).default([]),
  /** The admin ports of all nodes speak HTTPS. */
  tls: adminTls.exactOptional(),
  /** To /api, with one token and from one address. */
  requestsPerMinute: z.int().min(10).max(1_000_000).default(1200),
})

const agent = z.strictObject({
  /** The address to bind; the port is that of the shard's `agent` address. */
  listenHost: z.string().default('127.0.0.1'),
  adminListen: address.prefault('127.0.0.1:6481'),
})

/** What `weft.yaml` may say. The file has one content for all nodes of a cluster. */
export const configSchema = z.strictObject({
  cluster: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,30}$/, 'up to 31 of a-z 0-9 _ - and a letter first')
    .default('weft'),
  /** The database clients connect to. */
  database: z.string().min(1).max(63).default('postgres'),
  shards: z.array(shard).min(1).max(1024),
  log: log.prefault({ kind: 'postgres' }),
  coordinator: coordinator.prefault({}),
  agent: agent.prefault({}),
  /** Who may use /api; on loopback everybody may, as long as there are none. */
  admin: admin.prefault({}),
  /** How long `weft.outcome` tells what became of a transaction, from its end. */
  outcomesKeptHours: z.number().min(0.001).max(24_000).default(24),
  /** Mutual TLS between coordinators and agents; without it they talk in the clear. */
  muxTls: z.strictObject({ ca: z.string(), ...keyPair }).exactOptional(),
  pool: z
    .strictObject({
      /** Postgres connections of one agent: three are its own, two are kept for single statements. */
      size: z.int().min(8).max(10_000).default(20),
      waitTimeoutMs: milliseconds.default(10_000),
    })
    .prefault({}),
  /** A timestamp further ahead of the wall clock is refused. */
  maxClockOffsetMs: milliseconds.default(500),
  /** A prepared transaction older than this is settled by recovery. */
  // Coordinators rely on the least (coordinator/commit/commit.ts).
  inDoubtAfterMs: milliseconds.min(1000).default(1000),
})

export type ClusterConfig = Readonly<z.infer<typeof configSchema>>
export type ShardConfig = Readonly<z.infer<typeof shard>>
export type LogConfig = Readonly<z.infer<typeof log>>
export type AuthRule = Readonly<z.infer<typeof authRule>>
