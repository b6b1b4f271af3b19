import { useRef } from 'preact/hooks'
import type { History, Sample } from '../../admin/api/schemas.ts'
import type { NodeShard, NodeStatus } from '../api/routes.ts'
import { bytes, count, duration, perSecond } from '../model/format.ts'
import { joined, type Lines, levels, quantiles, rates } from '../model/rates.ts'
import { Chart } from '../parts/chart.tsx'
import { type Column, DataTable } from '../parts/data-table.tsx'
import { ErrorLine, Field, State } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api, whoami } from '../state/session.ts'

const EVERY_MS = 2_000
const SAMPLES_MAX = 300

/** The last minutes of this node, and how it and its shards are. */
export function Overview() {
  const known = useRef<readonly Sample[]>([])
  const history = usePoll<History>(async (signal) => {
    const query = { since: known.current.at(-1)?.at }
    const answer = await api.get('/api/history', { query, signal })
    known.current = joined(known.current, answer.samples, SAMPLES_MAX)
    return { ...answer, samples: [...known.current] }
  }, EVERY_MS)
  const status = usePoll((signal) => api.get('/api/status', { signal }), EVERY_MS)
  const isAgent = whoami.value?.node === 'agent'
  return (
    <>
      <ErrorLine error={history.error ?? status.error} />
      {isAgent ? (
        <p class="note">This is an agent: it tells of its own shards. Coordinators answer for the cluster.</p>
      ) : (
        <div class="charts">
          {chartsOf(history.data).map((chart) => (
            <Chart key={chart.title} {...chart} />
          ))}
        </div>
      )}
      <div class="columns">
        <section class="panel wide">
          <h3>Shards</h3>
          <DataTable
            label="Shards"
            rows={status.data?.shards}
            columns={SHARDS}
            keyOf={({ shard }) => shard}
            empty="This node has no shards."
          />
        </section>
        <section class="panel">
          <h3>This node</h3>
          {status.data && <Node status={status.data} />}
        </section>
      </div>
    </>
  )
}

interface Charted {
  readonly title: string
  readonly lines: Lines | undefined
  readonly labels: readonly string[]
  readonly format: (value: number) => string
}

const all = ({ statements: { local, one, some, all, moves } }: Sample): number =>
  local + one + some + all + moves
const several = ({ statements: { some, all, moves } }: Sample): number => some + all + moves
const prepared = ({ shards }: Sample): number => shards.reduce((sum, one) => sum + one.prepared, 0)
const ms = ({ times, values }: Lines): Lines => ({
  times,
  values: values.map((line) => line.map((seconds) => (seconds === null ? null : seconds * 1_000))),
})

function chartsOf(history: History | undefined): readonly Charted[] {
  const rate = (...picks: ((sample: Sample) => number)[]) => history && rates(history, ...picks)
  const level = (...picks: ((sample: Sample) => number)[]) => history && levels(history.samples, ...picks)
  return [
    {
      ...{ title: 'Statements', lines: rate(all, several), format: perSecond },
      labels: ['all', 'over several shards'],
    },
    {
      ...{ title: 'Latency', lines: history && ms(quantiles(history, 0.5, 0.99)), format: duration },
      labels: ['p50, half are faster', 'p99'],
    },
    {
      ...{ title: 'Errors', labels: ['told to clients', 'refused by Weft'], format: perSecond },
      lines: rate(
        ({ errors }) => errors,
        ({ refusals }) => refusals,
      ),
    },
    {
      ...{ title: 'Commits over several shards', labels: ['committed', 'rolled back'], format: perSecond },
      lines: rate(
        ({ commits }) => commits.committed,
        ({ commits }) => commits.aborted + commits.unknown,
      ),
    },
    {
      ...{ title: 'Cuts', labels: ['taken', 'failed, tried again'], format: perSecond },
      lines: rate(
        ({ cuts }) => cuts.taken,
        ({ cuts }) => cuts.failed,
      ),
    },
    {
      ...{ title: 'In doubt and open', labels: ['prepared', 'open transactions', 'sessions'], format: count },
      lines: level(
        prepared,
        ({ transactions }) => transactions.open,
        ({ sessions }) => sessions,
      ),
    },
  ]
}

const SHARDS: readonly Column<NodeShard>[] = [
  { label: 'Shard', show: ({ shard }) => shard, by: ({ shard }) => shard },
  {
    label: 'State',
    show: ({ up, error }) =>
      up ? (
        <State kind="good">up</State>
      ) : (
        <State kind="bad">down{error === undefined ? '' : `: ${error}`}</State>
      ),
    by: ({ up }) => Number(up),
  },
  { label: 'Postgres', show: ({ serverVersion }) => serverVersion ?? '–' },
  {
    label: 'Connections in use',
    isNumber: true,
    show: ({ busy = 0, poolSize = 0 }) => `${count(busy)} of ${count(poolSize)}`,
    by: ({ busy = 0 }) => busy,
  },
  {
    label: 'Sessions waiting',
    isNumber: true,
    show: ({ waiting = 0 }) => count(waiting),
    by: ({ waiting = 0 }) => waiting,
  },
  {
    label: 'Prepared',
    isNumber: true,
    show: ({ prepared: many = 0 }) => count(many),
    by: ({ prepared: many = 0 }) => many,
  },
  {
    label: 'Problems',
    show: ({ problems = [] }) =>
      problems.length === 0 ? (
        'none'
      ) : (
        <State kind="bad">{problems.map(({ gid, why }) => `${gid}: ${why}`).join('; ')}</State>
      ),
    by: ({ problems = [] }) => problems.length,
  },
]

function Node({ status }: { status: NodeStatus }) {
  const { role, id, pid, uptimeSeconds, sessions, mapVersion, waitsFor, transactionLog, memory, commits } =
    status
  return (
    <dl class="fields">
      <Field name="Role">{role}</Field>
      {waitsFor !== undefined && (
        <Field name="Waits for">
          <State kind="warn">{waitsFor}</State>
        </Field>
      )}
      <Field name="Up for">{duration(uptimeSeconds * 1_000)}</Field>
      {id !== undefined && <Field name="Id">{id}</Field>}
      <Field name="Process">{pid}</Field>
      {sessions !== undefined && <Field name="Sessions">{count(sessions)}</Field>}
      {memory !== undefined && (
        <Field name="Kept for clients">
          {bytes(memory.usedBytes)} of {bytes(memory.nodeBytes)}
        </Field>
      )}
      {mapVersion !== undefined && <Field name="Shard map">version {mapVersion}</Field>}
      {commits !== undefined && <Field name="Commits under way">{count(commits.inFlight)}</Field>}
      {transactionLog !== undefined && (
        <Field name="Transaction log">
          <State kind={transactionLog === 'reachable' ? 'good' : 'bad'}>{transactionLog}</State>
        </Field>
      )}
    </dl>
  )
}
