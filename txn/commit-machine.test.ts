import { describe, expect, test } from 'vitest'
import { weftError } from '../errors/catalog.ts'
import { InvariantError } from '../errors/pg-error.ts'
import {
  applyFailure,
  type CommitEffect,
  type CommitEvent,
  type CommitState,
  prepareIsLost,
  startCommit,
  stepCommit,
} from './commit-machine.ts'
import { MemoryLogStore } from './log/memory-txn-log.ts'

const refused = weftError('prepare_refused', { shard: 1, why: 'test' })
const lost = weftError('backend_lost', { shard: 1, why: 'test' })

/** One commit and everything it asked for, in order, as short strings. */
class Commit {
  state: CommitState
  /** All effects so far. */
  readonly asked: string[] = []
  private fresh: readonly CommitEffect[]

  constructor(participants: readonly number[] = [1, 2], readers: readonly number[] = [], last?: number) {
    const step = startCommit('c-0-1', participants, readers, last)
    this.state = step.state
    this.fresh = []
    this.take(step.effects)
  }

  /** Steps through `events`; returns what the last one asked for. */
  on(...events: CommitEvent[]): string[] {
    for (const event of events) {
      const step = stepCommit(this.state, event)
      this.state = step.state
      this.take(step.effects)
    }
    return this.fresh.map(short)
  }

  count(prefix: string): number {
    return this.asked.filter((effect) => effect.startsWith(prefix)).length
  }

  private take(effects: readonly CommitEffect[]): void {
    this.fresh = effects
    this.asked.push(...effects.map(short))
  }
}

function short(effect: CommitEffect): string {
  switch (effect.kind) {
    case 'write-decision':
      return `write-decision ${effect.commitTs} [${effect.participants}] #${effect.attempt}`
    case 'commit-prepared':
      return `commit-prepared ${effect.shard} ${effect.commitTs}${effect.again ? ' again' : ''}`
    case 'rollback-prepared':
      return `rollback-prepared ${effect.shard}${effect.again ? ' again' : ''}`
    case 'answer': {
      const { answer } = effect
      return answer.outcome === 'committed'
        ? `answer committed ${answer.commitTs}`
        : `answer ${answer.outcome} ${answer.error.code}`
    }
    case 'left':
      return `left [${effect.shards}]`
    case 'confirm':
      return `confirm [${effect.shards}]`
    case 'drop':
      return 'drop'
    case 'settle-last':
      return `settle-last #${effect.attempt}`
    case 'commit-last':
      return `commit-last ${effect.shard} ${effect.commitTs} [${effect.participants}]`
    default:
      return `${effect.kind} ${effect.shard}`
  }
}

const prepared = (shard: number, ts = 10): CommitEvent => ({
  kind: 'prepared',
  shard,
  prepareTs: BigInt(ts),
})
const failed = (shard: number): CommitEvent => ({ kind: 'prepare-failed', shard, error: refused })
const prepareLost = (shard: number): CommitEvent => ({ kind: 'prepare-lost', shard, error: lost })
const applied = (shard: number): CommitEvent => ({ kind: 'applied', shard })
const applyFailed = (shard: number, how: 'gone' | 'unreachable' | 'again'): CommitEvent => ({
  kind: 'apply-failed',
  shard,
  how,
})
const created: CommitEvent = { kind: 'log-created' }
const unknown: CommitEvent = { kind: 'log-unknown', why: 'timeout' }
const unavailable: CommitEvent = { kind: 'log-unavailable', why: 'refused' }
const fenced: CommitEvent = { kind: 'log-fenced' }
const exists = (decision: 'commit' | 'abort', ts = 0): CommitEvent => ({
  kind: 'log-exists',
  decision,
  commitTs: BigInt(ts),
})
const deadline: CommitEvent = { kind: 'deadline' }

const deciding = (): Commit => {
  const c = new Commit()
  c.on(prepared(1, 30), prepared(2, 20))
  return c
}
const committing = (): Commit => {
  const c = deciding()
  c.on(created)
  return c
}

describe('commit: preparing', () => {
  test('start: everyone is asked at once', () => {
    expect(new Commit([1, 2], [3]).asked).toEqual(['prepare 1', 'prepare 2', 'release 3'])
  })

  test('not all have prepared: nothing is decided', () => {
    expect(new Commit().on(prepared(1))).toEqual([])
  })

  test('the last one prepares: the decision is written with the highest timestamp', () => {
    const c = new Commit()
    expect(c.on(prepared(2, 30), prepared(1, 20))).toEqual(['write-decision 30 [1,2] #1'])
    expect(c.count('commit-prepared')).toBe(0)
    expect(c.count('answer')).toBe(0)
  })

  test('a cut was told that it lies above: the decision does, and one that lies above anyway stays', () => {
    const start = startCommit('t', [1, 2], []).state
    const one = stepCommit(start, prepared(1, 30), 0n).state
    const effect = (above: bigint) => stepCommit(one, prepared(2, 20), above).effects[0]
    expect(effect(0n)).toMatchObject({ kind: 'write-decision', commitTs: 30n })
    expect(effect(29n)).toMatchObject({ commitTs: 30n })
    expect(effect(30n)).toMatchObject({ commitTs: 31n })
    expect(effect(99n)).toMatchObject({ commitTs: 100n })
  })

  test('a reader is not released yet: nothing is decided', () => {
    const c = new Commit([1, 2], [3])
    expect(c.on(prepared(1), prepared(2))).toEqual([])
    expect(c.on({ kind: 'released', shard: 3 })).toEqual(['write-decision 10 [1,2] #1'])
  })

  test('a reader has written: it becomes a participant', () => {
    const c = new Commit([1], [2])
    expect(c.on(prepared(1, 10), { kind: 'reader-wrote', shard: 2 })).toEqual(['prepare 2'])
    expect(c.on(prepared(2, 40))).toEqual(['write-decision 40 [1,2] #1'])
    expect(c.on(created)).toEqual(['commit-prepared 1 40', 'commit-prepared 2 40'])
  })

  test('one refuses: the prepared one is rolled back, then the client hears the error, the log is not asked', () => {
    const c = new Commit()
    expect(c.on(prepared(1), failed(2))).toEqual(['rollback-prepared 1'])
    expect(c.on(applied(1))).toEqual(['answer aborted 40001'])
    expect(c.count('write-decision') + c.count('commit-prepared') + c.count('drop')).toBe(0)
  })

  test('one refuses while another still prepares: that one is cancelled, and rolled back if it made it', () => {
    const c = new Commit()
    expect(c.on(failed(2))).toEqual(['cancel-prepare 1'])
    expect(c.on(prepared(1))).toEqual(['rollback-prepared 1'])
    expect(c.on(applied(1))).toEqual(['answer aborted 40001'])
    expect(c.count('write-decision')).toBe(0)
  })

  test('all refuse: the first error is told, nothing is rolled back', () => {
    const c = new Commit()
    expect(c.on(failed(2), failed(1))).toEqual(['answer aborted 40001'])
    expect(c.count('rollback')).toBe(0)
  })

  test('one refuses, then the other is lost: that one is rolled back, in case', () => {
    const c = new Commit()
    expect(c.on(failed(2), prepareLost(1))).toEqual(['rollback-prepared 1'])
  })

  test('one is lost: it may be prepared, so it is rolled back too, and so is a tombstone taken away', () => {
    const c = new Commit()
    expect(c.on(prepared(1), prepareLost(2))).toEqual(['rollback-prepared 1', 'rollback-prepared 2'])
    expect(c.on(applied(1), applyFailed(2, 'unreachable'))).toEqual(['answer aborted 57P01', 'drop'])
    expect(c.count('write-decision')).toBe(0)
  })

  test('a reader cannot be released: aborted', () => {
    const c = new Commit([1], [2])
    const event: CommitEvent = { kind: 'release-failed', shard: 2, error: lost }
    expect(c.on(prepared(1), event)).toEqual(['rollback 2', 'rollback-prepared 1'])
    expect(c.on(applied(1))).toEqual(['answer aborted 57P01'])
  })

  test('a reader has written after another refused: it is rolled back, not prepared', () => {
    const c = new Commit([1], [2])
    expect(c.on(failed(1), { kind: 'reader-wrote', shard: 2 })).toEqual([
      'rollback 2',
      'answer aborted 40001',
    ])
    expect(c.count('prepare ')).toBe(1)
  })

  test('the caller gives up: rolled back everywhere', () => {
    const c = new Commit()
    const giveUp: CommitEvent = { kind: 'give-up', error: weftError('query_canceled', {}) }
    expect(c.on(prepared(1), giveUp)).toEqual(['rollback-prepared 1', 'cancel-prepare 2'])
    expect(c.on(failed(2), applied(1))).toEqual(['answer aborted 57014'])
  })

  test('it takes too long: aborted, and one that prepares even later is rolled back', () => {
    const c = new Commit()
    expect(c.on(prepared(1), deadline)).toEqual(['rollback-prepared 1', 'cancel-prepare 2'])
    expect(c.on(applied(1))).toEqual([])
    expect(c.on(deadline)).toEqual(['answer aborted 40001', 'drop'])
    expect(c.on(prepared(2))).toEqual(['rollback-prepared 2'])
    expect(c.on(applied(2))).toEqual([])
    expect(c.count('answer')).toBe(1)
  })
})

describe('commit: deciding', () => {
  test('the record is created: everyone commits, nobody is told yet', () => {
    const c = deciding()
    expect(c.on(created)).toEqual(['commit-prepared 1 30', 'commit-prepared 2 30'])
    expect(c.count('answer')).toBe(0)
  })

  test('recovery was first: rolled back everywhere, then 40001 and its tombstone dropped', () => {
    const c = deciding()
    expect(c.on(exists('abort'))).toEqual(['rollback-prepared 1', 'rollback-prepared 2'])
    expect(c.on(applied(1), applied(2))).toEqual(['answer aborted 40001', 'drop'])
    expect(c.count('commit-prepared')).toBe(0)
  })

  test('the fate of the write is unknown: asked again, nothing rolled back, nobody told', () => {
    const c = deciding()
    expect(c.on(unknown)).toEqual(['write-decision 30 [1,2] #2'])
    expect(c.on(unknown)).toEqual(['write-decision 30 [1,2] #3'])
    expect(c.count('rollback-prepared') + c.count('answer')).toBe(0)
  })

  test('unknown, and then it was ours all along: committed', () => {
    const c = deciding()
    expect(c.on(unknown, exists('commit', 30))).toEqual(['commit-prepared 1 30', 'commit-prepared 2 30'])
  })

  test('unknown, and then recovery was first: aborted, but the tombstone stays', () => {
    const c = deciding()
    c.on(unknown, exists('abort'), applied(1))
    expect(c.on(applied(2))).toEqual(['answer aborted 40001'])
    expect(c.count('drop')).toBe(0)
  })

  test('unknown, and a tombstone that came after the commit was concluded: 08007, not aborted', () => {
    const store = new MemoryLogStore()
    const record = { version: 1, txnId: 'c-0-1', commitTs: 30n, participants: [1, 2], writer: 'w' } as const
    store.registered.add('c-0')
    // The first attempt succeeds, its answer is lost, recovery carries it out; an abort asked for earlier arrives.
    expect(store.create({ ...record, decision: 'commit' }).kind).toBe('created')
    for (const shard of [1, 2]) store.confirm('c-0-1', shard)
    expect(store.create({ ...record, decision: 'abort' }).kind).toBe('created')
    const again = store.create({ ...record, decision: 'commit' })
    const c = deciding()
    c.on(unknown, exists(again.kind === 'exists' ? again.record.decision : 'commit'))
    c.on(applyFailed(1, 'gone'))
    expect(c.on(applyFailed(2, 'gone'))).toEqual(['answer unknown 08007'])
    expect(c.count('drop')).toBe(0)
  })

  test('unknown, then a tombstone: one participant was still prepared, so it is aborted', () => {
    const c = deciding()
    c.on(unknown, exists('abort'), applyFailed(1, 'gone'))
    expect(c.on(applied(2))).toEqual(['answer aborted 40001'])
  })

  test('unknown, and then the log is unreachable: still asked, not aborted', () => {
    const c = deciding()
    expect(c.on(unknown, unavailable)).toEqual(['write-decision 30 [1,2] #3'])
    expect(c.count('rollback-prepared')).toBe(0)
  })

  test('unknown until the deadline: 08007, nothing rolled back, nothing committed', () => {
    const c = deciding()
    expect(c.on(unknown, deadline)).toEqual(['answer unknown 08007'])
    expect(c.on(created)).toEqual([])
    expect(c.on(deadline)).toEqual([])
    expect(c.count('rollback-prepared') + c.count('commit-prepared') + c.count('drop')).toBe(0)
  })

  test('no answer until the deadline: 08007 as well', () => {
    expect(deciding().on(deadline)).toEqual(['answer unknown 08007'])
  })

  test('the log certainly did nothing: aborted, and the log is not asked again', () => {
    const c = deciding()
    expect(c.on(unavailable)).toEqual(['rollback-prepared 1', 'rollback-prepared 2'])
    expect(c.on(applied(1), applied(2))).toEqual(['answer aborted 08006'])
    expect(c.count('write-decision')).toBe(1)
  })

  test('fenced at the first attempt: aborted', () => {
    const c = deciding()
    expect(c.on(fenced)).toEqual(['rollback-prepared 1', 'rollback-prepared 2'])
    expect(c.on(applied(1), applied(2))).toEqual(['answer aborted 40001'])
  })

  test('fenced after an unknown attempt: that one may have decided, so 08007', () => {
    const c = deciding()
    expect(c.on(unknown, fenced)).toEqual(['answer unknown 08007'])
    expect(c.count('rollback-prepared')).toBe(0)
  })

  test('the caller gives up too late: no effect', () => {
    expect(deciding().on({ kind: 'give-up', error: refused })).toEqual([])
  })
})

describe('commit: committing', () => {
  test('all applied: the client hears it, the record is dropped', () => {
    const c = committing()
    expect(c.on(applied(1))).toEqual([])
    expect(c.on(applied(2))).toEqual(['answer committed 30', 'drop'])
  })

  test('42704 after the decision: recovery carried it out', () => {
    const c = committing()
    expect(c.on(applied(1), applyFailed(2, 'gone'))).toEqual(['answer committed 30', 'drop'])
  })

  test('a shard answers with an error: asked again until it has applied', () => {
    const c = committing()
    expect(c.on(applied(1), applyFailed(2, 'again'))).toEqual(['commit-prepared 2 30 again'])
    expect(c.on(applied(2))).toEqual(['answer committed 30', 'drop'])
  })

  test('a shard is unreachable: committed all the same, the record stays for its recovery', () => {
    const c = committing()
    const told = c.on(applied(1), applyFailed(2, 'unreachable'))
    expect(told).toEqual(['answer committed 30', 'left [2]', 'confirm [1]'])
    expect(c.count('drop') + c.count('rollback')).toBe(0)
  })

  test('a shard does not answer in time: committed, and confirmed when it applies late', () => {
    const c = committing()
    expect(c.on(applied(1), deadline)).toEqual(['answer committed 30', 'left [2]', 'confirm [1]'])
    expect(c.on(applyFailed(2, 'again'))).toEqual([])
    const d = committing()
    d.on(applied(1), deadline)
    expect(d.on(applied(2))).toEqual(['confirm [2]'])
    expect(d.count('answer')).toBe(1)
  })

  test('no shard is reachable: committed, nothing confirmed', () => {
    const c = committing()
    expect(c.on(applyFailed(1, 'unreachable'), applyFailed(2, 'unreachable'))).toEqual([
      'answer committed 30',
      'left [1,2]',
    ])
  })
})

describe('commit: aborting', () => {
  test('a rollback fails: asked again', () => {
    const c = new Commit()
    expect(c.on(prepared(1), failed(2), applyFailed(1, 'again'))).toEqual(['rollback-prepared 1 again'])
  })

  test('42704: recovery did it, or nothing was there', () => {
    const c = new Commit()
    expect(c.on(prepared(1), failed(2), applyFailed(1, 'gone'))).toEqual(['answer aborted 40001', 'drop'])
  })

  test('rollback does not answer in time: aborted all the same', () => {
    const c = new Commit()
    expect(c.on(prepared(1), failed(2), deadline)).toEqual(['answer aborted 40001', 'drop'])
    expect(c.on(applied(1))).toEqual([])
  })
})

describe('commit: programmer errors', () => {
  const bad: [string, () => unknown][] = [
    ['no participants', () => new Commit([])],
    ['a shard that does not take part', () => new Commit().on(prepared(9))],
    ['prepared twice', () => new Commit().on(prepared(1), prepared(1))],
    ['a log answer before it was asked', () => new Commit().on(created)],
    ['applied before it was asked', () => new Commit().on(applied(1))],
    ['released by a participant', () => new Commit().on({ kind: 'released', shard: 1 })],
  ]
  test.each(bad)('%s: invariant', (_, run) => {
    expect(run).toThrow(InvariantError)
  })
})

describe('sqlstates', () => {
  test('prepare: lost connections and internal errors leave it unknown, all else refuses', () => {
    expect(['08006', '08003', '57P01', '57P02', 'XX000'].every(prepareIsLost)).toBe(true)
    expect(['40001', '23503', '57014', '53200', '0A000', '55000'].some(prepareIsLost)).toBe(false)
  })

  test('apply: 42704 gone, class 08 unreachable, all else again', () => {
    expect(['42704', '08006', '57P01', '55000'].map(applyFailure)).toEqual([
      'gone',
      'unreachable',
      'again',
      'again',
    ])
  })
})

describe('commit: the last participant', () => {
  const lastRefused = (tombstone = false): CommitEvent => ({
    kind: 'last-refused',
    error: refused,
    tombstone,
  })
  const decidingLast = (): Commit => {
    const c = new Commit([0, 1, 2], [], 0)
    c.on(prepared(1, 30), prepared(0, 40), prepared(2, 20))
    return c
  }

  test('its commit is the decision: at the highest timestamp, its own included, and it is not in the record', () => {
    const c = new Commit([0, 1, 2], [], 0)
    expect(c.asked).toEqual(['prepare 0', 'prepare 1', 'prepare 2'])
    expect(c.on(prepared(1, 30), prepared(0, 40))).toEqual([])
    expect(c.on(prepared(2, 20))).toEqual(['commit-last 0 40 [1,2]'])
    expect(c.on(created)).toEqual(['commit-prepared 1 40', 'commit-prepared 2 40'])
    expect(c.on(applied(1), applied(2))).toEqual(['answer committed 40', 'drop'])
  })

  test('another is left to its recovery: those that have prepared confirm, not the last', () => {
    const c = decidingLast()
    expect(c.on(created, applied(1), applyFailed(2, 'unreachable'))).toEqual([
      'answer committed 40',
      'left [2]',
      'confirm [1]',
    ])
  })

  test('it fails before it is to commit: the others are rolled back', () => {
    const c = new Commit([0, 1], [], 0)
    expect(c.on(prepared(1), failed(0))).toEqual(['rollback-prepared 1'])
    expect(c.on(applied(1))).toEqual([`answer aborted ${refused.code}`])
  })

  test('it is lost before it is to commit: it may have prepared, as one that cannot be the last does', () => {
    const c = new Commit([0, 1], [], 0)
    expect(c.on(prepared(1), prepareLost(0))).toEqual(['rollback-prepared 0', 'rollback-prepared 1'])
    expect(c.on(applied(1), applyFailed(0, 'gone'))).toEqual([`answer aborted ${lost.code}`, 'drop'])
    const late = new Commit([0, 1], [], 0)
    expect(late.on(failed(1))).toEqual(['cancel-prepare 0'])
    expect(late.on(prepareLost(0))).toEqual(['rollback-prepared 0'])
  })

  test('it cannot be: it has prepared like the others, and the log is written', () => {
    const notLast = { ...prepared(0, 40), notLast: true }
    const c = new Commit([0, 1], [], 0)
    expect(c.on(prepared(1, 30), notLast)).toEqual(['write-decision 40 [0,1] #1'])
    expect(c.on(created)).toEqual(['commit-prepared 0 40', 'commit-prepared 1 40'])
    const late = new Commit([0, 1], [], 0)
    late.on(failed(1))
    expect(late.on(notLast)).toEqual(['rollback-prepared 0'])
  })

  test('another refuses: it is ended, also when it is ready later than that', () => {
    const ready = new Commit([0, 1], [], 0)
    expect(ready.on(prepared(0), failed(1))).toEqual(['rollback 0', `answer aborted ${refused.code}`])
    const late = new Commit([0, 1], [], 0)
    expect(late.on(failed(1))).toEqual(['cancel-prepare 0'])
    expect(late.on(prepared(0))).toEqual(['rollback 0', `answer aborted ${refused.code}`])
  })

  test('it did not commit: aborted; recovery was first: its tombstone is taken away', () => {
    const c = decidingLast()
    expect(c.on(lastRefused())).toEqual(['rollback-prepared 1', 'rollback-prepared 2'])
    expect(c.on(applied(1), applied(2))).toEqual([`answer aborted ${refused.code}`])
    const fenced = decidingLast()
    fenced.on(lastRefused(true))
    expect(fenced.on(applied(1), applied(2))).toEqual([`answer aborted ${refused.code}`, 'drop'])
  })

  test('its fate is unknown: the log is asked for an abort, as often as it takes, and never for a commit', () => {
    const c = decidingLast()
    expect(c.on(unknown)).toEqual(['settle-last #2'])
    expect(c.on(unavailable)).toEqual(['settle-last #3'])
    expect(c.on(unknown)).toEqual(['settle-last #4'])
    expect(c.on(exists('commit', 40))).toEqual(['commit-prepared 1 40', 'commit-prepared 2 40'])
    expect(c.count('write-decision')).toBe(0)
    expect(c.count('commit-last')).toBe(1)
  })

  test('… and the abort was first: told so only if a participant was there to be rolled back; the tombstone stays', () => {
    const c = decidingLast()
    expect(c.on(unknown, exists('abort'))).toEqual([
      'rollback 0',
      'rollback-prepared 1',
      'rollback-prepared 2',
    ])
    expect(c.on(applied(1), applyFailed(2, 'gone'))).toEqual(['answer aborted 40001'])
    const settled = decidingLast()
    settled.on(unknown, exists('abort'))
    expect(settled.on(applyFailed(1, 'gone'), applyFailed(2, 'gone'))).toEqual(['answer unknown 08007'])
  })

  test('too long: unknown, nothing is rolled back', () => {
    const c = decidingLast()
    expect(c.on(unknown, deadline)).toEqual(['answer unknown 08007'])
    expect(c.on(created)).toEqual([])
  })
})
