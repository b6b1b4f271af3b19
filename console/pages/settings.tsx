import { useState } from 'preact/hooks'
import type { Finding, Settings as Told } from '../../admin/api/schemas.ts'
import { DataTable } from '../parts/data-table.tsx'
import { ErrorLine, Field, State } from '../parts/words.tsx'
import { usePoll } from '../state/poll.ts'
import { api, told, whoami } from '../state/session.ts'

const EVERY_MS = 30_000

/** How this node and the servers are set, what is secret hidden; and what is wrong with it. */
export function Settings() {
  const settings = usePoll((signal) => api.get('/api/settings', { signal }), EVERY_MS)
  return (
    <>
      <ErrorLine error={settings.error} />
      {whoami.value?.node === 'cluster' && <Doctor />}
      <section class="panel">
        <h3>This node</h3>
        <dl class="fields">
          {settings.data &&
            flat(settings.data.node).map(([name, value]) => (
              <Field key={name} name={name}>
                <code>{value}</code>
              </Field>
            ))}
        </dl>
      </section>
      {settings.data && settings.data.servers.length > 0 && <Servers servers={settings.data.servers} />}
    </>
  )
}

function Servers({ servers }: { servers: Told['servers'] }) {
  const names = [...new Set(servers.flatMap(({ settings }) => Object.keys(settings)))]
  const rows = names.map((name) => {
    const values = servers.map(({ settings }) => settings[name])
    const known = new Set(values.filter((value) => value !== undefined))
    return { name, values, differs: known.size > 1 && !OWN.has(name) }
  })
  return (
    <section class="panel">
      <h3>Postgres of each shard</h3>
      {servers.map(({ shard, error }) =>
        error === undefined ? null : (
          <ErrorLine key={shard} error={`Shard ${shard} does not answer: ${error}`} />
        ),
      )}
      <DataTable
        label="Settings of each shard’s Postgres"
        rows={rows}
        keyOf={({ name }) => name}
        empty="No server answers."
        columns={[
          { label: 'Setting', show: ({ name }) => <code>{name}</code>, by: ({ name }) => name },
          ...servers.map(({ shard }, i) => ({
            label: `Shard ${shard}`,
            show: ({ values }: { values: readonly (string | undefined)[] }) => values[i] ?? '–',
          })),
          {
            label: 'Alike',
            show: ({ differs }) => (differs ? <State kind="warn">differs</State> : ''),
            by: ({ differs }) => Number(differs),
          },
        ]}
      />
    </section>
  )
}

/** Each server has its own. */
const OWN = new Set(['cluster_name'])

/** As `weft config` would have it: one line for each value. */
function flat(value: unknown, name = ''): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[name, String(value)]]
  const inner = Object.entries(value)
  if (inner.length === 0) return [[name, 'none']]
  return inner.flatMap(([key, one]) => flat(one, name === '' ? key : `${name}.${key}`))
}

function Doctor() {
  const [findings, setFindings] = useState<readonly Finding[] | undefined>()
  const [error, setError] = useState<string | undefined>()
  const [isAsking, setAsking] = useState(false)
  const ask = async (): Promise<void> => {
    setAsking(true)
    setError(undefined)
    try {
      setFindings(await api.get('/api/doctor'))
    } catch (reason) {
      setError(told(reason))
    }
    setAsking(false)
  }
  return (
    <section class="panel">
      <div class="head">
        <h3>What is wrong, or will be</h3>
        <button type="button" disabled={isAsking} onClick={() => void ask()}>
          {isAsking ? 'Looking…' : 'Look at all servers'}
        </button>
      </div>
      <ErrorLine error={error} />
      {findings !== undefined && (
        <DataTable
          label="Findings"
          rows={findings}
          keyOf={({ about, found }) => `${about} ${found}`}
          empty="Nothing is wrong."
          columns={[
            {
              label: 'Severity',
              show: ({ severity }) => <State kind={severity === 'error' ? 'bad' : 'warn'}>{severity}</State>,
              by: ({ severity }) => severity,
            },
            { label: 'About', show: ({ about }) => about, by: ({ about }) => about },
            { label: 'Found', show: ({ found }) => found },
            { label: 'What to do', show: ({ todo }) => todo },
          ]}
        />
      )}
    </section>
  )
}
