/** From results to numbers to text. */
import type { RunResult } from './pgbench.ts'
import type { Row } from './run.ts'
import type { CommitPhase, Quantiles } from './steps.ts'
import type { System, SystemName } from './system.ts'

export interface Range {
  readonly median: number
  readonly low: number
  readonly high: number
}

export type Cell =
  | {
      readonly kind: 'measured'
      readonly perSecond: Range
      /** Each round's rate over plain Postgres' in the same round. Absent for plain Postgres, and when that failed. */
      readonly ratio: Range | undefined
      readonly latencyMs: number
      /** Of single transactions, where there was one client: medians of the rounds. */
      readonly quantilesMs: Pick<Quantiles, 'p50' | 'p99'> | undefined
      readonly cpuUs: number | undefined
      readonly rounds: readonly number[]
      /** Of the transactions that committed on several shards, if any did. */
      readonly commit: CommitSummary | undefined
    }
  | { readonly kind: 'failed'; readonly why: string }

/** Where the time of a cross-shard transaction goes: medians of the rounds. */
export interface CommitSummary {
  /** How many of the phases a transaction goes through, one after the other; each waits for syncs. */
  readonly sequentialDurableSteps: number
  readonly phases: readonly { readonly name: string; readonly meanMs: number }[]
  /** Before the commit: statements, the client, and waiting for a connection. */
  readonly beforeMs: number
}

export interface Summary {
  readonly label: string
  readonly line: string
  readonly mode: string
  readonly clients: number
  readonly cells: Readonly<Partial<Record<SystemName, Cell>>>
}

type Measured = Extract<RunResult, { kind: 'measured' }>

export function summarize(row: Row): Summary {
  const { label, line, mode, clients } = row.case
  const plain = row.results.get('plain') ?? []
  const cells = [...row.results]
    .filter(([, results]) => results.length > 0)
    .map(([name, results]) => [name, cellOf(results, name === 'plain' ? [] : plain)] as const)
  return { label, line: line.name, mode, clients, cells: Object.fromEntries(cells) }
}

/** One failed round and there is no number: what failed may be what would have cost the time. */
function cellOf(results: readonly RunResult[], plain: readonly RunResult[]): Cell {
  const failed = results.find((result) => result.kind === 'failed')
  if (failed !== undefined) return failed
  const measured = results.filter((result): result is Measured => result.kind === 'measured')
  const ratios = measured.flatMap(({ perSecond }, round) => {
    const beside = plain[round]
    return beside?.kind === 'measured' ? [perSecond / beside.perSecond] : []
  })
  const cpu = measured.flatMap(({ cpuUs }) => (cpuUs === undefined ? [] : [cpuUs]))
  const comparable = ratios.length > 0 && plain.every((result) => result.kind === 'measured')
  return {
    kind: 'measured',
    perSecond: rangeOf(measured.map(({ perSecond }) => perSecond)),
    ratio: comparable ? rangeOf(ratios) : undefined,
    latencyMs: rangeOf(measured.map(({ latencyMs }) => latencyMs)).median,
    quantilesMs: quantilesOfRounds(measured),
    cpuUs: cpu.length === 0 ? undefined : rangeOf(cpu).median,
    rounds: measured.map(({ perSecond }) => perSecond),
    commit: commitOf(measured),
  }
}

function quantilesOfRounds(measured: readonly Measured[]): Pick<Quantiles, 'p50' | 'p99'> | undefined {
  const each = measured.flatMap(({ quantilesMs }) => (quantilesMs === undefined ? [] : [quantilesMs]))
  if (each.length === 0) return undefined
  return { p50: rangeOf(each.map(({ p50 }) => p50)).median, p99: rangeOf(each.map(({ p99 }) => p99)).median }
}

function commitOf(measured: readonly Measured[]): CommitSummary | undefined {
  const each = measured.flatMap(({ commitPhases, latencyMs }) =>
    commitPhases === undefined ? [] : [{ phases: commitPhases, latencyMs }],
  )
  const [first] = each
  if (first === undefined) return undefined
  const median = (value: (one: (typeof each)[number]) => number): number => rangeOf(each.map(value)).median
  const total = (phases: readonly CommitPhase[]): number =>
    phases.reduce((sum, { perTransaction, meanMs }) => sum + perTransaction * meanMs, 0)
  return {
    sequentialDurableSteps: median(({ phases }) => phases.reduce((sum, p) => sum + p.perTransaction, 0)),
    phases: first.phases.map(({ name }) => ({
      name,
      meanMs: median(({ phases }) => phases.find((phase) => phase.name === name)?.meanMs ?? 0),
    })),
    beforeMs: median(({ phases, latencyMs }) => latencyMs - total(phases)),
  }
}

export function rangeOf(values: readonly number[]): Range {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, low: sorted[0]!, high: sorted.at(-1)! }
}

const shortNames: Readonly<Record<SystemName, string>> = {
  plain: 'plain',
  pgbouncer: 'PgBouncer',
  weft: 'Weft',
}

/** The table, and below it the text of every error in it. */
export function formatTable(summaries: readonly Summary[], systems: readonly System[]): string {
  const others = systems.filter(({ name }) => name !== 'plain')
  const withPlain = others.length < systems.length
  const head = [
    'line',
    ...(withPlain ? ['plain/s', 'low..high'] : []),
    ...others.flatMap(({ name }) => [`${shortNames[name]}/s`, 'ratio', 'low..high', 'CPU us/txn']),
  ]
  const body = summaries.map(({ label, cells }) => [
    label,
    ...(withPlain ? plainColumns(cells.plain) : []),
    ...others.flatMap(({ name }) => otherColumns(cells[name])),
  ])
  const errors = summaries.flatMap(({ label, cells }) =>
    Object.entries(cells).flatMap(([name, cell]) =>
      cell.kind === 'failed' ? [`${label}, ${name}: ${cell.why}`] : [],
    ),
  )
  return [...align([head, ...body]), ...(errors.length === 0 ? [] : ['', 'Failed:', ...errors])].join('\n')
}

/** Of the rows with one client, how long a transaction took; undefined: there are none. */
export function formatLatencies(
  summaries: readonly Summary[],
  systems: readonly System[],
): string | undefined {
  const rows = summaries.flatMap(({ label, cells }) => {
    const each = systems.map(({ name }) => cells[name])
    const isTold = (cell: Cell | undefined) => cell?.kind === 'measured' && cell.quantilesMs !== undefined
    return each.some(isTold) ? [[label, ...each.flatMap(latencyColumns)]] : []
  })
  if (rows.length === 0) return undefined
  const head = ['line', ...systems.flatMap(({ name }) => [`${shortNames[name]} p50`, 'p99'])]
  return ['Latency of one client, ms:', ...align([head, ...rows])].join('\n')
}

function latencyColumns(cell: Cell | undefined): string[] {
  if (cell?.kind !== 'measured' || cell.quantilesMs === undefined) return ['-', '-']
  return [cell.quantilesMs.p50.toFixed(2), cell.quantilesMs.p99.toFixed(2)]
}

/** One line for each row in which transactions committed on several shards; undefined: none did. */
export function formatCommits(summaries: readonly Summary[]): string | undefined {
  const lines = summaries.flatMap(({ label, cells: { weft } }) => {
    if (weft?.kind !== 'measured' || weft.commit === undefined) return []
    const { sequentialDurableSteps, phases, beforeMs } = weft.commit
    const times = phases.map(({ name, meanMs }) => `${name} ${meanMs.toFixed(2)}`)
    const steps = `${sequentialDurableSteps.toFixed(2)} sequential durable steps`
    return [`${label}: ${steps}; before the commit ${beforeMs.toFixed(2)}, ${times.join(', ')}`]
  })
  return lines.length === 0 ? undefined : ['Cross-shard commits, times in ms:', ...lines].join('\n')
}

function plainColumns(cell: Cell | undefined): string[] {
  if (cell === undefined) return ['-', '']
  if (cell.kind === 'failed') return ['failed', '']
  return [
    formatRate(cell.perSecond.median),
    `${formatRate(cell.perSecond.low)}..${formatRate(cell.perSecond.high)}`,
  ]
}

function otherColumns(cell: Cell | undefined): string[] {
  if (cell === undefined) return ['-', '', '', '']
  if (cell.kind === 'failed') return ['failed', '', '', '']
  const { perSecond, ratio, cpuUs } = cell
  return [
    formatRate(perSecond.median),
    ratio === undefined ? '-' : ratio.median.toFixed(2),
    ratio === undefined ? '' : `${ratio.low.toFixed(2)}..${ratio.high.toFixed(2)}`,
    cpuUs === undefined ? '' : cpuUs.toFixed(0),
  ]
}

function formatRate(perSecond: number): string {
  return perSecond.toFixed(perSecond < 100 ? 1 : 0)
}

/** The first column to the left, the others to the right. */
export function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
}
