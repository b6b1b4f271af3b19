import type { LogRecord } from '../../admin/api/schemas.ts'
import { type Column, DataTable } from '../parts/data-table.tsx'
import { ErrorLine, State } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api } from '../state/session.ts'

const EVERY_MS = 2_000
const LIMIT = 500

/** What is in the transaction log now. */
export function Log() {
  const log = usePoll((signal) => api.get('/api/log', { query: { limit: LIMIT }, signal }), EVERY_MS)
  return (
    <>
      <ErrorLine error={log.error} />
      <p class="note">
        A record is a decision. It goes when all shards have carried it out, so on a quiet cluster there are
        none; an abort stays until nobody can contradict it any more. What became of one that is gone:{' '}
        <code>SELECT weft.outcome('…')</code>.
      </p>
      <section class="panel">
        <DataTable
          label="Records of the transaction log"
          rows={log.data}
          columns={COLUMNS}
          keyOf={({ transaction }) => transaction}
          empty="Nothing is decided that is not carried out."
        />
      </section>
    </>
  )
}

const COLUMNS: readonly Column<LogRecord>[] = [
  {
    label: 'Transaction',
    show: ({ transaction }) => <code>{transaction}</code>,
    by: ({ transaction }) => transaction,
  },
  {
    label: 'Decision',
    show: ({ decision }) => <State kind={decision === 'commit' ? 'good' : 'quiet'}>{decision}</State>,
    by: ({ decision }) => decision,
  },
  {
    label: 'Commit timestamp',
    show: ({ at }) => (at === null ? '–' : new Date(at).toLocaleString()),
    by: ({ at }) => at,
  },
  {
    label: 'Prepared on shards',
    show: ({ participants }) => (participants.length === 0 ? 'written by recovery' : participants.join(', ')),
  },
]
