import type { BankRead, Transfer } from '../check/ops.ts'
import type { OpValue } from '../history/op.ts'
import type { Random } from '../run/random.ts'
import { Declined, type Session } from '../run/session.ts'
import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const ACCOUNTS = Array.from({ length: 8 }, (_, i) => i)
const BALANCE = 100
const AMOUNT_MAX = 5

/** Transfers between accounts of different shards, each of which leaves its id in another table; reads of all accounts. */
export function bankWorkload(options: WorkloadOptions): Workload {
  let transfers = 0
  const begin = beginOf(options.isolation)
  return {
    tables: [
      `CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0)) ${spread(options, 'id')}`,
      `CREATE TABLE transfer (id int PRIMARY KEY) ${spread(options, 'id')}`,
      `INSERT INTO account SELECT i, ${BALANCE} FROM generate_series(0, ${ACCOUNTS.length - 1}) i`,
    ],
    next: ({ random }) => {
      if (random.chance(0.4)) return { f: 'read', value: null }
      return { f: 'transfer', value: { ...planTransfer(random), id: ++transfers } }
    },
    perform: async (session, { f, value, final }, { random }) => {
      if (f === 'transfer')
        return session.transaction(begin, () => transfer(session, value as unknown as Transfer))
      // The total by another plan; or both tables, which has to come out even.
      if (final === true || random.chance(0.3))
        return session.transaction('BEGIN ISOLATION LEVEL REPEATABLE READ', () => readAll(session))
      return { accounts: await readAccounts(session) }
    },
    finals: (): Task[] => [{ f: 'read', value: null, final: true }],
    checkOptions: { bank: { accounts: Object.fromEntries(ACCOUNTS.map((id) => [id, BALANCE])) } },
  }
}

function planTransfer(random: Random): Omit<Transfer, 'id'> {
  const [from = 0, to = 1] = random.some(ACCOUNTS, 2)
  return { from, to, amount: 1 + random.below(AMOUNT_MAX) }
}

async function transfer(session: Session, { from, to, amount, id }: Transfer): Promise<OpValue> {
  const paid = await session.change(
    'UPDATE account SET balance = balance - $1 WHERE id = $2 AND balance >= $1',
    [amount, from],
  )
  if (paid === 0) throw new Declined('the account has too little')
  await session.change('UPDATE account SET balance = balance + $1 WHERE id = $2', [amount, to])
  await session.change('INSERT INTO transfer VALUES ($1)', [id])
  return { from, to, amount, id }
}

async function readAccounts(session: Session): Promise<Record<string, number>> {
  const rows = await session.read<{ id: number; balance: number }>('SELECT id, balance FROM account')
  return Object.fromEntries(rows.map(({ id, balance }) => [id, balance]))
}

async function readAll(session: Session): Promise<OpValue> {
  const [sum] = await session.read<{ total: number }>('SELECT sum(balance)::int AS total FROM account')
  const accounts = await readAccounts(session)
  const rows = await session.read<{ id: number }>('SELECT id FROM transfer ORDER BY id')
  const read: BankRead = { accounts, total: sum?.total ?? 0, transfers: rows.map(({ id }) => id) }
  return read as unknown as OpValue
}
