/** Axes, bands, points and lines as SVG; colours are those of the page. */
import { escapeXml } from '../check/graph/draw.ts'
import type { Band } from './samples.ts'

export const WIDTH = 1070
const LEFT = 64
const RIGHT = 16
const TOP = 10
const BOTTOM = 26

export type Scale = (value: number) => number

export interface Frame {
  readonly height: number
  readonly x: Scale
  readonly y: Scale
}

export interface Tick {
  readonly value: number
  readonly label: string
}

/** Time goes to the right; y from `low` at the bottom to `high` at the top. */
export function frameOf(height: number, seconds: number, low: number, high: number, isLog = false): Frame {
  const f = isLog ? Math.log10 : (value: number) => value
  const inner = height - TOP - BOTTOM
  return {
    height,
    x: (value) => LEFT + (value / Math.max(seconds, 1e-9)) * (WIDTH - LEFT - RIGHT),
    y: (value) => TOP + inner - ((f(value) - f(low)) / Math.max(f(high) - f(low), 1e-9)) * inner,
  }
}

export function drawChart(
  frame: Frame,
  seconds: number,
  ticks: readonly Tick[],
  bands: readonly Band[],
  content: string,
): string {
  const { height, x, y } = frame
  const bottom = height - BOTTOM
  const across = ticks.map(
    ({ value, label }) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${one(y(value))}" y2="${one(y(value))}" style="stroke:var(--grid)"/>` +
      `<text x="${LEFT - 10}" y="${one(y(value) + 4)}" text-anchor="end">${label}</text>`,
  )
  const shades = bands.map(({ fault, fromSeconds, toSeconds }) => {
    const width = Math.max(1.5, x(toSeconds) - x(fromSeconds))
    return (
      `<rect x="${one(x(fromSeconds))}" y="${TOP}" width="${one(width)}" height="${bottom - TOP}"` +
      ` style="fill:var(--band);opacity:.11"><title>${escapeXml(fault)}</title></rect>`
    )
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    ...shades,
    ...across,
    ...timeAxis(frame, seconds),
    content,
    '</svg>',
  ].join('')
}

function timeAxis({ height, x }: Frame, seconds: number): string[] {
  const step = niceStep(seconds / 8)
  const texts: string[] = []
  for (let at = 0; at <= seconds * 1.0001; at += step) {
    texts.push(
      `<text x="${one(x(at))}" y="${height - 6}" text-anchor="middle">${Number(at.toFixed(3))} s</text>`,
    )
  }
  return texts
}

/** 1, 2 or 5 times a power of ten. */
export function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-6)))
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough) ?? 10
  return factor * power
}

export function one(value: number): number {
  return Math.round(value * 10) / 10
}

export function polyline(points: readonly (readonly [number, number])[], style: string): string {
  return `<polyline points="${points.map(([x, y]) => `${one(x)},${one(y)}`).join(' ')}" style="fill:none;${style}"/>`
}

const LANE = 32
/** Above its bars. */
const LABEL = 16

/** One lane for each fault. */
export function drawLanes(bands: readonly Band[], seconds: number): string {
  const faults = [...new Set(bands.map(({ fault }) => fault))].sort()
  const height = faults.length * LANE + TOP + BOTTOM
  const frame = frameOf(height, seconds, 0, 1)
  const lanes = faults.flatMap((fault, i) => {
    const top = TOP + i * LANE
    const boxes = bands
      .filter((band) => band.fault === fault)
      .map(({ fromSeconds, toSeconds }) => {
        const width = Math.max(3, frame.x(toSeconds) - frame.x(fromSeconds))
        return (
          `<rect x="${one(frame.x(fromSeconds))}" y="${top + LABEL + 3}" width="${one(width)}" height="${LANE - LABEL - 7}" rx="3"` +
          ' style="fill:var(--band);opacity:.55"/>'
        )
      })
    const label = `<text x="${LEFT + 2}" y="${top + LABEL - 3}" style="fill:var(--text)">${escapeXml(fault)}</text>`
    return [...boxes, label]
  })
  return drawChart(frame, seconds, [], [], lanes.join(''))
}
