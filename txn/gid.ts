import { invariant } from '../errors/pg-error.ts'

/**
 * The string given to PREPARE TRANSACTION on one shard: `weft:<cluster>:<txn id>:<shard>`. It holds only
 * `[A-Za-z0-9_:-]`, so it needs no quoting, and is shorter than Postgres' limit of 200 bytes.
 */
export type Gid = string & { readonly brand: 'Gid' }

/** Our transaction: `<coordinator id>-<epoch>-<number>`, the same on all of its shards. */
export type TxnId = string & { readonly brand: 'TxnId' }

/**
 * One registration of a coordinator with the transaction log: `<coordinator id>-<epoch>`. Never used again once gone;
 * every transaction belongs to the one it began under (docs/decisions/0002-tombstones.md).
 */
export type Incarnation = string & { readonly brand: 'Incarnation' }

export interface ParsedGid {
  readonly cluster: string
  readonly txnId: TxnId
  readonly coordinatorId: string
  readonly incarnation: Incarnation
  readonly shard: number
}

const clusterPattern = /^[A-Za-z0-9_-]{1,40}$/
const coordinatorPattern = /^[0-9a-z]{1,32}$/
const txnIdPattern = /^([0-9a-z]{1,32})-(0|[1-9a-z][0-9a-z]{0,11})-(0|[1-9a-z][0-9a-z]{0,11})$/
const gidPattern = /^weft:([A-Za-z0-9_-]{1,40}):([0-9a-z-]{1,58}):(0|[1-9][0-9]{0,5})$/

/** Whether `name` may be a cluster's name in a gid. */
export function isClusterName(name: string): boolean {
  return clusterPattern.test(name)
}

/** A coordinator's id from 8 random bytes. A process takes a new one at each start and never tells it to another. */
export function coordinatorIdFrom(random: Buffer): string {
  invariant(random.length === 8, 'a coordinator id is made of 8 random bytes')
  return random.readBigUInt64BE().toString(36).padStart(13, '0')
}

export function incarnationFor(coordinatorId: string, epoch: number): Incarnation {
  invariant(coordinatorPattern.test(coordinatorId), `bad coordinator id ${coordinatorId}`)
  return `${coordinatorId}-${epoch.toString(36)}` as Incarnation
}

export function txnIdFor(incarnation: string, number: number): TxnId {
  return `${incarnation}-${number.toString(36)}` as TxnId
}

export function gidFor(cluster: string, txnId: string, shard: number): Gid {
  return `weft:${cluster}:${txnId}:${shard}` as Gid
}

/** Undefined for everything that is not exactly what `gidFor` makes: then the transaction is somebody else's. */
export function parseGid(text: string): ParsedGid | undefined {
  const match = gidPattern.exec(text)
  if (match === null) return undefined
  const [, cluster = '', txnId = '', shard = ''] = match
  const parts = txnIdPattern.exec(txnId)
  if (parts === null) return undefined
  return {
    cluster,
    txnId: txnId as TxnId,
    coordinatorId: parts[1] ?? '',
    incarnation: incarnationOf(txnId),
    shard: Number(shard),
  }
}

/** Of the coordinator that began a transaction. */
export function coordinatorOf(txnId: string): string {
  return txnId.slice(0, txnId.indexOf('-'))
}

/** Under which registration of its coordinator a transaction began. */
export function incarnationOf(txnId: string): Incarnation {
  return txnId.slice(0, txnId.lastIndexOf('-')) as Incarnation
}
