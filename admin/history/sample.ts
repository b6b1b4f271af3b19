import type { History, Sample } from '../api/schemas.ts'

type Labels = Readonly<Record<string, string>>

interface Line {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

/** The lines of Prometheus' text format, as `Metrics.render` writes it. */
export function linesOf(text: string): Line[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    return name === undefined ? [] : [{ name, labels: labelsOf(labels), value: Number(value) }]
  })
}

function labelsOf(text: string): Labels {
  return Object.fromEntries(
    [...text.matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)].map(([, name, value]) => [name, value]),
  )
}

export interface Measured {
  readonly bounds: History['bounds']
  readonly sample: Omit<Sample, 'at' | 'shards'>
}

/** What the console shows of a node's metrics. What the node does not have, or has not counted yet, is 0. */
export function measured(text: string): Measured {
  const lines = linesOf(text)
  const sum = (name: string, having: Labels = {}): number =>
    lines
      .filter((line) => line.name === name && Object.entries(having).every(([k, v]) => line.labels[k] === v))
      .reduce((total, { value }) => total + value, 0)
  const each = <K extends string>(name: string, label: string, keys: readonly K[]): Record<K, number> =>
    Object.fromEntries(keys.map((key) => [key, sum(name, { [label]: key })])) as Record<K, number>
  const bounds = [
    ...new Set(
      lines
        .filter(({ name }) => name === 'weft_statement_seconds_bucket')
        .map(({ labels }) => labels.le ?? ''),
    ),
  ].sort((a, b) => Number(a.replace('+Inf', 'Infinity')) - Number(b.replace('+Inf', 'Infinity')))
  const below = bounds.map((le) => sum('weft_statement_seconds_bucket', { le }))
  return {
    bounds: bounds.slice(0, -1).map(Number),
    sample: {
      statements: each('weft_statements_total', 'route', ['local', 'one', 'some', 'all', 'moves']),
      latency: below.map((count, i) => count - (below[i - 1] ?? 0)),
      errors: sum('weft_errors_total'),
      refusals: sum('weft_refusals_total'),
      commits: each('weft_commits_total', 'result', ['committed', 'aborted', 'unknown']),
      cuts: each('weft_cuts_total', 'result', ['taken', 'failed']),
      deadlock_victims: sum('weft_deadlock_victims_total'),
      sessions: sum('weft_sessions'),
      transactions: each('weft_transactions', 'state', ['open', 'waiting']),
    },
  }
}
