import { type Call, callsOf } from '../history/calls.ts'
import type { MicroOp, Op } from '../history/op.ts'
import type { TxnValue } from './ops.ts'

/** A transaction of a history. Of one that did not end well, what it would have read is not known. */
export interface Txn {
  /** Its place among the transactions, and its node in a graph. */
  readonly id: number
  readonly call: Call
  readonly ops: TxnValue
  readonly outcome: 'ok' | 'fail' | 'info'
  readonly isFinal: boolean
  readonly statements: readonly number[] | undefined
}

export function txnsOf(history: readonly Op[]): Txn[] {
  return callsOf(history)
    .filter(({ invoke }) => invoke.f === 'txn')
    .map((call, id) => {
      const { invoke, end, outcome } = call
      const told = outcome === 'ok' && end !== undefined ? end : invoke
      return {
        id,
        call,
        ops: (told.value ?? []) as TxnValue,
        outcome,
        isFinal: invoke.final === true || end?.final === true,
        statements: told.statements ?? invoke.statements,
      }
    })
}

/** `append 3 5`, `r 3 [1 2]`: a micro-op as a person reads it. */
export function wordsOf([f, key, value]: MicroOp): string {
  if (value === null) return `${f} ${key} nil`
  if (typeof value === 'number') return `${f} ${key} ${value}`
  return `${f} ${key} ${listWords(value)}`
}

const FIRST_SHOWN = 2
const LAST_SHOWN = 5

/** A list, the middle of a long one left out: what matters is at its end, mostly. */
export function listWords(values: readonly number[]): string {
  if (values.length <= FIRST_SHOWN + LAST_SHOWN + 1) return `[${values.join(' ')}]`
  return `[${values.slice(0, FIRST_SHOWN).join(' ')} … ${values.slice(-LAST_SHOWN).join(' ')}]`
}
