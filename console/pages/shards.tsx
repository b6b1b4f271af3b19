import { useState } from 'preact/hooks'
import type { Shard } from '../../admin/api/schemas.ts'
import { bytes, count, percent } from '../model/format.ts'
import { type Column, DataTable } from '../parts/data-table.tsx'
import { SlotMap } from '../parts/slot-map.tsx'
import { ErrorLine, State } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api } from '../state/session.ts'

const EVERY_MS = 5_000
const MOVES_EVERY_MS = 2_000

/** Who owns which slots, how much is in them, and what is being moved. */
export function Shards() {
  const [chosen, setChosen] = useState<number | undefined>()
  const shards = usePoll((signal) => api.get('/api/shards', { signal }), EVERY_MS)
  return (
    <>
      <ErrorLine error={shards.error} />
      <section class="panel">
        <h3>Slots: all 4096, from left to right and down</h3>
        {shards.data && <SlotMap shards={shards.data} chosen={chosen} onChoose={setChosen} />}
      </section>
      <section class="panel">
        <h3>Shards</h3>
        <DataTable
          label="Shards"
          rows={shards.data}
          columns={COLUMNS}
          keyOf={({ shard }) => shard}
          empty="There are none."
          classOf={({ shard }) => (shard === chosen ? 'chosen' : '')}
        />
      </section>
      <Moves />
    </>
  )
}

function Moves() {
  const moves = usePoll((signal) => api.get('/api/moves', { signal }), MOVES_EVERY_MS)
  return (
    <section class="panel">
      <h3>Moves under way</h3>
      <ErrorLine error={moves.error} />
      {moves.data?.length === 0 && <p class="empty">No table’s rows are being moved.</p>}
      {moves.data?.map(({ table, rows_moved, rows }) => (
        <p key={table} class="move">
          <code>{table}</code>
          <progress {...(rows === null ? {} : { value: Math.min(rows_moved, rows), max: rows })} />
          <span>
            {count(rows_moved)} of {rows === null ? 'an unknown number of' : `about ${count(rows)}`} rows
          </span>
        </p>
      ))}
    </section>
  )
}

const COLUMNS: readonly Column<Shard>[] = [
  { label: 'Shard', show: ({ shard }) => shard, by: ({ shard }) => shard },
  {
    label: 'State',
    show: ({ up, error }) =>
      up ? (
        <State kind="good">up</State>
      ) : (
        <State kind="bad">{error === undefined ? 'down' : `down: ${error}`}</State>
      ),
    by: ({ up }) => Number(up),
  },
  { label: 'Slots', isNumber: true, show: ({ slots }) => count(slots), by: ({ slots }) => slots },
  { label: 'Share', isNumber: true, show: ({ slot_share: s }) => percent(s), by: ({ slot_share: s }) => s },
  {
    label: 'Size',
    isNumber: true,
    show: ({ bytes: size }) => (size === null ? 'not known' : bytes(size)),
    by: ({ bytes: size }) => size,
  },
  {
    label: 'Skew (1: as its slots)',
    isNumber: true,
    show: ({ skew }) => (skew === null ? '–' : skew.toFixed(2)),
    by: ({ skew }) => skew,
  },
  {
    label: 'Connections in use',
    isNumber: true,
    show: ({ busy, pool_size }) => `${count(busy)} of ${count(pool_size)}`,
    by: ({ busy }) => busy,
  },
  {
    label: 'Prepared',
    isNumber: true,
    show: ({ prepared }) => count(prepared),
    by: ({ prepared }) => prepared,
  },
  { label: 'Ranges of slots', show: ({ slot_ranges }) => slot_ranges },
]
