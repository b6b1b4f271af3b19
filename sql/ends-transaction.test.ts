import { describe, expect, it } from 'vitest'
import { endsOfProcedures, mayEndTransaction, type Procedures } from './ends-transaction.ts'

const procedures: Procedures = new Map([
  ['pay', true],
  ['note', false],
  ['Odd name', true],
])
const may = (body: string, language = 'plpgsql') => mayEndTransaction(language, body, procedures)

describe('code that may end a transaction', () => {
  it.each([
    'BEGIN COMMIT; END',
    'BEGIN rollback; END',
    'BEGIN -- until the Commit\nEND',
    "BEGIN DO 'BEGIN COM'\n'MIT; END'; END",
    "BEGIN DO E'BEGIN COM\\x4dIT; END'; END",
    'BEGIN DO LANGUAGE plperl $x$ spi_commit() $x$; END',
    'BEGIN DO /* now */ $x$ BEGIN END $x$; END',
    'BEGIN CALL pay(1); END',
    'BEGIN CALL public."Odd name"(); END',
    'BEGIN CALL note(1); CALL unheard_of(); END',
    'BEGIN CALL /* the one */ note(1); END',
    'BEGIN CALL U&"p\\0061y"(); END',
  ])('may: %s', (body) => {
    expect(may(body)).toBe(true)
  })

  it.each([
    "BEGIN INSERT INTO t VALUES ('a'); END",
    'BEGIN CALL note(1); call public . Note (2); IF true THEN CALL "public"."note"(3); END IF; END',
    'DECLARE paid int; BEGIN paid := 1; END',
    '-- what to do with committed rows\nBEGIN END',
    'BEGIN INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING; INSERT INTO t VALUES (2) ON CONFLICT (a) DO UPDATE SET a = 1; END',
  ])('may not: %s', (body) => {
    expect(may(body)).toBe(false)
  })

  it('in SQL never, in a language that is not known perhaps', () => {
    expect(may('CALL pay(1)', 'sql')).toBe(false)
    expect(may('pass', 'plpython3u')).toBe(true)
  })

  it('a procedure may that calls one that may, in whatever order they come', () => {
    const body = (name: string) => `BEGIN CALL ${name}(); END`
    const all = endsOfProcedures([
      { name: 'a', language: 'plpgsql', body: body('b') },
      { name: 'b', language: 'plpgsql', body: body('c') },
      { name: 'c', language: 'plpgsql', body: 'BEGIN COMMIT; END' },
      { name: 'd', language: 'plpgsql', body: body('e') },
      { name: 'e', language: 'sql', body: 'CALL c()' },
      { name: 'f', language: 'c', body: '' },
      { name: 'g', language: 'sql', body: 'SELECT 1' },
      { name: 'g', language: 'plpgsql', body: 'BEGIN ROLLBACK; END' },
    ])
    expect(Object.fromEntries(all)).toEqual({
      a: true,
      b: true,
      c: true,
      d: false,
      e: false,
      f: true,
      g: true,
    })
  })
})
