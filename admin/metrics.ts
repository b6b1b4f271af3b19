/** Prometheus metrics in the text format, version 0.0.4: counters, gauges and histograms, and nothing else. */

export type Labels = Readonly<Record<string, string | number>>

export interface Counter {
  inc(by?: number): void
}

export interface Histogram {
  observe(value: number): void
}

/** Current values, read when somebody asks: one number, or one for each set of labels. */
export type GaugeReader = () => number | Iterable<readonly [Labels, number]>

interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly series: Map<string, Series>
}

interface Series {
  render(name: string): string[]
}

/** Seconds; from a fifth of a millisecond to ten seconds. */
export const latencyBuckets: readonly number[] = [
  0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** The metrics of one node. Asking twice for the same name and labels gives the same counter or histogram. */
export class Metrics {
  readonly #families = new Map<string, Family>()

  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#series(name, help, 'counter', labels, (text) => new CounterSeries(text))
  }

  histogram(name: string, help: string, labels: Labels = {}, buckets = latencyBuckets): Histogram {
    return this.#series(name, help, 'histogram', labels, (text) => new HistogramSeries(text, buckets))
  }

  /** A counter that somebody else keeps. */
  counted(name: string, help: string, read: GaugeReader): void {
    this.#series(name, help, 'counter', {}, () => new GaugeSeries(read))
  }

  gauge(name: string, help: string, read: GaugeReader): void {
    this.#series(name, help, 'gauge', {}, () => new GaugeSeries(read))
  }

  render(): string {
    const lines: string[] = []
    for (const { name, help, type, series } of this.#families.values()) {
      lines.push(
        `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
        `# TYPE ${name} ${type}`,
      )
      for (const one of series.values()) lines.push(...one.render(name))
    }
    return `${lines.join('\n')}\n`
  }

  #series<S extends Series>(
    name: string,
    help: string,
    type: Family['type'],
    labels: Labels,
    make: (labelText: string) => S,
  ): S {
    let family = this.#families.get(name)
    if (family === undefined) {
      family = { name, help, type, series: new Map() }
      this.#families.set(name, family)
    }
    if (family.type !== type) throw new Error(`metric ${name} is a ${family.type}, not a ${type}`)
    const text = formatLabels(labels)
    const existing = family.series.get(text)
    // Same name and type: the same class made it.
    if (existing !== undefined) return existing as S
    const created = make(text)
    family.series.set(text, created)
    return created
  }
}

class CounterSeries implements Series, Counter {
  readonly #labels: string
  #value = 0
  constructor(labels: string) {
    this.#labels = labels
  }
  inc(by = 1): void {
    this.#value += by
  }
  render(name: string): string[] {
    return [`${name}${braced(this.#labels)} ${this.#value}`]
  }
}

class GaugeSeries implements Series {
  readonly #read: GaugeReader
  constructor(read: GaugeReader) {
    this.#read = read
  }
  render(name: string): string[] {
    const values = this.#read()
    const all = typeof values === 'number' ? [[{}, values] as const] : [...values]
    return all.map(([labels, value]) => `${name}${braced(formatLabels(labels))} ${formatNumber(value)}`)
  }
}

class HistogramSeries implements Series, Histogram {
  readonly #labels: string
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  constructor(labels: string, bounds: readonly number[]) {
    this.#labels = labels
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }
  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++
    this.#counts[bucket]!++
    this.#sum += value
  }
  render(name: string): string[] {
    let total = 0
    const lines = this.#counts.map((count, i) => {
      total += count
      const bound = `le="${i < this.#bounds.length ? this.#bounds[i] : '+Inf'}"`
      return `${name}_bucket${braced(this.#labels === '' ? bound : `${this.#labels},${bound}`)} ${total}`
    })
    const labels = braced(this.#labels)
    return [...lines, `${name}_sum${labels} ${formatNumber(this.#sum)}`, `${name}_count${labels} ${total}`]
  }
}

function formatLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(String(value))}"`)
    .join(',')
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}
