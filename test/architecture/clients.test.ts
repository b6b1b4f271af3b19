/** docs/clients.md says of clients what came out when they were run (`npm run test:clients -- --write`). */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { clients } from '../clients/clients.ts'
import { marked, type Results, withTable } from '../clients/table.ts'
import { root } from './sources.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const results = JSON.parse(read('test/clients/results.json')) as Results

test('clients: the table is what came out', () => {
  const page = read('docs/clients.md')
  expect(withTable(page, results)).toBe(page)
})

test('clients: each has been run, and differs only where a reason is known', () => {
  expect(clients.filter(({ name }) => results[name] === undefined).map(({ name }) => name)).toEqual([])
  const unexpected = Object.entries(results).flatMap(([name, result]) =>
    marked({ name, ...result }).flatMap((each) =>
      each.unexpected ? [`${name} ${each.step}: ${each.why}`] : [],
    ),
  )
  expect(unexpected).toEqual([])
})

test('clients: each has its program, and each program its client', () => {
  const programs = readdirSync(join(root, 'test/clients/programs'))
  const shared = /^(steps\.(js|py|rb)|dbapi\.py|.+\.sql|schema\.prisma)$/
  const own = programs.filter((name) => !shared.test(name) && !name.startsWith('__'))
  expect(own.sort()).toEqual(clients.map(({ program }) => program).sort())
})
