import {
  EtcdAuthenticationFailedError,
  EtcdPermissionDeniedError,
  type IOptions,
  type ITxnRequest,
  type ITxnResponse,
  KVClient,
  LeaseClient,
} from 'etcd3'
import { ConnectionPool } from 'etcd3/lib/connection-pool.js'
import { LogUnavailableError, LogUnknownError } from './txn-log.ts'

export interface EtcdServer {
  /** http://host:port or https://host:port, one for each member. */
  readonly endpoints: readonly string[]
  readonly auth?: { readonly username: string; readonly password: string }
  readonly tls?: { readonly ca: Buffer; readonly key?: Buffer; readonly cert?: Buffer }
}

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>

/** Instead of the library's retries: a call is made once, and who made it is told what is known of it. */
const once = { execute: async (run: () => unknown) => run() } as unknown as Policy

/** No byte of it can have been sent. */
const notSent = /No connection established|ECONNREFUSED|Name resolution failed/

interface Endpoint {
  readonly pool: ConnectionPool
  readonly kv: KVClient
  readonly lease: LeaseClient
}

/**
 * The members of an etcd cluster, one at a time: the one that answered last is asked first, and the next one after a
 * failure. A call that may have reached a member is never sent to another one.
 */
export class EtcdEndpoints {
  private readonly endpoints: readonly Endpoint[]
  private current = 0

  constructor(server: EtcdServer) {
    this.endpoints = server.endpoints.map((url) => open(server, url))
  }

  /** Rejects with `LogUnavailableError` or `LogUnknownError`. */
  txn(request: ITxnRequest, timeoutMs: number): Promise<ITxnResponse> {
    return this.call((endpoint) => endpoint.kv.txn(request, { deadline: Date.now() + timeoutMs }))
  }

  async grantLease(ttlSeconds: number, timeoutMs: number): Promise<string> {
    const granted = await this.call((endpoint) =>
      endpoint.lease.leaseGrant({ TTL: ttlSeconds }, { deadline: Date.now() + timeoutMs }),
    )
    return granted.ID
  }

  revokeLease(id: string, timeoutMs: number): Promise<unknown> {
    return this.call((endpoint) =>
      endpoint.lease.leaseRevoke({ ID: id }, { deadline: Date.now() + timeoutMs }),
    )
  }

  /** False when the lease has expired. */
  keepLeaseAlive(id: string, timeoutMs: number): Promise<boolean> {
    return this.call(async (endpoint) => {
      const stream = await endpoint.lease.leaseKeepAlive({ deadline: Date.now() + timeoutMs })
      return new Promise<boolean>((resolve, reject) => {
        stream.on('data', (answer) => {
          resolve(Number(answer.TTL) > 0)
          stream.end()
        })
        stream.on('error', reject)
        stream.on('end', () => reject(new Error('the lease stream ended')))
        stream.write({ ID: id })
      })
    })
  }

  close(): void {
    for (const endpoint of this.endpoints) endpoint.pool.close()
  }

  private async call<T>(run: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    let lastError: unknown
    for (let i = 0; i < this.endpoints.length; i++) {
      const at = this.current
      const endpoint = this.endpoints[at] as Endpoint
      try {
        return await run(endpoint)
      } catch (error) {
        lastError = error
        // Whoever failed at the same member has moved on already.
        if (this.current === at) this.current = (at + 1) % this.endpoints.length
        if (!certainlyNothing(error)) throw new LogUnknownError(messageOf(error), { cause: error })
      }
    }
    throw new LogUnavailableError(messageOf(lastError), { cause: lastError })
  }
}

function certainlyNothing(error: unknown): boolean {
  if (error instanceof EtcdPermissionDeniedError || error instanceof EtcdAuthenticationFailedError)
    return true
  return notSent.test(messageOf(error))
}

function open(server: EtcdServer, url: string): Endpoint {
  const { tls, auth } = server
  const pool = new ConnectionPool({
    hosts: url,
    ...(auth === undefined ? {} : { auth }),
    ...(tls === undefined
      ? {}
      : {
          credentials: {
            rootCertificate: tls.ca,
            ...(tls.key === undefined ? {} : { privateKey: tls.key }),
            ...(tls.cert === undefined ? {} : { certChain: tls.cert }),
          },
        }),
    faultHandling: { host: () => once, global: once },
    grpcOptions: {
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      // A member behind a broken link is noticed, also between calls.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 3_000,
    },
  })
  return { pool, kv: new KVClient(pool), lease: new LeaseClient(pool) }
}

function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}
