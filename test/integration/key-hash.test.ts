import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KeyType } from '../../sql/catalog.ts'
import { NO_MATCH, UNSURE } from '../../sql/hash/key-answer.ts'
import { slotForBinary, slotForLiteral, slotForText, slotForTextBytes } from '../../sql/hash/key-value.ts'
import { slotExpression } from '../../sql/hash/slot-expression.ts'
import { Lexed } from '../../sql/lex/lexed.ts'
import { lexStatement } from '../../sql/lex/scan.ts'
import { ENUM_LABELS, keyTexts, numberLiterals, randomSource, stringLiterals } from '../helpers/key-values.ts'
import { hasPostgres15, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

/** The types of Postgres' own; `enum` and `citext` are each database's. */
type BuiltIn = Exclude<KeyType, 'enum' | 'citext'>
const TYPE_OIDS: Readonly<Record<BuiltIn, number>> = {
  int2: 21,
  int4: 23,
  int8: 20,
  text: 25,
  varchar: 1043,
  uuid: 2950,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  bool: 16,
  numeric: 1700,
  bytea: 17,
  bpchar: 1042,
  name: 19,
  oid: 26,
  float4: 700,
  float8: 701,
  time: 1083,
  timetz: 1266,
  inet: 869,
  cidr: 650,
  macaddr: 829,
  macaddr8: 774,
}
const BUILT_IN = Object.keys(TYPE_OIDS) as BuiltIn[]
const KEY_TYPES: readonly KeyType[] = [...BUILT_IN, 'enum', 'citext']
/** Of few values. */
const SMALL: ReadonlySet<KeyType> = new Set(['bool', 'enum'])

/** What a client that asks for binary results gets; node-postgres itself garbles them on the way. */
const SEND: Readonly<Record<KeyType, string>> = {
  int2: 'int2send',
  int4: 'int4send',
  int8: 'int8send',
  text: 'textsend',
  varchar: 'varcharsend',
  bpchar: 'bpcharsend',
  uuid: 'uuid_send',
  date: 'date_send',
  timestamp: 'timestamp_send',
  timestamptz: 'timestamptz_send',
  bool: 'boolsend',
  numeric: 'numeric_send',
  bytea: 'byteasend',
  name: 'namesend',
  oid: 'oidsend',
  float4: 'float4send',
  float8: 'float8send',
  time: 'time_send',
  timetz: 'timetz_send',
  inet: 'inet_send',
  cidr: 'cidr_send',
  macaddr: 'macaddr_send',
  macaddr8: 'macaddr8_send',
  enum: 'enum_send',
  citext: 'citextsend',
}

interface Stored {
  /** The text that was given to the type's input function. */
  readonly input: string
  /** What the server prints. */
  readonly text: string
  readonly binary: Buffer
  readonly slot: number
  /** By the hash operator family, whatever function that has. */
  readonly familySlot: number
}

describe.each([18, 15] as const)('Postgres %i', (version) => {
  describe.skipIf(version === 15 && !hasPostgres15)('key hashes', () => {
    let server: TestPostgres
    let client: pg.Client

    beforeAll(async () => {
      server = await startPostgres({ version, settings: { wal_level: 'logical' } })
      client = new pg.Client({ connectionString: server.url })
      await client.connect()
      await client.query("SET timezone = 'UTC'")
      await client.query(TRY_CAST)
      await client.query('CREATE EXTENSION citext')
      const labels = ENUM_LABELS.map(pg.escapeLiteral).join(', ')
      await client.query(`CREATE TYPE enum AS ENUM (${labels})`)
    }, 60_000)

    afterAll(async () => {
      await client?.end()
      await server?.stop()
    })

    /** Runs each text through the type's input function; those it refuses are left out. */
    async function store(keyType: KeyType, inputs: readonly string[]): Promise<Stored[]> {
      const sql = `SELECT i.input, v.v::text AS text, ${SEND[keyType]}(v.v) AS binary, ${slotExpression(keyType, 'v.v')}::int AS slot,
          (hash_record_extended(ROW(v.v), 0) & 4095)::int AS "familySlot"
        FROM unnest($1::text[]) WITH ORDINALITY AS i(input, n),
          LATERAL (SELECT try_cast(i.input, NULL::${keyType}) AS v) v
        WHERE v.v IS NOT NULL ORDER BY i.n`
      const { rows } = await client.query<Stored>(sql, [inputs])
      return rows
    }

    test.each(KEY_TYPES)(
      'slot of %s: thousands of values in text and binary form: as the server says',
      async (keyType) => {
        const inputs = keyTexts(keyType, randomSource(4096))
        const stored = await store(keyType, inputs)
        expect(stored.length).toBeGreaterThan(SMALL.has(keyType) ? 10 : 1000)
        const oid = keyType === 'enum' || keyType === 'citext' ? 0 : TYPE_OIDS[keyType]
        // What lower() makes of capitals and letters beyond ASCII, Postgres knows.
        const answers = (s: number) => (keyType === 'citext' ? [s, UNSURE] : [s])
        let sure = 0
        for (const { input, text, binary, slot, familySlot } of stored) {
          const why = `${keyType} ${input}`
          // The numbers of an enum's values are each server's own.
          if (keyType !== 'enum') expect(slot, why).toBe(familySlot)
          const ours = slotForText(keyType, text, 'unknown', { zone: 'UTC' })
          expect(answers(slot), `${why} printed ${text}`).toContain(ours)
          if (ours === slot) sure++
          expect(slotForBinary(keyType, oid, binary, 0, binary.length), why).toBe(ours)
          expect(
            slotForBinary(keyType, 0, Buffer.concat([Buffer.from('xxx'), binary]), 3, binary.length),
          ).toBe(ours)
          const padded = Buffer.from(` ${input}9`)
          expect([slot, UNSURE], why).toContain(slotForTextBytes(keyType, padded, 1, padded.length - 1))
        }
        expect(sure).toBeGreaterThan(stored.length / 20)
      },
    )

    // A label that an enum does not have is an error on whichever shard.
    test.each(BUILT_IN)('slot of %s: what the input function refuses: UNSURE', async (keyType) => {
      const inputs = keyTexts(keyType, randomSource(815))
      const accepted = new Set((await store(keyType, inputs)).map((s) => s.input))
      for (const input of inputs.filter((i) => !accepted.has(i))) {
        expect(slotForText(keyType, input, 'unknown', { zone: 'UTC' }), input).toBe(UNSURE)
      }
    })

    test.each(['ISO, DMY', 'SQL, DMY', 'SQL, MDY', 'Postgres, YMD', 'German, DMY'])(
      'slot of dates and times: DateStyle %s: the same, or UNSURE',
      async (style) => {
        await client.query(`SET datestyle = '${style}'`)
        try {
          for (const keyType of ['date', 'timestamp', 'timestamptz'] as const) {
            const stored = await store(keyType, keyTexts(keyType, randomSource(7)))
            let sure = 0
            for (const { input, slot } of stored) {
              const ours = slotForText(keyType, input)
              if (ours !== UNSURE) expect(ours, `${keyType} ${input}`).toBe(slot)
              if (ours !== UNSURE) sure++
            }
            expect(sure).toBeGreaterThan(stored.length / 2)
          }
        } finally {
          await client.query("SET datestyle = 'ISO, MDY'")
        }
      },
    )

    test.each(['int2', 'int4', 'int8', 'numeric'] as const)(
      'slot of %s: a bare number literal: the slot of the key it equals, or NO_MATCH',
      async (keyType) => {
        const literals = numberLiterals(randomSource(99))
        const { rows } = await client.query<{ slot: number | null }>(
          literals
            .map((l) => `(SELECT slot_of_equal(${l}, NULL::${keyType}) AS slot)`)
            .map((sql) => sql.replace('slot_of_equal', `slot_of_equal_${keyType}`))
            .join(' UNION ALL '),
        )
        expect(rows.length).toBe(literals.length)
        const answers = literals.map((l) => slotOfLiteral(keyType, l))
        for (const [i, literal] of literals.entries()) {
          expect([rows[i]!.slot ?? NO_MATCH, UNSURE], `${keyType} = ${literal}`).toContain(answers[i])
        }
        expect(answers.filter((a) => a === UNSURE).length).toBeLessThan(literals.length / 10)
      },
    )

    test('slot of text: string literals of every kind: as the server says', async () => {
      const literals = stringLiterals(randomSource(5))
      const { rows } = await client.query<{ slot: number }>(
        literals
          .map((l) => `(SELECT ${slotExpression('text', `CAST(${l} AS text)`)}::int AS slot)`)
          .join(' UNION ALL '),
      )
      for (const [i, literal] of literals.entries()) {
        expect(slotOfLiteral('text', literal), literal).toBe(rows[i]!.slot)
      }
    })

    test('slot of a parameter of another type: compared across types: as the server says', async () => {
      const cases: readonly [BuiltIn, BuiltIn, string][] = [
        ['int4', 'int8', '77'],
        ['int4', 'int2', '-5'],
        ['int8', 'int2', '-32768'],
        ['int2', 'int8', '123'],
        ['int8', 'numeric', '9223372036854775807.000'],
        ['int4', 'numeric', '-12'],
        ['numeric', 'int2', '-100'],
        ['numeric', 'int4', '10000'],
        ['numeric', 'int8', '-9223372036854775808'],
        ['text', 'varchar', 'abc '],
        ['varchar', 'text', 'é'],
        ['text', 'bpchar', 'xyz'],
        ['bpchar', 'text', 'xyz'],
        ['bpchar', 'varchar', 'é '],
        ['name', 'text', 'abc'],
        ['float8', 'float4', '0.5'],
      ]
      for (const [keyType, other, value] of cases) {
        const [theirs] = await store(keyType, [value.replace(/\.0+$/, '')])
        const { rows } = await client.query<{ v: Buffer }>(`SELECT ${SEND[other]}($1::${other}) AS v`, [
          value,
        ])
        const binary = rows[0]!.v
        const oid = TYPE_OIDS[other]
        expect(slotForBinary(keyType, oid, binary, 0, binary.length), `${keyType} = ${other} ${value}`).toBe(
          theirs!.slot,
        )
        if (other !== 'bpchar') expect(slotForText(keyType, value, other)).toBe(theirs!.slot)
      }
    })

    test('slotExpression: every type of Postgres: fit for a row filter, a CHECK and an index', async () => {
      await client.query(`CREATE TABLE keys (${BUILT_IN.map((t) => `"${t}" ${t}`).join(', ')})`)
      await client.query('ALTER TABLE keys REPLICA IDENTITY FULL')
      for (const keyType of BUILT_IN) {
        const slot = slotExpression(keyType, `"${keyType}"`)
        await client.query(
          `CREATE PUBLICATION "p_${keyType}" FOR TABLE keys WHERE (${slot} BETWEEN 10 AND 20)`,
        )
        await client.query(`ALTER TABLE keys ADD CHECK (${slot} >= 0)`)
        await client.query(`CREATE INDEX ON keys (${slot})`)
      }
      await client.query('DROP TABLE keys')
    })
  })
})

function slotOfLiteral(keyType: KeyType, literal: string): number {
  const negate = literal.startsWith('-')
  const buf = Buffer.from(`select ${literal} `)
  const lexed = new Lexed()
  lexStatement(buf, 0, buf.length, lexed)
  expect([lexed.ok, lexed.literalCount], literal).toEqual([true, 1])
  return slotForLiteral(keyType, buf, lexed, 0, negate)
}

/**
 * `try_cast`: NULL where the input function raises an error. `slot_of_equal_…(literal, key)`: the slot of the key that
 * equals a number of whatever type, found by comparing, NULL when none does.
 */
const TRY_CAST = `
CREATE FUNCTION try_cast(t text, INOUT v anyelement) LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('SELECT %L::%s', t, regexp_replace(pg_typeof(v)::text, '^character$', 'bpchar')) INTO v; EXCEPTION WHEN OTHERS THEN v := NULL; END $$;
${(['int2', 'int4', 'int8', 'numeric'] as const)
  .map(
    (k) => `CREATE FUNCTION slot_of_equal_${k}(n anyelement, k ${k}) RETURNS int LANGUAGE plpgsql AS $$
      BEGIN k := n::${k}; IF k = n THEN RETURN ${slotExpression(k, 'k')}; END IF; RETURN NULL;
      EXCEPTION WHEN numeric_value_out_of_range THEN RETURN NULL; END $$;`,
  )
  .join('\n')}`
