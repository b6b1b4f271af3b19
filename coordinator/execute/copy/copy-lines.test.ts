import { describe, expect, test } from 'vitest'
import { PgError } from '../../../errors/pg-error.ts'
import { CopyLines, withClientLine } from './copy-lines.ts'

describe('copy lines', () => {
  test('lookup: rows of several lines: the line of the client where the row ends', () => {
    const lines = new CopyLines()
    lines.add(3, 1)
    lines.add(7, 2)
    expect([0, 1, 2, 3, 4].map((n) => lines.lookup(n))).toEqual([undefined, 3, 7, 7, undefined])
  })
  test('lookup: more rows than are kept: the last ones only', () => {
    const lines = new CopyLines()
    for (let i = 1; i <= 300_000; i++) lines.add(i * 3, 1)
    expect([lines.lookup(300_000), lines.lookup(299_000), lines.lookup(1)]).toEqual([
      900_000,
      897_000,
      undefined,
    ])
  })
  test('withClientLine: CONTEXT of a COPY: rewritten, anything else left alone', () => {
    const lines = new CopyLines()
    lines.add(42, 1)
    const error = (where: string) => new PgError({ code: '22P02', message: 'bad', where })
    const whereOf = (e: unknown) => (e as PgError).fields.where
    expect(whereOf(withClientLine(error('COPY t, line 1, column v: "line 1"'), lines))).toBe(
      'COPY t, line 42, column v: "line 1"',
    )
    expect(whereOf(withClientLine(error('PL/pgSQL function f() line 1'), lines))).toBe(
      'PL/pgSQL function f() line 1',
    )
    expect(withClientLine('other', lines)).toBe('other')
  })
})
