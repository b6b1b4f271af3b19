import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import { type Lines, latest } from '../model/rates.ts'
import { isDark } from '../state/theme.ts'

export interface ChartProps {
  readonly title: string
  readonly lines: Lines | undefined
  /** Of each line; the first is drawn in the accent, the others quieter. */
  readonly labels: readonly string[]
  /** With its unit. */
  readonly format: (value: number) => string
}

const HEIGHT = 104
const DASHES: readonly (number[] | undefined)[] = [undefined, [4, 3], [1, 3]]

/** Lines over the last minutes, with their values now in words. */
export function Chart({ title, lines, labels, format }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(null)
  const dark = isDark.value
  useEffect(() => {
    const element = box.current!
    plot.current = new UPlot(optionsOf(labels, format, element.clientWidth), [[]], element)
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    )
    resized.observe(element)
    return () => {
      resized.disconnect()
      plot.current?.destroy()
    }
  }, [dark])
  useEffect(() => {
    if (lines !== undefined) plot.current?.setData(dataOf(lines))
  }, [lines, dark])
  const now = labels.map((label, i) => {
    const value = latest(lines?.values[i])
    return { label, told: value === null ? '–' : format(value) }
  })
  return (
    <section class="panel chart" aria-label={title}>
      <h3>{title}</h3>
      <dl class="now">
        {now.map(({ label, told }, i) => (
          <div key={label} class={i === 0 ? 'first' : ''}>
            <dd>{told}</dd>
            <dt>
              <span class={`swatch s${i}`} aria-hidden="true" />
              {label}
            </dt>
          </div>
        ))}
      </dl>
      <div ref={box} aria-hidden="true" />
    </section>
  )
}

const dataOf = ({ times, values }: Lines): UPlot.AlignedData => [
  [...times],
  ...values.map((line) => [...line]),
]

function optionsOf(labels: readonly string[], format: ChartProps['format'], width: number): UPlot.Options {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  const font = `11px ${style.getPropertyValue('--sans') || 'sans-serif'}`
  const axis = { stroke: colour('--quiet'), font, ticks: { show: false } }
  return {
    ...{ width, height: HEIGHT, padding: [6, 4, 0, 0], cursor: { show: false }, legend: { show: false } },
    scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 24, gap: 6, space: 80, values: clockTimes },
      {
        ...axis,
        ...{ size: 52, gap: 4, space: 28 },
        grid: { stroke: colour('--line'), width: 1 },
        values: (_, ticks) => ticks.map(format),
      },
    ],
    series: [
      {},
      ...labels.map((label, i) => ({
        ...{ label, width: 1.5, spanGaps: false, points: { show: false } },
        stroke: colour(i === 0 ? '--accent' : '--quiet'),
        ...(i === 0 ? { fill: colour('--accent-wash') } : {}),
        ...(DASHES[i] === undefined ? {} : { dash: DASHES[i] }),
      })),
    ],
  }
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hour12: false })
const clockTimes = (_: UPlot, ticks: number[]): string[] => ticks.map((at) => clock.format(at * 1_000))
