import { loadModule } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'
import { testCatalog } from '../../../test/helpers/catalog.ts'
import { parseStatements } from '../../parse/parse.ts'
import { planStatement } from '../plan-statement.ts'

beforeAll(() => loadModule())

/** Of an UPDATE over several shards: what runs on home, and what where the rows are. */
function partsOf(sql: string): { readonly compute: string | undefined; readonly write: string } | undefined {
  const ctx = { searchPath: ['public'], tempTables: new Set<string>(), paramTypes: [] }
  const plan = planStatement(parseStatements(sql)[0]!, [], testCatalog(), ctx)
  if (plan.kind !== 'forward' || plan.onSeveral.kind !== 'gather-modify') return undefined
  const { computed, write } = plan.onSeveral.modify
  return { compute: computed?.compute, write }
}

test('what is drawn is computed on home, and a subquery that comes out anew each time, once for all rows', () => {
  const parts = partsOf("UPDATE orders SET qty = nextval('s'), note = (SELECT random()::text)")
  expect(parts?.compute).toContain('nextval(')
  expect(parts?.compute).toContain('random()')
  expect(parts?.write).not.toMatch(/nextval|random/)
})

test('what comes out anew for each row stays where the rows are', () => {
  const parts = partsOf("UPDATE orders SET qty = nextval('s'), note = random()::text")
  expect(parts?.compute).not.toContain('random()')
  expect(parts?.write).toContain('random()')
})

test('parts of columns beside a subquery that comes out anew each time', () => {
  expect(partsOf("UPDATE orders SET qty = nextval('s'), note[1] = (SELECT random()::text)")).toBeUndefined()
})
