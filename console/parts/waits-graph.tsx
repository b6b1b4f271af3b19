import type { Session, Wait } from '../../admin/api/schemas.ts'
import { waitPicture } from '../model/waits.ts'

const WIDTH = 190
const HEIGHT = 44
const GAP_X = 56
const GAP_Y = 14

export interface WaitsGraphProps {
  readonly waits: readonly Wait[]
  readonly sessions: readonly Session[]
}

/** Who waits for whom: an arrow leads from who waits to who has the lock. */
export function WaitsGraph({ waits, sessions }: WaitsGraphProps) {
  const { nodes, edges, columns, rows } = waitPicture(waits)
  if (nodes.length === 0) return <p class="empty">Nobody waits for a lock.</p>
  const place = new Map(
    nodes.map(({ pid, column, row }) => [pid, { x: column * (WIDTH + GAP_X), y: row * (HEIGHT + GAP_Y) }]),
  )
  const width = columns * (WIDTH + GAP_X) - GAP_X + 2
  const height = rows * (HEIGHT + GAP_Y) - GAP_Y + 2
  const words = edges.map(({ waiter, holder }) => `${waiter} waits for ${nameOf(holder)}`).join('; ')
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <section class="scrolls" aria-label="Who waits for whom" tabIndex={0}>
      <p class="note">An arrow leads from who waits to who has the lock.</p>
      <svg
        class="waits"
        width={width}
        height={height}
        viewBox={`-1 -1 ${width} ${height}`}
        role="img"
        aria-label={words}
      >
        <defs>
          <marker
            id="arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto"
          >
            <path d="M0 0L8 4L0 8z" />
          </marker>
        </defs>
        {edges.map(({ waiter, holder }) => {
          const [from, to] = [place.get(waiter)!, place.get(holder)!]
          return (
            <path key={`${waiter} ${holder}`} class="edge" d={curve(from, to)} marker-end="url(#arrow)" />
          )
        })}
        {nodes.map(({ pid, holds }) => {
          const { x, y } = place.get(pid)!
          const session = sessions.find((one) => one.pid === pid)
          return (
            <g key={pid} transform={`translate(${x} ${y})`}>
              <rect class="node" width={WIDTH} height={HEIGHT} rx="5" />
              <text x="9" y="18">
                {nameOf(pid)}
                {session?.user ? ` · ${session.user}` : ''}
              </text>
              <text x="9" y="34" class="quiet">
                {holds > 0 ? `holds up ${holds} · ` : ''}
                {(session?.query ?? '').slice(0, holds > 0 ? 16 : 27)}
              </text>
              <title>{session?.query ?? nameOf(pid)}</title>
            </g>
          )
        })}
      </svg>
    </section>
  )
}

const nameOf = (pid: number): string => (pid === 0 ? 'a prepared transaction' : String(pid))

interface Point {
  readonly x: number
  readonly y: number
}

/** From the left side of who waits to the right side of who holds; in a circle back over the top. */
function curve(from: Point, to: Point): string {
  const [y1, y2] = [from.y + HEIGHT / 2, to.y + HEIGHT / 2]
  if (from.x > to.x) {
    const [x1, x2] = [from.x, to.x + WIDTH]
    return `M${x1} ${y1}C${x1 - GAP_X / 2} ${y1} ${x2 + GAP_X / 2} ${y2} ${x2} ${y2}`
  }
  const [x1, x2] = [from.x + WIDTH, to.x + (from.x === to.x ? WIDTH : 0)]
  return `M${x1} ${y1}C${x1 + GAP_X / 2} ${y1} ${x2 + (from.x === to.x ? GAP_X / 2 : -GAP_X / 2)} ${y2} ${x2} ${y2}`
}
