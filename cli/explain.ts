import { readFileSync } from 'node:fs'
import { text as readAll } from 'node:stream/consumers'
import { type Command, InvalidArgumentError } from 'commander'
import type { ExplainedFile } from '../admin/api/schemas.ts'
import { SetupError } from '../errors/setup-error.ts'
import { type ApiFlags, ask, asking, print } from './api.ts'
import { table } from './print.ts'

interface ExplainFlags extends ApiFlags {
  readonly searchPath: readonly string[]
  readonly failOn: readonly Failing[]
}

const FAILING = {
  scatter: ['some', 'all'],
  moves: ['moves'],
  refused: ['refused'],
} as const
type Failing = keyof typeof FAILING
type Reach = ExplainedFile['statements'][number]['reach']

const SAID: Readonly<Record<Reach, string>> = {
  local: 'local',
  one: 'one shard',
  some: 'some shards',
  all: 'all shards',
  moves: 'moves rows',
  refused: 'refused',
}

export function explainCommand(): Command {
  return asking(
    'explain',
    'how each statement of a file would be run: on one shard, on all, or not at all; runs none',
  )
    .argument('<file>', 'of SQL statements; - is standard input')
    .option('--search-path <schemas>', 'as sessions have it, with commas', list, ['public'])
    .option(
      '--fail-on <kinds>',
      'exit with 1 where there are such: scatter, moves, refused, with commas',
      failing,
      [],
    )
    .action(explain)
}

const list = (text: string): string[] => text.split(',').map((one) => one.trim())

function failing(text: string): Failing[] {
  return list(text).map((one) => {
    if (one in FAILING) return one as Failing
    throw new InvalidArgumentError(`It is some of ${Object.keys(FAILING).join(', ')}.`)
  })
}

async function explain(file: string, { searchPath, failOn, ...flags }: ExplainFlags): Promise<void> {
  const body = { text: await contentOf(file), search_path: searchPath }
  const answer = await ask<ExplainedFile>(flags, '/api/explain', body)
  print(flags, answer, tell)
  const reaches: readonly Reach[] = failOn.flatMap((one) => FAILING[one])
  if (answer.statements.some(({ reach }) => reaches.includes(reach))) process.exitCode = 1
}

/** Of a file, or of standard input. */
export async function contentOf(file: string): Promise<string> {
  if (file === '-') return readAll(process.stdin)
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new SetupError(`${file} cannot be read: ${(cause as Error).message}`, '', { cause })
  }
}

function tell({ statements, totals }: ExplainedFile): string {
  if (statements.length === 0) return 'no statements'
  const rows = statements.map(({ line, statement, reach, why, id }) => ({
    line,
    where: SAID[reach],
    statement: cut(statement),
    why: id === undefined ? why : `${id}: ${why}`,
  }))
  const sums = Object.entries(SAID).flatMap(([reach, said]) => {
    const count = totals[reach as Reach]
    return count === 0 ? [] : [`${count} ${said}`]
  })
  return `${table(rows)}\n\n${statements.length} statements: ${sums.join(', ')}`
}

const STATEMENT_MAX = 48
function cut(statement: string): string {
  const flat = statement.replaceAll(/\s+/g, ' ')
  return flat.length > STATEMENT_MAX ? `${flat.slice(0, STATEMENT_MAX - 1)}…` : flat
}
