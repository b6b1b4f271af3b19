import { AdminError } from '../admin-error.ts'
import { type ClusterAccess, shardsOf } from '../cluster-access.ts'
import type { Resolved, TransactionInfo } from './schemas.ts'

/** Cluster names are made of letters, digits, _ and -. */
const preparedOf = (cluster: string): string => `
SELECT split_part(gid, ':', 3), prepared::text, extract(epoch FROM clock_timestamp() - prepared), owner::text
  FROM pg_prepared_xacts WHERE starts_with(gid, 'weft:${cluster}:') AND database = current_database() ORDER BY prepared`

/** For the agents to carry out what is decided. */
const CARRIED_OUT_MS_MAX = 10_000
const LOOK_AGAIN_MS = 100

/** The ids of this API are no answer to that: of what committed, and was told to have, the log keeps nothing. */
const BY_CLIENT =
  "SELECT weft.outcome('…') tells what became of it, with the id that its client was told with 08007."

/** Transactions that are prepared on some shard, and what the log says of each. */
export async function transactions(cluster: ClusterAccess): Promise<TransactionInfo[]> {
  const found = new Map<string, TransactionInfo>()
  for (const { shard, rows } of await prepared(cluster)) {
    for (const [transaction = '', at = '', age, owner] of rows.map((row) =>
      row.map((value) => value ?? ''),
    )) {
      const before = found.get(transaction)
      found.set(transaction, {
        transaction,
        log: 'undecided',
        prepared_on: [...(before?.prepared_on ?? []), shard],
        prepared_at: before?.prepared_at ?? at,
        age_seconds: Math.max(before?.age_seconds ?? 0, Math.round(Number(age) * 1000) / 1000),
        owner: owner ?? '',
      })
    }
  }
  return Promise.all(
    [...found.values()].map(async (one) => ({ ...one, log: await cluster.logged(one.transaction) })),
  )
}

export async function transaction(cluster: ClusterAccess, id: string): Promise<TransactionInfo> {
  const one = (await transactions(cluster)).find((each) => each.transaction === id)
  if (one !== undefined) return one
  throw new AdminError(404, `${id} is prepared on no shard`, BY_CLIENT)
}

/**
 * Settles one that is prepared, by the rules of recovery: what the log says holds, and where it says nothing an abort is
 * written. The agents carry it out; how far they have come is told.
 *
 * That there is no record, or an abort's, says something of a transaction that is prepared after that was seen: otherwise
 * it may have committed before, and its record be gone (docs/decisions/0002-tombstones.md).
 */
export async function resolve(cluster: ClusterAccess, id: string): Promise<Resolved> {
  const { log: before } = await transaction(cluster, id)
  if (before === 'unreadable')
    throw new AdminError(
      409,
      `the record of ${id} was written by a newer Weft`,
      'Upgrade this node, and ask again.',
    )
  let log: Resolved['log'] = before
  if (log === 'undecided') {
    await transaction(cluster, id)
    log = await cluster.abort(id)
  }
  let left = await preparedOn(cluster, id)
  if (left.length === 0 && log !== 'commit')
    throw new AdminError(409, `${id} has been settled meanwhile, and how is not known here`, BY_CLIENT)
  const endMs = performance.now() + CARRIED_OUT_MS_MAX
  while (left.length > 0 && performance.now() <= endMs) {
    await new Promise((done) => setTimeout(done, LOOK_AGAIN_MS))
    left = await preparedOn(cluster, id)
  }
  return { transaction: id, log, prepared_on: left }
}

async function preparedOn(cluster: ClusterAccess, id: string): Promise<number[]> {
  const found = await prepared(cluster)
  return found.filter(({ rows }) => rows.some(([one]) => one === id)).map(({ shard }) => shard)
}

async function prepared(cluster: ClusterAccess) {
  return Promise.all(
    shardsOf(cluster).map(async (shard) => ({
      shard,
      rows: await cluster.onShard(shard, preparedOf(cluster.cluster)),
    })),
  )
}
