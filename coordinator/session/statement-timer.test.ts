import { expect, it } from 'vitest'
import { commandComplete, errorResponse, readyForQuery } from '../../protocol/wire/backend-messages.ts'
import { Lexed } from '../../sql/lex/lexed.ts'
import { lexStatement } from '../../sql/lex/scan.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { StatementStats } from '../statistics/statement-stats.ts'
import type { ClientSession } from './client-session.ts'
import { StatementTimer } from './statement-timer.ts'

const READY = readyForQuery(0x49)
const NOTHING = Buffer.alloc(0)

function timerFor(slowMs: number) {
  const statistics = new StatementStats()
  const logged: object[] = []
  const log = { warn: (fields: object, message: string) => logged.push({ message, ...fields }) }
  const session = { sessionId: 7, node: { statistics, slowMs, log } } as unknown as ClientSession
  const plan = { kind: 'transaction', tag: 'UPDATE' } as unknown as Plan
  const sql = Buffer.from("UPDATE t SET secret = 'x'")
  const lexed = new Lexed()
  lexStatement(sql, 0, sql.length, lexed)
  statistics.planned(plan, sql, lexed)
  return { timer: new StatementTimer(session), plan, statistics, logged }
}

it('a statement that takes long is told in the log, without its values', () => {
  const { timer, plan, logged } = timerFor(0)
  timer.begin(plan)
  timer.ended(Buffer.concat([commandComplete('UPDATE 3'), READY]), NOTHING)
  expect(logged).toMatchObject([
    { message: 'slow statement', pid: 7, rows: 3, shards: 1, query: 'UPDATE t SET secret = $1' },
  ])
})

it('one that does not is counted only; one that fails is an error only', () => {
  const { timer, plan, statistics, logged } = timerFor(Number.POSITIVE_INFINITY)
  timer.begin(plan)
  timer.ended(Buffer.concat([commandComplete('UPDATE 3'), READY]), NOTHING)
  timer.begin(plan)
  timer.ended(Buffer.concat([errorResponse({ code: '22012', message: 'division by zero' }), READY]), NOTHING)
  expect(statistics.of(plan)).toMatchObject({ calls: 1, rows: 3 })
  expect([...statistics.errors]).toEqual([['22012', 1]])
  expect(logged).toEqual([])
})

it('the end of an answer that came ahead of its ReadyForQuery: the same', () => {
  const { timer, plan, statistics } = timerFor(Number.POSITIVE_INFINITY)
  timer.begin(plan)
  timer.ended(READY, commandComplete('UPDATE 3'))
  timer.begin(plan)
  timer.ended(READY, errorResponse({ code: '22012', message: 'division by zero' }))
  expect(statistics.of(plan)).toMatchObject({ calls: 1, rows: 3 })
  expect([...statistics.errors]).toEqual([['22012', 1]])
})
