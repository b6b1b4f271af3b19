import { expect, test } from 'vitest'
import { pairUp } from './data.ts'
import { lines } from './lines.ts'

test('pairs: three servers: each pair on two of them, all three alike, no account twice', () => {
  const held = [0, 1, 2].map((server) => Array.from({ length: 40 }, (_, i) => 3 * i + server))
  const pairs = pairUp(held, 60)
  const serversOf = pairs.map((pair) => pair.map((account) => account % 3))
  expect(serversOf.every(([a, b]) => a !== b)).toBe(true)
  expect(new Set(pairs.flat()).size).toBe(120)
  expect(new Set(serversOf.map(String)).size).toBe(3)
})

test('pairs: a server without rows: an error, not a pair on one server', () => {
  expect(() => pairUp([[1, 2, 3], [], [4, 5, 6]], 2)).toThrow('server 1 holds too few rows')
})

test('transfer: the script: every pair is one leaf of the tree', () => {
  const pairs = Array.from({ length: 100 }, (_, i) => [2 * i + 1, 2 * i + 2] as const)
  const text = lines.find(({ name }) => name === 'transfer')!.script({ accounts: 200, branches: 1, pairs })
  for (const [a, b] of pairs) expect(text.split(String(a * 1_000_000_000 + b))).toHaveLength(2)
  expect(text).toContain('random(0, 99)')
})
