import { describe, expect, it } from 'vitest'
import { weftError } from '../../errors/catalog.ts'
import { refusalIn } from '../../errors/refusals/refusals.ts'
import { commandComplete, errorResponse, readyForQuery } from '../../protocol/wire/backend-messages.ts'
import { Lexed } from '../../sql/lex/lexed.ts'
import { normalizedText } from '../../sql/lex/normalized.ts'
import { lexStatement } from '../../sql/lex/scan.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { errorTold, rowsTold } from './answer-end.ts'
import { StatementStats } from './statement-stats.ts'

function lexed(text: string): [Buffer, Lexed] {
  const sql = Buffer.from(text)
  const tokens = new Lexed()
  lexStatement(sql, 0, sql.length, tokens)
  return [sql, tokens]
}

const READY = readyForQuery(0x49)

describe('the end of an answer', () => {
  it.each([
    ['SELECT 12', 12],
    ['INSERT 0 305', 305],
    ['UPDATE 0', 0],
    ['CREATE TABLE', 0],
    ['SET', 0],
  ])('%s: %i rows', (tag, rows) => {
    expect(rowsTold(Buffer.concat([commandComplete(tag), READY]))).toBe(rows)
    expect(rowsTold(commandComplete(tag), 0)).toBe(rows)
  })

  it('an error: its SQLSTATE, and the id of a refusal', () => {
    const { fields } = weftError('not_supported', { id: 'view_time', what: 'x\u00e9' })
    const answer = Buffer.concat([commandComplete('SELECT 1'), errorResponse(fields), READY])
    expect(rowsTold(answer)).toBe(-1)
    expect(errorTold(answer)).toMatchObject({ code: '0A000' })
    expect(refusalIn(errorTold(answer)?.detail)).toBe('view_time')
    const plain = errorResponse({ code: '22012', message: 'division by zero' })
    expect(errorTold(Buffer.concat([plain, READY]))).toEqual({
      ...{ code: '22012', detail: '', message: 'division by zero' },
    })
  })

  it('nothing, or bytes of rows: no rows, no error', () => {
    expect([rowsTold(READY), rowsTold(Buffer.alloc(0)), errorTold(Buffer.from('\0Cabc'))]).toEqual([
      0,
      0,
      undefined,
    ])
  })
})

describe('normalized texts', () => {
  it.each([
    ["SELECT * FROM t WHERE a = 1 AND b = 'x'", 'SELECT * FROM t WHERE a = $1 AND b = $2'],
    ['  SELECT  $2 + 5,\n 7 -- end', 'SELECT $2 + $3, $4'],
    ["SELECT 1 /* a */ + 2 -- b\n /*traceparent='00-1'*/ ;", 'SELECT $1 + $2'],
    ["/*traceparent='00-1'*/ SELECT 1 /*x*/", 'SELECT $1'],
    ["SELECT a /* 'b' /* c */ */, \"--d\" -- 'e\n FROM t /*tp='1'*/ ;", 'SELECT a , "--d" FROM t'],
    ['SELECT a - -1', 'SELECT a - -$1'],
    ['UPDATE t SET a = b', 'UPDATE t SET a = b'],
    ["/* hi */ INSERT INTO t VALUES ('é', 2);", 'INSERT INTO t VALUES ($1, $2)'],
    ['COMMIT', 'COMMIT'],
  ])('%s', (text, expected) => {
    expect(normalizedText(...lexed(text))).toBe(expected)
  })

  it.each([
    ['SET my.secret TO hunter2', 'SET my.secret TO $1'],
    ['SET LOCAL application_name = "hunter 2" ;', 'SET LOCAL application_name = $1'],
    ["SET search_path TO a, 'b', c", 'SET search_path TO $2'],
    ["SET a.b = 'c'", 'SET a.b = $1'],
    ['ALTER ROLE u SET a.b TO hunter2', 'ALTER ROLE u SET a.b TO $1'],
    ['ALTER TABLE t ALTER a SET DEFAULT b', 'ALTER TABLE t ALTER a SET DEFAULT b'],
    ['SET TRANSACTION READ ONLY', 'SET TRANSACTION READ ONLY'],
  ])('of what sets something: %s', (text, expected) => {
    expect(normalizedText(...lexed(text), true)).toBe(expected)
  })

  // A pattern that could read a part of these in two ways would not end.
  it.each([
    `SET ${'a'.repeat(1000)}`,
    `SET ${'"a"'.repeat(300)} b`,
    `SET a = ${'"a"'.repeat(300)}, ${'b,'.repeat(300)}`,
    `ALTER TABLE t SET ${'SCHEMA_'.repeat(100)} "x`,
    'set '.repeat(900),
  ])('of what only looks like it: soon', (text) => {
    expect(normalizedText(...lexed(text), true)).toMatch(/^(SET|ALTER|set)/)
  })
})

describe('statistics', () => {
  const plan = (tag: string): Plan =>
    ({ kind: 'transaction', verb: 'begin', chain: false, tag }) as unknown as Plan

  it('of one text add up, whatever the literals', () => {
    const stats = new StatementStats()
    const [a, b] = [plan('SELECT'), plan('SELECT')]
    stats.planned(a, ...lexed('SELECT 1'))
    stats.planned(b, ...lexed('SELECT 2'))
    const stat = stats.of(a)!
    expect(stats.of(b)).toBe(stat)
    stats.ran(stat, 0.3, 1, 1)
    stats.ran(stat, 20_000, 2, 3)
    expect(stat).toMatchObject({
      query: 'SELECT $1',
      calls: 2,
      minMs: 0.3,
      maxMs: 20_000,
      rows: 3,
      shards: 4,
    })
    expect([...stats.calls()]).toContainEqual([{ kind: 'SELECT', route: 'local' }, 2])
    const { counts, sum } = stats.durations().get('local')!
    expect([counts[1], counts[counts.length - 1], sum]).toEqual([1, 1, 20.0003])
  })

  it('of too many texts: what is called most stays, totals lose nothing', () => {
    const stats = new StatementStats()
    for (let i = 0; i < 6_000; i++) {
      const one = plan('SELECT')
      stats.planned(one, ...lexed(`SELECT a${i}`))
      for (let call = 0; call < (i === 0 ? 3 : 1); call++) stats.ran(stats.of(one)!, 1, 1, 1)
    }
    const kept = [...stats.all]
    expect(kept.length).toBeLessThanOrEqual(5_000)
    expect(kept.some(({ query }) => query === 'SELECT a0')).toBe(true)
    expect([...stats.calls()]).toContainEqual([{ kind: 'SELECT', route: 'local' }, 6_002])
  })
})
