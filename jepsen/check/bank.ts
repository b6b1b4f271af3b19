import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, checkElements, lookOf, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { BankRead, Transfer } from './ops.ts'
import type { Check, CheckOptions } from './verdict.ts'

type Bank = NonNullable<CheckOptions['bank']>

/**
 * Money moves between accounts on several shards: every read has the same total, and a read that has the ids of the
 * transfers as well has exactly the balances that they make. Operations: `Transfer`, `BankRead` of ops.ts.
 */
export const bank: Check = (history, options) => {
  const judge = new Judge()
  if (options.bank === undefined)
    throw new Error('the bank checker has to know the balances at the beginning')
  const calls = callsOf(history)
  const transfers = callsTo(calls, 'transfer')
  const byId = new Map(transfers.map((call) => [(call.invoke.value as Transfer).id, call]))
  const reads = okCalls(calls, 'read')
  for (const read of reads) {
    checkBalances(read, options.bank, judge)
    checkTransfers(read, options.bank, byId, judge)
  }
  const added = [...byId].map(([element, call]) => ({ element, call }))
  const looks = reads.flatMap((call) => {
    const { transfers: ids } = told<BankRead>(call)
    return ids === undefined ? [] : [lookOf(call, ids)]
  })
  checkElements(added, looks, options, judge, 'transfer')
  judge.count('reads of balances', reads.length)
  return judge.verdict()
}

function checkBalances(read: Call, { accounts: before, negative = false }: Bank, judge: Judge): void {
  const { accounts, total } = told<BankRead>(read)
  const ops = [indexOf(read)]
  const names = new Set([...Object.keys(before), ...Object.keys(accounts)])
  for (const name of names) {
    if (accounts[name] === undefined)
      judge.find('missing-account', `op ${ops[0]} does not see account ${name}`, ops)
    else if (before[name] === undefined)
      judge.find('garbage', `op ${ops[0]} sees account ${name}, which nobody made`, ops)
    else if (!negative && accounts[name] < 0) {
      judge.find('negative-balance', `op ${ops[0]} reads ${accounts[name]} in account ${name}`, ops)
    }
  }
  const expected = sum(Object.values(before))
  const found = sum(Object.values(accounts))
  if (found !== expected) {
    judge.find('wrong-total', `op ${ops[0]} reads balances that make ${found}, and not ${expected}`, ops)
  }
  if (total !== undefined && total !== found) {
    judge.find('torn-total', `op ${ops[0]} reads the total ${total} and balances that make ${found}`, ops)
  }
}

/** Both tables are read at one cut. */
function checkTransfers(
  read: Call,
  { accounts: before }: Bank,
  byId: ReadonlyMap<number, Call>,
  judge: Judge,
): void {
  const { accounts, transfers } = told<BankRead>(read)
  if (transfers === undefined) return
  const balances = new Map(Object.entries(before))
  for (const id of new Set(transfers)) {
    const transfer = byId.get(id)?.invoke.value as Transfer | undefined
    if (transfer === undefined) continue
    const { from, to, amount } = transfer
    balances.set(String(from), (balances.get(String(from)) ?? 0) - amount)
    balances.set(String(to), (balances.get(String(to)) ?? 0) + amount)
  }
  for (const [name, balance] of balances) {
    if (accounts[name] === undefined || accounts[name] === balance) continue
    judge.find(
      'torn-transfer',
      `op ${indexOf(read)} reads ${accounts[name]} in account ${name}, and the transfers that it sees make ${balance}`,
      [indexOf(read)],
    )
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
