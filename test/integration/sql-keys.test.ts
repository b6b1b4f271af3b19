import type pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { misplaced } from '../helpers/placement.ts'
import { connectTo } from '../helpers/postgres.ts'
import { type Param, type Statement, TwinSession, type Way } from '../helpers/twin-session.ts'

/** Tables whose key has each type, with and without a modifier: every way to say a value finds and places its row. */

interface KeyCase {
  readonly name: string
  readonly type: string
  /** Without its modifier; by default the type. */
  readonly base?: string
  /** Texts of values: distinct, stored in this order. */
  readonly values: readonly string[]
  /** SQL of other values, some of which equal a stored one; some Postgres refuses. */
  readonly others?: readonly string[]
  /** SQL of values to be stored, which are converted, rounded, cut or refused on the way. */
  readonly assigned?: readonly string[]
  readonly settings?: Readonly<Record<string, string>>
}

const zones = ["'2024-03-10 02:30:00'", "'2024-11-03 01:30:00'", "'2024-01-01'", "'2024-07-01 12:00:00+02'"]
const times = [
  '2024-01-01 00:00:00',
  '2024-07-01 12:34:56.789',
  '1999-12-31 23:59:59.999999',
  'infinity',
  '0001-01-01 00:00:00 BC',
]
const dates = ['2024-01-31', '2000-02-29', 'infinity', '-infinity', '4713-01-01 BC', '5874897-12-31']

const cases: readonly KeyCase[] = [
  {
    name: 'int2',
    type: 'int2',
    values: ['0', '1', '-1', '32767', '-32768', '17'],
    others: [
      '1.0',
      "'17'",
      '17::int8',
      '17.0::numeric',
      '40000',
      "'x'",
      '-1',
      '- 1',
      'NULL',
      '17e0',
      '0x11',
      '1_7',
    ],
    assigned: ['2.5', '3.5', "'4'", '5::int8', '40000', "' 6 '", '0x07', '1_8', '2.4::float8'],
  },
  {
    name: 'int4',
    type: 'int4',
    values: ['0', '1', '-1', '2147483647', '-2147483648', '17'],
    others: [
      '1.5',
      "'17'",
      '17::int2',
      '17::int8',
      '17.0',
      '2147483648',
      "'2147483648'",
      "'0x11'",
      '0b10001',
      '017',
      "' 17'",
    ],
    assigned: ['2.5', '-2.5', "'4'", '5::int8', '2147483648', '6.0::float8', "'0x08'", '1e1'],
  },
  {
    name: 'int8',
    type: 'int8',
    values: ['0', '1', '-1', '9223372036854775807', '-9223372036854775808', '17', '4294967296'],
    others: [
      '9223372036854775808',
      "'9223372036854775807'",
      '17.00',
      '4294967296::numeric',
      '1::bool',
      '17::float8',
      '17::oid',
    ],
    assigned: ['2.5', '9223372036854775808', "'-5'", '6::int2', '7.5::float8', "'8 '"],
  },
  {
    name: 'text',
    type: 'text',
    values: [
      '',
      ' ',
      'a',
      'A',
      'a ',
      'ä',
      'ß',
      '日本語',
      '😀',
      "it's",
      'back\\slash',
      'new\nline',
      'x'.repeat(3000),
      'NULL',
      '0',
    ],
    others: [
      "E'a'",
      '$$a$$',
      "'a'::varchar",
      "'a'::char(1)",
      "'a '::char(2)",
      "'a'::name",
      "U&'\\00e4'",
      "N'a'",
      '\'a\'::"char"',
      "E'back\\\\slash'",
      "E'new\\nline'",
      "B'0'",
      '0::text',
      "'a' || ''",
      "upper('a')",
    ],
    assigned: [
      '5',
      '5.50',
      'true',
      "'b'::char(5)",
      "'c'::name",
      "'2024-01-01'::date",
      "E'\\x64'",
      'ARRAY[1]',
    ],
  },
  {
    name: 'varchar',
    type: 'varchar',
    values: ['', ' ', 'a', 'A', 'a ', 'ä', '日本語'],
    others: ["'a'::text", "'a'::varchar(1)", "'abc'::varchar(1)", "'a'::char(3)", "E'a'", "U&'\\00e4'"],
    assigned: ['7', "'b'::char(5)", "'abc'::varchar(2)"],
  },
  {
    name: 'varchar3',
    type: 'varchar(3)',
    base: 'varchar',
    values: ['', 'a', 'abc', 'äöü', '  '],
    others: ["'abc '", "'abcd'", "'abc'::char(10)", "'abcd'::varchar(3)"],
    assigned: ["'xyz   '", "'wxyz'", "'de  '", "'ef'::char(9)", "'gh    '::text", "'hij' || ' '", "'äöß '"],
  },
  {
    name: 'uuid',
    type: 'uuid',
    values: [
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
    ],
    others: [
      "'{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'",
      "'a0eebc999c0b4ef8bb6d6bb9bd380a11'",
      "'A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11'",
      "'a0eebc99'",
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::text",
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
      "' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    ],
    assigned: [
      "'B0EEBC999C0B4EF8BB6D6BB9BD380A11'",
      "'nope'",
      "'c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
      "'c1eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::text",
    ],
  },
  {
    name: 'date',
    type: 'date',
    values: dates,
    others: [
      "'2024-01-31'::timestamp",
      "'2024-01-31 00:00:01'::timestamp",
      "'31 Jan 2024'",
      "'20240131'",
      "'2024-01-31 23:00'",
      "DATE '2000-02-29'",
      "'2024-02-30'",
      "'1/31/2024'",
      "'31/1/2024'",
      "'epoch'",
      "'2024-01-31'::timestamptz",
      "'January 31, 2024'",
    ],
    assigned: [
      "'2024-02-01 23:59:59'",
      "'2024-02-02'::timestamp",
      "'2/3/2024'",
      "'yesterday'::date - 'yesterday'::date + DATE '2020-05-05'",
      "'2024-02-04 23:00+00'::timestamptz",
      "'Feb 5 2024'",
      "'13/2/2024'",
    ],
  },
  {
    name: 'date_dmy',
    type: 'date',
    values: dates,
    others: ["'31/1/2024'", "'1/31/2024'", "'31.01.2024'", "'2024-01-31'"],
    assigned: ["'3/2/2024'", "'4.2.2024'", "'13/2/2024'", "'2/13/2024'"],
    settings: { DateStyle: 'German, DMY' },
  },
  {
    name: 'timestamp',
    type: 'timestamp',
    values: times,
    others: [
      "'2024-01-01'",
      "'2024-01-01 00:00:00+05'",
      "'2024-01-01'::date",
      "'2024-01-01T00:00:00Z'",
      "'2024-07-01 12:34:56.7890'",
      "'2024-07-01 12:34:56.7890001'",
      "'2024-01-01 00:00'::timestamptz",
      "TIMESTAMP '2024-01-01'",
      "'01/01/2024'",
    ],
    assigned: [
      "'2024-02-01 10:00:00.1234567'",
      "'2024-02-02'",
      "'2024-02-03'::date",
      "'2024-02-04 10:00+05'",
      "'2024-02-05 10:00+05'::timestamptz",
      "'1/2/2024 3 PM'",
    ],
  },
  {
    name: 'timestamp0',
    type: 'timestamp(0)',
    base: 'timestamp',
    values: ['2024-01-01 00:00:00', 'infinity'],
    others: ["'2024-01-01 00:00:00.4'", "'2023-12-31 23:59:59.6'"],
    assigned: [
      "'2024-02-01 10:00:00.5'",
      "'2024-02-01 10:00:00.4999999'",
      "'2024-02-03 10:00:00.7'::timestamp",
      "'2024-02-04'::date + interval '1.6 s'",
      "'2024-02-05 00:00:01.5'::timestamptz",
    ],
  },
  ...['UTC', 'America/New_York', 'Asia/Kolkata'].map((zone, i) => ({
    name: `timestamptz${i}`,
    type: 'timestamptz',
    values: times,
    others: [
      ...zones,
      "'2024-01-01'::date",
      "'2024-01-01'::timestamp",
      "'2024-01-01 00:00:00 Europe/Berlin'",
      "'2024-01-01 00:00:00 EST'",
      "'2024-01-01 00:00:00 IST'",
      "'2024-01-01 00:00:00Z'",
    ],
    assigned: [
      ...zones,
      "'2024-02-01 10:00:00.1234567'",
      "'2024-02-03'::date",
      "'2024-02-05 10:00'::timestamp",
      "'2024-02-06 10:00 PST'",
      "'2024-02-07 00:00 IST'",
    ],
    settings: { TimeZone: zone },
  })),
  {
    name: 'timestamptz_sql',
    type: 'timestamptz(2)',
    base: 'timestamptz',
    values: ['2024-01-02 00:00:00', 'infinity'],
    others: ["'02/01/2024'", "'01/02/2024 00:00:00'"],
    assigned: [
      "'03/02/2024 10:00:00.126'",
      "'2024-02-04 00:00:00.994'",
      "'2024-02-05 00:00:00.995 CET'",
      "'13/02/2024 10:00 CET'",
    ],
    settings: { TimeZone: 'Europe/Berlin', DateStyle: 'SQL, DMY' },
  },
  {
    name: 'bool',
    type: 'bool',
    values: ['t', 'f'],
    others: [
      'true',
      'false',
      "'yes'",
      "'off'",
      "'1'",
      "' TRUE '",
      '1::bool',
      "'maybe'",
      "'t'::text",
      'NOT false',
      '1',
    ],
    assigned: ['true', "'no'", "'n'", '1', '0::bool', "'x'"],
  },
  {
    name: 'numeric',
    type: 'numeric',
    values: [
      '0',
      '1',
      '1.50',
      '-1.5',
      'NaN',
      'Infinity',
      '-Infinity',
      '123456789012345678901234567890.123',
      '0.000001',
      '10000',
    ],
    others: [
      '1.5',
      '1.500',
      '15e-1',
      "'1.5'",
      '1::int',
      '0.0',
      '-0',
      "'NaN'",
      "'inf'",
      '1e4',
      '10000.000',
      '1.5::float8',
      '0x2710',
      '.000001',
    ],
    assigned: ['2.50', '3::int8', "'4.0'", '5.25::float8', '-2.', "'1e3'", '0.1 + 0.2', "'abc'"],
  },
  {
    name: 'numeric52',
    type: 'numeric(5,2)',
    base: 'numeric',
    values: ['0', '1.5', '-1.5', '999.99', 'NaN'],
    others: ['1.504', '1.50', '1.495', '1e3'],
    assigned: [
      '2.005',
      '2.015',
      '2.0249',
      '1.005 + 1',
      '1000',
      '999.995',
      '999.994',
      "'3.456'",
      '4.567::float8',
      '5.555::numeric(10,3)',
      "'inf'",
    ],
  },
  {
    name: 'numeric_negative',
    type: 'numeric(3,-2)',
    base: 'numeric',
    values: ['100', '0', '99900'],
    others: ['149', '100.0', '1e2'],
    assigned: ['149', '250', '251.5', '350 + 0', '99949', '99950', '49'],
  },
  {
    name: 'bytea',
    type: 'bytea',
    values: ['\\x', '\\x00', '\\xdeadbeef', '\\x61'],
    others: [
      "'a'",
      "'\\xDEADBEEF'",
      "'\\x de ad be ef'",
      "'\\\\000'",
      "E'\\\\336\\\\255\\\\276\\\\357'",
      "'\\xabc'",
      "'a'::text::bytea",
      "decode('61', 'hex')",
      "'\\x61'::bytea",
    ],
    assigned: ["'b'", "'\\x6363'", "'\\\\144'", "'\\xzz'", "decode('6565', 'hex')"],
  },
  {
    name: 'bytea_escape',
    type: 'bytea',
    values: ['\\x', '\\x00ff', '\\x61'],
    others: ["'a'", "'\\x61'"],
    assigned: ["'b'", "'\\377'", "decode('00ee', 'hex')"],
    settings: { bytea_output: 'escape' },
  },
]

const SIMPLE: Way = { name: 'simple', protocol: 'simple' }
const ways: readonly Way[] = [
  { name: 'undeclared text', protocol: 'extended' },
  { name: 'undeclared binary', protocol: 'extended', binaryParams: true },
  { name: 'declared text', protocol: 'extended', declared: true },
  { name: 'declared binary', protocol: 'extended', declared: true, binaryParams: true, binaryResults: true },
]

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

const cluster = useTestCluster()

describe.each(cases.map((each) => [each.name, each] as const))('%s', (name, each) => {
  const table = `key_${name}`
  const base = each.base ?? each.type
  let session: TwinSession
  let findings: string[] = []

  beforeAll(async () => {
    session = await TwinSession.open(cluster.current, each.settings ?? {})
    const ddl = (suffix: string, more: string) =>
      `CREATE TABLE ${table}${suffix} (k ${each.type} NOT NULL, n int${more})`
    const tables = [ddl('', ', note text'), ddl('_a', ''), ddl('_b', '')]
    const colocated = `, colocate_with = '${table}'`
    const options = tables.map((_, i) => ` WITH (shard_key = 'k'${i === 0 ? '' : colocated})`)
    await session.onWeft(tables.map((sql, i) => sql + options[i]).join('; '))
    await session.onPlain(tables.join('; '))
    return async () => {
      // Looking for misplaced rows goes over all tables there are.
      const drop = `DROP TABLE ${table}, ${table}_a, ${table}_b`
      await session.onWeft(drop)
      await session.onPlain(drop)
      session.end()
    }
  })

  const run = async (statement: Statement, way: Way = SIMPLE): Promise<boolean> => {
    const verdict = await session.run(statement, way)
    if (verdict.kind === 'different') {
      const show = (lines: readonly string[]) => lines.map((line) => `\n    ${line}`).join('')
      const params = statement.params === undefined ? '' : ` -- ${JSON.stringify(statement.params)}`
      const answers = `\n  plain:${show(verdict.plain.lines)}\n  weft:${show(verdict.weft.lines)}`
      findings.push(`${way.name}: ${statement.sql}${params}${answers}`)
    }
    return verdict.kind !== 'refused'
  }
  const answered = async (statement: Statement, way?: Way): Promise<void> => {
    if (!(await run(statement, way))) findings.push(`refused: ${statement.sql}`)
  }
  const done = (): void => {
    const text = findings.join('\n')
    findings = []
    expect(text).toBe('')
  }
  const param = (text: string | null): Param => ({ text, type: base })

  test('insert: literals, parameters, several rows, expressions: placed where they belong', async () => {
    for (const [i, value] of each.values.entries()) {
      await answered({ sql: `INSERT INTO ${table} VALUES (${quoted(value)}, ${i}, 'literal')` })
      for (const way of ways) {
        await answered(
          { sql: `INSERT INTO ${table} VALUES ($1, ${i}, '${way.name}')`, params: [param(value)] },
          way,
        )
      }
      await answered({ sql: `INSERT INTO ${table} (n, k) SELECT ${i}, ${quoted(value)}::${base}` })
      await answered({
        sql: `INSERT INTO ${table} (n, k) VALUES (${i}, (SELECT ${quoted(value)}::${base}))`,
      }).catch(() => {})
      findings = findings.filter((text) => !text.startsWith('refused:'))
    }
    const rows = each.values.map((value, i) => `(${quoted(value)}, ${100 + i})`).join(', ')
    await answered({ sql: `INSERT INTO ${table} VALUES ${rows} RETURNING k, n`, ordered: true })
    const list = each.values.map((_, i) => `($${i + 1}, 200)`).join(', ')
    for (const way of ways) {
      await answered({ sql: `INSERT INTO ${table} VALUES ${list}`, params: each.values.map(param) }, way)
    }
    const [first] = each.values
    await answered({ sql: `INSERT INTO ${table} VALUES (coalesce(NULL, ${quoted(first!)}::${base}), 300)` })
    await answered({ sql: `INSERT INTO ${table} SELECT k, 400, note FROM ${table} WHERE n < 3` })
    done()
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })

  test('insert: values that are converted, rounded, cut or refused', async () => {
    for (const [i, value] of (each.assigned ?? []).entries()) {
      await answered({ sql: `INSERT INTO ${table} VALUES (${value}, ${500 + i})` })
      await answered({ sql: `INSERT INTO ${table} VALUES (${value}, ${600 + i}) RETURNING k` }, ways[0])
      await answered({
        sql: `INSERT INTO ${table} VALUES (${value}, ${650 + i}), (${value}, ${660 + i}) RETURNING k`,
      })
      await answered({ sql: `INSERT INTO ${table} SELECT ${value}, ${700 + i}` })
      await answered({ sql: `INSERT INTO ${table} SELECT ${value}, ${750 + i} RETURNING k` })
      await answered({ sql: `INSERT INTO ${table} VALUES ((${value}), ${800 + i})` })
      const text = /^'([^']*)'$/.exec(value)?.[1]
      if (text === undefined) continue
      for (const way of ways.slice(0, 2)) {
        await answered({ sql: `INSERT INTO ${table} VALUES ($1, ${900 + i})`, params: [{ text }] }, way)
        const pair = `INSERT INTO ${table} VALUES ($1, ${900 + i}), ($1, 0)`
        await answered({ sql: pair, params: [{ text }] }, way)
      }
      await answered({
        sql: `COPY ${table} (k) FROM STDIN`,
        copyData: Buffer.from(`${text.replaceAll('\\', '\\\\')}\n`),
      })
    }
    done()
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })

  test('where: every way to say a value finds the same rows', async () => {
    const values = [
      ...each.values.map(quoted),
      ...each.values.map((v) => `${quoted(v)}::${base}`),
      ...(each.others ?? []),
    ]
    for (const value of values) {
      await answered({ sql: `SELECT k, n FROM ${table} WHERE k = ${value}` }).catch(() => {})
      await answered({ sql: `SELECT k, n, note FROM ${table} WHERE ${value} = k` }, ways[0])
    }
    for (const value of each.values) {
      for (const way of ways) {
        await answered({ sql: `SELECT k, n FROM ${table} WHERE k = $1`, params: [param(value)] }, way)
        await answered(
          { sql: `SELECT k, n FROM ${table} WHERE k = $1::${base}`, params: [{ text: value, type: 'text' }] },
          way,
        )
      }
    }
    const [a, b, c] = each.values
    const some = [a, b, c].filter((v) => v !== undefined)
    await answered({ sql: `SELECT k, n FROM ${table} WHERE k IN (${some.map(quoted).join(', ')})` })
    await answered({
      sql: `SELECT k, n FROM ${table} WHERE k IN (${some.map(quoted).join(', ')}, NULL) AND n < 5`,
    })
    await answered({
      sql: `SELECT k, n FROM ${table} WHERE ${some.map((v) => `k = ${quoted(v)}`).join(' OR ')}`,
    })
    for (const way of ways) {
      const list = some.map((_, i) => `$${i + 1}`).join(', ')
      await answered({ sql: `SELECT k, n FROM ${table} WHERE k IN (${list})`, params: some.map(param) }, way)
      const array = `{${some.map((v) => `"${v.replace(/["\\]/g, (x) => `\\${x}`)}"`).join(',')}}`
      const params = [{ text: array, type: `${base}[]` }]
      await answered({ sql: `SELECT k, n FROM ${table} WHERE k = ANY ($1)`, params }, way)
    }
    await answered({ sql: `SELECT k, n FROM ${table} WHERE k IS NULL` })
    await answered({ sql: `SELECT k, n FROM ${table} WHERE k = NULL` })
    await answered({ sql: `SELECT count(*), min(n), max(n) FROM ${table}` })
    done()
  })

  test('joins, updates and deletes by key', async () => {
    for (const part of ['a', 'b']) {
      await answered({
        sql: `INSERT INTO ${table}_${part} SELECT DISTINCT k, 1 FROM ${table} WHERE n < 5`,
      }).catch(() => {})
      const rows = each.values.map((value, i) => `(${quoted(value)}, ${i})`).join(', ')
      await answered({ sql: `INSERT INTO ${table}_${part} VALUES ${rows}` })
    }
    const [a] = each.values
    findings = findings.filter((text) => !text.startsWith('refused:'))
    await answered({ sql: `SELECT x.k, x.n, y.n FROM ${table}_a x JOIN ${table}_b y ON x.k = y.k` })
    await answered({
      sql: `SELECT k, count(*) FROM ${table}_a x JOIN ${table}_b y USING (k) WHERE k = ${quoted(a!)} GROUP BY k`,
    })
    await answered({
      sql: `SELECT x.k, y.n FROM ${table}_a x LEFT JOIN ${table}_b y ON x.k = y.k AND y.n > 1`,
    })
    for (const value of each.values) {
      await answered({
        sql: `UPDATE ${table} SET note = 'u' WHERE k = ${quoted(value)} AND n = 0 RETURNING k`,
      })
      for (const way of ways) {
        await answered({ sql: `UPDATE ${table} SET n = n + 1 WHERE k = $1`, params: [param(value)] }, way)
      }
    }
    await answered({ sql: `DELETE FROM ${table} WHERE k = ${quoted(a!)} AND n > 3 RETURNING *` })
    for (const way of ways) {
      await answered(
        { sql: `DELETE FROM ${table}_a WHERE k = $1`, params: [param(each.values.at(-1)!)] },
        way,
      )
    }
    await answered({ sql: `UPDATE ${table} SET k = ${quoted(a!)} WHERE k = ${quoted(a!)}` })
    for (const way of ways) {
      await answered({ sql: `UPDATE ${table} SET k = $1, n = n WHERE k = $1`, params: [param(a!)] }, way)
    }
    done()
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })

  test('copy: out and in again', async () => {
    for (const format of ['text', 'csv']) {
      const out = await session.run({ sql: `COPY ${table} TO STDOUT (FORMAT ${format})` }, SIMPLE)
      expect(out.kind).toBe('same')
      const rows = out.kind === 'same' ? out.answer.lines.filter((line) => line.startsWith('CopyData')) : []
      const data = Buffer.from(rows.map((line) => decoded(line.slice('CopyData '.length))).join(''))
      await answered({
        sql: `COPY ${table}_b (k, n, note) FROM STDIN (FORMAT ${format})`,
        copyData: data,
      }).catch(() => {})
      await answered({ sql: `COPY ${table} FROM STDIN (FORMAT ${format})`, copyData: data })
    }
    done()
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })
})

test('errors of key values have the fields that Postgres gives them', async () => {
  const [weft, plain] = await Promise.all([cluster.current.weftUrl, cluster.current.plainUrl].map(connectTo))
  const failure = (client: pg.Client, sql: string, values?: unknown[]) =>
    client.query(sql, values).then(
      () => 'no error',
      (error: pg.DatabaseError) => {
        const { code, message, detail, hint, position, schema, table, column } = error
        return { code, message, detail, hint, position, schema, table, column }
      },
    )
  const ddl = 'CREATE TABLE faults (k int PRIMARY KEY, v text)'
  await plain!.query(ddl)
  await weft!.query(`${ddl} WITH (shard_key = 'k')`)
  for (const [sql, values] of [
    ["INSERT INTO faults VALUES ('x', 'y')", undefined],
    ['INSERT INTO faults VALUES (true)', undefined],
    ["INSERT INTO faults VALUES (1), ('x')", undefined],
    ["SELECT * FROM faults WHERE v = 'ä' AND k = 'x'", undefined],
    ["UPDATE faults SET v = 'y' WHERE k = 'x'", undefined],
    ["INSERT INTO faults (v, k) VALUES ('y', NULL)", undefined],
    ["INSERT INTO faults (v) VALUES ('y')", undefined],
    ['INSERT INTO faults VALUES ($1, $2)', [null, 'y']],
    ['SELECT * FROM faults WHERE k = $1', undefined],
    ['INSERT INTO faults VALUES ($1)', undefined],
    ['INSERT INTO faults VALUES ($1)', ['99999999999']],
    ['SELECT * FROM faults WHERE k = $1', ['x']],
  ] as const) {
    expect([sql, await failure(weft!, sql, values?.slice())]).toEqual([
      sql,
      await failure(plain!, sql, values?.slice()),
    ])
  }
  await Promise.all([weft!.end(), plain!.end()])
})

function decoded(text: string): string {
  return text.startsWith('0x') ? Buffer.from(text.slice(2), 'hex').toString() : (JSON.parse(text) as string)
}
