/** Random histories of a strictly serializable store: each transaction takes effect in one moment between its ends. */
import type { MicroOp, Op, OpType } from '../../history/op.ts'
import { Random } from '../../run/random.ts'

export type Kind = 'list' | 'register'

const FIRST_KEY = 11
const FIRST_PROCESS = 100

interface Running {
  readonly process: number
  readonly asked: readonly MicroOp[]
  /** What it found, once it has taken effect; of one that is rolled back, never. */
  told?: readonly MicroOp[]
  readonly end: 'ok' | 'fail' | 'info'
}

class Store {
  private readonly kind: Kind
  private readonly values = new Map<number, readonly number[]>()

  constructor(kind: Kind) {
    this.kind = kind
  }

  run(ops: readonly MicroOp[]): MicroOp[] {
    return ops.map(([f, key, value]): MicroOp => {
      const now = this.values.get(key) ?? []
      if (f === 'r') return ['r', key, this.kind === 'list' ? now : (now.at(-1) ?? null)]
      this.values.set(key, [...now, value as number])
      return [f, key, value as number]
    })
  }
}

/** Ends with a read of all keys. */
export function randomHistory(kind: Kind, seed: number, txns: number): Op[] {
  const random = new Random(seed)
  const store = new Store(kind)
  const history: Op[] = []
  const running: Running[] = []
  let nextProcess = FIRST_PROCESS
  let nextValue = 1000
  const push = (type: OpType, process: number, value: readonly MicroOp[], final?: true): void => {
    const index = history.length
    history.push({ index, time: index * 1e6, type, process, f: 'txn', value, ...(final && { final }) })
  }
  const plan = (): MicroOp[] =>
    Array.from({ length: 1 + random.below(4) }, (): MicroOp => {
      const key = FIRST_KEY + random.below(4)
      if (random.chance(0.5)) return ['r', key, null]
      return [kind === 'list' ? 'append' : 'w', key, nextValue++]
    })
  for (let begun = 0; begun < txns || running.length > 0; ) {
    if (begun < txns && running.length < 5 && random.chance(0.5)) {
      const end = random.pick(['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'fail', 'info'] as const)
      const one: Running = { process: nextProcess++, asked: plan(), end }
      running.push(one)
      push('invoke', one.process, one.asked)
      begun++
      continue
    }
    const at = random.below(running.length)
    const one = running[at]
    if (one === undefined) continue
    if (one.told === undefined && (one.end === 'ok' || (one.end === 'info' && random.chance(0.5)))) {
      one.told = store.run(one.asked)
    } else {
      push(one.end, one.process, one.end === 'ok' ? (one.told ?? []) : one.asked)
      running.splice(at, 1)
    }
  }
  const all = [0, 1, 2, 3].map((i): MicroOp => ['r', FIRST_KEY + i, null])
  push('invoke', nextProcess, all, true)
  push('ok', nextProcess, store.run(all), true)
  return history
}

/** Both histories, as if they had run at the same time: the order of each is kept. */
export function merged(one: readonly Op[], other: readonly Op[], random: Random): Op[] {
  const left = [...one]
  const right = [...other]
  const all: Op[] = []
  while (left.length > 0 || right.length > 0) {
    const isLeft = right.length === 0 || random.below(left.length + right.length) < left.length
    all.push((isLeft ? left.shift() : right.shift()) as Op)
  }
  return all.map((op, index) => ({ ...op, index, time: index * 1e6 }))
}
