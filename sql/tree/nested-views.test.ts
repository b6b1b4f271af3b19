import { loadModule } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'
import { testCatalog } from '../../test/helpers/catalog.ts'
import type { Relation } from '../catalog.ts'
import { parseStatements } from '../parse/parse.ts'
import { planStatement } from '../plan/plan-statement.ts'

const DEPTH = 60
const OIDS = 90_000

beforeAll(() => loadModule())

test('views nested in views: looked into; too deep refused', () => {
  const catalog = testCatalog(Array.from({ length: DEPTH }, (_, i) => viewOver(i)))
  const planned = (i: number) => {
    const [statement] = parseStatements(`SELECT * FROM nested_${i}`)
    return planStatement(statement!, [], catalog, {
      searchPath: ['public'],
      tempTables: new Set(),
      paramTypes: [],
    })
  }
  expect(planned(20).kind).toBe('forward')
  expect(planned(DEPTH - 1)).toMatchObject({
    kind: 'refused',
    error: { fields: { code: '0A000', routine: 'nested_views' } },
  })
})

function viewOver(i: number): Relation {
  const [orders] = testCatalog().distributed
  const from = i === 0 ? 'orders' : `nested_${i - 1}`
  const definition = ` SELECT customer_id, id FROM public.${from};`
  const columns = orders!.columns.slice(0, 2)
  return { oid: OIDS + i, schema: 'public', name: `nested_${i}`, kind: 'view', columns, definition }
}
