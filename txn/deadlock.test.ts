import { describe, expect, it } from 'vitest'
import type { WaitParty } from '../protocol/agent-link.ts'
import { deadlockError, findDeadlocks, type ShardWait } from './deadlock.ts'

interface Options {
  readonly isInBlock?: boolean
  readonly since?: string
}

/** Sessions are numbered by age: the higher, the younger. The pid tells shard and session. */
function party(sessionId: number, shard: number, isInBlock = true): WaitParty {
  const query = `UPDATE ${sessionId}`
  const pid = shard * 100 + sessionId
  return { coordinatorId: 'c', sessionId, pid, startedMs: 1000 + sessionId, isInBlock, user: 'u', query }
}

function wait(waiter: number, blocker: number, shard: number, options: Options = {}): ShardWait {
  const { isInBlock = true, since = 'then' } = options
  return {
    shard,
    waiter: party(waiter, shard, isInBlock),
    blocker: party(blocker, shard, isInBlock),
    mode: 'ShareLock',
    lock: 'transaction 7',
    since,
  }
}

function victims(waits: readonly ShardWait[]): number[] {
  return findDeadlocks(waits).map((deadlock) => deadlock.victim.sessionId)
}

describe('findDeadlocks', () => {
  it('two transactions on two shards: the younger is the victim', () => {
    expect(victims([wait(1, 2, 0), wait(2, 1, 1)])).toEqual([2])
    expect(victims([wait(2, 1, 0), wait(1, 2, 1)])).toEqual([2])
  })

  it('a chain without end: no deadlock', () => {
    expect(victims([wait(1, 2, 0), wait(2, 3, 1), wait(3, 4, 2)])).toEqual([])
  })

  it('a cycle on one shard: Postgres breaks it itself', () => {
    expect(victims([wait(1, 2, 0), wait(2, 1, 0)])).toEqual([])
  })

  it('two local cycles that share a session: no cycle spans the shards', () => {
    expect(victims([wait(1, 2, 0), wait(2, 1, 0), wait(1, 3, 1), wait(3, 1, 1)])).toEqual([])
  })

  it('three transactions on three shards: one victim, the youngest', () => {
    expect(victims([wait(1, 2, 0), wait(2, 3, 1), wait(3, 1, 2)])).toEqual([3])
  })

  it('the youngest is on one shard only: the youngest of those on two is the victim', () => {
    expect(victims([wait(1, 9, 0), wait(9, 2, 0), wait(2, 1, 1)])).toEqual([2])
  })

  it('a cycle beside a long queue for the same rows: found, and one victim', () => {
    const queue = Array.from({ length: 50 }, (_, i) => [wait(10 + i, 1, 0), wait(10 + i, 2, 1)]).flat()
    expect(victims([...queue, wait(1, 2, 1), wait(2, 1, 0)])).toEqual([2])
  })

  it('two cycles through one transaction: one victim when it is the youngest, or one for each', () => {
    expect(victims([wait(9, 1, 0), wait(1, 9, 1), wait(9, 2, 0), wait(2, 9, 1)])).toEqual([9])
    expect(victims([wait(1, 8, 0), wait(8, 1, 1), wait(1, 9, 0), wait(9, 1, 1)]).sort()).toEqual([8, 9])
  })

  it('two cycles that have nothing in common: a victim for each', () => {
    const waits = [wait(1, 2, 0), wait(2, 1, 1), wait(3, 4, 0), wait(4, 3, 1)]
    expect(victims(waits).sort()).toEqual([2, 4])
  })

  it('statements outside of a block: what a session does on two shards is not one transaction', () => {
    expect(victims([wait(1, 2, 0, { isInBlock: false }), wait(2, 1, 1, { isInBlock: false })])).toEqual([])
  })

  it('the same waits in another order: the same identity; a new wait: another', () => {
    const [one] = findDeadlocks([wait(1, 2, 0), wait(2, 1, 1)])
    const [same] = findDeadlocks([wait(2, 1, 1), wait(1, 2, 0)])
    const [other] = findDeadlocks([wait(1, 2, 0), wait(2, 1, 1, { since: 'later' })])
    expect(one?.identity).toBe(same?.identity)
    expect(one?.identity).not.toBe(other?.identity)
  })

  it('a prepared blocker: its age is that of its wait elsewhere', () => {
    const prepared = { ...wait(1, 2, 0), blocker: { ...party(2, 0), startedMs: 0 } }
    expect(victims([prepared, wait(2, 1, 1)])).toEqual([2])
  })
})

describe('deadlockError', () => {
  it('worded as by Postgres, victim first, with the statements', () => {
    const [deadlock] = findDeadlocks([wait(1, 2, 0), wait(2, 1, 1)])
    expect(deadlockError(deadlock!)).toEqual({
      severity: 'ERROR',
      code: '40P01',
      message: 'deadlock detected',
      detail: [
        'Process 2 waits for ShareLock on transaction 7 of shard 1; blocked by process 1.',
        'Process 1 waits for ShareLock on transaction 7 of shard 0; blocked by process 2.',
        'Process 2: UPDATE 2',
        'Process 1: UPDATE 1',
      ].join('\n'),
      hint: 'See server log for query details.',
    })
  })

  it('statements of another role: kept back', () => {
    const other = wait(1, 2, 0)
    const [deadlock] = findDeadlocks([{ ...other, waiter: { ...other.waiter, user: 'v' } }, wait(2, 1, 1)])
    expect(deadlockError(deadlock!).detail).toContain('Process 1: <insufficient privilege>')
  })
})
