/** Histories made by hand, for tests of checkers. */
import type { MicroOp, Op, OpType, OpValue } from '../../history/op.ts'
import type { Check, CheckOptions, Verdict } from '../verdict.ts'

/** One operation, whose place in the history is given by those around it. */
export interface Made {
  readonly f: string
  readonly type: Exclude<OpType, 'invoke'>
  readonly asked: OpValue
  readonly told: OpValue
  readonly process?: number
  readonly final?: true
  readonly statements?: readonly number[]
}

export const done = (f: string, told: OpValue, asked: OpValue = told): Made => ({
  f,
  type: 'ok',
  asked,
  told,
})
export const failed = (f: string, asked: OpValue): Made => ({ f, type: 'fail', asked, told: asked })
export const unknown = (f: string, asked: OpValue): Made => ({ f, type: 'info', asked, told: asked })

export const txn = (...ops: readonly MicroOp[]): Made => done('txn', ops, ops.map(asked))
const asked = ([f, key, value]: MicroOp): MicroOp => (f === 'r' ? [f, key, null] : [f, key, value as number])

export const by = (process: number, made: Made): Made => ({ ...made, process })
export const final = (made: Made): Made => ({ ...made, final: true })
export const inStatements = (statements: readonly number[], made: Made): Made => ({ ...made, statements })

/** Phases follow each other; what is in one phase runs at once. Processes are as many as there are operations. */
export function phases(...all: readonly (readonly Made[])[]): Op[] {
  const ops: Op[] = []
  let nextProcess = 1000
  const push = (made: Made, process: number, type: OpType): void => {
    const index = ops.length
    ops.push({
      index,
      time: index * 1_000_000,
      type,
      process,
      f: made.f,
      value: type === 'invoke' ? made.asked : made.told,
      ...(made.final === undefined ? {} : { final: made.final }),
      ...(made.statements === undefined ? {} : { statements: made.statements }),
    })
  }
  for (const phase of all) {
    const running = phase.map((made) => ({ made, process: made.process ?? nextProcess++ }))
    for (const { made, process } of running) push(made, process, 'invoke')
    for (const { made, process } of running) push(made, process, made.type)
  }
  return ops
}

/** All at once: only what was read tells what came before what. */
export const atOnce = (...made: readonly Made[]): Op[] => phases(made)
/** Each after the one before was answered. */
export const inTurn = (...made: readonly Made[]): Op[] => phases(...made.map((one) => [one]))

/** Operations that are begun before a history and answered after it. */
export function around(made: readonly Made[], inner: readonly Op[]): Op[] {
  const outer = phases(made.map((one, i) => ({ process: 9000 + i, ...one })))
  const all = [...outer.slice(0, made.length), ...inner, ...outer.slice(made.length)]
  return all.map((op, index) => ({ ...op, index, time: index * 1_000_000 }))
}

export const STRICT: CheckOptions = { isolation: 'serializable', realtime: true }

/** The kinds of anomalies, each once. */
export function kindsOf(verdict: Verdict): string[] {
  return [...new Set(verdict.anomalies.map(({ kind }) => kind))].sort()
}

/** What a checker finds when nothing is allowed. */
export function judged(check: Check, history: readonly Op[], options: Partial<CheckOptions> = {}): string[] {
  return kindsOf(check(history, { ...STRICT, ...options }))
}
