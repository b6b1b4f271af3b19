import { beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { randomSource } from '../helpers/key-values.ts'
import { misplaced } from '../helpers/placement.ts'
import { type Param, type Statement, TwinSession, type Way } from '../helpers/twin-session.ts'

/**
 * `=` of a key and a value of another type is an operator of its own. Each way of writing a value, each type, each
 * comparison, against plain Postgres: whatever the two types mean together, the same rows are found.
 */

const cluster = useTestCluster()

const KEYS: Readonly<Record<string, readonly string[]>> = {
  int2: ['0', '1', '2', '3', '-1', '17', '32767'],
  int4: ['0', '1', '2', '3', '-1', '17', '2147483647'],
  int8: ['0', '1', '2', '3', '9007199254740992', '9007199254740993', '-9007199254740993', '4294967297'],
  numeric: ['0', '1', '2', '2.5', '3', '9007199254740993', '0.1', '1e20'],
  text: ['a', 'a ', 'A', 'ab', '1', '2.5', 'äb', ' '],
  varchar: ['a', 'a ', 'A', 'ab', '1', '2.5', 'äb', ' '],
  date: ['2024-01-01', '2024-01-02', '2024-06-30', 'infinity'],
  timestamp: ['2024-01-01', '2024-01-01 12:00', '2024-06-30 23:30', 'infinity'],
  timestamptz: ['2024-01-01', '2024-01-01 12:00', '2024-06-30 23:30', 'infinity'],
  bool: ['t', 'f'],
  uuid: ['00000000-0000-0000-0000-000000000001', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  bytea: ['\\x61', '\\x', '\\x6120'],
  'char(4)': ['a', 'A', 'ab', 'a b', '1', '2.5', 'äb', ''],
  name: ['a', 'a ', 'A', 'ab', '1', '2.5', 'äb', ' '],
  oid: ['0', '1', '2', '3', '17', '2147483648', '4294967295'],
  float4: ['0', '1', '2', '2.5', '0.1', '16777216', 'NaN', 'Infinity', '-3'],
  float8: ['0', '1', '2', '2.5', '0.1', '9007199254740992', 'NaN', '-Infinity', '-3'],
  time: ['00:00', '12:00', '23:59:59.5', '24:00:00'],
  timetz: ['00:00+00', '12:00+00', '14:00+02', '23:59:59.5-07'],
  inet: ['10.0.0.1', '10.0.0.0/8', '::1', '1.2.3.4/16', '1.2.0.0/16'],
  cidr: ['10.0.0.1', '10.0.0.0/8', '::1', '1.2.0.0/16'],
  macaddr: ['08:00:2b:01:02:03', '00:00:00:00:00:00'],
  macaddr8: ['08:00:2b:ff:fe:01:02:03', '00:00:00:00:00:00:00:01'],
  'keys.mood': ['a', 'A', 'ab', '1', 'äb', ' '],
  'keys.citext': ['a', 'a ', 'AB', '1', '2.5', 'Äb', 'I'],
  'keys.small': ['0', '1', '2', '3', '-1', '17', '2147483647'],
  'keys.word': ['a', 'a ', 'A', 'ab', '1', '2.5', 'äb', ' '],
  'keys.sum': ['0', '1', '2.5', '3.12'],
}

const TYPES = [
  ...['int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'oid', 'text', 'varchar', 'bpchar', 'name'],
  ...[
    '"char"',
    'date',
    'timestamp',
    'timestamptz',
    'bool',
    'uuid',
    'bytea',
    'money',
    ...['time', 'timetz', 'inet', 'cidr', 'macaddr', 'keys.mood', 'keys.citext', 'keys.sum'],
    'keys.small',
    'keys.word',
  ],
]
/** Those that have fewer tries. */
const LATER = new Set(Object.keys(KEYS).slice(12))
/** A domain has another number on each server. */
const BUILT_IN = TYPES.filter((type) => !type.startsWith('keys.'))
const tableOf = (type: string): string => `t_${type.replace(/\W/g, '_')}`
/** Short strings and numbers of every key, for every type. */
const TEXTS = [
  ...new Set(Object.values(KEYS).flat()),
  ...[
    '2.0',
    '1.0',
    '2.4',
    '2147483648',
    '9007199254740993.5',
    '1e0',
    'NaN',
    '0x11',
    'a  ',
    '2024-01-01 00:00+05',
  ],
]

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
const pick = <T>(random: (below: number) => number, from: readonly T[]): T => from[random(from.length)]!

/** A literal in one of the syntaxes that SQL has for it. */
function literal(random: (below: number) => number, text: string): string {
  const isNumber = /^-?\d+(\.\d+)?(e\d+)?$/.test(text)
  const forms = [
    quoted(text),
    quoted(text),
    `E${quoted(text.replaceAll('\\', '\\\\'))}`,
    `$k$${text}$k$`,
    `U&${quoted(text.replaceAll('\\', '\\\\').replace('a', '\\0061'))}`,
    `U&${quoted(text.replaceAll('!', '!!').replace('a', '!0061'))} UESCAPE '!'`,
    `U&${quoted(text.replaceAll('\\', '\\\\').replace('a', '#0061').replace('1', '#0031'))}\nuescape '#'`,
    `N${quoted(text)}`,
    `${quoted(text.slice(0, 1))}\n${quoted(text.slice(1))}`,
    ...(isNumber ? [text, text, `+${text.replace('-', '')}`, `(${text})`] : []),
  ]
  return pick(random, forms)
}

function value(random: (below: number) => number, keyType: string, params: Param[]): string {
  const text = pick(random, random(3) > 0 ? KEYS[keyType]! : TEXTS)
  const type = random(2) === 0 ? keyType : pick(random, TYPES)
  const built = type.startsWith('keys.') || type === 'char(4)' ? 'text' : type
  switch (random(8)) {
    case 0:
    case 1:
      params.push({ text: pick(random, KEYS[keyType]!), type: built })
      return `$${params.length}`
    case 2:
      params.push({ text, type: pick(random, BUILT_IN) })
      return `$${params.length}::${type}`
    case 3:
      return `${literal(random, text)}::${type}`
    case 4:
      return `CAST(${literal(random, text)} AS ${type})`
    default:
      return literal(random, text)
  }
}

function condition(random: (below: number) => number, keyType: string, params: Param[]): string {
  const one = () => value(random, keyType, params)
  const some = () => Array.from({ length: 1 + random(3) }, one).join(', ')
  switch (random(10)) {
    case 0:
      return `k IN (${some()})`
    case 1:
      return `k = ANY (ARRAY[${some()}])`
    case 2:
      return `k = ANY (ARRAY[${some()}]::${random(2) === 0 ? keyType : pick(random, TYPES)}[])`
    case 3:
      return `(k, n) = (${one()}, 1)`
    case 4:
      return `(k, n) IN ((${one()}, 1), (${one()}, '2'))`
    case 5:
      return `k = ${one()} OR k = ${one()}`
    case 6:
      return `k = (SELECT ${one()})`
    case 7:
      return `k IN (SELECT x FROM (VALUES (${one()}), (${one()})) v (x))`
    case 8:
      return `EXISTS (SELECT FROM (SELECT ${one()} UNION SELECT ${one()}) u (x) WHERE x = k)`
    default:
      return random(2) === 0 ? `k = ${one()}` : `${one()} = k`
  }
}

const WAYS: readonly Way[] = [
  { name: 'undeclared text', protocol: 'extended' },
  { name: 'undeclared binary', protocol: 'extended', binaryParams: true },
  { name: 'declared text', protocol: 'extended', declared: true },
  { name: 'declared binary', protocol: 'extended', declared: true, binaryParams: true },
]

describe('random comparisons with keys', () => {
  let session: TwinSession

  beforeAll(async () => {
    session = await TwinSession.open(cluster.current, { TimeZone: 'Asia/Kolkata' })
    const both = async (sql: string, more = '') => {
      await session.onWeft(sql + more)
      await session.onPlain(sql)
    }
    await both('CREATE SCHEMA keys')
    await both('CREATE DOMAIN keys.small AS int4')
    await both('CREATE DOMAIN keys.word AS text')
    await both('CREATE DOMAIN keys.sum AS numeric(6, 2) CHECK (VALUE < 1000)')
    await both(`CREATE TYPE keys.mood AS ENUM (${KEYS['keys.mood']!.map(quoted).join(', ')})`)
    await both('CREATE EXTENSION citext SCHEMA keys')
    for (const [type, values] of Object.entries(KEYS)) {
      await both(`CREATE TABLE ${tableOf(type)} (k ${type} NOT NULL, n int)`, ` WITH (shard_key = 'k')`)
      const rows = values.map((v, i) => `(${quoted(v)}, ${i % 3})`).join(', ')
      await both(`INSERT INTO ${tableOf(type)} VALUES ${rows}`)
    }
    return () => session.end()
  })

  test.each(Object.keys(KEYS))('%s', async (type) => {
    const random = randomSource(77 + type.length * 31 + type.charCodeAt(0))
    const findings: string[] = []
    let found = 0
    for (let i = 0; i < (LATER.has(type) ? 90 : 220); i++) {
      const params: Param[] = []
      const sql = `SELECT k, n FROM ${tableOf(type)} WHERE ${condition(random, type, params)}`
      const statement: Statement = { sql, params }
      const way: Way =
        params.length === 0 && random(2) === 0 ? { name: 'simple', protocol: 'simple' } : pick(random, WAYS)
      const verdict = await session.run(statement, way)
      if (verdict.kind === 'same' && verdict.answer.lines.some((l) => l.startsWith('DataRow'))) found++
      // Postgres says first what it finds wrong first: that may be the type, the value or the parameter.
      if (verdict.kind !== 'different' || (verdict.plain.sqlstate && verdict.weft.sqlstate)) continue
      findings.push(
        `${way.name}: ${sql} -- ${JSON.stringify(params)}\n  plain: ${verdict.plain.lines.join(' / ')}\n  weft: ${verdict.weft.lines.join(' / ')}`,
      )
    }
    expect(findings.join('\n')).toBe('')
    expect(found).toBeGreaterThan(LATER.has(type) ? 5 : 20)
  })

  test('an operator = of the user is asked for where it may be meant', async () => {
    for (const on of [session.onWeft.bind(session), session.onPlain.bind(session)]) {
      await on('CREATE SCHEMA my')
      await on(
        'CREATE FUNCTION my.alike(varchar, varchar) RETURNS bool IMMUTABLE LANGUAGE sql AS $$SELECT left($1::text, 1) OPERATOR(pg_catalog.=) left($2::text, 1)$$',
      )
      await on(
        'CREATE FUNCTION my.close(int8, int4) RETURNS bool IMMUTABLE LANGUAGE sql AS $$SELECT $1 / 2 OPERATOR(pg_catalog.=) $2 / 2$$',
      )
      await on('CREATE OPERATOR my.= (leftarg = varchar, rightarg = varchar, function = my.alike)')
      await on('CREATE OPERATOR my.= (leftarg = int8, rightarg = int4, function = my.close)')
    }
    const conditions = [
      ...[
        'k OPERATOR(my.=) 3',
        'k = 3',
        'k OPERATOR(pg_catalog.=) 3',
        'k IN (3)',
        'k IN (3, 4)',
        '(k, n) = (3, 1)',
      ],
      'k IN (SELECT 3)',
      'k OPERATOR(my.=) ANY (SELECT 3)',
    ]
    for (const path of ['public', 'my, public', 'my, pg_catalog, public', 'public, pg_catalog, my']) {
      await session.run({ sql: `SET search_path = ${path}` }, { name: 'simple', protocol: 'simple' })
      for (const way of [{ name: 'simple', protocol: 'simple' } as const, WAYS[0]!]) {
        const all = [
          ...conditions.map((c) => ['int8', c]),
          ['varchar', "k = 'axe'"],
          ['varchar', "k = 'axe'::varchar"],
        ]
        for (const [type, where] of all) {
          const verdict = await session.run({ sql: `SELECT k FROM t_${type} WHERE ${where}` }, way)
          expect([path, where, verdict.kind === 'different']).toEqual([path, where, false])
        }
      }
    }
    await session.run({ sql: 'RESET search_path' }, { name: 'simple', protocol: 'simple' })
  })

  test('no row was misplaced', async () => {
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })
})
