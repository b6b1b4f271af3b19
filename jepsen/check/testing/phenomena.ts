/** Of each phenomenon a small history, of transactions that append to lists. */
import type { MicroOp, Op } from '../../history/op.ts'
import { around, atOnce, by, failed, final, inTurn, type Made, phases, txn } from './histories.ts'

const append = (key: number, value: number): MicroOp => ['append', key, value]
const read = (key: number, ...values: readonly number[]): MicroOp => ['r', key, values]

const X = 1
const Y = 2

/** One history for each phenomenon, at once: and what the levels say of it. */
export const PHENOMENA: readonly { kind: string; history: Op[]; readCommitted?: true; snapshot?: true }[] = [
  {
    kind: 'G0',
    history: atOnce(
      txn(append(X, 1), append(Y, 2)),
      txn(append(X, 3), append(Y, 4)),
      txn(read(X, 1, 3), read(Y, 4, 2)),
    ),
    readCommitted: true,
    snapshot: true,
  },
  {
    kind: 'G1a',
    history: atOnce(failed('txn', [append(X, 1)]), txn(read(X, 1))),
    readCommitted: true,
    snapshot: true,
  },
  {
    kind: 'G1b',
    history: atOnce(txn(append(X, 1), append(X, 2)), txn(read(X, 1))),
    readCommitted: true,
    snapshot: true,
  },
  {
    kind: 'G1c',
    history: atOnce(txn(append(X, 1), read(Y, 2)), txn(append(Y, 2), read(X, 1))),
    readCommitted: true,
    snapshot: true,
  },
  {
    kind: 'G-single',
    history: atOnce(txn(append(X, 1), append(Y, 2)), txn(read(X), read(Y, 2)), txn(read(X, 1))),
    snapshot: true,
  },
  {
    kind: 'G-nonadjacent',
    history: atOnce(
      txn(append(X, 1)),
      txn(append(Y, 2)),
      txn(read(X, 1), read(Y)),
      txn(read(X), read(Y, 2)),
      txn(read(X, 1), read(Y, 2)),
    ),
    snapshot: true,
  },
  {
    kind: 'G2-item',
    history: atOnce(txn(read(X), append(Y, 1)), txn(read(Y), append(X, 2)), txn(read(X, 2), read(Y, 1))),
  },
]

/** The same shapes, closed by the order of time, or of a process, instead of by data. */
export const ORDERED: readonly { kind: string; made: readonly Made[] }[] = [
  { kind: 'G0', made: [txn(append(X, 2)), txn(append(X, 1)), txn(read(X, 1, 2))] },
  { kind: 'G1c', made: [txn(read(X, 1)), txn(append(X, 1))] },
  { kind: 'G-single', made: [txn(append(X, 1)), txn(read(X)), txn(read(X, 1))] },
]

/** A phenomenon in the order of time, or of a process, by its name. */
export function inOrder(kind: string): Op[] {
  const [, base, order] = /^(.*)-(realtime|process)$/.exec(kind) ?? []
  const isProcess = order === 'process'
  const ordered = ORDERED.find((one) => one.kind === base)
  if (ordered !== undefined) return inTurn(...ordered.made.map((one) => (isProcess ? by(81, one) : one)))
  if (base === 'G2-item') {
    const made = [txn(append(X, 1)), txn(read(Y))].map((one) => (isProcess ? by(81, one) : one))
    return around([txn(read(X), append(Y, 5)), final(txn(read(X, 1), read(Y, 5)))], inTurn(...made))
  }
  const readers = isProcess
    ? inTurn(by(81, txn(read(X, 1))), by(81, txn(read(Y))), by(82, txn(read(Y, 2))), by(82, txn(read(X))))
    : phases([txn(read(X, 1), read(Y)), txn(read(Y, 2))], [txn(read(X))])
  return around([txn(append(X, 1)), txn(append(Y, 2))], readers)
}
