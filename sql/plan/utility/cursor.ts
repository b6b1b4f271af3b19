import type { ClosePortalStmt, DeclareCursorStmt, FetchStmt } from '@pgsql/types'
import type { Plan, Route } from '../plan.ts'
import { planQuery } from './inner.ts'
import { common, MAY_UNPIN, unsupported } from './plans.ts'
import type { Scope } from './scope.ts'

const CURSOR_OPT_HOLD = 0x20

/** A cursor lives on the one shard its query reads. */
export function planDeclare(scope: Scope, stmt: DeclareCursorStmt): Plan {
  const inner = planQuery(scope, stmt.query)
  if (inner.kind === 'refused') return inner
  if (inner.kind !== 'forward') throw severalShards()
  if (!isOneShard(scope, inner.route)) throw severalShards()
  const hold = ((stmt.options ?? 0) & CURSOR_OPT_HOLD) !== 0
  if (hold && inner.reach !== undefined) throw heldReach()
  const { paramCount, paramsToDescribe, generic, access, reach } = inner
  const effects = hold ? { ...inner.effects, pins: true } : inner.effects
  return {
    ...common('DECLARE CURSOR', { paramCount, paramsToDescribe, generic, access, effects, reach }),
    kind: 'cursor',
    verb: 'declare',
    name: stmt.portalname ?? '',
    route: inner.route,
    hold,
  }
}

function severalShards() {
  return unsupported(
    'a cursor over several shards is not supported',
    'Restrict the query to one shard key, or run it without a cursor.',
  )
}

/** It is run when the transaction commits, and nobody could look at what it did. */
function heldReach() {
  return unsupported(
    'a WITH HOLD cursor over code of which it cannot be known which tables it reads is not supported',
    'Use a cursor without WITH HOLD inside a transaction.',
  )
}

/** `keys` may still come out as several shards: the executor knows only when it has the values. */
function isOneShard(scope: Scope, route: Route): boolean {
  return route.kind !== 'all' || scope.catalog.shardCount === 1
}

/** FETCH and MOVE. */
export function planFetch(stmt: FetchStmt): Plan {
  const moves = stmt.ismove === true
  return {
    ...common(moves ? 'MOVE' : 'FETCH', { returnsRows: !moves }),
    kind: 'cursor',
    verb: 'fetch',
    name: stmt.portalname ?? '',
  }
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
