import { expect, test } from 'vitest'
import { type Options, parseOptions } from '../options.ts'
import { type Line, tableOf } from './table.ts'

test('a table: columns in line, an empty reason takes no room', () => {
  const run = parseOptions([
    '--workload',
    'bank',
    '--nemesis',
    'kill',
    '--seed',
    '4',
    '--log',
    'postgres',
  ]) as Options
  const lines: Line[] = [
    { run, verdict: 'valid', isFound: false, ok: 12, of: 20, why: '' },
    {
      run: { ...run, mutant: 'no-probe', nemesis: [] },
      verdict: 'invalid',
      isFound: true,
      ok: 1,
      of: 2,
      why: 'G2',
    },
  ]
  const [head, first, second] = tableOf(lines).split('\n')
  expect(head?.indexOf('level')).toBe(first?.indexOf('serializable, log in Postgres'))
  expect(first).toMatch(/^valid {4}bank .* kill {4}4 {5}12 {2}20$/)
  expect(second).toMatch(/^invalid {2}bank \(no-probe\) .* – {7}4 {5}1 {3}2 {3}G2$/)
})
