import type { DefElem, ExplainStmt } from '@pgsql/types'
import type { ExplainOption, Plan } from '../plan.ts'
import { quoteName, quoteText } from '../text-scan.ts'
import { planQuery } from './inner.ts'
import { defElems, optionFlag, optionText } from './options.ts'
import { common, NO_EFFECTS, refuse } from './plans.ts'
import type { Scope } from './scope.ts'
import { tokensOf } from './text.ts'

/** EXPLAIN goes where its statement would go; with ANALYZE it does what that does. */
export function planExplain(scope: Scope, stmt: ExplainStmt): Plan {
  // Of a cursor its query is explained.
  const { query } = stmt
  const isCursor = query !== undefined && 'DeclareCursorStmt' in query
  const inner = planQuery(scope, isCursor ? query.DeclareCursorStmt.query : query)
  if (inner.kind === 'refused') return inner
  if (inner.kind === 'materialize') {
    const what = 'EXPLAIN of CREATE MATERIALIZED VIEW over sharded tables is not supported'
    return refuse('EXPLAIN', 'materialized_view', what, 'EXPLAIN its query.')
  }
  if (inner.kind === 'prepared') {
    const { answer: _, ...executed } = inner
    return { ...executed, tag: 'EXPLAIN', returnsRows: true }
  }
  const list = defElems(stmt.options)
  const flag = (name: string): boolean | undefined => {
    const option = list.findLast(({ defname }) => defname === name)
    return option && (optionFlag(option) ?? true)
  }
  const analyze = flag('analyze') ?? false
  const options = list.map(optionOf)
  const format = options.findLast(({ name }) => name === 'format')?.value?.toLowerCase() ?? 'text'
  return {
    ...common('EXPLAIN', {
      access: analyze ? inner.access : 'read',
      effects: analyze ? inner.effects : NO_EFFECTS,
      reach: analyze ? inner.reach : undefined,
      returnsRows: true,
      paramCount: inner.paramCount,
      paramsToDescribe: inner.paramsToDescribe,
      // FORMAT 'json' is a literal.
      generic: inner.generic && (stmt.options?.length ?? 0) === 0,
      outsideTransaction: analyze && inner.outsideTransaction,
    }),
    kind: 'explain',
    inner,
    analyze,
    format,
    options,
    showsTimes: flag('timing') ?? true,
    showsSums: flag('summary') ?? analyze,
  }
}

function optionOf(option: DefElem): ExplainOption {
  const value = optionText(option)
  return { name: option.defname ?? '', ...(value === undefined ? {} : { value }) }
}

const OF_RUNNING: ReadonlySet<string> = new Set(['wal', 'timing', 'serialize'])

/** EXPLAIN with options, some of them others than were said, up to the statement. */
export function explainWords(
  options: readonly ExplainOption[],
  but: Readonly<Record<string, string>> = {},
): string {
  const isRun = but.analyze !== 'false'
  const said = options.filter(({ name }) => !(name in but) && (isRun || !OF_RUNNING.has(name)))
  const all = [...said, ...Object.entries(but).map(([name, value]) => ({ name, value }))]
  if (all.length === 0) return 'EXPLAIN'
  const text = ({ name, value }: ExplainOption): string =>
    value === undefined ? quoteName(name) : `${quoteName(name)} ${quoteText(value)}`
  return `EXPLAIN (${all.map(text).join(', ')})`
}

/** Where the statement begins that is explained. */
export function explainedAt(text: string): number {
  const tokens = tokensOf(text)
  let last = 0
  while (BARE_OPTIONS.has(tokens[last + 1]?.word ?? '')) last++
  // A query may stand in parentheses as options do; no option has the name of what begins one.
  const hasList = last === 0 && tokens[1]?.word === '(' && !BEGINS_QUERY.has(tokens[2]?.word ?? '')
  if (hasList) last = tokens.findIndex(({ word }) => word === ')')
  return tokens[last]?.end ?? 0
}
const BARE_OPTIONS: ReadonlySet<string> = new Set(['ANALYZE', 'ANALYSE', 'VERBOSE'])
const BEGINS_QUERY: ReadonlySet<string> = new Set(['(', 'SELECT', 'WITH', 'VALUES', 'TABLE'])
