import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from './cluster.ts'
import { valuesUnder } from './etcd.ts'
import { CLUSTER } from './nodes.ts'
import { query } from './query.ts'

/** Whether a cluster that was healed is whole again: nothing in doubt, nothing in the log, every shard serving. */
export interface Liveness {
  readonly ok: boolean
  /** Until it was; as long as was waited when it was not. */
  readonly seconds: number
  /** What was waited for, last; left out when nothing was. */
  readonly waitedFor?: string
}

const PROBE = 'jepsen_probe'
/** Hashes of so many keys leave no shard out. */
const PROBE_ROWS = 64

export async function makeProbe(cluster: Cluster): Promise<void> {
  const url = cluster.endpoints[0]?.url ?? ''
  await query(url, `CREATE TABLE ${PROBE} (id int PRIMARY KEY, n int NOT NULL) WITH (shard_key = 'id')`)
  await query(url, `INSERT INTO ${PROBE} SELECT i, 0 FROM generate_series(1, ${PROBE_ROWS}) i`)
}

export async function waitUntilWhole(cluster: Cluster, timeoutMs: number): Promise<Liveness> {
  const began = performance.now()
  let waitedFor: { readonly waitedFor: string } | undefined
  for (;;) {
    const why = await whyNotWhole(cluster)
    const elapsed = performance.now() - began
    const seconds = Math.round(elapsed) / 1000
    if (why === undefined) return { ok: true, seconds, ...waitedFor }
    waitedFor = { waitedFor: why }
    if (elapsed > timeoutMs) return { ok: false, seconds, ...waitedFor }
    await sleep(100)
  }
}

async function whyNotWhole(cluster: Cluster): Promise<string | undefined> {
  try {
    const notReady = await cluster.whyNotReady()
    if (notReady !== undefined) return notReady
    for (const { name, url } of cluster.endpoints) {
      const rows = await query(url, `UPDATE ${PROBE} SET n = n + 1 RETURNING id`)
      if (rows.length !== PROBE_ROWS) return `${name} sees ${rows.length} of ${PROBE_ROWS} rows`
    }
    for (const [shard, url] of cluster.shardUrls.entries()) {
      const prepared = await query<{ gid: string }>(url, 'SELECT gid FROM pg_prepared_xacts')
      if (prepared.length > 0)
        return `prepared on shard ${shard}: ${prepared.map(({ gid }) => gid).join(', ')}`
    }
    const records = await recordsInLog(cluster)
    return records.length === 0 ? undefined : `in the log: ${records.join('; ')}`
  } catch (error) {
    return (error as Error).message
  }
}

/** Each as it is written there. */
async function recordsInLog(cluster: Cluster): Promise<string[]> {
  if (cluster.log === 'etcd') {
    const values = await valuesUnder(cluster.etcdMachines, `/weft/${CLUSTER}/txn/`)
    return values.map((value) => value.toString())
  }
  const sql = `SELECT format('%s, confirmed by %s', record, confirmed) AS one FROM weft.txn_log`
  return (await query<{ one: string }>(cluster.shardUrls[0] ?? '', sql)).map(({ one }) => one)
}
