import { judgeCycles } from '../graph/judge-cycles.ts'
import { Judge } from '../judge.ts'
import { txnsOf } from '../txns.ts'
import type { Check } from '../verdict.ts'
import { betweenStatements, betweenTxns } from './dependencies.ts'
import { readLists } from './lists.ts'
import { checkStructure } from './structure.ts'

/**
 * Judges transactions that append unique numbers to lists and read whole lists, as Elle does (Kingsbury, Alvaro: "Elle",
 * VLDB 2020). What was read tells in which order the appends of a list took effect, and so which transaction comes before
 * which; a cycle is an anomaly. Operations: `TxnValue` of ops.ts.
 */
export const listAppend: Check = (history, options) => {
  const judge = new Judge()
  const txns = txnsOf(history)
  const lists = readLists(txns, judge)
  checkStructure(lists, judge)
  judgeCycles(betweenTxns(lists), '', 'list', options, judge)
  if (options.isolation === 'read committed') {
    const statements = betweenStatements(lists, options.scatteredReads ?? false)
    judgeCycles(statements, 'statement-', 'list', options, judge)
  }
  for (const outcome of ['ok', 'fail', 'info'] as const) {
    judge.count(`transactions ${outcome}`, txns.filter((txn) => txn.outcome === outcome).length)
  }
  judge.count('lists', lists.orders.size)
  judge.count('reads', lists.reads.length)
  if (lists.reads.length === 0) judge.doubt('Nothing was read, so nothing is known.')
  return judge.verdict(options)
}
