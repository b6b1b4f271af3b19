/**
 * Deadlocks that span shards, found in what the agents tell about who waits for whom. Pure: every coordinator that
 * sees the same waits comes to the same result.
 */
import type { PgErrorFields } from '../errors/pg-error.ts'
import type { WaitEdge, WaitParty } from '../protocol/agent-link.ts'

export interface ShardWait extends WaitEdge {
  readonly shard: number
}

export interface Deadlock {
  /** The waits of the cycle, each for the next one's waiter; the victim's comes first. */
  readonly cycle: readonly ShardWait[]
  readonly victim: WaitParty
  /** Equal for the very same waits of the very same transactions. */
  readonly identity: string
}

interface Edge {
  readonly from: string
  readonly to: string
  readonly wait: ShardWait
}

/**
 * One cycle for each victim that is needed. Left alone are cycles of one shard, which are Postgres' own business, and
 * those that hang together only by what a session does on several shards outside of a transaction block.
 */
export function findDeadlocks(waits: readonly ShardWait[]): readonly Deadlock[] {
  const edges = inCycles(waits.map(edgeOf))
  const { into, out } = byNode(edges)
  const cycles = new Map<string, Edge[]>()
  for (const [node, leaving] of out) {
    for (const shard of new Set(leaving.map((edge) => edge.wait.shard))) {
      const cycle = shortestCycle(into, node, shard)
      if (cycle !== undefined) cycles.set(identityOf(cycle), cycle)
    }
  }
  return chooseVictims(cycles)
}

function edgeOf(wait: ShardWait): Edge {
  return { from: nodeOf(wait.waiter, wait.shard), to: nodeOf(wait.blocker, wait.shard), wait }
}

/** A transaction is one on all of its shards; a statement by itself ends on each shard when it likes. */
function nodeOf(party: WaitParty, shard: number): string {
  const session = sessionOf(party)
  return party.isInBlock ? session : `${session}@${shard}`
}

export function sessionOf({ coordinatorId, sessionId }: WaitParty): string {
  return `${coordinatorId}/${sessionId}`
}

/** Leaves out what cannot be part of a cycle: whoever waits for nobody, and whom nobody waits for. */
function inCycles(edges: readonly Edge[]): readonly Edge[] {
  for (let all = edges; ; ) {
    const waiting = new Set(all.map((edge) => edge.from))
    const blocking = new Set(all.map((edge) => edge.to))
    const left = all.filter((edge) => blocking.has(edge.from) && waiting.has(edge.to))
    if (left.length === all.length) return left
    all = left
  }
}

function byNode(edges: readonly Edge[]): { into: Map<string, Edge[]>; out: Map<string, Edge[]> } {
  const into = new Map<string, Edge[]>()
  const out = new Map<string, Edge[]>()
  for (const edge of edges) {
    add(into, edge.to, edge)
    add(out, edge.from, edge)
  }
  return { into, out }
}

function add(map: Map<string, Edge[]>, node: string, edge: Edge): void {
  const known = map.get(node)
  if (known === undefined) map.set(node, [edge])
  else known.push(edge)
}

/** The shortest cycle through `node` that leaves it on `shard` and comes back on another. */
function shortestCycle(
  into: ReadonlyMap<string, readonly Edge[]>,
  node: string,
  shard: number,
): Edge[] | undefined {
  /** How each node goes on to `node`. */
  const next = new Map<string, Edge>()
  const reached: string[] = []
  const reach = (edge: Edge): void => {
    if (next.has(edge.from) || edge.from === node) return
    next.set(edge.from, edge)
    reached.push(edge.from)
  }
  for (const edge of into.get(node) ?? []) if (edge.wait.shard !== shard) reach(edge)
  // Grows while it is walked.
  for (const at of reached) {
    for (const edge of into.get(at) ?? []) {
      if (edge.from === node && edge.wait.shard === shard) return [edge, ...path(next, at, node)]
      reach(edge)
    }
  }
  return undefined
}

function path(next: ReadonlyMap<string, Edge>, from: string, to: string): Edge[] {
  const edges: Edge[] = []
  for (let at = from; at !== to; ) {
    const edge = next.get(at)!
    edges.push(edge)
    at = edge.to
  }
  return edges
}

function identityOf(cycle: readonly Edge[]): string {
  return cycle
    .map(({ wait }) => waitIdentity(wait))
    .sort()
    .join(';')
}

/** Equal for the very same wait of the very same transactions. */
export function waitIdentity({ shard, since, waiter, blocker }: ShardWait): string {
  const [from, to] = [nodeOf(waiter, shard), nodeOf(blocker, shard)]
  return [shard, from, waiter.pid, waiter.startedMs, since, to, blocker.pid, blocker.startedMs].join()
}

/** A victim may stand in several cycles: ending it breaks them all. */
function chooseVictims(cycles: ReadonlyMap<string, readonly Edge[]>): readonly Deadlock[] {
  const chosen = new Set<string>()
  const deadlocks: Deadlock[] = []
  for (const identity of [...cycles.keys()].sort()) {
    const cycle = cycles.get(identity)!
    if (cycle.some((edge) => chosen.has(edge.from))) continue
    const at = youngest(cycle)
    chosen.add(cycle[at]!.from)
    const waits = [...cycle.slice(at), ...cycle.slice(0, at)].map((edge) => edge.wait)
    deadlocks.push({ cycle: waits, victim: waits[0]!.waiter, identity })
  }
  return deadlocks
}

/**
 * Index of the wait of the transaction that began last, of those that take part on two shards of the cycle: their
 * coordinators are the ones that look.
 */
function youngest(cycle: readonly Edge[]): number {
  let best = -1
  let bestStart = -1
  for (const [i, edge] of cycle.entries()) {
    const before = cycle[(i + cycle.length - 1) % cycle.length]!
    if (before.wait.shard === edge.wait.shard) continue
    const start = startOf(before.wait.blocker, edge.wait.waiter)
    if (start > bestStart || (start === bestStart && edge.from > cycle[best]!.from)) {
      best = i
      bestStart = start
    }
  }
  return best
}

/** A prepared transaction doesn't tell. */
function startOf(blocker: WaitParty, waiter: WaitParty): number {
  return blocker.startedMs === 0 ? waiter.startedMs : Math.min(blocker.startedMs, waiter.startedMs)
}

/** What the victim is told, in Postgres' words. Statements of other roles stay theirs. */
export function deadlockError({ cycle, victim }: Deadlock): PgErrorFields {
  const waits = cycle.map(
    ({ waiter, blocker, mode, lock, shard }) =>
      `Process ${waiter.sessionId} waits for ${mode} on ${lock} of shard ${shard}; blocked by process ${blocker.sessionId}.`,
  )
  const statements = cycle.map(
    ({ waiter: { sessionId, user, query } }) =>
      `Process ${sessionId}: ${user === victim.user ? query : '<insufficient privilege>'}`,
  )
  return {
    severity: 'ERROR',
    code: '40P01',
    message: 'deadlock detected',
    detail: [...waits, ...statements].join('\n'),
    hint: 'See server log for query details.',
  }
}
