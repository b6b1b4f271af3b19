import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { type Clock, systemClock } from './retry/clock.ts'
import type { TypeParsers } from './wire/rows.ts'

/** How a Db reaches its servers. Times are in milliseconds. */
export interface WeftOptions {
  /** `postgres://user:password@host:port/database`, one for each coordinator; a plain Postgres has one. */
  readonly urls: string | readonly string[]
  /** Connections to each coordinator at most. Default 10. */
  readonly poolMax?: number
  /** For one connection to be made and logged in. Default 5,000. */
  readonly connectTimeoutMs?: number
  /** For a connection of the pool to come free. Default 30,000; 0 waits for ever. */
  readonly acquireTimeoutMs?: number
  /** For each statement that names no `timeoutMs` of its own. Default 0: none. */
  readonly statementTimeoutMs?: number
  /** For a canceled statement to end; its connection is dropped then. Default 5,000. */
  readonly cancelGraceMs?: number
  /** A connection that nobody used for so long is closed. Default 10,000; 0 never. */
  readonly idleTimeoutMs?: number
  /** TLS, as `tls.connect` takes it; `sslmode` in a URL does too. Default: no TLS. */
  readonly ssl?: boolean | ConnectionOptions
  /** In place of one in the URLs; a function is asked for each connection. */
  readonly password?: string | (() => string | Promise<string>)
  /** `application_name` of the sessions. Default `weft-client`. */
  readonly applicationName?: string
  /** What each session is set to, as `{ search_path: 'shop' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** `bigint` columns as texts (as node-postgres does, the default) or as bigints. */
  readonly int8?: 'string' | 'bigint'
  /** How types become values. Default: node-postgres' (`pg.types`). */
  readonly types?: TypeParsers
  /** Sessions hand on what they have seen, see `Db.after`. Costs two short requests for each use. Default false. */
  readonly causal?: boolean
  /** Draws from 0 up to 1, for waits and choices between servers. Default `Math.random`. */
  readonly random?: () => number
  /** Time. Default: the system's. */
  readonly clock?: Clock
}

/** With what was left out. */
export interface Settled {
  readonly urls: readonly string[]
  readonly poolMax: number
  readonly connectTimeoutMs: number
  readonly acquireTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly cancelGraceMs: number
  readonly idleTimeoutMs: number
  readonly ssl: boolean | ConnectionOptions | undefined
  readonly password: string | (() => string | Promise<string>) | undefined
  readonly applicationName: string
  readonly settings: Readonly<Record<string, string>>
  readonly types: TypeParsers
  readonly causal: boolean
  readonly random: () => number
  readonly clock: Clock
}

const INT8 = 20

/** @throws TypeError for options that mean nothing. */
export function settle(options: WeftOptions): Settled {
  const urls = typeof options.urls === 'string' ? [options.urls] : [...options.urls]
  if (urls.length === 0) throw new TypeError('urls: name one server at least')
  const settled = {
    urls,
    poolMax: options.poolMax ?? 10,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    acquireTimeoutMs: options.acquireTimeoutMs ?? 30_000,
    statementTimeoutMs: options.statementTimeoutMs ?? 0,
    cancelGraceMs: options.cancelGraceMs ?? 5_000,
    idleTimeoutMs: options.idleTimeoutMs ?? 10_000,
    ssl: options.ssl,
    password: options.password,
    applicationName: options.applicationName ?? 'weft-client',
    settings: options.settings ?? {},
    types: typesOf(options),
    causal: options.causal ?? false,
    random: options.random ?? Math.random,
    clock: options.clock ?? systemClock,
  }
  for (const [name, value] of Object.entries(settled)) {
    if (typeof value === 'number' && !(value >= (name === 'poolMax' ? 1 : 0))) {
      throw new TypeError(`${name}: ${value} is too small`)
    }
  }
  return settled
}

function typesOf({ types, int8 = 'string' }: WeftOptions): TypeParsers {
  const parsers = types ?? (pg.types as unknown as TypeParsers)
  if (int8 === 'string') return parsers
  return {
    getTypeParser: (oid, format) =>
      oid === INT8 && format !== 'binary' ? BigInt : parsers.getTypeParser(oid, format),
  }
}
