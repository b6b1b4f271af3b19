import type {
  AuditLine,
  Change,
  ExplainedFile,
  Finding,
  History,
  LogRecord,
  Move,
  Resolved,
  Session,
  Settings,
  Shard,
  Statement,
  Table,
  TableParts,
  TransactionInfo,
  Wait,
  Whoami,
} from '../../admin/api/schemas.ts'

/** What the console asks for, and what it is told; a test holds the paths to /docs. */
export interface Gets {
  readonly '/api/whoami': Whoami
  readonly '/api/status': NodeStatus
  readonly '/api/history': History
  readonly '/api/shards': readonly Shard[]
  readonly '/api/tables': readonly Table[]
  readonly '/api/tables/{table}': TableParts
  readonly '/api/statements': readonly Statement[]
  readonly '/api/sessions': readonly Session[]
  readonly '/api/waits': readonly Wait[]
  readonly '/api/moves': readonly Move[]
  readonly '/api/log': readonly LogRecord[]
  readonly '/api/settings': Settings
  readonly '/api/transactions': readonly TransactionInfo[]
  readonly '/api/audit': readonly AuditLine[]
  readonly '/api/doctor': readonly Finding[]
}

export interface Posts {
  readonly '/api/explain': ExplainedFile
  readonly '/api/sessions/{pid}/cancel': Change
  readonly '/api/sessions/{pid}/kill': Change
  readonly '/api/transactions/{transaction}/resolve': Resolved
}

/** Of /api/status, what is shown: agents and coordinators each tell their part. */
export interface NodeStatus {
  readonly role: string
  readonly pid: number
  readonly uptimeSeconds: number
  readonly id?: string
  readonly sessions?: number
  readonly mapVersion?: number
  readonly waitsFor?: string
  readonly transactionLog?: string
  readonly memory?: { readonly nodeBytes: number; readonly usedBytes: number }
  readonly commits?: { readonly inFlight: number; readonly leftToRecovery: number }
  readonly shards: readonly NodeShard[]
}

export interface NodeShard {
  readonly shard: number
  readonly up: boolean
  readonly error?: string
  readonly serverVersion?: string
  readonly poolSize?: number
  readonly busy?: number
  readonly idle?: number
  readonly waiting?: number
  readonly prepared?: number
  readonly problems?: readonly { readonly gid: string; readonly why: string }[]
}

type All<T> = { readonly [path in keyof T]: true }

export const GETS: All<Gets> = {
  '/api/whoami': true,
  '/api/status': true,
  '/api/history': true,
  '/api/shards': true,
  '/api/tables': true,
  '/api/tables/{table}': true,
  '/api/statements': true,
  '/api/waits': true,
  '/api/moves': true,
  '/api/log': true,
  '/api/settings': true,
  '/api/sessions': true,
  '/api/transactions': true,
  '/api/audit': true,
  '/api/doctor': true,
}

export const POSTS: All<Posts> = {
  '/api/explain': true,
  '/api/sessions/{pid}/cancel': true,
  '/api/sessions/{pid}/kill': true,
  '/api/transactions/{transaction}/resolve': true,
}

/** A path with what belongs into its braces, and a query. */
export function filled(
  path: string,
  values: Readonly<Record<string, string | number>> = {},
  query: Readonly<Record<string, string | number | undefined>> = {},
): string {
  const at = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])))
  const asked = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(String(value))}`],
  )
  return asked.length === 0 ? at : `${at}?${asked.join('&')}`
}
