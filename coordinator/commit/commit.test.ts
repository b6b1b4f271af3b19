import { EventEmitter, once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { createLogger } from '../../admin/logger.ts'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { AgentSession, PrepareOptions, PrepareReply, Timestamp } from '../../protocol/agent-link.ts'
import { TestFailpoints } from '../../txn/failpoints.ts'
import { parseGid } from '../../txn/gid.ts'
import { HlcClock, toTimestamp } from '../../txn/hlc.ts'
import { MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'
import {
  type CreateResult,
  type DecisionRecord,
  LogUnavailableError,
  LogUnknownError,
} from '../../txn/log/txn-log.ts'
import { CommitDriver, type CommitDriverOptions, type CommitLimits, type Outcome } from './commit.ts'
import { logCommits } from './commit-log.ts'

const wallMs = 1_700_000_000_000

/** The agent's side of one session, in memory: it keeps what the rules of AgentSession promise. */
class FakeShard implements AgentSession {
  readonly shard: number
  readonly calls: string[] = []
  prepareTs: Timestamp = toTimestamp(wallMs, 1)
  /** Rejects PREPARE with it. */
  prepareError: Error | undefined
  /** PREPARE waits until it is cancelled. */
  hangs = false
  /** One for each COMMIT/ROLLBACK PREPARED that fails, before they succeed. */
  applyErrors: PgError[] = []
  applyHangs = false
  isLast = true
  readonly holdsBackend = false
  private cancelled: (() => void) | undefined

  constructor(shard: number) {
    this.shard = shard
  }
  get session(): AgentSession {
    return this
  }
  async prepare(gid: string, { last, follows }: PrepareOptions = {}): Promise<PrepareReply> {
    expect(parseGid(gid)).toMatchObject({ cluster: 'c', shard: this.shard })
    this.calls.push(`prepare${last === true ? ' last' : ''}${follows === true ? ' following' : ''}`)
    if (this.hangs) {
      await new Promise<void>((resolve) => {
        this.cancelled = resolve
      })
      throw weftError('query_canceled', {})
    }
    if (this.prepareError !== undefined) throw this.prepareError
    return last === true && this.isLast
      ? { prepareTs: this.prepareTs, xid: '77' }
      : { prepareTs: this.prepareTs }
  }
  async commitPrepared(_gid: string, commitTs: Timestamp): Promise<void> {
    await this.apply(`commit ${commitTs & 0xffffn}`)
  }
  async rollbackPrepared(): Promise<void> {
    await this.apply('rollback')
  }
  async commitLast(_gid: string, commitTs: Timestamp, sql: string): Promise<void> {
    await this.apply(`commit last ${commitTs & 0xffffn} ${sql}`)
  }
  timestampFixed(_gid: string, commitTs: Timestamp): void {
    this.calls.push(`fixed ${commitTs & 0xffffn}`)
  }
  private async apply(what: string): Promise<void> {
    this.calls.push(what)
    if (this.applyHangs) await new Promise(() => {})
    const error = this.applyErrors.shift()
    if (error !== undefined) throw error
  }
  cancel(): void {
    this.calls.push('cancel')
    this.cancelled?.()
  }
  async reset(): Promise<void> {}

  async rollBack(): Promise<void> {
    this.calls.push('roll back')
  }
  exec(): void {}
  giveBack(): void {}
  copyData(): boolean {
    return true
  }
  pause(): void {}
  resume(): void {}
  close(): void {}
}

/** A log whose next answers are scripted. */
class ScriptedLog extends MemoryTxnLog {
  readonly script: ('before' | 'after' | 'unavailable' | 'never')[] = []
  creates = 0
  override async create(record: DecisionRecord): Promise<CreateResult> {
    this.creates++
    const next = this.script.shift()
    if (next === 'unavailable') throw new LogUnavailableError('refused')
    if (next === 'before') throw new LogUnknownError('lost before it took effect')
    if (next === 'never') return new Promise(() => {})
    const result = await super.create(record)
    if (next === 'after') throw new LogUnknownError('lost after it took effect')
    return result
  }
}

interface World {
  readonly one: FakeShard
  readonly two: FakeShard
  readonly log: ScriptedLog
  readonly driver: CommitDriver
  commit(): Promise<Outcome>
}

function world(limits: Partial<CommitLimits> = {}, more: Partial<CommitDriverOptions> = {}): World {
  const one = new FakeShard(1)
  const two = new FakeShard(2)
  two.prepareTs = toTimestamp(wallMs, 9)
  const log = new ScriptedLog(undefined, 'me')
  const clock = new HlcClock({ wallMs: () => wallMs, maxOffsetMs: 500 })
  const driver = new CommitDriver({ log, clock, coordinatorId: 'me', cluster: 'c', limits, ...more })
  return { one, two, log, driver, commit: () => driver.commit({ participants: [one, two], readers: [] }) }
}

const codeOf = (outcome: Outcome): string =>
  outcome.outcome === 'committed' ? outcome.outcome : `${outcome.outcome} ${outcome.error.code}`

/** The node's log as it is written, of what a driver tells. */
function logOf(driver: CommitDriver): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = []
  logCommits(driver.events, createLogger({ level: 'debug', write: (line) => lines.push(JSON.parse(line)) }))
  return lines
}

describe('the log of commits: each line has the id of the transaction', () => {
  test('one that is done, one that is refused', async () => {
    const w = world()
    const lines = logOf(w.driver)
    await w.commit()
    w.two.prepareError = new PgError({ code: '23503', message: 'no such customer' })
    await w.commit()
    const [txnId, other] = lines.map((line) => line.txnId)
    expect(lines).toMatchObject([
      { level: 'debug', msg: 'commit: over', outcome: 'committed', shards: [1, 2] },
      { level: 'debug', msg: 'commit: over', outcome: 'aborted', why: 'no such customer' },
    ])
    expect(w.driver.gid(String(txnId), 1)).toBe(`weft:c:${txnId}:1`)
    expect(other).not.toBe(txnId)
  })

  test('one whose outcome is not known, after the log was asked again', async () => {
    const w = world({ decideTimeoutMs: 150 })
    w.log.script.push('before', 'never')
    const lines = logOf(w.driver)
    await w.commit()
    expect(lines).toMatchObject([
      { level: 'info', msg: 'commit: the log is asked again for its decision' },
      { level: 'warn', msg: 'commit: its outcome could not be told to the client', shards: [1, 2] },
    ])
    expect(new Set(lines.map((line) => line.txnId)).size).toBe(1)
    expect(lines[0]!.txnId).toMatch(/^[0-9a-z-]+$/)
  })

  test('one that a shard has not carried out', async () => {
    const w = world({ applyTimeoutMs: 50 })
    w.two.applyHangs = true
    const lines = logOf(w.driver)
    await w.commit()
    const left = lines.find(({ level }) => level === 'warn')
    expect(left).toMatchObject({ msg: 'commit: decided, and left to the recovery of shards', shards: [2] })
    expect(new Set(lines.map((line) => line.txnId)).size).toBe(1)
  })

  test('one that no shard has carried out, and that they do later: told, and counted, once', async () => {
    const w = world({ applyTimeoutMs: 50 })
    const late = new EventEmitter()
    for (const shard of [w.one, w.two]) shard.commitPrepared = async () => void (await once(late, 'applied'))
    const lines = logOf(w.driver)
    await w.commit()
    late.emit('applied')
    await expect.poll(() => w.log.list(10)).toEqual([])
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ shards: [1, 2] }])
    expect(w.driver.counters.leftToRecovery).toBe(1)
  })
})

describe('commit driver', () => {
  test('both prepare: committed at the higher timestamp, the log is empty again', async () => {
    const w = world()
    expect(await w.commit()).toEqual({ outcome: 'committed', commitTs: w.two.prepareTs })
    expect(w.one.calls).toEqual(['prepare', 'commit 9'])
    expect(w.two.calls).toEqual(['prepare', 'commit 9'])
    expect(await w.log.list(10)).toEqual([])
    expect(w.driver.inFlight).toBe(0)
  })

  test('a cut while it prepares: outside on its shards, decided above the cut; afterwards not outside any more', async () => {
    const w = world()
    const ts = toTimestamp(wallMs + 5, 0)
    const outcome = w.commit()
    const cut = w.driver.cutAt(ts, [1, 2])
    expect(cut.outside(1)).toEqual([expect.stringContaining(':1')])
    expect(cut.outside(3)).toEqual([])
    expect(await outcome).toEqual({ outcome: 'committed', commitTs: ts + 1n })
    expect(w.driver.cutAt(ts, [1, 2]).outside(1)).toEqual([])
  })

  test('a cut far ahead of the time: nothing is outside, and no decision goes there', async () => {
    const w = world()
    const outcome = w.commit()
    const cut = w.driver.cutAt(toTimestamp(wallMs + 10_000, 0), [1, 2])
    expect([cut.outside(1), cut.untold(1)]).toEqual([[], []])
    expect(await outcome).toEqual({ outcome: 'committed', commitTs: w.two.prepareTs })
  })

  test('a cut above a fixed timestamp: not outside; below it: outside', async () => {
    const w = world()
    const left: number[][] = []
    const { create } = w.log
    w.log.create = (record) => {
      for (const ts of [w.two.prepareTs, w.two.prepareTs - 1n]) {
        const cut = w.driver.cutAt(ts, [1, 2])
        left.push([cut.outside(1).length, cut.untold(1).length])
      }
      return create.call(w.log, record)
    }
    expect(await w.commit()).toMatchObject({ outcome: 'committed' })
    expect(left).toEqual([
      [0, 1],
      [1, 0],
    ])
  })

  test('a cut while it is decided: told to no shard; after a lost link that is not said any more', async () => {
    const w = world()
    const { create } = w.log
    const untold: number[] = []
    w.log.create = (record) => {
      untold.push(w.driver.cutAt(w.two.prepareTs, [1, 2]).untold(2).length)
      // Where shard 1 is not asked it may take effect, and be seen.
      untold.push(w.driver.cutAt(w.two.prepareTs, [2, 3]).untold(2).length)
      w.driver.linkLost()
      untold.push(w.driver.cutAt(w.two.prepareTs, [1, 2]).untold(2).length)
      return create.call(w.log, record)
    }
    w.two.commitPrepared = async () => {
      untold.push(w.driver.cutAt(w.two.prepareTs, [1, 2]).untold(2).length)
    }
    expect(await w.commit()).toMatchObject({ outcome: 'committed' })
    expect(untold).toEqual([1, 0, 0, 0])
  })

  test('its session has seen a later commit: committed above that', async () => {
    const w = world()
    const seen = toTimestamp(wallMs + 5, 0)
    const outcome = w.driver.commit({ participants: [w.one, w.two], readers: [], seen })
    expect(await outcome).toEqual({ outcome: 'committed', commitTs: seen + 1n })
  })

  test('two at once: different transactions', async () => {
    const w = world()
    const other = world()
    const outcomes = await Promise.all([
      w.commit(),
      w.driver.commit({ participants: [other.one, other.two], readers: [] }),
    ])
    expect(outcomes.map(codeOf)).toEqual(['committed', 'committed'])
    expect(w.driver.counters.committed).toBe(2)
  })

  test('one refuses: its error, the other rolled back, nothing in the log', async () => {
    const w = world()
    w.two.prepareError = new PgError({ code: '23503', message: 'deferred' })
    expect(codeOf(await w.commit())).toBe('aborted 23503')
    expect(w.one.calls).toEqual(['prepare', 'rollback'])
    expect(w.log.creates).toBe(0)
  })

  test('a prepare fails in a way that is no answer: rolled back there too', async () => {
    const w = world()
    w.two.prepareError = new Error('boom')
    expect(codeOf(await w.commit())).toBe('aborted 40001')
    expect(w.two.calls).toEqual(['prepare', 'rollback'])
  })

  test('the clock of a shard is off: aborted, everything rolled back', async () => {
    const w = world()
    w.two.prepareTs = toTimestamp(wallMs + 3_600_000, 0)
    expect(codeOf(await w.commit())).toBe('aborted 58000')
    expect([w.one.calls, w.two.calls]).toEqual([
      ['prepare', 'rollback'],
      ['prepare', 'cancel', 'rollback'],
    ])
    expect(w.log.creates).toBe(0)
  })

  test('a prepare hangs: cancelled after its time, aborted', async () => {
    const w = world({ prepareTimeoutMs: 1 })
    w.two.hangs = true
    expect(codeOf(await w.commit())).toBe('aborted 40001')
    expect(w.one.calls).toEqual(['prepare', 'rollback'])
    expect(w.two.calls).toEqual(['prepare', 'cancel'])
  })

  test('a reader has not written: released, not prepared', async () => {
    const w = world()
    const reader = new FakeShard(3)
    const outcome = await w.driver.commit({
      participants: [w.one],
      readers: [{ shard: 3, session: reader, release: async () => false }],
    })
    expect(codeOf(outcome)).toBe('committed')
    expect(reader.calls).toEqual([])
  })

  test('a reader has written: it commits with the others', async () => {
    const w = world()
    const reader = new FakeShard(3)
    reader.prepareTs = toTimestamp(wallMs, 20)
    const readers = [{ shard: 3, session: reader, release: async () => true }]
    expect(codeOf(await w.driver.commit({ participants: [w.one], readers }))).toBe('committed')
    expect(reader.calls).toEqual(['prepare', 'commit 20'])
    expect(w.one.calls).toEqual(['prepare', 'commit 20'])
  })

  test('a reader cannot be released: aborted, its session ended', async () => {
    const w = world()
    const reader = new FakeShard(3)
    const release = async (): Promise<boolean> => {
      throw weftError('backend_lost', { shard: 3, why: 'gone' })
    }
    const readers = [{ shard: 3, session: reader, release }]
    expect(codeOf(await w.driver.commit({ participants: [w.one], readers }))).toBe('aborted 57P01')
    expect(reader.calls).toEqual(['roll back'])
    expect(w.one.calls).toEqual(['prepare', 'rollback'])
  })
})

describe('commit driver: the log', () => {
  test('not registered: nothing is prepared, the sessions are ended', async () => {
    const w = world()
    await w.log.close()
    expect(codeOf(await w.commit())).toBe('aborted 08006')
    expect([w.one.calls, w.two.calls]).toEqual([['roll back'], ['roll back']])
  })

  test('certainly unavailable: aborted', async () => {
    const w = world()
    w.log.script.push('unavailable')
    expect(codeOf(await w.commit())).toBe('aborted 08006')
    expect(w.one.calls).toEqual(['prepare', 'rollback'])
  })

  test.each(['before', 'after'] as const)(
    'the answer is lost %s it took effect: asked again, committed',
    async (how) => {
      const w = world()
      w.log.script.push(how, 'before')
      expect(codeOf(await w.commit())).toBe('committed')
      expect(w.log.creates).toBe(3)
      expect(w.driver.counters.askedAgain).toBe(2)
    },
  )

  test('no answer within the time: 08007, nothing applied or rolled back', async () => {
    const w = world({ decideTimeoutMs: 1 })
    w.log.script.push('never')
    expect(codeOf(await w.commit())).toBe('unknown 08007')
    expect([w.one.calls, w.two.calls]).toEqual([['prepare'], ['prepare']])
  })

  test('recovery was first: aborted, its tombstone dropped', async () => {
    const w = world()
    const failpoints = new TestFailpoints()
    const driver = new CommitDriver({ ...w.driver, failpoints })
    failpoints.set('after-prepare', {
      kind: 'call',
      run: async () => {
        const record = { version: 1, decision: 'abort', commitTs: 0n, participants: [], writer: 'r' } as const
        w.log.store.create({ ...record, txnId: 'me-0-1' })
      },
    })
    expect(codeOf(await driver.commit({ participants: [w.one, w.two], readers: [] }))).toBe('aborted 40001')
    expect(w.one.calls).toEqual(['prepare', 'rollback'])
    expect(await w.log.list(10)).toEqual([])
  })
})

describe('commit driver: aborts that recovery created', () => {
  const abort = { version: 1, decision: 'abort', commitTs: 0n, participants: [], writer: 'r' } as const

  test('after all is over here: dropped', async () => {
    const w = world()
    w.two.prepareError = weftError('backend_lost', { shard: 2, why: 'gone' })
    w.two.applyErrors = Array.from({ length: 1_000 }, () =>
      weftError('shard_unreachable', { shard: 2, why: 'gone' }),
    )
    expect(codeOf(await w.commit())).toMatch(/^aborted/)
    w.log.store.create({ ...abort, txnId: 'me-0-1' })
    w.driver.abortsLeft(['me-0-1'])
    await expect.poll(() => w.log.list(10)).toEqual([])
  })

  test('while a decision may be on its way: kept', async () => {
    const w = world({ decideTimeoutMs: 1 })
    w.log.script.push('never')
    const outcome = w.commit()
    w.log.store.create({ ...abort, txnId: 'me-0-1' })
    w.driver.abortsLeft(['me-0-1'])
    expect(codeOf(await outcome)).toBe('unknown 08007')
    w.driver.abortsLeft(['me-0-1'])
    expect(await w.log.list(10)).toMatchObject([{ txnId: 'me-0-1' }])
  })
})

describe('commit driver: after the decision', () => {
  test('a shard fails for a moment: asked again, committed', async () => {
    const w = world()
    w.two.applyErrors.push(weftError('backend_lost', { shard: 2, why: 'x' }))
    expect(codeOf(await w.commit())).toBe('committed')
    expect(w.two.calls).toEqual(['prepare', 'commit 9', 'commit 9'])
  })

  test('a shard is unreachable: committed, the record stays', async () => {
    const w = world()
    w.two.applyErrors.push(weftError('shard_unreachable', { shard: 2, why: 'x' }))
    expect(codeOf(await w.commit())).toBe('committed')
    expect(await w.log.list(10)).toHaveLength(1)
    await w.log.confirm('me-0-1', 2)
    expect(await w.log.list(10)).toEqual([])
  })

  test('a shard never answers: committed after a bounded wait', async () => {
    const w = world({ applyTimeoutMs: 1 })
    w.two.applyHangs = true
    expect(codeOf(await w.commit())).toBe('committed')
    expect(await w.log.list(10)).toHaveLength(1)
  })
})

describe('commit driver: failpoints', () => {
  test('all are passed, in order', async () => {
    const seen: string[] = []
    const failpoints = { armed: true, hit: async (name: string) => void seen.push(name) }
    const w = world({}, { failpoints })
    expect(codeOf(await w.commit())).toBe('committed')
    expect(seen).toEqual([
      'before-prepare',
      'during-prepare',
      'after-prepare',
      'during-decision',
      'after-decision',
      'between-commits',
      'before-conclude',
    ])
  })

  test('an error before the decision is an unknown write: asked again', async () => {
    const failpoints = new TestFailpoints().set('after-prepare', { kind: 'error' })
    const w = world({}, { failpoints })
    expect(codeOf(await w.commit())).toBe('committed')
    expect(w.log.creates).toBe(1)
  })
})

describe('commit driver: the last participant', () => {
  function withLast(mayBeLast = true): World & { readonly three: FakeShard } {
    const w = world()
    const three = new FakeShard(3)
    three.prepareTs = toTimestamp(wallMs, 12)
    const sql = (record: DecisionRecord, xid: string) =>
      `${record.decision} [${record.participants}] in ${xid}`
    Object.assign(w.log, { within: { shard: 3, sql } })
    const request = { participants: [w.one, w.two, three], readers: [], mayBeLast }
    return { ...w, three, commit: () => w.driver.commit(request) }
  }

  test('its commit decides, at the highest timestamp, which the others are told ahead; the log is not written', async () => {
    const w = withLast()
    expect(await w.commit()).toEqual({ outcome: 'committed', commitTs: w.three.prepareTs })
    expect(w.three.calls).toEqual(['prepare last', 'commit last 12 commit [1,2] in 77'])
    expect(w.one.calls).toEqual(['prepare following', 'fixed 12', 'commit 12'])
    expect(w.log.creates).toBe(0)
  })

  test('it may not be, or uses the probe: all prepare', async () => {
    const w = withLast(false)
    expect(codeOf(await w.commit())).toBe('committed')
    expect(w.three.calls).toEqual(['prepare', 'commit 12'])
    const p = withLast()
    const request = { participants: [p.one, p.three], readers: [], mayBeLast: true, probe: true }
    expect(codeOf(await p.driver.commit(request))).toBe('committed')
    expect(p.three.calls).toEqual(['prepare', 'commit 12'])
  })

  test('its agent says that it cannot be: it has prepared, and the log is written', async () => {
    const w = withLast()
    w.three.isLast = false
    expect(codeOf(await w.commit())).toBe('committed')
    expect(w.three.calls).toEqual(['prepare last', 'commit 12'])
    expect(w.log.creates).toBe(1)
  })

  test('a cut while it decides: what its other shards hold is not untold', async () => {
    const w = withLast()
    const seen: unknown[] = []
    w.three.commitLast = async () => {
      const at = w.driver.cutAt(w.three.prepareTs, [1, 2, 3])
      const below = w.driver.cutAt(w.three.prepareTs - 1n, [1, 2, 3])
      seen.push(
        [at.outside(1).length, at.untold(1).length],
        [below.outside(1).length, below.untold(1).length],
      )
    }
    expect(codeOf(await w.commit())).toBe('committed')
    expect(seen).toEqual([
      [0, 0],
      [1, 0],
    ])
  })

  test('it fails: its error, the others are rolled back, it keeps what its session has', async () => {
    const w = withLast()
    w.three.applyErrors.push(new PgError({ code: '40001', message: 'could not serialize' }))
    expect(codeOf(await w.commit())).toBe('aborted 40001')
    expect(w.three.calls.slice(2)).toEqual([])
    expect(w.one.calls).toEqual(['prepare following', 'fixed 12', 'rollback'])
  })

  test.each([
    ['WT001', 'recovery found it'],
    ['WT002', 'cut off from the log'],
  ])('the log does not let it, %s: %s', async (code, why) => {
    const w = withLast()
    w.three.applyErrors.push(new PgError({ code, message: 'no' }))
    const outcome = await w.commit()
    expect(codeOf(outcome)).toBe('aborted 40001')
    expect(outcome).toMatchObject({ error: { message: expect.stringContaining(why) } })
  })

  test('its fate is unknown: the log is asked for an abort; what is there decides', async () => {
    const aborted = withLast()
    aborted.three.applyErrors.push(weftError('backend_lost', { shard: 3, why: 'gone' }))
    expect(codeOf(await aborted.commit())).toBe('aborted 40001')
    expect(await aborted.log.list(10)).toMatchObject([{ decision: 'abort' }])
    const committed = withLast()
    committed.three.commitLast = async (gid, commitTs) => {
      const txnId = parseGid(gid)!.txnId
      const record = {
        version: 1,
        txnId,
        decision: 'commit',
        commitTs,
        participants: [1, 2],
        writer: 'w',
      } as const
      await MemoryTxnLog.prototype.create.call(committed.log, record)
      throw weftError('backend_lost', { shard: 3, why: 'gone' })
    }
    expect(await committed.commit()).toEqual({ outcome: 'committed', commitTs: committed.three.prepareTs })
    expect(committed.one.calls.at(-1)).toBe('commit 12')
  })
})
