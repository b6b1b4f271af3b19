/**
 * Judges histories of transactions that append unique numbers to lists and read whole lists, as Elle does (Kingsbury,
 * Alvaro: "Elle", VLDB 2020). What was read tells in which order the appends of a list took effect, and so which
 * transaction comes before which; a cycle is an anomaly. PURE.
 */

export interface Append {
  readonly kind: 'append'
  readonly key: number
  readonly value: number
}

/** One statement, which may read several lists. */
export interface Read {
  readonly kind: 'read'
  readonly lists: readonly { readonly key: number; readonly values: readonly number[] }[]
}

export type Op = Append | Read

export interface Txn {
  readonly id: number
  readonly ops: readonly Op[]
  /** Unknown: the client was not told. It counts as committed when somebody has seen something of it. */
  readonly outcome: 'committed' | 'aborted' | 'unknown'
}

export type AnomalyKind =
  /** A read does not show the transaction's own appends, at the end, in their order. */
  | 'internal'
  /** Two reads of a list of which neither is the beginning of the other. */
  | 'incompatible-order'
  /** A value that nobody appended, or one twice. */
  | 'garbage'
  /** A committed append that the last read of its list does not have. */
  | 'lost-append'
  /** Something of an aborted transaction was read. */
  | 'G1a'
  /** Something was read that its writer appended to later. */
  | 'G1b'
  /** Cycles: of writes; of writes and reads; with one anti-dependency; with several, no two of them adjacent; others. */
  | 'G0'
  | 'G1c'
  | 'G-single'
  | 'G-nonadjacent'
  | 'G2'

export interface Anomaly {
  readonly kind: AnomalyKind
  readonly text: string
}

const STRUCTURE: readonly AnomalyKind[] = ['internal', 'incompatible-order', 'garbage', 'lost-append']
const PL2: readonly AnomalyKind[] = [...STRUCTURE, 'G1a', 'G1b', 'G0', 'G1c']
const SNAPSHOT: readonly AnomalyKind[] = [...PL2, 'G-single', 'G-nonadjacent']

/** What each level must not show. */
export const FORBIDDEN = {
  'read committed': PL2,
  'repeatable read': SNAPSHOT,
  serializable: [...SNAPSHOT, 'G2'],
} as const satisfies Record<string, readonly AnomalyKind[]>

type EdgeKind = 'ww' | 'wr' | 'rw'

interface Edge {
  readonly kind: EdgeKind
  readonly to: number
  readonly key: number
}

/** What a transaction found in a list that others had put there, and how much it had appended itself by then. */
interface ExternalRead {
  readonly txn: number
  readonly key: number
  readonly values: readonly number[]
}

/** All anomalies of a history; of cycles one for each kind. */
export function check(history: readonly Txn[]): Anomaly[] {
  const checker = new Checker(history)
  checker.run()
  return checker.anomalies
}

/**
 * The history as READ COMMITTED sees it: the appends of each transaction as one, and each statement that reads several
 * lists as one of its own, without what the transaction itself had appended. Reads of one list are left out: they need
 * not agree with what statements over several shards see at the same time.
 */
export function statementsApart(history: readonly Txn[]): Txn[] {
  let nextId = Math.max(0, ...history.map(({ id }) => id)) + 1
  return history.flatMap((txn) => {
    const own = new Map<number, number>()
    const readers: Txn[] = []
    for (const op of txn.ops) {
      if (op.kind === 'append') own.set(op.key, (own.get(op.key) ?? 0) + 1)
      else if (op.lists.length > 1 && txn.outcome === 'committed') {
        const lists = op.lists.map(({ key, values }) => ({
          key,
          values: withoutLast(values, own.get(key) ?? 0),
        }))
        readers.push({ id: nextId++, ops: [{ kind: 'read', lists }], outcome: 'committed' })
      }
    }
    const writer = { ...txn, ops: txn.ops.filter((op) => op.kind === 'append') }
    return writer.ops.length === 0 ? readers : [writer, ...readers]
  })
}

function withoutLast(values: readonly number[], count: number): readonly number[] {
  return values.slice(0, Math.max(0, values.length - count))
}

class Checker {
  readonly anomalies: Anomaly[] = []
  private readonly history: readonly Txn[]
  private readonly writerOf = new Map<number, Txn>()
  private readonly keyOf = new Map<number, number>()
  /** The longest that was read of each list. */
  private readonly orders = new Map<number, readonly number[]>()
  private readonly edges = new Map<number, Edge[]>()
  private reads: ExternalRead[] = []

  constructor(history: readonly Txn[]) {
    this.history = history
  }

  run(): void {
    this.indexAppends()
    const seen = new Set(this.history.flatMap((txn) => (txn.outcome === 'committed' ? valuesRead(txn) : [])))
    const counts = (txn: Txn): boolean =>
      txn.outcome === 'committed' ||
      (txn.outcome === 'unknown' && appendsOf(txn).some(({ value }) => seen.has(value)))
    const committed = this.history.filter(counts)
    for (const txn of committed) if (txn.outcome === 'committed') this.readsOf(txn)
    this.orderLists()
    this.checkReads()
    this.checkLost(committed)
    this.connect(committed)
    this.findCycles(committed)
  }

  private say(kind: AnomalyKind, text: string): void {
    this.anomalies.push({ kind, text })
  }

  private indexAppends(): void {
    for (const txn of this.history) {
      for (const { key, value } of appendsOf(txn)) {
        if (this.writerOf.has(value)) throw new Error(`${value} is appended twice: values must be unique`)
        this.writerOf.set(value, txn)
        this.keyOf.set(value, key)
      }
    }
  }

  private readsOf(txn: Txn): void {
    const own = new Map<number, number[]>()
    for (const op of txn.ops) {
      if (op.kind === 'append') own.set(op.key, [...(own.get(op.key) ?? []), op.value])
      else for (const { key, values } of op.lists) this.readOf(txn, key, values, own.get(key) ?? [])
    }
  }

  private readOf(txn: Txn, key: number, values: readonly number[], own: readonly number[]): void {
    const external = withoutLast(values, own.length)
    if (
      values.slice(external.length).join() !== own.join() ||
      external.some((v) => this.writerOf.get(v) === txn)
    ) {
      this.say('internal', `T${txn.id} has appended ${own.join()} to list ${key} and reads ${values.join()}`)
    }
    this.reads.push({ txn: txn.id, key, values: external })
  }

  private orderLists(): void {
    for (const { key, values } of this.reads) {
      const longest = this.orders.get(key) ?? []
      if (values.length > longest.length) this.orders.set(key, values)
    }
  }

  private checkReads(): void {
    for (const { txn, key, values } of this.reads) {
      const order = this.orders.get(key) ?? []
      if (values.some((value, i) => value !== order[i])) {
        this.say(
          'incompatible-order',
          `list ${key}: T${txn} reads ${values.join()}, somebody else ${order.join()}`,
        )
      }
      if (new Set(values).size !== values.length || values.some((value) => this.keyOf.get(value) !== key)) {
        this.say('garbage', `list ${key}: T${txn} reads ${values.join()}`)
      }
      const aborted = values.find((value) => this.writerOf.get(value)?.outcome === 'aborted')
      if (aborted !== undefined) {
        this.say(
          'G1a',
          `T${txn} reads ${aborted} of list ${key}, by T${this.writerId(aborted)}, which was aborted`,
        )
      }
      this.checkIntermediate(txn, key, values)
    }
  }

  private checkIntermediate(reader: number, key: number, values: readonly number[]): void {
    const last = values.at(-1)
    const writer = last === undefined ? undefined : this.writerOf.get(last)
    if (last === undefined || writer === undefined) return
    const final = appendsOf(writer).findLast((append) => append.key === key)
    if (final?.value === last) return
    this.say(
      'G1b',
      `T${reader} reads list ${key} up to ${last}, and T${writer.id} appended ${final?.value} too`,
    )
  }

  /** The last read of a list has everything: whoever wants appends missed ends a history with a read of all lists. */
  private checkLost(committed: readonly Txn[]): void {
    const last = committed.at(-1)
    for (const { key, values } of last === undefined ? [] : lastReads(last)) {
      const there = new Set(values)
      for (const txn of committed) {
        const lost = appendsOf(txn).find((append) => append.key === key && !there.has(append.value))
        if (lost !== undefined) this.say('lost-append', `list ${key}: ${lost.value}, committed by T${txn.id}`)
      }
    }
  }

  private writerId(value: number): number | undefined {
    return this.writerOf.get(value)?.id
  }

  private connect(committed: readonly Txn[]): void {
    const nodes = new Set(committed.map(({ id }) => id))
    const add = (from: number | undefined, kind: EdgeKind, to: number | undefined, key: number): void => {
      if (from === undefined || to === undefined || from === to || !nodes.has(from) || !nodes.has(to)) return
      const edges = this.edges.get(from) ?? []
      this.edges.set(from, edges)
      if (!edges.some((edge) => edge.kind === kind && edge.to === to)) edges.push({ kind, to, key })
    }
    for (const [key, order] of this.orders) {
      for (const [i, value] of order.entries()) {
        if (i > 0) add(this.writerId(order[i - 1] as number), 'ww', this.writerId(value), key)
      }
    }
    for (const { txn, key, values } of this.reads) {
      const last = values.at(-1)
      if (last !== undefined) add(this.writerId(last), 'wr', txn, key)
      const next = this.orders.get(key)?.[values.length]
      if (next !== undefined) add(txn, 'rw', this.writerId(next), key)
    }
  }

  private findCycles(committed: readonly Txn[]): void {
    const found = new Set<AnomalyKind>()
    for (const { id } of committed) {
      for (const edge of this.edges.get(id) ?? []) {
        for (const { kind, first, step } of CYCLES) {
          if (edge.kind !== first || (kind === 'G2' && found.has(kind))) continue
          const back = this.path(edge, id, step)
          if (back === undefined) continue
          if (!found.has(kind)) this.say(kind, describe(id, [edge, ...back]))
          found.add(kind)
          break
        }
      }
    }
  }

  /** The shortest way back from an edge to where it came from, by edges that `step` lets through. */
  private path(edge: Edge, goal: number, step: Step): readonly Edge[] | undefined {
    const visits: Visit[] = [{ at: edge.to, state: 0, edge, before: undefined }]
    const seen = new Set([edge.to * STATES])
    // Grows while it is walked.
    for (const visit of visits) {
      for (const next of this.edges.get(visit.at) ?? []) {
        const state = step.next(visit.state, next.kind)
        if (state === undefined || seen.has(next.to * STATES + state)) continue
        seen.add(next.to * STATES + state)
        const reached: Visit = { at: next.to, state, edge: next, before: visit }
        if (next.to === goal && step.isEnd(state)) return edgesTo(reached).slice(1)
        visits.push(reached)
      }
    }
    return undefined
  }
}

interface Visit {
  readonly at: number
  readonly state: number
  readonly edge: Edge
  readonly before: Visit | undefined
}

function edgesTo(visit: Visit | undefined): Edge[] {
  return visit === undefined ? [] : [...edgesTo(visit.before), visit.edge]
}

const STATES = 4

/** Which edges may follow; states are small numbers, 0 after the first edge of the cycle. */
interface Step {
  next(state: number, kind: EdgeKind): number | undefined
  isEnd(state: number): boolean
}

const anyEnd = (): boolean => true
const writes: Step = { next: (_, kind) => (kind === 'ww' ? 0 : undefined), isEnd: anyEnd }
const dependencies: Step = { next: (_, kind) => (kind === 'rw' ? undefined : 0), isEnd: anyEnd }
const all: Step = { next: () => 0, isEnd: anyEnd }
/** No rw next to another: 0 and 2 after an rw, 1 after another edge and 3 once there was a second rw. */
const nonadjacent: Step = {
  next: (state, kind) => {
    const isAfterRw = state === 0 || state === 2
    if (kind === 'rw') return isAfterRw ? undefined : 2
    return state >= 2 ? 3 : 1
  },
  isEnd: (state) => state === 3,
}

/** A cycle counts as the first kind that fits. */
const CYCLES: readonly { readonly kind: AnomalyKind; readonly first: EdgeKind; readonly step: Step }[] = [
  { kind: 'G0', first: 'ww', step: writes },
  { kind: 'G1c', first: 'wr', step: dependencies },
  { kind: 'G-single', first: 'rw', step: dependencies },
  { kind: 'G-nonadjacent', first: 'rw', step: nonadjacent },
  { kind: 'G2', first: 'rw', step: all },
]

function describe(from: number, edges: readonly Edge[]): string {
  return edges.reduce((text, { kind, key, to }) => `${text} -${kind} ${key}-> T${to}`, `T${from}`)
}

function appendsOf(txn: Txn): Append[] {
  return txn.ops.filter((op) => op.kind === 'append')
}

function valuesRead(txn: Txn): number[] {
  return txn.ops.flatMap((op) => (op.kind === 'read' ? op.lists.flatMap(({ values }) => values) : []))
}

function lastReads(txn: Txn): Read['lists'] {
  return txn.ops.flatMap((op) => (op.kind === 'read' ? op.lists : []))
}
