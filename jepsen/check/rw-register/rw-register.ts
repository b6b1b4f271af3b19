import { indexOf } from '../../history/calls.ts'
import { components } from '../graph/components.ts'
import { Graph } from '../graph/graph.ts'
import { judgeCycles } from '../graph/judge-cycles.ts'
import { addProcessOrder, addRealtime } from '../graph/order.ts'
import { Judge } from '../judge.ts'
import { type Txn, txnsOf } from '../txns.ts'
import type { Check } from '../verdict.ts'
import { orderByTime, orderInitial, type Registers, readRegisters, type Version } from './versions.ts'

/**
 * Judges transactions that write unique numbers to registers and read them, as Elle's rw-register does. A register shows
 * only its last version, so their order has to be inferred: what a transaction read comes before what it then wrote, nothing
 * at all before the first write, and, if registers are said to be linearizable, what ended before what began later. What is
 * not known is left out: so all that is found is true, and less is found than of lists. Operations: `TxnValue` of ops.ts.
 */
export const rwRegister: Check = (history, options) => {
  const judge = new Judge()
  const txns = txnsOf(history)
  const registers = readRegisters(txns, judge)
  checkReads(registers, judge)
  checkLostUpdates(registers, judge)
  if (options.linearizableKeys === true) orderByTime(txns, registers)
  orderInitial(registers)
  dropCyclic(registers, judge)
  judgeCycles(
    { graph: graphOf(txns, registers), txnOf: (node) => txns[node] as Txn },
    '',
    'register',
    options,
    judge,
  )
  for (const outcome of ['ok', 'fail', 'info'] as const) {
    judge.count(`transactions ${outcome}`, txns.filter((txn) => txn.outcome === outcome).length)
  }
  judge.count('registers', registers.keys.size)
  const reads = txns.filter(({ outcome, ops }) => outcome === 'ok' && ops.some(([f]) => f === 'r')).length
  if (reads === 0) judge.doubt('Nothing was read, so nothing is known.')
  return judge.verdict(options)
}

function* versionsOf(registers: Registers): Generator<Version> {
  for (const versions of registers.keys.values()) yield* versions.values()
}

function checkReads(registers: Registers, judge: Judge): void {
  for (const { key, value, writer, readers } of versionsOf(registers)) {
    const [reader] = readers
    if (value === null || reader === undefined) continue
    const ops = [...(writer === undefined ? [] : [indexOf(writer.call)]), indexOf(reader.call)]
    const what = `op ${indexOf(reader.call)} reads ${value} from ${key}`
    if (writer === undefined) judge.find('garbage', `${what}, which nobody wrote`, ops)
    else if (writer.outcome === 'fail')
      judge.find('G1a', `${what}, which op ${ops[0]} wrote and did not commit`, ops)
    else {
      const final = writer.ops.findLast(([f, register]) => f === 'w' && register === key)?.[2]
      if (final !== value)
        judge.find('G1b', `${what}, which op ${ops[0]} itself overwrote with ${final}`, ops)
    }
  }
}

/** Several transactions read the same version and wrote the next. */
function checkLostUpdates(registers: Registers, judge: Judge): void {
  for (const { key, value, updaters } of versionsOf(registers)) {
    if (updaters.length < 2) continue
    const ops = updaters.map(({ call }) => indexOf(call))
    judge.find(
      'lost-update',
      `ops ${ops.join(', ')} have all read ${value ?? 'nil'} from ${key} and overwritten it`,
      ops,
    )
  }
}

function dropCyclic(registers: Registers, judge: Judge): void {
  for (const [key, versions] of registers.keys) {
    const list = [...versions.values()]
    const numbers = new Map(list.map((version, i) => [version, i]))
    const next = (i: number): number[] =>
      [...(list[i] as Version).later].map((version) => numbers.get(version) as number)
    const [cycle] = components(list.keys(), list.length, next).groups
    if (cycle === undefined) continue
    const members = cycle.map((i) => list[i] as Version)
    const ops = members.flatMap(({ writer }) => (writer === undefined ? [] : [indexOf(writer.call)]))
    const values = members.map(({ value }) => value ?? 'nil').join(', ')
    judge.find('cyclic-versions', `register ${key}: each of ${values} comes before the others`, ops)
    for (const { later } of list) later.clear()
  }
}

function graphOf(txns: readonly Txn[], registers: Registers): Graph {
  const graph = new Graph(txns.length)
  for (const version of versionsOf(registers)) connect(graph, registers, version)
  const placed = txns.filter((txn) => registers.counts(txn)).map(({ id, call }) => ({ node: id, call }))
  addProcessOrder(graph, placed)
  addRealtime(graph, placed)
  return graph
}

function connect(graph: Graph, registers: Registers, version: Version): void {
  const { key, value, writer, readers } = version
  const isCounted = registers.counts(writer)
  if (isCounted && value !== null)
    for (const { id } of readers) graph.add(writer.id, 'wr', id, { key, value })
  const next = [...version.later].flatMap(({ value: after, writer: overwriter }) =>
    after !== null && registers.counts(overwriter) ? [{ id: overwriter.id, value: after }] : [],
  )
  if (next.length === 0) return
  if (isCounted)
    for (const to of next) graph.add(writer.id, 'ww', to.id, { key, value: to.value, before: value })
  graph.addProduct(
    readers.map(({ id }) => id),
    'rw',
    next,
    { key, before: value },
  )
}
