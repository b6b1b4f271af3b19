import { loadModule } from 'libpg-query'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { Lexed } from '../../../sql/lex/lexed.ts'
import { lexStatement } from '../../../sql/lex/scan.ts'
import { parseStatements } from '../../../sql/parse/parse.ts'
import { currentParser, useParser } from '../../../sql/parse/parser.ts'
import { insertElsewhere } from '../../../sql/plan/insert-elsewhere.ts'
import type { InsertPlan, Plan } from '../../../sql/plan/plan.ts'
import { timedText } from '../../../sql/plan/times/timed-text.ts'
import { testCatalog } from '../../../test/helpers/catalog.ts'
import { StatementKeys } from './key-slots.ts'
import { Planner, type Statement } from './planner.ts'

beforeAll(() => loadModule())

const catalog = testCatalog()
const newPlanner = () => new Planner({ entriesMax: 100, textBytesMax: 1 << 20 })

/** As many rows as make a text long. */
function rows(row: (i: number) => string, count = 2500): string {
  return Array.from({ length: count }, (_, i) => `(${row(i)})`).join(', ')
}

function planOf(statement: (planner: Planner) => Statement, types: readonly number[]): Plan {
  const planner = newPlanner()
  const scope = planner.privateScope(catalog, ['public'], new Set())
  return planner.plan(scope, statement(planner), types).plan
}

/** A plan whose times are said by the text that they make. */
function told(text: string, { times, ...plan }: Plan): object {
  if (times === undefined) return plan
  const sql = Buffer.from(text)
  const lexed = new Lexed()
  lexStatement(sql, 0, sql.length, lexed)
  return { ...plan, times: timedText(text, sql, lexed, times, (clock) => `<${clock}>`).sql }
}

/** Compares with the plan of the whole text, and says whether the parser had to see that. */
function compare(text: string, types: readonly number[] = []): { parsed: boolean } {
  const parser = currentParser()
  const parse = vi.fn((sql: string) => parser.parse(sql))
  useParser({ parse, scan: (sql) => parser.scan(sql) })
  const short = planOf((planner) => planner.parse(text)[0]!, types)
  useParser(parser)
  const whole = planOf(() => parseStatements(text)[0]!, types)
  expect(told(text, short)).toEqual(told(text, whole))
  return { parsed: parse.mock.calls.some(([sql]) => sql.length > text.length / 2) }
}

/** By what they are about: what is ahead of the rows, one of the rows, what follows them. */
const FOLDED: readonly (readonly [string, string, (i: number) => string, string])[] = [
  ['a null key', 'items VALUES', (i) => (i === 9 ? "NULL, 'a'" : `${i}, 'a'`), ''],
  ['literals', 'items VALUES', (i) => `${i}, ${i * 2}, 'name ${i}', ${i}.5, 1e${i % 9}, NULL`, ''],
  [
    'other sorts of rows between',
    'items (customer_id, order_id, sku) VALUES',
    (i) => `${i}, ${i % 3 ? -i : i}, ${i % 7 ? `'it''s ${i}'` : 'null'}`,
    '',
  ],
  ['times that are left out', 'orders (customer_id, id) VALUES', (i) => `${i}, ${i}`, ''],
  [
    'times that are said',
    'orders VALUES',
    (i) => `${i}, ${i}, 1, ${i % 2}, 'x', ${i % 5 ? 'default' : `'2024-01-02'`}`,
    '',
  ],
  ['a sequence', 'orders (customer_id, created_at) VALUES', (i) => `${i}, '2024-02-03'`, ''],
  [
    'a sequence, said',
    'orders (id, customer_id, created_at) VALUES',
    (i) => `${i % 2 ? 'DEFAULT' : i}, ${i}, '2024-02-03'`,
    '',
  ],
  ['an identity', 'ledger (account) VALUES', (i) => `-${i}`, ''],
  ['an identity, overridden', 'ledger (account, id) OVERRIDING SYSTEM VALUE VALUES', (i) => `${i}, ${i}`, ''],
  [
    'what follows',
    'items (customer_id, order_id, sku) VALUES',
    (i) => `${i},${i} , 'é${i}'`,
    ` ON CONFLICT (customer_id) DO UPDATE SET sku = 'ü' || EXCLUDED.sku RETURNING *, 'x' AS "ü"`,
  ],
  [
    'what follows, with a time',
    'orders (customer_id, id) VALUES',
    (i) => `${i}, ${i}`,
    ` RETURNING now(), 'é'`,
  ],
  [
    'characters of two units',
    'events (title, tenant, at) VALUES',
    (i) => `'𝄞 ${i}', 't${i}', '2024-01-01'`,
    '',
  ],
  [
    'casts',
    'events (tenant, id, at) VALUES',
    (i) => `'t${i}'::text, ${i}::bigint, '2024-01-01'::pg_catalog.date`,
    '',
  ],
  [
    'keys that are expressions',
    'users (name, id) VALUES',
    (i) => `'${i}', '00000000-0000-0000-0000-0000000${10_000 + i}'::text`,
    '',
  ],
  ['a key that is drawn', 'users (name, age) VALUES', (i) => `'${i}', 5`, ''],
  [
    'a key that is drawn from a sequence',
    'tickets (subject, id) VALUES',
    (i) => `'${i}', ${i % 3 ? i : 'DEFAULT'}`,
    '',
  ],
  [
    'times in strings',
    'orders (customer_id, created_at) VALUES',
    (i) => `${i}, ${i % 400 ? "'2024-01-01'" : "'now'"}`,
    '',
  ],
  ['an own type modifier', 'codes VALUES', (i) => `'c${i}', 'm'`, ''],
  [
    'what looks at tables',
    'items (customer_id, order_id) VALUES',
    (i) => `${i}, ${i}`,
    ' RETURNING my_total(order_id)',
  ],
  ['a reference table', 'countries VALUES', (i) => `'c${i}', 'name', ${i}`, ''],
  ['a reference table with defaults', 'rates (code, rate) VALUES', (i) => `'c${i}', ${i}`, ''],
  ['a local table', 'settings VALUES', (i) => `'s${i}', 'v'`, ''],
  ['a table that is not known', 'elsewhere.t VALUES', (i) => `'s${i}', 'v'`, ''],
  ['names in quotes', '"items" ("customer_id", "sku") VALUES', (i) => `${i}, 'VALUES (1)'`, ''],
]

/** What is ahead of the rows, two rows that differ in nothing but literals, what follows. */
const ALIKE: readonly (readonly [string, string, readonly [string, string], string])[] = [
  [
    'literals',
    'items VALUES',
    ["1, 2, 'é', 1.5, 1e1, NULL", "1000, 20000, '(''), (', 22.75, 1e10, NULL"],
    '',
  ],
  ['times', 'orders (customer_id, id) VALUES', ['1, 2', '1000, 20'], " RETURNING now(), 'é'"],
  [
    'sequences',
    'orders (customer_id, created_at) VALUES',
    ["1, '2024-02-03'", "100, '2024-02-03 01:02'"],
    '',
  ],
  ['DEFAULT', 'ledger (id, account) VALUES', ['DEFAULT, 5', 'DEFAULT, 50000'], ''],
]

describe('planner: INSERT of several rows', () => {
  it.each(ALIKE)('planner: INSERT of several rows: %s: planned once', (_, head, [one, other], tail) => {
    for (const count of [2, 3, 100]) {
      const texts = [one, other].map((row) => `INSERT INTO ${head} ${rows(() => row, count)}${tail}`)
      const planner = newPlanner()
      const scope = planner.scope(catalog, ['public'])
      const [first, second] = texts.map((text) => planner.plan(scope, planner.parse(text)[0]!))
      expect(second!.plan).toBe(first!.plan)
      const keys = new StatementKeys().ofText(second!.sql, second!.lexed)
      const moved = insertElsewhere(first!.plan as InsertPlan, keys.literalEnds(texts[1]!))
      const whole = planOf(() => parseStatements(texts[1]!)[0]!, [])
      expect({ ...told(texts[1]!, moved), literalEnds: [] }).toEqual({
        ...told(texts[1]!, whole),
        literalEnds: [],
      })
    }
  })

  it.each([
    ['INSERT INTO items VALUES (1, 2, 3), (4, 5, 6)', '(70, 80, 90), (4, 5, 6)'],
    ['INSERT INTO orders DEFAULT VALUES', ''],
    ["SELECT sku FROM items WHERE customer_id = 5 AND sku <> '/*'", ''],
  ])('planner: %s: comments after it are no matter', (text, others) => {
    const planner = newPlanner()
    const scope = planner.scope(catalog, ['public'])
    const other = others === '' ? text : `INSERT INTO items VALUES ${others}`
    const texts = [`${text} /*traceparent='00-1'*/`, `${other} /*traceparent='00-22222'*/ -- and more;`]
    const [first, second] = texts.map((one) => planner.plan(scope, planner.parse(one)[0]!))
    expect(second!.plan).toBe(first!.plan)
    if (first!.plan.kind !== 'insert') return
    const keys = new StatementKeys().ofText(second!.sql, second!.lexed)
    const moved = insertElsewhere(first!.plan, keys.literalEnds(texts[1]!))
    const whole = planOf(() => parseStatements(texts[1]!)[0]!, [])
    expect({ ...told(texts[1]!, moved), literalEnds: [] }).toEqual({
      ...told(texts[1]!, whole),
      literalEnds: [],
    })
  })

  it('planner: INSERT of several rows: keys that Postgres evaluates: for each text anew', () => {
    const planner = newPlanner()
    const scope = planner.scope(catalog, ['public'])
    const texts = ["1, 'a'", "2, 'b'"].map(
      (row) => `INSERT INTO items VALUES (${row}), (lower('5')::int, 'c')`,
    )
    const [first, second] = texts.map((text) => planner.plan(scope, planner.parse(text)[0]!).plan)
    expect(second).not.toBe(first)
  })
})

describe('planner: long INSERT', () => {
  it.each(FOLDED)('planner: long INSERT: %s: the plan of its whole text', (_, head, row, tail) => {
    expect(compare(`INSERT INTO ${head} ${rows(row)}${tail}`).parsed).toBe(false)
  })

  it('planner: long INSERT: parameters: the plan of its whole text', () => {
    const text = `INSERT INTO orders (customer_id, note, qty) VALUES ${rows((i) => `$${3 * i + 1}, $${3 * i + 2}, $${3 * i + 3}::int`)}`
    expect(compare(text).parsed).toBe(false)
    expect(compare(text, [20, 25]).parsed).toBe(false)
    const twice = `INSERT INTO items (customer_id, order_id) VALUES ${rows((i) => `$${i + 2}, $1`)}`
    expect(compare(twice).parsed).toBe(false)
  })

  it.each([
    ['expressions', `INSERT INTO items (customer_id, sku) VALUES ${rows((i) => `${i}, lower('${i}')`)}`],
    ['comments', `INSERT INTO items (customer_id, sku) VALUES ${rows((i) => `${i}, /* x */ '${i}'`)}`],
    [
      'rows of other lengths',
      `INSERT INTO items (customer_id, sku) VALUES ${rows((i) => (i === 9 ? '1' : `${i}, 'a'`))}`,
    ],
    [
      'a query over the rows',
      `INSERT INTO items (customer_id) VALUES ${rows((i) => `${i}`, 5000)} ORDER BY 1 LIMIT 3`,
    ],
    ['columns that are not there', `INSERT INTO items (customer_id, no) VALUES ${rows((i) => `${i}, 'a'`)}`],
    ['SELECT', `SELECT * FROM (VALUES ${rows((i) => `${i}, 'a'`)}) v`],
  ])('planner: long INSERT: %s: the plan of its whole text', (_, text) => {
    expect(compare(text).parsed).toBe(true)
  })

  it('planner: long INSERT: a syntax error after the rows: at its place', () => {
    const text = `INSERT INTO items VALUES ${rows((i) => `${i}, 1`)} RETURNING from`
    expect(() => newPlanner().parse(text)).toThrow('syntax error at or near "from"')
    try {
      newPlanner().parse(text)
    } catch (error) {
      expect(error).toMatchObject({ fields: { position: text.lastIndexOf('from') + 1 } })
    }
  })

  it('planner: long INSERT: several statements, a semicolon', () => {
    const text = `INSERT INTO items (customer_id, sku) VALUES ${rows((i) => `${i}, 'a'`)}`
    expect(newPlanner().parse(`${text}; SELECT 1`)).toEqual(parseStatements(`${text}; SELECT 1`))
    const [statement] = newPlanner().parse(`${text};\n`)
    expect(statement).toMatchObject({ text, start: 0, end: text.length, kind: 'InsertStmt' })
    expect(statement!.folded).toBeDefined()
  })
})
