import { expect, test } from 'vitest'
import { type Step, steps } from './clients.ts'
import type { Result, Verdict } from './run.ts'
import { marked, report, table, withTable } from './table.ts'

const result = (different: Partial<Record<Step, Verdict>>): Result => ({
  name: 'psql',
  version: '15.1',
  steps: {
    ...(Object.fromEntries(steps.map((step) => [step, { verdict: 'same' }])) as Record<Step, Verdict>),
    ...different,
  },
})

test('table: what a client has not, and what differs, is told below', () => {
  const stream = { verdict: 'none', why: 'it has none' } as const
  const { name: _, ...psql } = result({ stream, tls: { verdict: 'differs', why: 'error 08006' } })
  expect(table({ psql }).split('\n').slice(2)).toEqual([
    '| psql | 15.1 | yes | no | yes | yes | yes | yes | yes | yes | – | yes |',
    '',
    '- psql, tls: error 08006',
    '- psql, stream: it has none',
  ])
})

test('report: a difference for which no reason is known is a failure', () => {
  const bad = result({ crud: { verdict: 'differs', why: 'ok 1, not 2' } })
  expect(report(bad, 1500)).toEqual([
    'psql             15.1       9 of 10 as plain, 1.5 s',
    '  FAILED crud: ok 1, not 2',
  ])
  expect(marked(bad).filter(({ unexpected }) => unexpected)).toHaveLength(1)
})

test('page: the table stands between its marks, and what is around stays', () => {
  const begin = '<!-- the table: npm run test:clients -- --write -->'
  const page = `before\n${begin}\nold\n<!-- end of the table -->\nafter`
  const made = withTable(page, {})
  expect(made).toMatch(/^before\n<!-- the table.*\| client \|.*<!-- end of the table -->\nafter$/s)
  expect(withTable(made, {})).toBe(made)
  expect(() => withTable('no marks', {})).toThrow('no place for the table')
})
