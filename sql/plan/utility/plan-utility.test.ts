import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadModule } from 'libpg-query'
import { beforeAll, describe, expect, test } from 'vitest'
import { PgError } from '../../../errors/pg-error.ts'
import { parseStatements } from '../../parse/parse.ts'
import type { Plan } from '../plan.ts'
import { printPlan } from './testdata/print-plan.ts'
import { planIn } from './testdata/shop.ts'

/**
 * Cases are SQL, `----`, and the plans printed; blocks end with an empty line, `#` begins a comment. With UPDATE=1 the
 * expectations are written anew: read the diff.
 */
const folder = join(import.meta.dirname, 'testdata')

interface Case {
  readonly comments: string
  readonly sql: string
  readonly expected: string
}

function readCases(text: string): Case[] {
  return text
    .split(/\n\n+/)
    .filter((block) => block.trim() !== '')
    .map((block) => {
      const lines = block.replace(/^\n+|\n+$/g, '').split('\n')
      const comments = lines.filter((line) => line.startsWith('#'))
      const rest = lines.filter((line) => !line.startsWith('#'))
      const at = rest.indexOf('----')
      const sql = rest.slice(0, at < 0 ? undefined : at).join('\n')
      return { comments: comments.join('\n'), sql, expected: at < 0 ? '' : rest.slice(at + 1).join('\n') }
    })
}

function answer(sql: string): string {
  try {
    const plans = parseStatements(sql).map((stmt) => planIn(stmt))
    plans.forEach(checkRewritten)
    return plans.map(printPlan).join('\n')
  } catch (error) {
    if (error instanceof PgError) return `syntax: ${error.message}`
    throw error
  }
}

/** A rewritten text must still be one statement. */
function checkRewritten(plan: Plan): void {
  if (plan.kind !== 'ddl') return
  for (const text of [plan.homeSql, plan.othersSql]) {
    if (text !== undefined) expect(parseStatements(text)).toHaveLength(1)
  }
}

beforeAll(() => loadModule())

test('plan utility: a kind of statement nobody knows: refused by name, not guessed', () => {
  const stmt = { kind: 'ReturnStmt', node: { ReturnStmt: {} }, text: '', start: 0, end: 0 } as const
  const plan = planIn(stmt)
  expect(plan.kind === 'refused' && plan.error.fields).toMatchObject({
    code: '0A000',
    message: 'RETURN is not supported',
    routine: 'unknown_statement',
  })
})

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  const path = join(folder, file)
  const cases = readCases(readFileSync(path, 'utf8'))
  describe(`plan utility: ${file}`, () => {
    if (process.env.UPDATE === '1') {
      test('rewritten', () => {
        const blocks = cases.map(({ comments, sql }) =>
          [comments, sql, ...(sql === '' ? [] : ['----', answer(sql)])]
            .filter((part) => part !== '')
            .join('\n'),
        )
        writeFileSync(path, `${blocks.join('\n\n')}\n`)
      })
      return
    }
    for (const { sql, expected } of cases.filter((c) => c.sql !== '')) {
      test(`${sql}`, () => expect(answer(sql)).toBe(expected))
    }
  })
}
