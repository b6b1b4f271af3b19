import type { Command } from 'commander'
import type { NodeStatus } from '../admin/api/node-status.ts'
import type { History, Overview } from '../admin/api/schemas.ts'
import { type ApiFlags, ask, asking } from './api.ts'
import { integer } from './arguments.ts'
import { bytes, fields, printJson, table } from './print.ts'
import { type Rates, ratesOf } from './rates.ts'

interface StatusFlags extends ApiFlags {
  readonly watch?: true | number
}

const WATCH_SECONDS = 2
const CLEAR = '\u001b[H\u001b[2J'

export function statusCommand(): Command {
  return asking(
    'status',
    'the cluster at a glance: nodes, shards, lag, what is in doubt, rates; of an agent, what it says of itself',
  )
    .option('--watch [seconds]', 'again and again (default: every 2 seconds)', integer(1, 3600))
    .action(status)
}

interface Glance {
  readonly cluster: Overview
  readonly rates: Rates | undefined
}

async function status(flags: StatusFlags): Promise<void> {
  for (;;) {
    const node = await ask<NodeStatus>(flags, '/api/status')
    const glance = await glanceOf(flags, node)
    const clears = flags.watch !== undefined && process.stdout.isTTY === true
    if (flags.json === true) printJson({ ...node, ...glance })
    else console.log(`${clears ? CLEAR : ''}${glance === undefined ? tellNode(node) : tell(node, glance)}`)
    if (flags.watch === undefined) return
    await new Promise((done) =>
      setTimeout(done, (flags.watch === true ? WATCH_SECONDS : flags.watch!) * 1000),
    )
  }
}

/** Only coordinators that serve tell of the cluster. */
async function glanceOf(flags: ApiFlags, node: NodeStatus): Promise<Glance | undefined> {
  if (idOf(node) === undefined) return undefined
  const [cluster, history] = await Promise.all([
    ask<Overview>(flags, '/api/cluster'),
    ask<History>(flags, '/api/history'),
  ])
  return { cluster, rates: ratesOf(history) }
}

/** Of a coordinator that serves. */
const idOf = (node: NodeStatus): string | undefined =>
  'id' in node && node.waitsFor === undefined ? node.id : undefined

const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

const UNKNOWN = 'not known: a shard does not answer'

function tellDoubt({ transactions, oldest_seconds, problems }: Overview['in_doubt']): string {
  if (transactions === null) return UNKNOWN
  if (transactions === 0 && problems === 0) return 'nothing'
  const told = `${many(transactions, 'transaction')}, the oldest for ${oldest_seconds ?? 0} s`
  return problems === 0 ? told : `${told}; ${problems} that no node can settle (weft doctor)`
}

function tell(node: NodeStatus, { cluster, rates }: Glance): string {
  const { coordinators, shards, sessions, in_doubt: doubt, log } = cluster
  const up = shards.filter((shard) => shard.up).length
  const lines = {
    cluster: `${many(coordinators.length, 'coordinator')}, ${up} of ${many(shards.length, 'shard')} up`,
    sessions:
      sessions === null
        ? UNKNOWN
        : `${sessions.all}, ${sessions.active} run a statement, ${sessions.in_transaction} wait in a transaction`,
    'in doubt': tellDoubt(doubt),
    log: `${node.transactionLog ?? UNKNOWN}, ${log.records === null ? UNKNOWN : many(log.records, 'record')}`,
    rates: rates === undefined ? 'not known yet' : `${tellRates(rates)} (node ${idOf(node)})`,
  }
  const nodes = coordinators.map((one) => ({
    ...{ coordinator: one.id, connected_to: `${one.shards.length} of ${many(shards.length, 'shard')}` },
    asked: one.id === idOf(node) ? 'this one' : '',
  }))
  const columns = [
    'shard',
    'up',
    'server_version',
    'busy',
    'idle',
    'waiting',
    'prepared',
    'standbys',
    'lag',
    'error',
  ]
  const rows = shards.map((one) => ({ ...one, lag: lagOf(one) }))
  const head = Object.entries(lines).map(([name, line]) => `${name.padEnd(10)}${line}`)
  return [head.join('\n'), table(nodes), table(rows, columns)].join('\n\n')
}

function tellRates({ statements, on_one_shard, errors, commits, ...rates }: Rates): string {
  const share = statements === 0 ? '' : ` (${((on_one_shard / statements) * 100).toFixed(0)} % on one shard)`
  const ms = (seconds: number | null): string => (seconds === null ? '-' : `${seconds * 1_000} ms`)
  return [
    `in a second ${statements.toFixed(1)} statements${share}, ${commits.toFixed(1)} commits over shards, ${errors.toFixed(1)} errors`,
    `half of them within ${ms(rates.p50_seconds)}, 99 % within ${ms(rates.p99_seconds)}`,
  ].join('; ')
}

function lagOf({ lag_bytes, lag_seconds }: Overview['shards'][number]): string | null {
  if (lag_bytes === null) return null
  return lag_seconds === null ? bytes(lag_bytes) : `${bytes(lag_bytes)}, ${lag_seconds.toFixed(1)} s`
}

/** Simple values as lines, lists of objects as tables. */
function tellNode(answer: NodeStatus): string {
  const values = Object.entries<unknown>(answer).filter(([, value]) => !Array.isArray(value))
  const lists = Object.entries<unknown>(answer).filter(([, value]) => Array.isArray(value))
  const tables = lists.map(([name, rows]) => `\n${name}\n${table(rows as Record<string, unknown>[])}`)
  return [fields(Object.fromEntries(values)), ...tables].join('\n')
}
