import type pg from 'pg'
import type { Random } from '../helpers/random-queries.ts'

/** TPC-C's five transactions, as drivers write them: a statement's rows decide what the next ones are given. */
export type Run = (sql: string, params: readonly unknown[]) => Promise<readonly Row[]>
export type Row = Readonly<Record<string, string | null>>
type Transaction = (run: Run, r: Random) => Promise<void>

const WAREHOUSES = 6
const DISTRICTS = 3
const CUSTOMERS = 20
const ITEMS = 100
/** An item that is not there: one new order in a hundred is rolled back for it. */
const UNUSED_ITEM = ITEMS + 1
const REMOTE_LINES_PERCENT = 20
const REMOTE_PAYMENTS_PERCENT = 30

/** What rolls a transaction back on purpose. */
export class RolledBack extends Error {}

const oneOf = (r: Random, count: number): number => 1 + r.below(count)
const other = (r: Random, warehouse: number): number =>
  ((warehouse + r.below(WAREHOUSES - 1)) % WAREHOUSES) + 1

export const newOrder: Transaction = async (run, r) => {
  const [w, d, c] = [oneOf(r, WAREHOUSES), oneOf(r, DISTRICTS), oneOf(r, CUSTOMERS)]
  const lines = Array.from({ length: 5 + r.below(11) }, () => ({
    item: r.chance(1) ? UNUSED_ITEM : oneOf(r, ITEMS),
    supply: r.chance(REMOTE_LINES_PERCENT) ? other(r, w) : w,
    quantity: oneOf(r, 10),
  }))
  await run(
    `SELECT c_discount, c_last, c_credit, w_tax FROM customer, warehouse
     WHERE w_id = $1 AND c_w_id = w_id AND c_d_id = $2 AND c_id = $3`,
    [w, d, c],
  )
  const [district] = await run(
    'SELECT d_next_o_id, d_tax FROM district WHERE d_id = $1 AND d_w_id = $2 FOR UPDATE',
    [d, w],
  )
  const order = district!.d_next_o_id
  await run('UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_id = $1 AND d_w_id = $2', [d, w])
  const isLocal = lines.every(({ supply }) => supply === w) ? 1 : 0
  await run(
    'INSERT INTO orders (o_id, o_d_id, o_w_id, o_c_id, o_ol_cnt, o_all_local) VALUES ($1, $2, $3, $4, $5, $6)',
    [order, d, w, c, lines.length, isLocal],
  )
  await run('INSERT INTO new_order (no_o_id, no_d_id, no_w_id) VALUES ($1, $2, $3)', [order, d, w])
  for (const [number, { item, supply, quantity }] of lines.entries()) {
    const [found] = await run('SELECT i_price, i_name, i_data FROM item WHERE i_id = $1', [item])
    if (found === undefined) throw new RolledBack()
    await run('SELECT s_quantity, s_data FROM stock WHERE s_i_id = $1 AND s_w_id = $2 FOR UPDATE', [
      item,
      supply,
    ])
    await run(
      `UPDATE stock SET s_quantity = CASE WHEN s_quantity >= $1 + 10 THEN s_quantity - $1 ELSE s_quantity - $1 + 91 END,
         s_ytd = s_ytd + $1, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + $2
       WHERE s_i_id = $3 AND s_w_id = $4`,
      [quantity, supply === w ? 0 : 1, item, supply],
    )
    await run(
      `INSERT INTO order_line (ol_o_id, ol_d_id, ol_w_id, ol_number, ol_i_id, ol_supply_w_id, ol_delivered, ol_quantity, ol_amount)
       VALUES ($1, $2, $3, $4, $5, $6, false, $7::int, $7::int * $8::numeric)`,
      [order, d, w, number + 1, item, supply, quantity, found.i_price],
    )
  }
}

export const payment: Transaction = async (run, r) => {
  const [w, d] = [oneOf(r, WAREHOUSES), oneOf(r, DISTRICTS)]
  const isRemote = r.chance(REMOTE_PAYMENTS_PERCENT)
  const [cw, cd] = isRemote ? [other(r, w), oneOf(r, DISTRICTS)] : [w, d]
  const amount = (100 + r.below(499_900)) / 100
  await run('UPDATE warehouse SET w_ytd = w_ytd + $1 WHERE w_id = $2 RETURNING w_name', [amount, w])
  await run('UPDATE district SET d_ytd = d_ytd + $1 WHERE d_w_id = $2 AND d_id = $3 RETURNING d_name', [
    amount,
    w,
    d,
  ])
  const c = await customer(run, r, cw, cd)
  await run(
    `UPDATE customer SET c_balance = c_balance - $1, c_ytd_payment = c_ytd_payment + $1, c_payment_cnt = c_payment_cnt + 1,
       c_data = CASE WHEN c_credit = 'BC' THEN substr(concat_ws(' ', c_id, c_d_id, c_w_id, $2::int, $3::int, $1, '|', c_data), 1, 500)
                ELSE c_data END
     WHERE c_w_id = $4 AND c_d_id = $5 AND c_id = $6 RETURNING c_balance, c_data`,
    [amount, d, w, cw, cd, c],
  )
  await run(
    'INSERT INTO history (h_c_d_id, h_c_w_id, h_c_id, h_d_id, h_w_id, h_amount, h_data) VALUES ($1, $2, $3, $4, $5, $6, $7)',
    [cd, cw, c, d, w, amount, `w${w} d${d}`],
  )
}

/** Six of ten are found by their last name: the one in the middle, by first names. */
async function customer(run: Run, r: Random, w: number, d: number): Promise<string | number> {
  if (!r.chance(60)) return oneOf(r, CUSTOMERS)
  const last = `last${r.below(5)}`
  const rows = await run(
    `SELECT c_id, c_first, c_balance FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3
     ORDER BY c_first FOR UPDATE`,
    [w, d, last],
  )
  return rows[Math.ceil(rows.length / 2) - 1]!.c_id!
}

export const orderStatus: Transaction = async (run, r) => {
  const [w, d] = [oneOf(r, WAREHOUSES), oneOf(r, DISTRICTS)]
  const c = await customer(run, r, w, d)
  const [order] = await run(
    `SELECT o_id, o_carrier_id FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_c_id = $3 ORDER BY o_id DESC LIMIT 1`,
    [w, d, c],
  )
  await run(
    `SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivered FROM order_line
     WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3 ORDER BY ol_number`,
    [w, d, order?.o_id ?? 0],
  )
}

export const delivery: Transaction = async (run, r) => {
  const [w, carrier] = [oneOf(r, WAREHOUSES), oneOf(r, 10)]
  for (let d = 1; d <= DISTRICTS; d++) {
    const [oldest] = await run(
      `SELECT no_o_id FROM new_order WHERE no_d_id = $1 AND no_w_id = $2 ORDER BY no_o_id LIMIT 1 FOR UPDATE SKIP LOCKED`,
      [d, w],
    )
    if (oldest === undefined) continue
    const order = oldest.no_o_id
    await run('DELETE FROM new_order WHERE no_o_id = $1 AND no_d_id = $2 AND no_w_id = $3', [order, d, w])
    const [delivered] = await run(
      'UPDATE orders SET o_carrier_id = $1 WHERE o_id = $2 AND o_d_id = $3 AND o_w_id = $4 RETURNING o_c_id',
      [carrier, order, d, w],
    )
    await run(
      'UPDATE order_line SET ol_delivered = true WHERE ol_o_id = $1 AND ol_d_id = $2 AND ol_w_id = $3',
      [order, d, w],
    )
    await run(
      `UPDATE customer SET c_delivery_cnt = c_delivery_cnt + 1, c_balance = c_balance + (
         SELECT sum(ol_amount) FROM order_line WHERE ol_o_id = $1 AND ol_d_id = $2 AND ol_w_id = $3)
       WHERE c_id = $4 AND c_d_id = $2 AND c_w_id = $3`,
      [order, d, w, delivered!.o_c_id],
    )
  }
}

export const stockLevel: Transaction = async (run, r) => {
  const [w, d, threshold] = [oneOf(r, WAREHOUSES), oneOf(r, DISTRICTS), 10 + r.below(11)]
  const [district] = await run('SELECT d_next_o_id FROM district WHERE d_w_id = $1 AND d_id = $2', [w, d])
  await run(
    `SELECT count(DISTINCT s_i_id) FROM order_line, stock
     WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id < $3 AND ol_o_id >= $3 - 20
       AND s_w_id = ol_w_id AND s_i_id = ol_i_id AND s_quantity < $4`,
    [w, d, district!.d_next_o_id, threshold],
  )
}

/** TPC-C's mix. */
export function nextTransaction(r: Random): Transaction {
  const turn = r.below(100)
  if (turn < 45) return newOrder
  if (turn < 88) return payment
  return turn < 92 ? orderStatus : turn < 96 ? delivery : stockLevel
}

/** Runs one as a transaction of the client's; how it ended. */
export async function runTransaction(client: pg.Client, run: Run, r: Random): Promise<'COMMIT' | 'ROLLBACK'> {
  await client.query('BEGIN')
  const ended = await nextTransaction(r)(run, r).then(
    () => 'COMMIT' as const,
    (error: unknown) => {
      if (error instanceof RolledBack) return 'ROLLBACK' as const
      throw error
    },
  )
  await client.query(ended)
  return ended
}
