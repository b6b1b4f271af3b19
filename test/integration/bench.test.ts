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
    const { rows } = JSON.parse(stdout) as {
      rows: { label: string; cells: Record<string, { kind: string; ratio?: { median: number } }> }[]
    }
    expect(rows.length).toBeGreaterThanOrEqual(8)
    for (const { label, cells } of rows) {
      expect(cells.plain, label).toMatchObject({ kind: 'measured' })
      expect(cells.weft, label).toMatchObject({ kind: 'measured', ratio: { median: expect.any(Number) } })
    }
  },
)
