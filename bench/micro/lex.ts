/** What a statement costs before its route is known: lex, plan cache, slot. Bundle it with esbuild and run it with Node. */
import { PlanCache } from '../../coordinator/execute/plans/plan-cache.ts'
import { slotForLiteral } from '../../sql/hash/key-value.ts'
import { Lexed } from '../../sql/lex/lexed.ts'
import { lexStatement } from '../../sql/lex/scan.ts'

const ROUNDS = 7
const CALLS = 300_000

const STATEMENTS: Readonly<Record<string, string>> = {
  'pgbench point select': 'SELECT abalance FROM pgbench_accounts WHERE aid = 12345;',
  'pgbench update': 'UPDATE pgbench_accounts SET abalance = abalance + -4711 WHERE aid = 12345;',
  'pgbench history insert':
    'INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 12345, -4711, CURRENT_TIMESTAMP);',
  'ORM select (600 bytes)': `SELECT ${Array.from({ length: 20 }, (_, i) => `"User"."column_${i}"`).join(', ')}
    FROM "public"."User" AS "User" WHERE ("User"."tenant_id" = 42 AND "User"."name" = 'somebody')
    ORDER BY "User"."created_at" DESC LIMIT 20 OFFSET 0`,
}

/** Nanoseconds per call, the median of some rounds after one to warm up. */
function measure(call: () => void): number {
  const rounds: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < CALLS; i++) call()
    if (round > 0) rounds.push(Number(process.hrtime.bigint() - start) / CALLS)
  }
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1]!
}

const cache = new PlanCache<{ readonly generic: boolean }>()
const scope = cache.scope(1, ['public'])
const lexed = new Lexed()
console.log(
  `${'ns per call'.padEnd(26)}${['lex', 'lookup', 'both', 'slot'].map((n) => n.padStart(9)).join('')}`,
)
for (const [name, text] of Object.entries(STATEMENTS)) {
  const buf = Buffer.from(text)
  lexStatement(buf, 0, buf.length, lexed)
  cache.insert(scope, buf, 0, buf.length, lexed, { generic: true })
  const lookup = (): void => {
    if (cache.lookup(scope, buf, 0, buf.length, lexed) === undefined) throw new Error('not found')
  }
  const times = [
    measure(() => lexStatement(buf, 0, buf.length, lexed)),
    measure(lookup),
    measure(() => {
      lexStatement(buf, 0, buf.length, lexed)
      lookup()
    }),
    measure(() => slotForLiteral('int4', buf, lexed, lexed.literalCount - 1, false)),
  ]
  console.log(`${name.padEnd(26)}${times.map((t) => t.toFixed(0).padStart(9)).join('')}`)
}
