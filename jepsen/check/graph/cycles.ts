/**
 * Finds the cycles of a dependency graph and says which of Adya's phenomena each is (Adya 1999; Cerone, Gotsman 2018 for
 * snapshot isolation). Whether there are any is decided in linear time, by strongly connected components: of the writes
 * (G0), of writes and reads (G1c), of the graph in which no anti-dependency follows another (what snapshot isolation
 * forbids: each node is there twice, as reached by an anti-dependency or otherwise), and of everything (G2). Only inside of
 * a component is searched for the smallest cycle.
 */
import { type Components, components } from './components.ts'
import type { EdgeKind, Graph } from './graph.ts'
import { type Budget, type Rule, type Step, shortestCycle } from './paths.ts'

export interface Cycle {
  readonly kind: string
  readonly steps: readonly Step[]
}

export interface Cycles {
  readonly cycles: readonly Cycle[]
  /** Kinds of which some component was too big to be searched through. */
  readonly unsearched: readonly string[]
}

/** How many of each kind are wanted. */
export type WantedMax = (kind: string) => number

/** Besides what transactions read and wrote, the order of a session, or time, counts; the name says so. */
const ORDERS: readonly { readonly suffix: string; readonly kind: EdgeKind | undefined }[] = [
  { suffix: '', kind: undefined },
  { suffix: '-process', kind: 'process' },
  { suffix: '-realtime', kind: 'realtime' },
]

const anyEnd = (): boolean => true
const G0: Rule = { start: 'ww', first: 0, next: (_, kind) => ifNot(kind, 'wr', 'rw'), isEnd: anyEnd }
const G1C: Rule = { start: 'wr', first: 0, next: (_, kind) => ifNot(kind, 'rw'), isEnd: anyEnd }
const SINGLE: Rule = { start: 'rw', first: 0, next: (_, kind) => ifNot(kind, 'rw'), isEnd: anyEnd }
/** Several, none after another: 0 and 2 directly after one, 1 and 3 after another edge; from 2 on there was a second. */
const NONADJACENT: Rule = {
  start: 'rw',
  first: 0,
  next: (state, kind) => {
    if (kind === 'rw') return state % 2 === 0 ? undefined : 2
    return state >= 2 ? 3 : 1
  },
  isEnd: (state) => state === 3,
}
/** Two of them are neighbours: the cycle begins with the second and ends with the first. */
const ADJACENT: Rule = {
  start: 'rw',
  first: 1,
  next: (_, kind) => (kind === 'rw' ? 1 : 0),
  isEnd: (state) => state === 1,
}

function ifNot(kind: EdgeKind, ...others: readonly EdgeKind[]): number | undefined {
  return others.includes(kind) ? undefined : 0
}

type Shape = 'writes' | 'dependencies' | 'split' | 'all'

/** A cycle counts as the first kind that fits. */
const KINDS: readonly { readonly name: string; readonly rule: Rule; readonly shape: Shape }[] = [
  { name: 'G0', rule: G0, shape: 'writes' },
  { name: 'G1c', rule: G1C, shape: 'dependencies' },
  { name: 'G-single', rule: SINGLE, shape: 'split' },
  { name: 'G-nonadjacent', rule: NONADJACENT, shape: 'split' },
  { name: 'G2-item', rule: ADJACENT, shape: 'all' },
]

const LEFT_OUT: Readonly<Record<Shape, readonly EdgeKind[]>> = {
  writes: ['wr', 'rw'],
  dependencies: ['rw'],
  split: [],
  all: [],
}

const VISITS_MAX = 10_000_000
/** So much is spent on making a cycle that was found smaller. */
const BETTER_VISITS_MAX = 300_000

/** All kinds of cycles that there are, of each the smallest of some components. */
export function findCycles(graph: Graph, wantedMax: WantedMax): Cycles {
  const everything = components(graph.out.keys(), graph.size, (node) => graph.out[node]!.map(({ to }) => to))
  if (everything.groups.length === 0) return { cycles: [], unsearched: [] }
  const finder = new Finder(graph, everything, wantedMax)
  for (const { suffix, kind } of ORDERS) {
    if (kind !== undefined && !graph.has(kind)) continue
    finder.findWith(suffix, kind)
  }
  return { cycles: finder.cycles, unsearched: [...finder.unsearched] }
}

class Finder {
  readonly cycles: Cycle[] = []
  readonly unsearched = new Set<string>()
  private readonly graph: Graph
  private readonly all: Components
  private readonly wantedMax: WantedMax
  private readonly nodes: readonly number[]

  constructor(graph: Graph, all: Components, wantedMax: WantedMax) {
    this.graph = graph
    this.all = all
    this.wantedMax = wantedMax
    this.nodes = all.groups.flat()
  }

  findWith(suffix: string, order: EdgeKind | undefined): void {
    const cache = new Map<Shape, Components>()
    for (const { name, rule, shape } of KINDS) {
      const parts = cache.get(shape) ?? this.partsOf(shape, order)
      cache.set(shape, parts)
      const kind = name + suffix
      let left = this.wantedMax(kind)
      for (const group of parts.groups) {
        if (left === 0) break
        const steps = this.smallest(group, parts, rule, shape, order)
        if (steps === 'too-many') this.unsearched.add(kind)
        if (steps === undefined || steps === 'too-many') continue
        this.cycles.push({ kind, steps })
        left--
      }
    }
  }

  private partsOf(shape: Shape, order: EdgeKind | undefined): Components {
    const out = new Set<EdgeKind>(LEFT_OUT[shape])
    for (const { kind } of ORDERS) if (kind !== undefined && kind !== order) out.add(kind)
    const isIn = (from: number, to: number): boolean => this.all.of[from] === this.all.of[to]
    const next = (node: number) =>
      this.graph.out[node]!.filter(({ kind, to }) => !out.has(kind) && isIn(node, to))
    if (shape !== 'split') {
      return components(this.nodes, this.graph.size, (node) => next(node).map(({ to }) => to))
    }
    // Node 2n: n reached by an anti-dependency, which no other may follow. 2n + 1: n reached otherwise.
    const nodes = this.nodes.flatMap((node) => [2 * node, 2 * node + 1])
    return components(nodes, 2 * this.graph.size, (id) => {
      const isAfterRw = id % 2 === 0
      return next(id >> 1).flatMap(({ kind, to }) => {
        if (kind === 'via') return [2 * to + (id % 2)]
        if (kind === 'rw') return isAfterRw ? [] : [2 * to]
        return [2 * to + 1]
      })
    })
  }

  private smallest(
    group: readonly number[],
    parts: Components,
    rule: Rule,
    shape: Shape,
    order: EdgeKind | undefined,
  ): readonly Step[] | 'too-many' | undefined {
    const isSplit = shape === 'split'
    const members = isSplit ? new Set(group.map((id) => id >> 1)) : undefined
    const part = parts.of[group[0] as number]
    const isInside = (node: number): boolean => members?.has(node) ?? parts.of[node] === part
    const others = new Set(ORDERS.flatMap(({ kind }) => (kind === undefined || kind === order ? [] : [kind])))
    const inOrder: Rule = {
      ...rule,
      next: (state, kind) => (others.has(kind) ? undefined : rule.next(state, kind)),
    }
    const budget: Budget = { left: VISITS_MAX }
    let best: readonly Step[] | undefined
    for (const node of members ?? group) {
      if (node >= this.graph.txns) continue
      for (const edge of this.graph.out[node]!) {
        if (edge.kind !== rule.start || !isInside(edge.to)) continue
        const longest = best === undefined ? Number.POSITIVE_INFINITY : best.length - 1
        const steps = shortestCycle(this.graph, node, edge, inOrder, isInside, longest, budget)
        if (budget.left < 0) return best ?? 'too-many'
        if (steps === undefined || !isSimple(steps)) continue
        if (order !== undefined && !steps.some(({ kind }) => kind === order)) continue
        if (best === undefined) budget.left = Math.min(budget.left, BETTER_VISITS_MAX)
        best = steps
        if (best.length === 2) return best
      }
    }
    return best
  }
}

/** One that comes by a transaction twice is two cycles, which are found as what they are. */
function isSimple(steps: readonly Step[]): boolean {
  return new Set(steps.map(({ from }) => from)).size === steps.length
}
