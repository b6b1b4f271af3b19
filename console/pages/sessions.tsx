import { useState } from 'preact/hooks'
import type { Session, TransactionInfo } from '../../admin/api/schemas.ts'
import { duration } from '../model/format.ts'
import { Confirm } from '../parts/confirm.tsx'
import { type Column, DataTable } from '../parts/data-table.tsx'
import { Filter } from '../parts/filter.tsx'
import { WaitsGraph } from '../parts/waits-graph.tsx'
import { ErrorLine, State } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api, isAdmin } from '../state/session.ts'

const EVERY_MS = 2_000

type Action =
  | { readonly kind: 'cancel' | 'kill'; readonly session: Session }
  | { readonly kind: 'resolve'; readonly transaction: TransactionInfo }

/** Who is connected to any coordinator, who waits for whom, and what is in doubt. */
export function Sessions() {
  const [filter, setFilter] = useState('')
  const [action, setAction] = useState<Action | undefined>()
  const [result, setResult] = useState<string | undefined>()
  const live = usePoll(async (signal) => {
    const [sessions, waits] = await Promise.all([
      api.get('/api/sessions', { signal }),
      api.get('/api/waits', { signal }),
    ])
    return { sessions, waits }
  }, EVERY_MS)
  const doubt = usePoll((signal) => api.get('/api/transactions', { signal }), EVERY_MS)
  const words = filter.toLowerCase()
  const rows = live.data?.sessions.filter((one) =>
    [one.pid, one.user, one.application, one.state, one.query].join(' ').toLowerCase().includes(words),
  )
  const done = (told?: string): void => {
    setAction(undefined)
    if (told === undefined) return
    setResult(told)
    live.refresh()
    doubt.refresh()
  }
  return (
    <>
      <ErrorLine error={live.error ?? doubt.error} />
      <p class="result" role="status">
        {result}
      </p>
      <section class="panel">
        <h3>Who waits for whom</h3>
        {live.data && <WaitsGraph {...live.data} />}
      </section>
      <section class="panel">
        <h3>In doubt</h3>
        <DataTable
          label="Transactions that are prepared"
          rows={doubt.data}
          columns={doubtColumns(setAction)}
          keyOf={({ transaction }) => transaction}
          empty="Nothing is prepared."
        />
      </section>
      <section class="panel">
        <h3>Sessions</h3>
        <Filter label="Sessions that have" value={filter} onChange={setFilter} />
        <DataTable
          label="Sessions"
          rows={rows}
          columns={sessionColumns(setAction)}
          keyOf={({ pid }) => pid}
          empty={filter === '' ? 'Nobody is connected.' : 'None has that.'}
        />
      </section>
      {action !== undefined && <Asked action={action} onClose={done} />}
    </>
  )
}

function Asked({ action, onClose }: { action: Action; onClose: (told?: string) => void }) {
  if (action.kind === 'resolve') {
    const { transaction, log, prepared_on } = action.transaction
    const values = { transaction }
    const run = async (): Promise<string> => {
      const found = await api.post('/api/transactions/{transaction}/resolve', {}, { values })
      const left =
        found.prepared_on.length === 0 ? '' : `; shards ${found.prepared_on.join(', ')} have still to do it`
      return `${transaction}: ${found.log}${left}`
    }
    return (
      <Confirm title={`Resolve ${transaction}`} action="Resolve" run={run} onClose={onClose}>
        <p>
          It is prepared on shards {prepared_on.join(', ')}, and the log says: {log}. What the log says holds.
          Where it says nothing an abort is written, unless its coordinator decides first: one that is just
          committing it may so be rolled back.
        </p>
      </Confirm>
    )
  }
  const { kind, session } = action
  const run = async (): Promise<string> => {
    const path = kind === 'cancel' ? '/api/sessions/{pid}/cancel' : '/api/sessions/{pid}/kill'
    return (await api.post(path, {}, { values: { pid: session.pid } })).what
  }
  const title = kind === 'cancel' ? `Cancel the statement of ${session.pid}` : `End session ${session.pid}`
  return (
    <Confirm
      title={title}
      action={kind === 'cancel' ? 'Cancel statement' : 'End session'}
      run={run}
      onClose={onClose}
    >
      <p>
        {kind === 'cancel'
          ? 'The statement fails with 57014, its transaction with it; the session stays.'
          : 'The client loses its connection, and its open transaction is rolled back.'}
      </p>
      <pre>{session.query}</pre>
    </Confirm>
  )
}

const sinceOf = (at: string | null): number | null =>
  at === null ? null : Math.max(0, Date.now() - Date.parse(at))
const age = (at: string | null): string => {
  const ms = sinceOf(at)
  return ms === null ? '–' : duration(ms)
}

function sessionColumns(ask: (action: Action) => void): readonly Column<Session>[] {
  const columns: Column<Session>[] = [
    { label: 'Session', isNumber: true, show: ({ pid }) => pid, by: ({ pid }) => pid },
    { label: 'Role', show: ({ user }) => user ?? '–', by: ({ user }) => user },
    {
      label: 'Application',
      show: ({ application }) => application || '–',
      by: ({ application }) => application,
    },
    {
      label: 'State',
      show: ({ state, waits_for }) => (
        <State kind={state === 'active' ? (waits_for === 'Lock' ? 'warn' : 'good') : 'quiet'}>
          {state ?? '–'}
          {waits_for === 'Lock' ? ', waits for a lock' : ''}
        </State>
      ),
      by: ({ state }) => state,
    },
    { label: 'For', isNumber: true, show: ({ since }) => age(since), by: ({ since }) => sinceOf(since) },
    {
      label: 'In a transaction for',
      isNumber: true,
      show: ({ transaction_since: at }) => age(at),
      by: ({ transaction_since: at }) => sinceOf(at),
    },
    { label: 'Statement', show: ({ query }) => <span class="mono query">{query}</span> },
  ]
  if (!isAdmin()) return columns
  return [
    ...columns,
    {
      label: 'Do',
      show: (session) => (
        <span class="actions">
          <button
            type="button"
            disabled={session.state !== 'active'}
            aria-label={`Cancel the statement of ${session.pid}`}
            onClick={() => ask({ kind: 'cancel', session })}
          >
            Cancel
          </button>
          <button
            type="button"
            aria-label={`End session ${session.pid}`}
            onClick={() => ask({ kind: 'kill', session })}
          >
            End
          </button>
        </span>
      ),
    },
  ]
}

function doubtColumns(ask: (action: Action) => void): readonly Column<TransactionInfo>[] {
  const columns: Column<TransactionInfo>[] = [
    { label: 'Transaction', show: ({ transaction }) => <code>{transaction}</code> },
    {
      label: 'Log says',
      show: ({ log }) => <State kind={log === 'unreadable' ? 'bad' : 'quiet'}>{log}</State>,
      by: ({ log }) => log,
    },
    { label: 'Prepared on shards', show: ({ prepared_on }) => prepared_on.join(', ') },
    {
      label: 'For',
      isNumber: true,
      show: ({ age_seconds }) => duration(age_seconds * 1_000),
      by: ({ age_seconds }) => age_seconds,
    },
    { label: 'Role', show: ({ owner }) => owner, by: ({ owner }) => owner },
  ]
  if (!isAdmin()) return columns
  return [
    ...columns,
    {
      label: 'Do',
      show: (transaction) => (
        <button
          type="button"
          aria-label={`Resolve ${transaction.transaction}`}
          onClick={() => ask({ kind: 'resolve', transaction })}
        >
          Resolve
        </button>
      ),
    },
  ]
}
