import * as prom from 'prom-client'

/** Prometheus metrics of one node: counters, gauges and histograms of prom-client's, in a registry of its own. */

export type Labels = Readonly<Record<string, string | number>>

export interface Counter {
  inc(by?: number): void
}

export interface Histogram {
  observe(value: number): void
}

/** Current values, read when somebody asks: one number, or one for each set of labels. */
export type GaugeReader = () => number | Iterable<readonly [Labels, number]>

/** How many values were at or below each bound and above the one before, the last one above all; and their sum. */
export interface Observed {
  readonly counts: ArrayLike<number>
  readonly sum: number
}

/** Seconds; from a fifth of a millisecond to ten seconds. */
export const latencyBuckets: readonly number[] = [
  0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

type Kind = 'counter' | 'gauge' | 'histogram'

/**
 * The metrics of one node. Asking twice for the same name and labels gives the same counter or histogram. What is counted
 * often is kept by whoever counts it, as plain numbers, and read when somebody asks (`counted`, `observed`).
 */
export class Metrics {
  readonly #registry = new prom.Registry()
  readonly #kinds = new Map<string, Kind>()
  readonly #histograms = new Map<string, prom.Histogram>()
  readonly #counters = new Map<string, prom.Counter>()

  get contentType(): string {
    return this.#registry.contentType
  }

  counter(name: string, help: string, labels: Labels = {}): Counter {
    this.#claim(name, 'counter')
    const counter =
      this.#counters.get(name) ??
      new prom.Counter({ name, help, labelNames: Object.keys(labels), registers: [this.#registry] })
    this.#counters.set(name, counter)
    const one = counter.labels(labels)
    one.inc(0)
    return one
  }

  histogram(name: string, help: string, labels: Labels = {}, buckets = latencyBuckets): Histogram {
    this.#claim(name, 'histogram')
    const known = this.#histograms.get(name)
    const labelNames = Object.keys(labels)
    const config = { name, help, labelNames, buckets: [...buckets], registers: [this.#registry] }
    const histogram = known ?? new prom.Histogram(config)
    this.#histograms.set(name, histogram)
    histogram.zero(labels)
    return histogram.labels(labels)
  }

  /** A counter that somebody else keeps. */
  counted(name: string, help: string, read: GaugeReader): void {
    this.#read(name, help, 'counter', read)
  }

  gauge(name: string, help: string, read: GaugeReader): void {
    this.#read(name, help, 'gauge', read)
  }

  /** A histogram that somebody else keeps. */
  observed(name: string, help: string, buckets: readonly number[], read: ReadObserved): void {
    this.#claim(name, 'histogram')
    this.#registry.registerMetric(new ReadHistogram(name, help, buckets, read))
  }

  /** Names, and what kind each is, in the order in which they came. */
  get names(): ReadonlyMap<string, Kind> {
    return this.#kinds
  }

  render(): Promise<string> {
    return this.#registry.metrics()
  }

  #read(name: string, help: string, type: 'counter' | 'gauge', read: GaugeReader): void {
    this.#claim(name, type)
    const config = { name, help, ...ALONE }
    const metric = type === 'gauge' ? new prom.Gauge(config) : new prom.Counter(config)
    this.#registry.registerMetric(reading(metric, read))
  }

  #claim(name: string, kind: Kind): void {
    const known = this.#kinds.get(name)
    if (known !== undefined && known !== kind) throw new Error(`metric ${name} is a ${known}, not a ${kind}`)
    this.#kinds.set(name, kind)
  }
}

const samplesOf = (read: GaugeReader): { value: number; labels: Labels }[] => {
  const values = read()
  if (typeof values === 'number') return [{ value: values, labels: {} }]
  return [...values].map(([labels, value]) => ({ value, labels }))
}

const ALONE = { registers: [] }

/** Its values are whatever is read. */
function reading<M extends prom.Gauge | prom.Counter>(metric: M, read: GaugeReader): M {
  const own = metric.get.bind(metric)
  return Object.assign(metric, { get: async () => ({ ...(await own()), values: samplesOf(read) }) })
}

type ReadObserved = () => Iterable<readonly [Labels, Observed]>

class ReadHistogram extends prom.Histogram {
  readonly #bounds: readonly number[]
  readonly #read: ReadObserved
  readonly #name: string
  readonly #help: string
  constructor(name: string, help: string, bounds: readonly number[], read: ReadObserved) {
    super({ name, help, buckets: [...bounds], ...ALONE })
    this.#name = name
    this.#help = help
    this.#bounds = bounds
    this.#read = read
  }
  /** What the registry asks of histograms. */
  async getForPromString() {
    const values = [...this.#read()].flatMap((one) => this.#samples(...one))
    return { name: this.#name, help: this.#help, type: 'histogram', values }
  }
  #samples(labels: Labels, { counts, sum }: Observed) {
    let total = 0
    const sample = (suffix: string, value: number, more: Labels = {}) => ({
      ...{ value, labels: { ...labels, ...more }, metricName: `${this.#name}_${suffix}` },
    })
    const buckets = [...this.#bounds, '+Inf'].map((le, i) => {
      total += counts[i] ?? 0
      return sample('bucket', total, { le })
    })
    return [...buckets, sample('sum', sum), sample('count', total)]
  }
}
