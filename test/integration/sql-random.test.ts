import { beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { misplaced } from '../helpers/placement.ts'
import { query } from '../helpers/postgres.ts'
import { seeded } from '../helpers/random-queries.ts'
import { type RandomStatement, randomStatement } from '../helpers/random-statements.ts'
import { randomTables } from '../helpers/random-tables.ts'
import { type Answer, TwinSession, type Verdict, type Way } from '../helpers/twin-session.ts'

/**
 * Random statements, the same on Weft and on plain Postgres: the same answer, or a refusal. More of them, or those of
 * another seed: SQL_STATEMENTS=20000 SQL_SEED=7 npx vitest run test/integration/sql-random.test.ts
 */
const STATEMENTS = Number(process.env.SQL_STATEMENTS ?? 2000)
const SEED = Number(process.env.SQL_SEED ?? 1 + Math.floor(Math.random() * 1_000_000))
const LOOK_EVERY = 500
const TIMEOUT_MS = 300 * STATEMENTS

const cluster = useTestCluster()

const ways: readonly Way[] = [
  { name: 'simple', protocol: 'simple' },
  { name: 'extended', protocol: 'extended' },
  { name: 'binary results', protocol: 'extended', binaryResults: true },
]
const paramWays: readonly Way[] = [
  { name: 'undeclared text', protocol: 'extended' },
  { name: 'declared text', protocol: 'extended', declared: true },
  { name: 'binary', protocol: 'extended', declared: true, binaryParams: true },
]

const SEEDING = [
  `INSERT INTO customers SELECT g, chr(96 + g), (ARRAY['north', 'south', NULL])[1 + g % 3], g * 1.5, '2020-01-01'::date + g
     FROM generate_series(1, 8) g`,
  `INSERT INTO orders SELECT 1 + g % 9, g, nullif(g % 7, 3), g * 1.1, nullif(chr(96 + g % 5), 'c'), g / 3.0::float8,
     '2024-01-01 00:00+00'::timestamptz + g * interval '1 day' FROM generate_series(1, 30) g`,
  `INSERT INTO items SELECT 1 + g % 9, g % 31, chr(97 + g % 4), nullif(g % 6, 5) FROM generate_series(1, 40) g`,
  `INSERT INTO tags SELECT 'tag' || g, g, g * 10 FROM generate_series(1, 12) g`,
  `INSERT INTO lands VALUES ('de', 'Germany', 83), ('fr', 'France', 67), ('is', 'Iceland', NULL)`,
  `INSERT INTO notes SELECT g, nullif(g % 9, 0), 'body ' || g FROM generate_series(1, 10) g`,
]

beforeAll(async () => {
  const { weftUrl, plainUrl } = cluster.current
  for (const { ddl, options } of randomTables) {
    await query(plainUrl, ddl)
    await query(weftUrl, options === '' ? ddl : `${ddl} WITH (${options})`)
  }
  for (const sql of SEEDING) for (const url of [plainUrl, weftUrl]) await query(url, sql)
})

test(
  `${STATEMENTS} random statements of seed ${SEED}: answered as by one Postgres, or refused`,
  async () => {
    const r = seeded(SEED)
    const session = await TwinSession.open(cluster.current)
    // The general way, of which every other is a faster form.
    const general = await TwinSession.open(cluster.current, { options: '-c weft.pushdown=off' })
    // Joins off the key by rows that every shard is given, of tables too small for that to be worth it.
    const spreading = await TwinSession.open(cluster.current, { options: '-c weft.spread=always' })
    const refusals = new Tally()
    const findings: string[] = []
    let errors = 0
    for (let i = 0; i < STATEMENTS && findings.length < 5; i++) {
      const statement = randomStatement(r)
      const way = r.pick(statement.params.length > 0 ? paramWays : ways)
      const verdict = await session.run(statement, way)
      refusals.count(statement.constructs, verdict.kind === 'refused' ? verdict.id : undefined)
      if (verdict.kind === 'same' && verdict.answer.sqlstate !== undefined) errors++
      const verdicts: (readonly [string, Verdict])[] = [['', verdict]]
      if (/^(SELECT|WITH)\b/.test(statement.sql)) {
        verdicts.push([', weft.pushdown = off', await general.run(statement, way)])
        verdicts.push([', weft.spread = always', await spreading.run(statement, way)])
      }
      for (const [setting, one] of verdicts) {
        if (one.kind !== 'different' || bothViolate(one)) continue
        const how = `${way.name}${setting}`
        findings.push(`seed ${SEED}, statement ${i}, ${how}:\n${finding(statement, one)}`)
      }
      if (i % LOOK_EVERY === LOOK_EVERY - 1) findings.push(...(await misplaced(cluster.current, 'public')))
    }
    session.end()
    general.end()
    spreading.end()
    process.stdout.write(`seed ${SEED}: ${errors} errors that are the same\n${refusals.table()}\n`)
    expect(findings.join('\n\n')).toBe('')
    expect(await misplaced(cluster.current, 'public')).toEqual([])
    // A generator that makes nothing but errors and refusals would prove nothing.
    expect(errors).toBeLessThan(STATEMENTS / 4)
    expect(refusals.ratio).toBeLessThan(0.1)
  },
  TIMEOUT_MS,
)

function finding(statement: RandomStatement, { plain, weft }: Different): string {
  const show = ({ lines }: Answer) => lines.map((line) => `    ${line}`).join('\n')
  const params = statement.params.map((p) => `${p.text}::${p.type}`).join(' | ')
  return `${statement.sql}\n-- params: ${params}\n  plain:\n${show(plain)}\n  weft:\n${show(weft)}`
}

type Different = Extract<Verdict, { kind: 'different' }>

/** Of rows that violate several rules, which one comes first depends on where they go. */
function bothViolate(verdict: { readonly plain: Answer; readonly weft: Answer }): boolean {
  return [verdict.plain, verdict.weft].every(({ sqlstate }) => /^(21000|23...)$/.test(sqlstate ?? ''))
}

/** How much is refused, by construct and by id. */
class Tally {
  private readonly ids = new Map<string, number>()
  private readonly counts = new Map<string, { all: number; refused: number }>()

  count(constructs: readonly string[], id: string | undefined): void {
    if (id !== undefined) this.ids.set(id, (this.ids.get(id) ?? 0) + 1)
    for (const name of ['all', ...constructs]) {
      const entry = this.counts.get(name) ?? { all: 0, refused: 0 }
      this.counts.set(name, { all: entry.all + 1, refused: entry.refused + (id === undefined ? 0 : 1) })
    }
  }

  get ratio(): number {
    const { all, refused } = this.counts.get('all') ?? { all: 1, refused: 0 }
    return refused / all
  }

  table(): string {
    const byConstruct = [...this.counts]
      .sort(([, x], [, y]) => y.refused / y.all - x.refused / x.all)
      .map(
        ([name, { all, refused }]) =>
          `${String(Math.round((100 * refused) / all)).padStart(4)} % of ${String(all).padStart(5)} refused  ${name}`,
      )
    const byId = [...this.ids]
      .sort(([, x], [, y]) => y - x)
      .map(([id, count]) => `${String(count).padStart(12)} refused as ${id}`)
    return [...byConstruct, ...byId].join('\n')
  }
}
