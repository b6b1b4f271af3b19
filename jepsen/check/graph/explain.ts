import { indexOf } from '../../history/calls.ts'
import { type Txn, wordsOf } from '../txns.ts'
import type { Found } from '../verdict.ts'
import type { Cycle } from './cycles.ts'
import { drawCycle } from './draw.ts'
import type { Step } from './paths.ts'

/** Lists are appended to, registers overwritten; a predicate is true of what is inserted. */
export type Wording = 'list' | 'register' | 'predicate'

/** The transaction that a node of the graph stands for, or is a statement of. */
export type TxnOf = (node: number) => Txn

/** A cycle in words and as a picture. */
export function explainCycle({ kind, steps }: Cycle, txnOf: TxnOf, wording: Wording): Found {
  const names = new Map(steps.map(({ from }, i) => [from, `T${i + 1}`]))
  const nameOf = (node: number): string => names.get(node) ?? '?'
  const lets = steps.map(
    ({ from }) => `${nameOf(from)} = ${titleOf(txnOf(from))}: ${linesOf(txnOf(from)).join(', ')}`,
  )
  const reasons = steps.map((step, i) => {
    const order = `${nameOf(step.from)} < ${nameOf(step.to)}, because ${because(step, nameOf, txnOf, wording)}`
    if (i < steps.length - 1) return `${order}.`
    return `However, ${order}: a contradiction.`
  })
  return {
    kind,
    text: [...lets, ...reasons].join('\n'),
    svg: drawCycle(
      steps.map((step) => ({
        title: `${nameOf(step.from)}  ${titleOf(txnOf(step.from))}`,
        lines: linesOf(txnOf(step.from)),
        edge: step.kind,
        label: labelOf(step),
      })),
    ),
    ops: [...new Set(steps.map(({ from }) => indexOf(txnOf(from).call)))],
  }
}

function titleOf({ call }: Txn): string {
  return `op ${indexOf(call)}, process ${call.process}`
}

function linesOf({ ops }: Txn): string[] {
  return ops.map(wordsOf)
}

function labelOf({ kind, why }: Step): string {
  return why === undefined ? kind : `${kind} ${why.key}`
}

function because(step: Step, nameOf: (node: number) => string, txnOf: TxnOf, wording: Wording): string {
  const from = nameOf(step.from)
  const to = nameOf(step.to)
  if (step.kind === 'realtime') return `${from} was acknowledged${gap(step, txnOf)} before ${to} began`
  if (step.kind === 'process') return `process ${txnOf(step.from).call.process} ran ${from} before ${to}`
  return DATA[wording](step, from, to)
}

function gap(step: Step, txnOf: TxnOf): string {
  const end = txnOf(step.from).call.end?.time
  const nanoseconds = txnOf(step.to).call.invoke.time - (end ?? Number.NaN)
  return nanoseconds > 0 ? ` ${Number((nanoseconds / 1e6).toPrecision(3))} ms` : ''
}

const DATA: Readonly<Record<Wording, (step: Step, from: string, to: string) => string>> = {
  list: ({ kind, why }, from, to) => {
    const { key, value, before } = why ?? { key: '?', value: '?' }
    if (kind === 'rw') return `${from} did not see ${to}'s append of ${value} to ${key}`
    if (kind === 'wr') return `${to} saw ${from}'s append of ${value} to ${key}`
    return `${to} appended ${value} to ${key} after ${from} had appended ${before}`
  },
  register: ({ kind, why }, from, to) => {
    const { key, value, before } = why ?? { key: '?', value: '?' }
    if (kind === 'rw')
      return `${from} read ${before ?? 'nil'} from ${key}, which ${to} overwrote with ${value}`
    if (kind === 'wr') return `${to} read ${value} from ${key}, which ${from} had written`
    return `${to} wrote ${value} to ${key} over ${from}'s ${before}`
  },
  predicate: ({ kind, why }, from, to) => {
    const { key, value } = why ?? { key: '?', value: '?' }
    if (kind === 'rw') return `${from} found no row of ${key} and so not the ${value} that ${to} inserted`
    return `${to} found ${value} of ${key}, which ${from} had inserted`
  },
}
