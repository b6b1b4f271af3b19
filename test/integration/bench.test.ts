import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'

const hasPgbench = (process.env.PATH ?? '').split(delimiter).some((dir) => existsSync(join(dir, 'pgbench')))

test.skipIf(!hasPgbench)(
  'npm run bench: --quick: every row is measured on plain Postgres and on Weft',
  () => {
    const flags = ['--quick', '--json', '--systems', 'plain,weft']
    const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/weft-bench.js', ...flags], {
      encoding: 'utf8',
    })
    expect(status, stderr).toBe(0)
    const { rows, cutLoads } = JSON.parse(stdout) as {
      cutLoads: { readsPerSecond: number; consistent: boolean; cutMs?: { count: number } }[]
      rows: { label: string; cells: Record<string, { kind: string; ratio?: { median: number } }> }[]
    }
    expect(rows.length).toBeGreaterThanOrEqual(8)
    for (const { label, cells } of rows) {
      expect(cells.plain, label).toMatchObject({ kind: 'measured' })
      expect(cells.weft, label).toMatchObject({ kind: 'measured', ratio: { median: expect.any(Number) } })
    }
    expect(cutLoads.map(({ readsPerSecond, consistent }) => [readsPerSecond, consistent])).toEqual([
      [0, true],
      [100, true],
      [100, false],
    ])
    expect(cutLoads[1]).toMatchObject({ cutMs: { count: expect.any(Number) } })
    expect(cutLoads[2]!.cutMs).toBeUndefined()
  },
  180_000,
)
