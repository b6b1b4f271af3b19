/** What a committed transaction did, as an observer who sees everything knows it. */
export interface Observed {
  readonly id: number
  /** By key: the transactions whose versions it saw. */
  readonly reads: ReadonlyMap<string, readonly number[]>
  readonly writes: ReadonlySet<string>
  readonly beganMs: number
  readonly ackedMs: number
  /** One statement on one shard, which takes no cut. */
  readonly isSingle: boolean
}

interface Edge {
  readonly to: number
  readonly why: string
}

type Graph = Map<number, Edge[]>

/** A cycle in the serialization graph of what was committed; undefined: there is a serial order. */
export function findCycle(txns: readonly Observed[]): string | undefined {
  const graph = dependencies(txns)
  const cycle = cycleIn(graph)
  if (cycle !== undefined) return `not serializable: ${cycle}`
  for (const before of txns) {
    for (const after of txns) {
      // Between two single statements a session's token decides (cut-sim-session.ts), not this.
      if (before.ackedMs >= after.beganMs || (before.isSingle && after.isSingle)) continue
      graph.get(before.id)!.push({ to: after.id, why: 'before' })
    }
  }
  const late = cycleIn(graph)
  return late === undefined ? undefined : `not in real-time order: ${late}`
}

/** An update reads the row too: so its order is that of reads. */
function dependencies(txns: readonly Observed[]): Graph {
  const graph: Graph = new Map(txns.map(({ id }) => [id, []]))
  const writers = new Map<string, Observed[]>()
  for (const txn of txns) {
    for (const key of txn.writes) writers.set(key, [...(writers.get(key) ?? []), txn])
  }
  for (const txn of txns) {
    for (const [key, seen] of txn.reads) {
      for (const writer of writers.get(key) ?? []) {
        if (writer === txn) continue
        if (seen.includes(writer.id)) graph.get(writer.id)!.push({ to: txn.id, why: `wr ${key}` })
        else graph.get(txn.id)!.push({ to: writer.id, why: `rw ${key}` })
      }
    }
  }
  return graph
}

function cycleIn(graph: Graph): string | undefined {
  const done = new Set<number>()
  const path: number[] = []
  const whys: string[] = []
  const visit = (id: number): string | undefined => {
    const start = path.indexOf(id)
    if (start >= 0) {
      const steps = path.slice(start).map((at, i) => `x${at} -${whys[start + i]}-> `)
      return `${steps.join('')}x${id}`
    }
    if (done.has(id)) return undefined
    path.push(id)
    for (const { to, why } of graph.get(id) ?? []) {
      whys.push(why)
      const found = visit(to)
      if (found !== undefined) return found
      whys.pop()
    }
    path.pop()
    done.add(id)
    return undefined
  }
  for (const id of graph.keys()) {
    const found = visit(id)
    if (found !== undefined) return found
  }
  return undefined
}
