import { useState } from 'preact/hooks'
import type { Statement } from '../../admin/api/schemas.ts'
import { count, duration } from '../model/format.ts'
import { type Column, DataTable } from '../parts/data-table.tsx'
import { Filter } from '../parts/filter.tsx'
import { PlanTree } from '../parts/plan-tree.tsx'
import { ErrorLine } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api } from '../state/session.ts'

const EVERY_MS = 4_000
const LIMIT = 1_000

const ROUTES: readonly (readonly [string, string])[] = [
  ['', 'all'],
  ['one', 'one shard'],
  ['some', 'shards of several keys'],
  ['all', 'all shards'],
  ['moves', 'rows move'],
  ['local', 'home shard, or none'],
]

/** What ran on all coordinators, by fingerprint, and how it is run. */
export function Statements() {
  const [filter, setFilter] = useState('')
  const [route, setRoute] = useState('')
  const [chosen, setChosen] = useState<Statement | undefined>()
  const statements = usePoll(
    (signal) => api.get('/api/statements', { query: { limit: LIMIT }, signal }),
    EVERY_MS,
  )
  const words = filter.toLowerCase()
  const rows = statements.data?.filter(
    (one) => (route === '' || one.route === route) && one.query.toLowerCase().includes(words),
  )
  const text: Column<Statement> = {
    label: 'Statement',
    show: (one) => (
      <button type="button" class="link mono query" onClick={() => setChosen(one)}>
        {one.query}
      </button>
    ),
    by: ({ query }) => query,
  }
  return (
    <>
      <ErrorLine error={statements.error} />
      {chosen !== undefined && (
        <Chosen key={keyOf(chosen)} statement={chosen} onClose={() => setChosen(undefined)} />
      )}
      <section class="panel">
        <div class="tools">
          <Filter label="Statements that have" value={filter} onChange={setFilter} />
          <label class="filter">
            <span>that ask</span>
            <select value={route} onChange={({ currentTarget }) => setRoute(currentTarget.value)}>
              {ROUTES.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        </div>
        <DataTable
          label="Statements"
          rows={rows}
          columns={[text, ...COLUMNS]}
          keyOf={keyOf}
          empty="Nothing that ran is like that. What runs is here two seconds later."
          sorted={{ column: 4, isDown: true }}
          classOf={(one) => (chosen !== undefined && keyOf(one) === keyOf(chosen) ? 'chosen' : '')}
        />
      </section>
    </>
  )
}

const keyOf = ({ query, kind, route }: Statement): string => `${route} ${kind} ${query}`

interface ChosenProps {
  readonly statement: Statement
  readonly onClose: () => void
}

function Chosen({ statement: { query, calls, total_ms, mean_ms, rows, shards }, onClose }: ChosenProps) {
  return (
    <section class="panel" aria-label="The chosen statement">
      <div class="head">
        <h3>
          {count(calls)} calls, {duration(total_ms)} in all, {duration(mean_ms)} each; {count(rows / calls)}{' '}
          rows and {count(shards / calls)} shards each
        </h3>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <pre>{query}</pre>
      <PlanTree text={query} />
    </section>
  )
}

const ROUTE_WORDS: Readonly<Record<string, string>> = Object.fromEntries(ROUTES.filter(([key]) => key !== ''))

const COLUMNS: readonly Column<Statement>[] = [
  { label: 'Kind', show: ({ kind }) => kind, by: ({ kind }) => kind },
  {
    label: 'Asks',
    show: ({ route }) => (
      <span class={route === 'all' || route === 'moves' ? 'tag heavy' : 'tag'}>
        {ROUTE_WORDS[route] ?? route}
      </span>
    ),
    by: ({ route }) => route,
  },
  { label: 'Calls', isNumber: true, show: ({ calls }) => count(calls), by: ({ calls }) => calls },
  {
    label: 'Time in all',
    isNumber: true,
    show: ({ total_ms }) => duration(total_ms),
    by: ({ total_ms }) => total_ms,
  },
  {
    label: 'Time each',
    isNumber: true,
    show: ({ mean_ms }) => duration(mean_ms),
    by: ({ mean_ms }) => mean_ms,
  },
  {
    label: 'Rows each',
    isNumber: true,
    show: ({ rows, calls }) => count(rows / calls),
    by: ({ rows, calls }) => rows / calls,
  },
  {
    label: 'Shards each',
    isNumber: true,
    show: ({ shards, calls }) => count(shards / calls),
    by: ({ shards, calls }) => shards / calls,
  },
]
