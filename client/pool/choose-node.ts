/** What is known of a server when a connection is wanted. */
export interface NodeView {
  /** Connections that somebody uses, and those being made. */
  readonly busy: number
  /** Connections that nobody uses. */
  readonly idle: number
  /** Whether another connection may be made. */
  readonly hasRoom: boolean
  /** Until when, in the clock's milliseconds, it is not asked unless all are like that. */
  readonly downUntil: number
}

/**
 * The index of the server to ask: of those that are up the one with the least to do, and among equals one with a
 * connection at hand. When all are down the one whose turn is soonest, as somebody has to look; undefined when those that
 * are up have no connection to give.
 */
export function chooseNode(
  nodes: readonly NodeView[],
  now: number,
  random: () => number,
): number | undefined {
  const up = indices(nodes, (node) => node.downUntil <= now)
  if (up.length === 0) return least(indices(nodes, hasOne), (i) => [nodes[i]!.downUntil], random)
  const free = up.filter((i) => hasOne(nodes[i]!))
  return least(free, (i) => [nodes[i]!.busy, nodes[i]!.idle > 0 ? 0 : 1], random)
}

const hasOne = (node: NodeView): boolean => node.idle > 0 || node.hasRoom

function indices(nodes: readonly NodeView[], wanted: (node: NodeView) => boolean): number[] {
  return nodes.flatMap((node, i) => (wanted(node) ? [i] : []))
}

function least(
  candidates: readonly number[],
  weight: (i: number) => readonly number[],
  random: () => number,
): number | undefined {
  const compare = (a: readonly number[], b: readonly number[]): number =>
    a.map((value, i) => value - b[i]!).find((difference) => difference !== 0) ?? 0
  const sorted = [...candidates].sort((a, b) => compare(weight(a), weight(b)))
  const best = sorted.filter((i) => compare(weight(i), weight(sorted[0]!)) === 0)
  return best[Math.floor(random() * best.length)]
}

/** For how long a server that failed so often in a row is left alone: 250 ms, doubling, 15 s at most, ± a half. */
export function downMs(failures: number, random: () => number): number {
  return Math.min(15_000, 250 * 2 ** (failures - 1)) * (0.5 + random())
}
