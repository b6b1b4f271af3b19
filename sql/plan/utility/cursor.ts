import type { ClosePortalStmt, DeclareCursorStmt, FetchDirection, FetchStmt } from '@pgsql/types'
import { walk } from '../../parse/ast.ts'
import { firstOfCursor } from '../first/plan-first.ts'
import { type Around, type GatherStep, isGathered } from '../gather/gather-plan.ts'
import type { CursorPlan, FetchStep, ForwardPlan, Plan, Route } from '../plan.ts'
import { isSingle } from '../routing.ts'
import { nextToken } from '../text-scan.ts'
import { planQuery } from './inner.ts'
import { common, MAY_UNPIN, unsupported } from './plans.ts'
import type { Scope } from './scope.ts'

const CURSOR_OPT = { binary: 0x1, scroll: 0x2, noScroll: 0x4, hold: 0x20 }
/** What the parser says for ALL. */
const ALL_ROWS = 0x7fff_ffff

/** A cursor of one shard is as Postgres makes it; over several, rows that need not be put together stay where they are. */
export function planDeclare(scope: Scope, stmt: DeclareCursorStmt): Plan {
  const plain = planQuery(scope, stmt.query)
  const options = stmt.options ?? 0
  const streams = plain.kind === 'forward' && doesStream(plain, stmt)
  const isWhole = plain.kind !== 'forward' || streams || isOneShard(scope, plain.route)
  if (!isWhole && locksRows(stmt)) return overLocked(plain, stmt, scope)
  const inner = isWhole ? plain : planQuery(scope, stmt.query, around(stmt))
  if (inner.kind === 'refused') return inner
  if (inner.kind !== 'forward') throw severalShards()
  const gather = isGathered(inner.onSeveral) && !isWhole ? inner.onSeveral : undefined
  if (!isWhole && gather === undefined) throw severalShards()
  const hold = (options & CURSOR_OPT.hold) !== 0
  if (hold && inner.reach !== undefined) throw heldReach()
  const keyed = hold && isWhole && plain.kind === 'forward' && plain.route.kind === 'keys'
  const held = keyed ? planQuery(scope, stmt.query, around(stmt)) : undefined
  const heldGather = held?.kind === 'forward' && isGathered(held.onSeveral) ? held.onSeveral : undefined
  const { paramCount, paramsToDescribe, generic, access, reach, sharded } = inner
  const effects = hold ? { ...inner.effects, pins: true } : inner.effects
  return {
    ...common('DECLARE CURSOR', { paramCount, paramsToDescribe, generic, access, effects, reach, sharded }),
    kind: 'cursor',
    verb: 'declare',
    name: stmt.portalname ?? '',
    route: inner.route,
    hold,
    streams,
    ...((options & CURSOR_OPT.binary) !== 0 ? { binary: true } : {}),
    ...gatheredBy(gather ?? heldGather),
  }
}

const gatheredBy = (gather: GatherStep | undefined) => (gather === undefined ? {} : { gather })

function locksRows({ query }: DeclareCursorStmt): boolean {
  let locks = false
  walk(query, (kind) => {
    if (kind === 'LockingClause') locks = true
  })
  return locks
}

/** All rows are locked as it is declared, and home has it over those. */
function overLocked(inner: Plan, stmt: DeclareCursorStmt, { catalog, ctx }: Scope): Plan {
  const first = firstOfCursor(stmt, catalog, ctx)
  if (first === undefined || inner.kind !== 'forward') throw severalShards()
  const { paramCount, paramsToDescribe, access, effects, reach, sharded } = inner
  return {
    ...common('DECLARE CURSOR', {
      paramCount,
      paramsToDescribe,
      generic: false,
      access,
      effects,
      reach,
      sharded,
    }),
    kind: 'cursor',
    verb: 'declare',
    name: stmt.portalname ?? '',
    route: inner.route,
    first,
  }
}

function around(stmt: DeclareCursorStmt): Around {
  const { scroll, noScroll } = CURSOR_OPT
  const goesBack = ((stmt.options ?? 0) & (scroll | noScroll)) === 0
  return { statement: (query) => ({ DeclareCursorStmt: { ...stmt, query } }), goesBack }
}

/** Rows of one shard after those of another. */
function doesStream({ onSeveral, access, skips }: ForwardPlan, stmt: DeclareCursorStmt): boolean {
  const isHeld = ((stmt.options ?? 0) & CURSOR_OPT.hold) !== 0
  const isRead = access === 'read' || locksRows(stmt)
  return !isHeld && onSeveral.kind === 'concat' && isRead && skips === undefined
}

export function severalShards() {
  return unsupported(
    'cursor',
    'a cursor over several shards of a query that cannot be gathered is not supported',
    'Restrict the query to one shard key, or run it without a cursor.',
  )
}

/** It is run when the transaction commits, and nobody could look at what it did. */
function heldReach() {
  return unsupported(
    'cursor',
    'a WITH HOLD cursor over code of which it cannot be known which tables it reads is not supported',
    'Use a cursor without WITH HOLD inside a transaction.',
  )
}

function isOneShard(scope: Scope, route: Route): boolean {
  if (scope.catalog.shardCount === 1 || route.kind === 'home' || route.kind === 'any') return true
  return route.kind === 'keys' && isSingle(route.restrictions)
}

/** Where the query of a DECLARE begins. */
export function declaredQueryAt(text: string): number {
  for (let t = nextToken(text, 0); t; t = nextToken(text, t.end)) {
    if (t.word === 'FOR') return t.end
  }
  return text.length
}

/** FETCH and MOVE. */
export function planFetch(stmt: FetchStmt): CursorPlan {
  const moves = stmt.ismove === true
  return {
    ...common(moves ? 'MOVE' : 'FETCH', { returnsRows: !moves, generic: false }),
    kind: 'cursor',
    verb: 'fetch',
    name: stmt.portalname ?? '',
    step: fetchStep(stmt),
  }
}

function fetchStep({ direction = 'FETCH_FORWARD', howMany }: FetchStmt): FetchStep {
  const count = Number(howMany ?? 0)
  return {
    direction: DIRECTIONS[direction],
    count: Math.abs(count) >= ALL_ROWS ? Math.sign(count) * Number.POSITIVE_INFINITY : count,
  }
}

const DIRECTIONS: Readonly<Record<FetchDirection, FetchStep['direction']>> = {
  FETCH_FORWARD: 'forward',
  FETCH_BACKWARD: 'backward',
  FETCH_ABSOLUTE: 'absolute',
  FETCH_RELATIVE: 'relative',
}

export function planClose(stmt: ClosePortalStmt): Plan {
  const all = stmt.portalname === undefined
  return {
    ...common(all ? 'CLOSE CURSOR ALL' : 'CLOSE CURSOR', { effects: MAY_UNPIN }),
    kind: 'cursor',
    verb: all ? 'close-all' : 'close',
    name: stmt.portalname ?? '',
  }
}
