import { describe, expect, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { type Fate, testTheEnd, useCrashMatrix } from '../helpers/crash-matrix.ts'
import { hasEtcd } from '../helpers/etcd.ts'
import { hasPostgres15, query, type TestPostgres } from '../helpers/postgres.ts'
import { startStandby } from '../helpers/standby.ts'

const cases: readonly { readonly at: FailpointName; readonly after: readonly Fate[] }[] = [
  { at: 'after-prepare', after: ['aborted'] },
  { at: 'after-decision', after: ['committed'] },
  { at: 'between-commits', after: ['committed'] },
]

/**
 * Shard 1 has a synchronous standby. Its transaction is in doubt when coordinator, agent and primary die; the standby
 * is promoted, and the agent is started on it.
 */
describe.skipIf(!hasEtcd || !hasPostgres15)('a standby is promoted', () => {
  const matrix = useCrashMatrix('a standby is promoted', {
    postgres: { version: 15, settings: { synchronous_commit: 'on' } },
  })

  function primaryNow(): TestPostgres {
    const primary = matrix.cluster.postgres[1]
    if (primary === undefined) throw new Error('no shard 1')
    return primary
  }

  test.each(cases)(
    '$at: settled on the new primary: $after',
    async ({ at, after }) => {
      const primary = primaryNow()
      const next = await startStandby(primary)
      const { coordinator, agents } = matrix.cluster
      await matrix.run({
        name: 'coordinator, agent 1, Postgres 1',
        at,
        strike: async () => {
          await Promise.all([coordinator, agents[1]].map((node) => node?.kill()))
          await primary.crash()
        },
        mend: async () => {
          await next.promote()
          // What was prepared on the primary is prepared here.
          expect(await query(next.url, 'SELECT gid FROM pg_prepared_xacts')).toHaveLength(1)
          matrix.cluster.setPostgres(1, next)
          await Promise.all([coordinator, agents[1]].map((node) => node?.start()))
        },
        after,
        hears: ['unknown'],
      })
      await primary.stop()
    },
    240_000,
  )

  test('an agent pointed at a standby: waits, and says for what', async () => {
    const primary = primaryNow()
    const next = await startStandby(primary)
    const agent = matrix.cluster.agents[1]
    await agent?.stop()
    matrix.cluster.setPostgres(1, next)
    const ended = expect(agent?.start()).rejects.toThrow(/has ended/)
    await agent?.answers()
    await expect.poll(() => agent?.notReady()).toMatch(/is a standby; Weft needs the primary/)
    await agent?.stop()
    await ended
    matrix.cluster.setPostgres(1, primary)
    await agent?.start()
    // Its primary would wait for it for ever.
    await query(primary.url, "ALTER SYSTEM SET synchronous_standby_names = ''")
    await query(primary.url, 'SELECT pg_reload_conf()')
    await next.stop()
  }, 180_000)

  testTheEnd(matrix)
})
