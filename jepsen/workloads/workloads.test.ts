import { expect, test } from 'vitest'
import { checkOf } from '../run/checks.ts'
import { Random } from '../run/random.ts'
import { KeyPool } from './keys.ts'
import type { Workload } from './workload.ts'
import { workloadNamed, workloadNames } from './workloads.ts'

const make = (name: string): Workload =>
  workloadNamed(name)({ isolation: 'serializable', isWeft: true, rows: false, seed: 1, shardUrls: [] })

const tasks = (name: string, seed: number): string => {
  const workload = make(name)
  const random = new Random(seed)
  return JSON.stringify(Array.from({ length: 50 }, () => workload.next({ random, client: 0, process: 0 })))
}

test.each(workloadNames)('%s: has a checker, and asks the same for the same seed', (name) => {
  expect(checkOf(name)).toBeTypeOf('function')
  expect(make(name).tables.length).toBeGreaterThan(0)
  expect(tasks(name, 7)).toBe(tasks(name, 7))
})

test('a key that has had its writes makes room for a new one, and no value comes twice', () => {
  const keys = new KeyPool(2, 3)
  const random = new Random(1)
  const given = new Set<string>()
  for (let i = 0; i < 100; i++) {
    const key = keys.pick(random)
    given.add(`${key} ${keys.valueFor(key)}`)
  }
  expect(given.size).toBe(100)
  expect(keys.all.length).toBeGreaterThan(30)
})
