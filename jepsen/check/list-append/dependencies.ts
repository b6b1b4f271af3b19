import { Graph } from '../graph/graph.ts'
import type { Dependencies } from '../graph/judge-cycles.ts'
import { addProcessOrder, addRealtime, type Placed } from '../graph/order.ts'
import { groupBy, pushTo } from '../group.ts'
import type { Txn } from '../txns.ts'
import type { ListRead, Lists } from './lists.ts'

/** A reader may be the transaction itself, or one statement of it. */
interface Reader {
  readonly node: number
  readonly reads: readonly ListRead[]
}

/** Each transaction as a whole. */
export function betweenTxns(lists: Lists): Dependencies {
  const counting = lists.txns.filter(lists.counts)
  const byTxn = groupBy(lists.reads, ({ txn }) => txn)
  const graph = new Graph(lists.txns.length)
  const readers = [...byTxn].map(([txn, reads]) => ({ node: txn.id, reads }))
  connect(graph, lists, readers)
  const placed = counting.map(({ id, call }) => ({ node: id, call }))
  addProcessOrder(graph, placed)
  addRealtime(graph, placed)
  return { graph, txnOf: (node) => lists.txns[node] as Txn }
}

/**
 * As READ COMMITTED sees it: the appends of a transaction as one, and each statement that reads several lists as a reader of
 * its own. Statements that read one list are left out (unless each asks all shards): what one shard shows need not agree
 * with the cut of another reader at the same time.
 */
export function betweenStatements(lists: Lists, areScattered: boolean): Dependencies {
  const byTxn = groupBy(lists.reads, ({ txn }) => txn)
  const readers: Reader[] = []
  const owners: Txn[] = []
  const placed: Placed[] = []
  for (const txn of lists.txns) {
    if (!lists.counts(txn)) continue
    const { call } = txn
    for (const reads of statementsOf(txn, byTxn.get(txn) ?? [])) {
      if (reads.length < 2 && !areScattered) continue
      const node = lists.txns.length + owners.length
      owners.push(txn)
      readers.push({ node, reads })
      placed.push({ node, call })
    }
    // What it wrote is seen from its end on.
    if (txn.ops.some(([f]) => f === 'append')) placed.push({ node: txn.id, call })
  }
  const graph = new Graph(lists.txns.length + owners.length)
  connect(graph, lists, readers)
  addProcessOrder(graph, placed)
  addRealtime(graph, placed)
  return { graph, txnOf: (node) => lists.txns[node] ?? (owners[node - lists.txns.length] as Txn) }
}

function statementsOf({ statements }: Txn, reads: readonly ListRead[]): ListRead[][] {
  return [...groupBy(reads, ({ at }) => statements?.[at] ?? `alone ${at}`).values()]
}

function connect(graph: Graph, lists: Lists, readers: readonly Reader[]): void {
  const nodeOf = (key: number, value: number): number | undefined => {
    const writer = lists.writerOf(key, value)
    return writer !== undefined && lists.counts(writer) ? writer.id : undefined
  }
  for (const [key, order] of lists.orders) {
    order.forEach((value, i) => {
      const before = order[i - 1]
      if (before === undefined) return
      const from = nodeOf(key, before)
      const to = nodeOf(key, value)
      if (from !== undefined && to !== undefined) graph.add(from, 'ww', to, { key, value, before })
    })
  }
  const atEnd = new Map<number, number[]>()
  for (const { node, reads } of readers) {
    for (const { key, values } of reads) {
      const last = values.at(-1)
      const writer = last === undefined ? undefined : nodeOf(key, last)
      if (writer !== undefined) graph.add(writer, 'wr', node, { key, value: last as number })
      const next = lists.orders.get(key)?.[values.length]
      if (next === undefined && lists.unseen.has(key)) pushTo(atEnd, key, node)
      const overwriter = next === undefined ? undefined : nodeOf(key, next)
      if (overwriter !== undefined) graph.add(node, 'rw', overwriter, { key, value: next as number })
    }
  }
  // Committed appends that nobody read come after all that was read of their list, in an order that is not known.
  for (const [key, appends] of lists.unseen) {
    const next = appends.map(({ txn, value }) => ({ id: txn.id, value }))
    graph.addProduct(atEnd.get(key) ?? [], 'rw', next, { key })
    const last = lists.orders.get(key)?.at(-1)
    const writer = last === undefined ? undefined : nodeOf(key, last)
    if (writer !== undefined && last !== undefined)
      graph.addProduct([writer], 'ww', next, { key, before: last })
  }
}
