import { useState } from 'preact/hooks'
import type { AuditLine } from '../../admin/api/schemas.ts'
import { type Column, DataTable } from '../parts/data-table.tsx'
import { Filter } from '../parts/filter.tsx'
import { ErrorLine, State } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api } from '../state/session.ts'

const EVERY_MS = 5_000
const LIMIT = 500

/** The last changes made through the API: who, from where, what, and what came of it. */
export function Audit() {
  const [filter, setFilter] = useState('')
  const audit = usePoll((signal) => api.get('/api/audit', { query: { limit: LIMIT }, signal }), EVERY_MS)
  const words = filter.toLowerCase()
  const rows = audit.data
    ?.map((line, i) => ({ ...line, i }))
    .filter((line) => Object.values(line).join(' ').toLowerCase().includes(words))
  return (
    <>
      <ErrorLine error={audit.error} />
      <section class="panel">
        <Filter label="Changes that have" value={filter} onChange={setFilter} />
        <DataTable
          label="Changes"
          rows={rows}
          columns={COLUMNS}
          keyOf={({ i }) => i}
          empty={filter === '' ? 'Nothing has been changed through the API.' : 'None has that.'}
        />
      </section>
    </>
  )
}

const COLUMNS: readonly Column<AuditLine>[] = [
  { label: 'When', show: ({ at }) => at.replace(/\.\d+/, ''), by: ({ at }) => at },
  { label: 'Who', show: ({ actor }) => actor, by: ({ actor }) => actor },
  { label: 'From', show: ({ address }) => address, by: ({ address }) => address },
  { label: 'Did', show: ({ action }) => action, by: ({ action }) => action },
  { label: 'To', show: ({ target }) => <code>{target}</code>, by: ({ target }) => target },
  {
    label: 'Result',
    show: ({ result }) => <State kind={result === 'ok' ? 'good' : 'bad'}>{result}</State>,
    by: ({ result }) => result,
  },
]
