import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from './cluster.ts'
import { misplaced } from './placement.ts'
import { query } from './postgres.ts'
import { TwinScript } from './twin-script.ts'

/**
 * One test for each section of the scripts, and one that looks at the shards when a script is through. Each script
 * runs `turns` times, in an empty schema of its name: what was said in one protocol is then said in the other.
 */
export function runTwinScripts(names: readonly string[], turns = 1): void {
  const cluster = useTestCluster()
  const rounds = names.flatMap((name) => Array.from({ length: turns }, (_, turn) => [name, turn] as const))
  describe.each(rounds)('%s, turn %d', (name, turn) => {
    const script = new TwinScript(name, turn)
    beforeAll(async () => {
      for (const url of [cluster.current.plainUrl, cluster.current.weftUrl]) {
        await query(url, `DROP SCHEMA IF EXISTS ${name} CASCADE`)
        await query(url, `CREATE SCHEMA ${name}`)
      }
    })
    afterAll(() => script.finish())

    test.each(script.sections.map((section) => [section.title, section] as const))(
      '%s',
      async (_, section) => {
        expect((await script.run(cluster.current, section)).join('\n')).toBe('')
      },
    )

    test('shards: every row is where it belongs, every copy is alike', async () => {
      expect(await misplaced(cluster.current, name)).toEqual([])
    })
  })
}
