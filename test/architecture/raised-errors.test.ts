import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { catalog } from '../../errors/catalog.ts'
import { isRefusalId } from '../../errors/refusals/refusals.ts'

/** Where the code stands that may name 0A000: as Postgres' own, in its words; of servers that do not fit together. */
const OTHERS = [
  'coordinator/execute/answers/client-text.ts',
  'coordinator/execute/shards/run-again.ts',
  'coordinator/listener/startup-packet.ts',
  'coordinator/session/describe.ts',
  'coordinator/session/written-strings.ts',
  'errors/catalog.ts',
  'protocol/scram/scram-messages.ts',
  'shard-agent/gate/ownership.ts',
  'shard-agent/participant/two-phase.ts',
  'shard-agent/pool/exec-run.ts',
  'sql/tree/builder.ts',
  'sql/install/schema.ts',
  'sql/parse/parse.ts',
  'sql/plan/utility/copy-options.ts',
  'sql/plan/utility/copy.ts',
  'sql/plan/utility/refuse-setting.ts',
]

test('refusals: of the errors of Weft only one is of 0A000, and it has an id; the other is told as Postgres does', () => {
  const ids = Object.entries(catalog).flatMap(([id, { sqlstate }]) => (sqlstate === '0A000' ? [id] : []))
  expect(ids).toEqual(['not_supported', 'plan_outdated'])
})

test('refusals: nobody else raises 0A000; functions in the database do with an id', () => {
  const roots = ['cluster', 'coordinator', 'embedded', 'errors', 'protocol', 'shard-agent', 'sql', 'txn']
  const found = roots
    .flatMap((root) => readdirSync(root, { recursive: true }).map((path) => `${root}/${String(path)}`))
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !OTHERS.includes(path))
    .flatMap((path) =>
      readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line.includes("'0A000'") && !isInDatabase(line))
        .map((line) => `${path}: ${line.trim()}`),
    )
  expect(found).toEqual([])
})

function isInDatabase(line: string): boolean {
  const id = /ERRCODE = '0A000', DETAIL = 'Refusal (\w+), see docs\/sql\.md\.'/.exec(line)?.[1]
  return id !== undefined && isRefusalId(id)
}
