import type { Edge, EdgeKind, Graph, Why } from './graph.ts'

/** One edge of a cycle, from a transaction to a transaction. */
export interface Step {
  readonly from: number
  readonly to: number
  readonly kind: EdgeKind
  readonly why: Why | undefined
}

/** Which edges may follow which: states are small numbers, the first after the first edge of the cycle. */
export interface Rule {
  readonly start: EdgeKind
  readonly first: number
  next(state: number, kind: EdgeKind): number | undefined
  isEnd(state: number): boolean
}

/** How many edges may still be looked at. */
export interface Budget {
  left: number
}

interface Visit {
  readonly at: number
  readonly state: number
  readonly edge: Edge
  readonly before: Visit | undefined
}

const STATES = 4

/**
 * The shortest cycle that begins with an edge and keeps to a rule, inside of a set of nodes; the way through nodes that
 * only lead through costs nothing.
 */
export function shortestCycle(
  graph: Graph,
  from: number,
  edge: Edge,
  rule: Rule,
  isInside: (node: number) => boolean,
  lengthMax: number,
  budget: Budget,
): readonly Step[] | undefined {
  const seen = new Set([edge.to * STATES + rule.first])
  let level: Visit[] = [{ at: edge.to, state: rule.first, edge, before: undefined }]
  for (let length = 1; level.length > 0 && length < lengthMax + 1; length++) {
    const following: Visit[] = []
    // Grows while it is walked.
    for (const visit of level) {
      for (const next of graph.out[visit.at] as Edge[]) {
        if (--budget.left < 0) return undefined
        const state = next.kind === 'via' ? visit.state : rule.next(visit.state, next.kind)
        if (state === undefined || !isInside(next.to)) continue
        const reached: Visit = { at: next.to, state, edge: next, before: visit }
        if (next.to === from) {
          if (rule.isEnd(state)) return stepsOf(from, reached, graph.txns)
          continue
        }
        const id = next.to * STATES + state
        if (seen.has(id)) continue
        seen.add(id)
        if (next.kind === 'via') level.push(reached)
        else following.push(reached)
      }
    }
    level = following
  }
  return undefined
}

/** The edges of a path with those through other nodes made one. */
function stepsOf(from: number, end: Visit, txns: number): Step[] {
  const visits: Visit[] = []
  for (let visit: Visit | undefined = end; visit !== undefined; visit = visit.before) visits.unshift(visit)
  const steps: Step[] = []
  let start = from
  let through: Edge | undefined
  for (const { at, edge } of visits) {
    const { kind, why } = through ?? edge
    if (at < txns) {
      const value = edge.why ?? why
      steps.push({
        from: start,
        to: at,
        kind,
        why: value === undefined ? undefined : { ...value, ...before(why) },
      })
      start = at
      through = undefined
    } else through ??= edge
  }
  return steps
}

function before(why: Why | undefined): { before?: number | null } {
  return why?.before === undefined ? {} : { before: why.before }
}
