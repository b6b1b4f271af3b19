import type { Wait } from '../../admin/api/schemas.ts'

/** A session in the picture of who waits for whom: those who wait stand to the right of whom they wait for. */
export interface WaitNode {
  /** 0: transactions that are prepared. */
  readonly pid: number
  readonly column: number
  readonly row: number
  /** How many wait for it, also through others. */
  readonly holds: number
}

export interface WaitPicture {
  readonly nodes: readonly WaitNode[]
  readonly edges: readonly { readonly waiter: number; readonly holder: number }[]
  readonly columns: number
  readonly rows: number
}

export function waitPicture(waits: readonly Wait[]): WaitPicture {
  const holders = new Map(waits.map(({ pid, blocked_by }) => [pid, [...new Set(blocked_by)]]))
  const pids = [...new Set(waits.flatMap(({ pid, blocked_by }) => [pid, ...blocked_by]))]
  const columnOf = new Map(pids.map((pid) => [pid, depth(pid, holders, new Set())]))
  const held = new Map(pids.map((pid) => [pid, pids.filter((other) => reaches(other, pid, holders)).length]))
  const perColumn = new Map<number, number>()
  // Those that hold up most stand on top.
  const order = pids.toSorted((a, b) => held.get(b)! - held.get(a)! || a - b)
  const nodes = order.map((pid) => {
    const column = columnOf.get(pid)!
    const row = perColumn.get(column) ?? 0
    perColumn.set(column, row + 1)
    return { pid, column, row, holds: held.get(pid)! }
  })
  const edges = [...holders].flatMap(([waiter, many]) => many.map((holder) => ({ waiter, holder })))
  return {
    ...{ nodes, edges },
    columns: Math.max(0, ...nodes.map(({ column }) => column + 1)),
    rows: Math.max(0, ...nodes.map(({ row }) => row + 1)),
  }
}

type Holders = ReadonlyMap<number, readonly number[]>

/** How many stand before it; a circle (a deadlock) ends where it began. */
function depth(pid: number, holders: Holders, seen: ReadonlySet<number>): number {
  const before = (holders.get(pid) ?? []).filter((holder) => !seen.has(holder) && holder !== pid)
  const within = new Set([...seen, pid])
  return before.length === 0 ? 0 : 1 + Math.max(...before.map((holder) => depth(holder, holders, within)))
}

function reaches(from: number, to: number, holders: Holders): boolean {
  const seen = new Set<number>()
  const queue = [...(holders.get(from) ?? [])]
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    if (pid === to) return from !== to
    if (seen.has(pid)) continue
    seen.add(pid)
    queue.push(...(holders.get(pid) ?? []))
  }
  return false
}
