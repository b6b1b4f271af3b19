import { readdirSync, readFileSync } from 'node:fs'
import { loadModule } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { ParserError } from '../../sql/parse/parse.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { testCatalog } from '../../test/helpers/catalog.ts'
import { RelationLocked } from '../catalog/locked-relations.ts'
import { Planner } from '../execute/plans/planner.ts'
import { arrivedError, arrivedPlan, sentError, sentPlan } from './requests.ts'

beforeAll(() => loadModule())

const FOLDERS = ['sql/plan/testdata/', 'sql/plan/utility/testdata/']

/** Every statement that the planner's own tests plan. */
function statements(): string[] {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => !name.endsWith('.ts'))
      .map((name) => folder + name),
  )
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split(/^plan\n/m)
      .slice(1)
      .map((block) => block.split(/^----\n?/m)[0]!.trimEnd()),
  )
}

const planner = new Planner({ entriesMax: 1, textBytesMax: 1 })
const scope = planner.privateScope(testCatalog(), ['public'], new Set(['scratch']))

function planOf(sql: string): Plan | undefined {
  try {
    return planner.plan(scope, planner.parse(sql)[0]!).plan
  } catch (error) {
    if (error instanceof PgError) return undefined
    throw error
  }
}

const OTHERS = [
  "CREATE TABLE t (k int PRIMARY KEY) WITH (shard_key = 'k')",
  'COPY orders FROM STDIN',
  'PREPARE p AS SELECT * FROM orders WHERE customer_id = $1',
  'DECLARE c CURSOR FOR SELECT note, count(*) FROM orders GROUP BY 1',
  'EXPLAIN SELECT count(*) FROM orders',
  'SELECT pg_backend_pid(), * FROM orders',
  ...['BEGIN', "SET search_path = 'a'", "SELECT create_distributed_table('t', 'k')"],
]

/** As a thread gets it. */
function handedOver(plan: Plan): Plan {
  const { plan: sent, apart } = structuredClone(sentPlan(plan))
  return arrivedPlan(sent, apart)
}

test('every plan that tests of the planner make can be handed over', () => {
  const plans = [...statements(), ...OTHERS].flatMap((sql) => planOf(sql) ?? [])
  expect(new Set(plans.map(({ kind }) => kind)).size).toBeGreaterThan(10)
  for (const plan of plans) expect(handedOver(plan)).toEqual(plan)
})

test.each([
  ['values', `SELECT * FROM orders WHERE customer_id IN (${Array.from({ length: 300 }, (_, i) => i)})`],
  ['negative', `SELECT * FROM orders WHERE customer_id IN (${Array.from({ length: 300 }, (_, i) => -i)})`],
  [
    'rows',
    `INSERT INTO orders (customer_id, id) VALUES ${Array.from({ length: 300 }, (_, i) => `(${i}, 1)`)}`,
  ],
  [
    'calls',
    `INSERT INTO orders (customer_id, id) VALUES ${Array.from({ length: 300 }, (_, i) => `(abs(${i}), 1)`)}`,
  ],
])('many %s', (_, sql) => {
  const plan = planOf(sql)!
  const sent = sentPlan(plan)
  expect(sent.apart.length).toBeLessThan(5)
  expect(handedOver(plan)).toEqual(plan)
})

test('errors keep what they are', () => {
  const of = (error: unknown) => arrivedError(structuredClone(sentError(error)), 'text')
  const parser = of(new ParserError({ code: '42601', message: 'm', position: 3 }, 'text'))
  expect(parser).toBeInstanceOf(ParserError)
  expect(parser).toMatchObject({ text: 'text', fields: { code: '42601', position: 3 } })
  expect(of(new RelationLocked('t', 5))).toMatchObject({
    lockedBy: 5,
    message: expect.stringContaining('"t"'),
  })
  expect(of(new RangeError('stack'))).toMatchObject({ fields: { code: '54001' } })
  expect(of(new Error('other')).message).toBe('other')
})
