import type { EdgeKind } from './graph.ts'

/** A transaction of a cycle, and its edge to the next one. */
export interface DrawnNode {
  readonly title: string
  readonly lines: readonly string[]
  readonly edge: EdgeKind
  readonly label: string
}

const LINE = 17
const CHAR = 7.3
const GAP = 44
const LINES_MAX = 8
const CHARS_MAX = 64

/** Colours come from the page where it has some, and are good on white otherwise. */
const COLOURS: Readonly<Record<EdgeKind, string>> = {
  ww: 'var(--ww, #b42318)',
  wr: 'var(--wr, #1d6f42)',
  rw: 'var(--rw, #1f5fbf)',
  process: 'var(--order, #7a5af8)',
  realtime: 'var(--order, #7a5af8)',
  via: 'var(--dim, #667085)',
}

/** The transactions under each other, each with an arrow to the next, and one from the last back to the first. */
export function drawCycle(nodes: readonly DrawnNode[]): string {
  const boxes = layOut(nodes)
  const width = Math.max(...boxes.map((box) => box.width))
  const height = boxes.reduce((sum, box) => sum + box.height + GAP, 0) - GAP
  const labelWidth = Math.max(...nodes.map(({ label }) => label.length)) * CHAR
  const bend = 34 + 10 * Math.min(nodes.length, 6)
  const total = Math.ceil(Math.max(width + bend, width / 2 + 12) + labelWidth + 26)
  const arrows = boxes.map((box, i) => {
    const next = boxes[i + 1]
    const node = nodes[i] as DrawnNode
    return next === undefined
      ? backArrow(node, width, bend, box, boxes[0] as Box)
      : downArrow(node, width / 2, box, next)
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="cycle" viewBox="-2 -2 ${total} ${height + 4}"`,
    ` width="${total}" height="${height + 4}" role="img" font-family="ui-monospace, monospace" font-size="12">`,
    ...nodes.map((node, i) => drawBox(node, boxes[i] as Box, width)),
    ...arrows,
    '</svg>',
  ].join('')
}

interface Box {
  readonly y: number
  readonly width: number
  readonly height: number
  readonly lines: readonly string[]
}

function layOut(nodes: readonly DrawnNode[]): Box[] {
  let y = 0
  return nodes.map(({ title, lines: all }) => {
    const kept =
      all.length > LINES_MAX ? [...all.slice(0, LINES_MAX - 1), `… ${all.length - LINES_MAX + 1} more`] : all
    const lines = kept.map(shortened)
    const chars = Math.max(title.length, ...lines.map((line) => line.length))
    const box = { y, width: chars * CHAR + 24, height: (lines.length + 1) * LINE + 14, lines }
    y += box.height + GAP
    return box
  })
}

function shortened(text: string): string {
  return text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX - 1)}…` : text
}

function drawBox({ title }: DrawnNode, { y, height, lines }: Box, width: number): string {
  const rows = lines.map((line, i) => text(12, y + 20 + (i + 1) * LINE, line, 'var(--text, #101828)'))
  return [
    `<rect x="0" y="${y}" width="${width}" height="${height}" rx="6"`,
    ' style="fill:var(--panel, #f6f7f9);stroke:var(--line, #d0d5dd)"/>',
    text(12, y + 20, title, 'var(--text, #101828)', 'font-weight="600"'),
    ...rows,
  ].join('')
}

function downArrow({ edge, label }: DrawnNode, x: number, box: Box, next: Box): string {
  const start = box.y + box.height
  return [
    line(`M${x} ${start}V${next.y - 7}`, edge),
    head(x, next.y, 'down', edge),
    text(x + 10, (start + next.y) / 2 + 4, label, COLOURS[edge]),
  ].join('')
}

function backArrow({ edge, label }: DrawnNode, width: number, bend: number, last: Box, first: Box): string {
  const from = last.y + last.height / 2
  const to = first.y + first.height / 2
  const far = width + bend
  return [
    line(`M${width} ${from}C${far} ${from} ${far} ${to} ${width + 7} ${to}`, edge),
    head(width, to, 'left', edge),
    text(width + bend * 0.75 + 8, (from + to) / 2 + 4, label, COLOURS[edge]),
  ].join('')
}

/** What is about order, and not about data, is dashed. */
function line(path: string, edge: EdgeKind): string {
  const dash = edge === 'process' || edge === 'realtime' ? ';stroke-dasharray:5 4' : ''
  return `<path d="${path}" style="fill:none;stroke:${COLOURS[edge]};stroke-width:1.6${dash}"/>`
}

function head(x: number, y: number, towards: 'down' | 'left', edge: EdgeKind): string {
  const points =
    towards === 'down'
      ? `${x},${y} ${x - 5},${y - 9} ${x + 5},${y - 9}`
      : `${x},${y} ${x + 9},${y - 5} ${x + 9},${y + 5}`
  return `<polygon points="${points}" style="fill:${COLOURS[edge]}"/>`
}

function text(x: number, y: number, content: string, colour: string, more = ''): string {
  return `<text x="${x}" y="${y}" ${more} style="fill:${colour};white-space:pre">${escapeXml(content)}</text>`
}

export function escapeXml(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
