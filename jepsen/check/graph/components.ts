/** Strongly connected components (Tarjan 1972), without recursion: a history is one long path. Linear. */

export interface Components {
  /** For each node the number of its group; -1 when it is on no cycle. */
  readonly of: Int32Array
  /** Those of more than one node. */
  readonly groups: readonly (readonly number[])[]
}

interface Frame {
  readonly node: number
  readonly next: readonly number[]
  at: number
}

/** `next` gives the nodes that follow one. */
export function components(
  nodes: Iterable<number>,
  size: number,
  next: (node: number) => readonly number[],
): Components {
  const of = new Int32Array(size).fill(-1)
  const number = new Int32Array(size)
  const low = new Int32Array(size)
  const isOpen = new Uint8Array(size)
  const open: number[] = []
  const groups: number[][] = []
  let count = 0

  const enter = (node: number): Frame => {
    number[node] = low[node] = ++count
    isOpen[node] = 1
    open.push(node)
    return { node, next: next(node), at: 0 }
  }
  const close = (node: number): void => {
    const start = open.lastIndexOf(node)
    const group = open.splice(start)
    for (const member of group) {
      isOpen[member] = 0
      if (group.length > 1) of[member] = groups.length
    }
    if (group.length > 1) groups.push(group)
  }

  for (const root of nodes) {
    if (number[root] !== 0) continue
    const frames = [enter(root)]
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const { node } = frame
      if (frame.at < frame.next.length) {
        const to = frame.next[frame.at++] as number
        if (number[to] === 0) frames.push(enter(to))
        else if (isOpen[to] === 1) low[node] = Math.min(low[node] as number, number[to] as number)
        continue
      }
      frames.pop()
      const parent = frames.at(-1)?.node
      if (parent !== undefined) low[parent] = Math.min(low[parent] as number, low[node] as number)
      if (low[node] === number[node]) close(node)
    }
  }
  return { of, groups }
}
