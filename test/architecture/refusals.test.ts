import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Refusals } from '../../errors/refusals/refusal.ts'
import { isRefusalId, type RefusalId, refusalsBySubject } from '../../errors/refusals/refusals.ts'
import { type ScriptStatement, TwinScript } from '../helpers/twin-script.ts'

/**
 * docs/sql.md's list of what is refused is made here, of errors/refusals and of the statements that twin scripts mark as
 * refused. REWRITE=1 writes it; without, it must be what is there. In the scripts themselves REWRITE=1 writes the marks.
 */
const DOCS = 'docs/sql.md'
const BEGIN = '<!-- made by REWRITE=1 npx vitest run test/architecture/refusals.test.ts -->\n'
const END = '<!-- end -->'
const SCRIPTS = 'test/integration/testdata/sql'

/** Refusals that take more than a statement of one session: the test that shows each, and names it. */
const ELSEWHERE: Partial<Record<RefusalId, string>> = {
  unknown_statement: 'sql/plan/utility/plan-utility.test.ts',
  nested_views: 'sql/tree/nested-views.test.ts',
  plain_backslash: 'coordinator/execute/shards/plain-backslashes.test.ts',
  notify_in_code: 'test/protocol/notifications.test.ts',
  currval_elsewhere: 'test/protocol/session-sequences.test.ts',
  client_encoding: 'test/protocol/client-encoding.test.ts',
  function_call: 'test/protocol/extended-query.test.ts',
  temporary_prepared: 'test/integration/sql-schema-changes.test.ts',
}

const statements = readdirSync(SCRIPTS)
  .map((file) => new TwinScript(file.replace('.sql', '')))
  .flatMap(({ name, sections }) =>
    sections.flatMap((section) => section.statements.map((statement) => ({ name, statement }))),
  )
  .filter(({ statement }) => statement.refused !== undefined)

const ids = Object.values(refusalsBySubject).flatMap((group: Refusals) => Object.keys(group))

test('refusals: every one has a subject of its own', () => {
  expect([...new Set(ids)]).toEqual(ids)
})

test('refusals: those that statements are marked with are in the list', () => {
  const unknown = statements.filter(({ statement }) => !isRefusalId(statement.refused ?? ''))
  expect(
    unknown.map(({ name, statement }) => `${name}.sql:${statement.line + 1} ${statement.refused}`),
  ).toEqual([])
})

test('refusals: each is shown by a statement, or by a test that names it', () => {
  const missing = ids.filter(
    (id) => examplesOf(id).length === 0 && !isNamedIn(id, ELSEWHERE[id as RefusalId]),
  )
  expect(missing).toEqual([])
  expect(Object.keys(ELSEWHERE).filter((id) => examplesOf(id).length > 0)).toEqual([])
})

test('refusals: docs/sql.md has this list', () => {
  const text = readFileSync(DOCS, 'utf8')
  const start = text.indexOf(BEGIN) + BEGIN.length
  const end = text.indexOf(END, start)
  const made = tables()
  if (process.env.REWRITE === '1') writeFileSync(DOCS, text.slice(0, start) + made + text.slice(end))
  else expect(text.slice(start, end)).toBe(made)
})

function isNamedIn(id: string, path: string | undefined): boolean {
  return path !== undefined && existsSync(path) && readFileSync(path, 'utf8').includes(id)
}

const examplesOf = (id: string): ScriptStatement[] =>
  statements.map(({ statement }) => statement).filter(({ refused }) => refused === id)

function tables(): string {
  const head =
    '| id | what | why | what to do | for example | tested |\n| --- | --- | --- | --- | --- | --- |\n'
  return Object.entries(refusalsBySubject)
    .map(([subject, group]) => `\n### ${subject}\n\n${head}${rowsOf(group)}`)
    .join('')
}

function rowsOf(group: Refusals): string {
  return Object.entries(group)
    .map(([id, { what, why, instead }]) => {
      const examples = examplesOf(id)
      const tested =
        examples.length > 0 ? String(examples.length) : `[test](../${ELSEWHERE[id as RefusalId]})`
      return `| ${[`\`${id}\``, what, why, instead, exampleOf(examples), tested].map(escaped).join(' | ')} |\n`
    })
    .join('')
}

const escaped = (cell: string): string => cell.replaceAll('|', '\\|')

/** The shortest, in one line. */
function exampleOf(examples: readonly ScriptStatement[]): string {
  const [first] = examples
    .map(({ sql }) => sql.replace(/\s+/g, ' ').trim())
    .sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
  return first === undefined ? '' : `\`${first}\``
}
