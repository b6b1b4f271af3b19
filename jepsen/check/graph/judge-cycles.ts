import type { Judge } from '../judge.ts'
import { isForbidden } from '../levels.ts'
import type { CheckOptions } from '../verdict.ts'
import { findCycles } from './cycles.ts'
import { explainCycle, type TxnOf, type Wording } from './explain.ts'
import type { Graph } from './graph.ts'

/** Transactions, or statements of them, and who comes before whom. */
export interface Dependencies {
  readonly graph: Graph
  readonly txnOf: TxnOf
}

const FORBIDDEN_MAX = 8

/** Some cycles of each kind that the level forbids; of what it allows one, to show that it was there to be seen. */
export function judgeCycles(
  { graph, txnOf }: Dependencies,
  prefix: string,
  wording: Wording,
  options: CheckOptions,
  judge: Judge,
): void {
  const wantedMax = (kind: string): number => (isForbidden(prefix + kind, options) ? FORBIDDEN_MAX : 1)
  const { cycles, unsearched } = findCycles(graph, wantedMax)
  for (const cycle of cycles) {
    const { text, ops, svg } = explainCycle(cycle, txnOf, wording)
    judge.find(prefix + cycle.kind, text, ops, svg)
  }
  const missed = unsearched.filter((kind) => isForbidden(prefix + kind, options))
  if (missed.length > 0)
    judge.doubt(`There may be cycles that were too long to be searched for: ${missed.join(', ')}.`)
}
