import { readFile } from 'node:fs/promises'
import type { LogConfig } from '../cluster/config.ts'
import { PgError } from '../errors/pg-error.ts'
import { SetupError } from '../errors/setup-error.ts'
import { EtcdTxnLog } from '../txn/log/etcd-txn-log.ts'
import { PostgresTxnLog } from '../txn/log/postgres-txn-log.ts'
import { LogUnavailableError, type TxnLog } from '../txn/log/txn-log.ts'
import { explainShardError } from './explain.ts'

export interface OpenLogOptions {
  readonly config: LogConfig
  /** Shard 0, where the `postgres` log is. */
  readonly homeUrl: string
  /** Absent in a process without a coordinator. */
  readonly coordinatorId?: string
  readonly cluster: string
  readonly onHealth: (reachable: boolean, why: string) => void
  /** How long outcomes can be asked for. */
  readonly outcomesKeptMs?: number
  /** Named when `homeUrl` is wrong: a flag, or a setting. */
  readonly urlSetting: string
  /** A node that starts again while the log is down has shards to serve: what needs no log goes on. */
  readonly mayBeDown?: boolean
}

/** The transaction log that the configuration names. Rejects with one line when it is out of reach and may not be. */
export async function openLog(options: OpenLogOptions): Promise<TxnLog> {
  const { config, homeUrl, coordinatorId, onHealth, mayBeDown = false } = options
  if (config.kind === 'etcd') return openEtcdLog(options, config)
  const registered = coordinatorId === undefined ? {} : { coordinatorId }
  const log = { url: homeUrl, onHealth, ...registered, ...limitsOf(options) }
  try {
    return await PostgresTxnLog.open(log)
  } catch (error) {
    // A wrong password will not become right.
    if (mayBeDown && error instanceof LogUnavailableError && !isAnswer(codeOf(error))) {
      return PostgresTxnLog.open({ ...log, mayBeDown })
    }
    throw explainLogError(error, options)
  }
}

async function openEtcdLog(options: OpenLogOptions, config: LogConfig & { kind: 'etcd' }): Promise<TxnLog> {
  const { cluster, coordinatorId, onHealth, mayBeDown = false } = options
  const { endpoints, tls, username, password } = config
  const auth = username === undefined ? {} : { auth: { username, password: password ?? '' } }
  const files = tls === undefined ? {} : { tls: await readAll(tls) }
  const registered = coordinatorId === undefined ? {} : { coordinatorId }
  try {
    const server = { endpoints, ...auth, ...files }
    return await EtcdTxnLog.open({
      ...server,
      cluster,
      onHealth,
      mayBeDown,
      ...registered,
      ...limitsOf(options),
    })
  } catch (error) {
    if (!(error instanceof LogUnavailableError)) throw error
    throw new SetupError(
      `etcd does not answer at ${endpoints.join(', ')}: ${error.message}`,
      'Start a majority of its members, or correct the endpoints of the log.',
      { cause: error },
    )
  }
}

function limitsOf({ outcomesKeptMs }: OpenLogOptions): { limits?: { keptMs: number } } {
  return outcomesKeptMs === undefined ? {} : { limits: { keptMs: outcomesKeptMs } }
}

interface TlsPaths {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

async function readAll({ ca, cert, key }: TlsPaths): Promise<{ ca: Buffer; cert?: Buffer; key?: Buffer }> {
  return {
    ca: await readFile(ca),
    ...(cert === undefined ? {} : { cert: await readFile(cert) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
  }
}

function explainLogError(error: unknown, { homeUrl, urlSetting }: OpenLogOptions): unknown {
  if (!(error instanceof LogUnavailableError)) return error
  const cause = error.cause as { code?: string; message?: string } | undefined
  const message = cause?.message || cause?.code || error.message
  const told = new PgError({ code: codeOf(error), message }, { cause: error })
  return explainShardError(told, 0, homeUrl, urlSetting)
}

/** Five characters: Postgres' own answer. Anything else is a login without a password, or a connection that failed. */
function codeOf(error: LogUnavailableError): string {
  const cause = error.cause as { code?: string; message?: string } | undefined
  if (cause?.code !== undefined && /^[0-9A-Z]{5}$/.test(cause.code)) return cause.code
  return /^SASL|password/.test(cause?.message ?? error.message) ? '28P01' : '08006'
}

/** Of a server that is there, and will say the same again: not "starting up", say. */
function isAnswer(code: string): boolean {
  return !/^(08|57P)/.test(code)
}

/** `postgres`, or `etcd:` and its endpoints. */
export function parseLog(text: string): LogConfig {
  if (text === 'postgres') return { kind: 'postgres' }
  const endpoints = text.startsWith('etcd:') ? text.slice('etcd:'.length).split(',') : []
  if (endpoints.length > 0 && endpoints.every((e) => /^https?:\/\/[^/\s]+\/?$/.test(e)))
    return { kind: 'etcd', endpoints }
  throw new SetupError(
    `--log ${text} is not understood`,
    'Write postgres, or etcd:http://host:2379,http://other:2379',
  )
}
