import { drawChart, frameOf, niceStep, one, polyline, type Tick } from './chart.ts'
import {
  type Band,
  durationWords,
  latenciesOf,
  OUTCOMES,
  type Outcome,
  quantile,
  type Sample,
} from './samples.ts'

/** So many points are drawn; of more, every so manieth. What did not end well is always drawn, up to as many. */
const POINTS_MAX = 5000
const BUCKETS = 120

/** Each operation a point, on a logarithmic scale, with the median and the 99th percentile of what ended well. */
export function drawLatency(samples: readonly Sample[], bands: readonly Band[], seconds: number): string {
  const all = samples.map(({ latencyMs }) => Math.max(latencyMs, 0.01))
  const low = 10 ** Math.floor(Math.log10(Math.min(1, ...extremes(all))))
  const high = 10 ** Math.ceil(Math.log10(Math.max(10, ...extremes(all))))
  const frame = frameOf(300, seconds, low, high, true)
  const ticks: Tick[] = []
  for (let value = low; value <= high * 1.001; value *= 10) ticks.push({ value, label: durationWords(value) })
  const points = OUTCOMES.flatMap((outcome) =>
    thinned(samples.filter((sample) => sample.outcome === outcome)).map(
      ({ atSeconds, latencyMs }) =>
        `<circle cx="${one(frame.x(atSeconds))}" cy="${one(frame.y(Math.max(latencyMs, low)))}" r="1.8" class="${outcome}"/>`,
    ),
  )
  const style = OUTCOMES.map(
    (outcome) => `.${outcome}{fill:var(--${outcome});opacity:${OPACITY[outcome]}}`,
  ).join('')
  const lines = [
    { share: 0.5, style: 'stroke:var(--text);stroke-width:1.6' },
    { share: 0.99, style: 'stroke:var(--text);stroke-width:1.6;stroke-dasharray:5 4' },
  ].map(({ share, style: stroke }) => {
    const line = bucketed(samples, seconds, 40).flatMap(({ middle, samples: some }) => {
      const value = quantile(latenciesOf(some), share)
      return value === undefined ? [] : [[frame.x(middle), frame.y(Math.max(value, low))] as const]
    })
    return polyline(line, stroke)
  })
  return drawChart(frame, seconds, ticks, bands, `<style>${style}</style>${points.join('')}${lines.join('')}`)
}

const OPACITY: Readonly<Record<Outcome, number>> = { ok: 0.45, fail: 0.8, info: 0.9 }

/** The least and the greatest, of any number of them. */
function extremes(values: readonly number[]): [number, number] | [] {
  if (values.length === 0) return []
  return [
    values.reduce((least, value) => Math.min(least, value)),
    values.reduce((most, value) => Math.max(most, value)),
  ]
}

function thinned(samples: readonly Sample[]): readonly Sample[] {
  const every = Math.ceil(samples.length / POINTS_MAX)
  return every <= 1 ? samples : samples.filter((_, i) => i % every === 0)
}

interface Bucket {
  readonly middle: number
  readonly width: number
  readonly samples: readonly Sample[]
}

function bucketed(samples: readonly Sample[], seconds: number, count: number): Bucket[] {
  const width = Math.max(seconds / count, 1e-9)
  const buckets = Array.from({ length: count }, (_, i) => ({
    middle: (i + 0.5) * width,
    width,
    samples: [] as Sample[],
  }))
  for (const sample of samples) {
    buckets[Math.min(count - 1, Math.floor(sample.atSeconds / width))]?.samples.push(sample)
  }
  return buckets
}

/** Operations a second, by how they ended. */
export function drawRate(samples: readonly Sample[], bands: readonly Band[], seconds: number): string {
  const buckets = bucketed(samples, seconds, Math.max(10, Math.min(BUCKETS, Math.ceil(seconds))))
  const rates = OUTCOMES.map((outcome) =>
    buckets.map(({ middle, width, samples: some }) => {
      return [middle, some.filter((sample) => sample.outcome === outcome).length / width] as const
    }),
  )
  const most = Math.max(1, ...rates.flat().map(([, rate]) => rate))
  const step = niceStep(most / 4)
  const high = Math.ceil(most / step) * step
  const frame = frameOf(200, seconds, 0, high)
  const ticks: Tick[] = []
  for (let value = 0; value <= high * 1.001; value += step)
    ticks.push({ value, label: `${Number(value.toFixed(3))}/s` })
  const lines = rates.map((line, i) =>
    polyline(
      line.map(([at, rate]) => [frame.x(at), frame.y(rate)]),
      `stroke:var(--${OUTCOMES[i]});stroke-width:1.8`,
    ),
  )
  return drawChart(frame, seconds, ticks, bands, lines.join(''))
}
