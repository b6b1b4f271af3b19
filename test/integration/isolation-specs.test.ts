import { beforeEach, describe, expect, it } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import {
  isolationTester,
  readExpected,
  readSpec,
  runSpec,
  specNames,
  withoutSharding,
} from '../helpers/isolation-tester.ts'
import { query } from '../helpers/postgres.ts'

/**
 * Each spec runs on Weft, and, with no table sharded, on one Postgres: both must say the same, word by word. Where
 * conflicts come out later over shards (at COMMIT, by the probe), `expected/` has what Weft says; still in the same
 * permutations.
 */
describe.skipIf(isolationTester === undefined)("specs for Postgres' isolationtester", () => {
  const cluster = useTestCluster({ shards: 2 })
  /** What a spec that did not come to its end has left. */
  beforeEach(async () => {
    for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
      const sql = "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
      for (const { name } of await query<{ name: string }>(url, sql))
        await query(url, `DROP TABLE ${name} CASCADE`)
    }
  })

  it.each(specNames)('%s: as on one Postgres, or as written down', async (name) => {
    const spec = readSpec(name)
    const onPlain = await runSpec(withoutSharding(spec), cluster.current.plain)
    const found = await runSpec(spec, cluster.current.weft)
    expect(found).toBe(readExpected(name) ?? onPlain)
    expect(withErrors(found)).toEqual(withErrors(onPlain))
  })
})

/** The permutations in which anybody is told an error. */
function withErrors(output: string): string[] {
  return output
    .split('starting permutation: ')
    .filter((part) => part.includes('\nERROR:'))
    .map((part) => part.split('\n')[0]!)
}
