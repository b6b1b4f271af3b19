import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { EtcdEndpoints } from '../../txn/log/etcd-endpoints.ts'
import { EtcdTxnLog } from '../../txn/log/etcd-txn-log.ts'
import { PostgresTxnLog } from '../../txn/log/postgres-txn-log.ts'
import type { TxnLog } from '../../txn/log/txn-log.ts'
import { buildChild, startChild } from '../helpers/child.ts'
import { balances, cluster, createAccounts, preparedOn, startRecovery } from '../helpers/commit-world.ts'
import { hasEtcd, startEtcd, type TestEtcd } from '../helpers/etcd.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres.ts'

let shards: TestPostgres[] = []
let etcd: TestEtcd | undefined
let program: string
const urls = (): string[] => shards.map((shard) => shard.url)

beforeAll(async () => {
  shards = await Promise.all([startPostgres(), startPostgres()])
  if (hasEtcd) etcd = await startEtcd({ members: 1 })
  program = await buildChild('test/helpers/commit-child.ts')
})
afterAll(async () => {
  await Promise.all(shards.map((shard) => shard.stop()))
  await etcd?.stop()
})

interface Case {
  readonly at: FailpointName
  readonly after: 'committed' | 'aborted' | 'either'
}

/** A boundary of the commit, and what must hold once recovery has been there. */
const cases: readonly Case[] = [
  { at: 'before-prepare', after: 'aborted' },
  { at: 'during-prepare', after: 'aborted' },
  { at: 'after-prepare', after: 'aborted' },
  { at: 'during-decision', after: 'either' },
  { at: 'after-decision', after: 'committed' },
  { at: 'between-commits', after: 'committed' },
  { at: 'before-conclude', after: 'committed' },
]

interface Backend {
  env(): Record<string, string>
  /** An agent's log, for which a silent coordinator is soon gone. */
  open(): Promise<TxnLog>
  /** Ends the registrations of the coordinators that are dead, as time would. */
  endRegistrations(): Promise<void>
}

const postgres: Backend = {
  env: () => ({ TEST_LOG: shards[0]?.url ?? '' }),
  open: () => PostgresTxnLog.open({ url: shards[0]?.url ?? '', limits: { registrationTtlMs: 100 } }),
  endRegistrations: async () => {},
}
const onEtcd: Backend = {
  env: () => ({ TEST_ETCD: (etcd?.endpoints ?? []).join(',') }),
  open: () => EtcdTxnLog.open({ endpoints: etcd?.endpoints ?? [], cluster }),
  // No shorter lease in place of it: a coordinator that a busy machine keeps waiting would be fenced before it decides.
  endRegistrations: async () => {
    const raw = new EtcdEndpoints({ endpoints: etcd?.endpoints ?? [] })
    const [key, end] = ['/', '0'].map((last) => Buffer.from(`/weft/${cluster}/coordinator${last}`))
    await raw.txn({ success: [{ request_delete_range: { key: key!, range_end: end! } }] }, 10_000)
    raw.close()
  },
}

async function killAndRecover(backend: Backend, { at, after }: Case): Promise<void> {
  await createAccounts(urls())
  const env = { ...backend.env(), TEST_SHARDS: urls().join(','), WEFT_FAILPOINT: `${at}:kill` }
  const child = startChild(program, env)
  const { signal } = await child.ended
  expect([signal, child.output()]).toEqual(['SIGKILL', ''])

  const log = await backend.open()
  // Two for each shard, as in a rolling upgrade.
  const starting = [0, 1, 0, 1].map((shard) => startRecovery(shard, urls()[shard] ?? '', log))
  const agents = await Promise.all(starting)
  try {
    await expect.poll(() => preparedOn(urls())).toBe(0)
    const [from, to] = await balances(urls())
    expect([`${from} ${to}`]).toContainEqual(expect.stringMatching(/^(90 110|100 100)$/))
    if (after !== 'either') expect(from).toBe(after === 'committed' ? 90 : 100)
    await backend.endRegistrations()
    await expect.poll(() => log.list(10)).toEqual([])
    // Two that meet: one is told that the transaction is busy, and finds it gone when it looks again.
    await expect.poll(() => agents.flatMap(({ recovery }) => recovery.view.problems)).toEqual([])
  } finally {
    await Promise.all(agents.map((agent) => agent.close()))
    await log.close()
  }
}

describe('coordinator is killed, postgres log', () => {
  test.each(cases)('$at: $after on both shards, the log is empty again', (one) =>
    killAndRecover(postgres, one),
  )

  test('not killed: committed, for comparison', async () => {
    await createAccounts(urls())
    const child = startChild(program, { ...postgres.env(), TEST_SHARDS: urls().join(',') })
    expect(await child.ended).toEqual({ code: 0, signal: null })
    expect([child.output(), await balances(urls())]).toEqual(['committed\n', [90, 110]])
  })
})

describe.skipIf(!hasEtcd)('coordinator is killed, etcd log', () => {
  test.each(cases)('$at: $after on both shards, the log is empty again', (one) => killAndRecover(onEtcd, one))
})
