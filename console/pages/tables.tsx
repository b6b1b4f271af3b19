import { useState } from 'preact/hooks'
import type { Table } from '../../admin/api/schemas.ts'
import { bytes, count, percent } from '../model/format.ts'
import { type Column, DataTable } from '../parts/data-table.tsx'
import { Filter } from '../parts/filter.tsx'
import { ErrorLine } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api } from '../state/session.ts'

const EVERY_MS = 10_000

/** How tables are kept, and how much of them is where. */
export function Tables() {
  const [filter, setFilter] = useState('')
  const [chosen, setChosen] = useState<string | undefined>()
  const tables = usePoll((signal) => api.get('/api/tables', { signal }), EVERY_MS)
  const rows = tables.data?.filter((one) => nameOf(one).includes(filter))
  const name: Column<Table> = {
    label: 'Table',
    show: (one) => (
      <button type="button" class="link" onClick={() => setChosen(nameOf(one))}>
        {nameOf(one)}
      </button>
    ),
    by: nameOf,
  }
  return (
    <>
      <ErrorLine error={tables.error} />
      <section class="panel">
        <Filter label="Tables whose name has" value={filter} onChange={setFilter} />
        <DataTable
          label="Tables"
          rows={rows}
          columns={[name, ...COLUMNS]}
          keyOf={nameOf}
          empty={filter === '' ? 'There are no tables yet.' : 'None has that in its name.'}
          classOf={(one) => (nameOf(one) === chosen ? 'chosen' : '')}
        />
      </section>
      {chosen !== undefined && <Parts key={chosen} table={chosen} />}
    </>
  )
}

const nameOf = ({ schema, table }: Table): string => `${schema}.${table}`

function Parts({ table }: { table: string }) {
  const found = usePoll((signal) => api.get('/api/tables/{table}', { values: { table }, signal }), EVERY_MS)
  const total = found.data?.parts.reduce((sum, part) => sum + part.bytes, 0) ?? 0
  return (
    <section class="panel">
      <h3>{table} on each shard</h3>
      <ErrorLine error={found.error} />
      <DataTable
        label={`${table} on each shard`}
        rows={found.data?.parts}
        keyOf={({ shard }) => shard}
        empty="No shard that has a part of it answers."
        columns={[
          { label: 'Shard', show: ({ shard }) => shard, by: ({ shard }) => shard },
          {
            label: 'Rows, at the last ANALYZE',
            isNumber: true,
            show: ({ rows }) => count(rows),
            by: ({ rows }) => rows,
          },
          { label: 'Size', isNumber: true, show: (part) => bytes(part.bytes), by: (part) => part.bytes },
          {
            label: 'Share of the size',
            isNumber: true,
            show: (part) => (total === 0 ? '–' : percent(part.bytes / total)),
            by: (part) => part.bytes,
          },
        ]}
      />
    </section>
  )
}

const COLUMNS: readonly Column<Table>[] = [
  { label: 'Kept', show: ({ kind }) => KINDS[kind], by: ({ kind }) => kind },
  {
    label: 'Shard key',
    show: ({ shard_key }) => (shard_key === null ? '–' : <code>{shard_key}</code>),
    by: ({ shard_key }) => shard_key,
  },
  {
    label: 'Group',
    isNumber: true,
    show: ({ colocation }) => colocation ?? '–',
    by: ({ colocation }) => colocation,
  },
  {
    label: 'Size',
    isNumber: true,
    show: ({ bytes: size }) => (size === null ? 'not known' : bytes(size)),
    by: ({ bytes: size }) => size,
  },
]

const KINDS = {
  sharded: 'sharded',
  reference: 'reference: a copy on each shard',
  local: 'local: on the home shard',
} as const
