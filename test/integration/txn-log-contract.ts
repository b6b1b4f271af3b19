import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { coordinatorIdFrom, type Incarnation, txnIdFor } from '../../txn/gid.ts'
import type { Decision, DecisionRecord, TxnLog } from '../../txn/log/txn-log.ts'

export interface LogUnderTest {
  /** A log of its own, as another node would open it; registered when it is a coordinator's. */
  open(coordinatorId?: string): Promise<TxnLog>
  /** One that keeps no outcome longer than that. */
  openForgetful(keptMs: number): Promise<TxnLog>
  /** Waits until what was to be dropped is. */
  settle(log: TxnLog): Promise<void>
  /** Puts a record of format version 2 under this id. */
  writeNewer(txnId: string): Promise<void>
}

let numbers = 0

export const newId = (): string => coordinatorIdFrom(randomBytes(8))

/** A record of a transaction that begins now under this registration. */
export function recordFor(under: TxnLog | string, decision: Decision = 'commit'): DecisionRecord {
  const incarnation = typeof under === 'string' ? under : under.incarnation()
  const number = ++numbers
  const txnId = txnIdFor(incarnation as Incarnation, number)
  const commitTs = decision === 'commit' ? 1234567890123456789n : 0n
  const participants = decision === 'commit' ? [0, 2] : []
  return { version: 1, txnId, decision, commitTs, participants, writer: `w${number}` }
}

const tombstone = (record: DecisionRecord): DecisionRecord => ({
  ...record,
  decision: 'abort',
  commitTs: 0n,
  participants: [],
  writer: `recovery of ${record.txnId}`,
})

/** What every transaction log must do, whatever it is made of. */
export function describeLog(name: string, under: () => LogUnderTest): void {
  const withLogs = async (run: (coordinator: TxnLog, agent: TxnLog) => Promise<void>): Promise<void> => {
    const coordinator = await under().open(newId())
    const agent = await under().open()
    try {
      await run(coordinator, agent)
    } finally {
      await coordinator.close()
      await agent.sweep()
      await agent.close()
    }
  }

  describe(`${name}: decisions`, () => {
    test('create: the first wins, the second is told whose it is', () =>
      withLogs(async (coordinator, agent) => {
        const record = recordFor(coordinator)
        expect(await coordinator.create(record)).toEqual({ kind: 'created' })
        expect(await agent.create(tombstone(record))).toEqual({ kind: 'exists', record })
        expect(await agent.lookup(record.txnId)).toEqual({ kind: 'record', record })
        expect(await agent.read(record.txnId)).toEqual(record)
        await coordinator.drop([record.txnId])
        await under().settle(coordinator)
        expect(await agent.lookup(record.txnId)).toEqual({ kind: 'absent', ownerRegistered: true })
      }))

    test('create: recovery was first: the commit is told so', () =>
      withLogs(async (coordinator, agent) => {
        const record = recordFor(coordinator)
        expect(await agent.create(tombstone(record))).toEqual({ kind: 'created' })
        expect(await coordinator.create(record)).toEqual({ kind: 'exists', record: tombstone(record) })
      }))

    test('create: the same record again: it exists, by its writer', () =>
      withLogs(async (coordinator) => {
        const record = recordFor(coordinator)
        await coordinator.create(record)
        expect(await coordinator.create({ ...record, writer: 'again' })).toEqual({ kind: 'exists', record })
        await coordinator.drop([record.txnId])
      }))

    test('create: 300 at once, each also aborted by recovery: one winner each, the same for both', () =>
      withLogs(async (coordinator, agent) => {
        const records = Array.from({ length: 300 }, () => recordFor(coordinator))
        const results = await Promise.all(
          records.flatMap((record, i) => {
            const both = [() => coordinator.create(record), () => agent.create(tombstone(record))]
            return (i % 2 === 0 ? both : both.reverse()).map((create) => create())
          }),
        )
        for (const [i, record] of records.entries()) {
          const pair = [results[2 * i], results[2 * i + 1]]
          expect(pair.filter((result) => result?.kind === 'created')).toHaveLength(1)
          const loser = pair.find((result) => result?.kind === 'exists')
          const stored = await agent.read(record.txnId)
          expect(loser).toEqual({ kind: 'exists', record: stored })
        }
        await coordinator.drop(records.map((record) => record.txnId))
        await under().settle(coordinator)
        expect(await agent.list(1000)).toEqual([])
      }))
  })

  describe(`${name}: registration`, () => {
    test('the coordinator is gone: its late commit is fenced, recovery sees that nothing can come', () =>
      withLogs(async (_, agent) => {
        const paused = await under().open(newId())
        const record = recordFor(paused)
        await paused.close()
        // The paused process wakes up, and its write is still on the way: whoever carries it, it is refused.
        expect(await agent.lookup(record.txnId)).toEqual({ kind: 'absent', ownerRegistered: false })
        expect(await agent.create(record)).toEqual({ kind: 'fenced' })
        expect(await agent.list(10)).toEqual([])
      }))

    test('a tombstone outlives every coordinator that could decide, and goes with it', () =>
      withLogs(async (_, agent) => {
        const coordinator = await under().open(newId())
        const record = recordFor(coordinator)
        await agent.create(tombstone(record))
        expect((await agent.sweep()).dropped).toBe(0)
        expect(await coordinator.create(record)).toMatchObject({ kind: 'exists' })
        await coordinator.close()
        expect((await agent.sweep()).dropped).toBe(1)
        expect(await agent.create(record)).toEqual({ kind: 'fenced' })
      }))

    test('a commit record of a coordinator that is gone: stays until all participants have confirmed', () =>
      withLogs(async (_, agent) => {
        const coordinator = await under().open(newId())
        const record = recordFor(coordinator)
        await coordinator.create(record)
        await coordinator.close()
        await agent.sweep()
        await agent.confirm(record.txnId, 2)
        await agent.confirm(record.txnId, 2)
        expect(await agent.read(record.txnId)).toEqual(record)
        await agent.confirm(record.txnId, 0)
        expect(await agent.list(10)).toEqual([])
        await agent.confirm(record.txnId, 0)
        expect(await agent.list(10)).toEqual([])
      }))

    test('two agents confirm at the same time: the record goes', () =>
      withLogs(async (coordinator, agent) => {
        const records = Array.from({ length: 30 }, () => recordFor(coordinator))
        await Promise.all(records.map((record) => coordinator.create(record)))
        await Promise.all(
          records.flatMap(({ txnId }) => [agent.confirm(txnId, 0), coordinator.confirm(txnId, 2)]),
        )
        expect(await agent.list(10)).toEqual([])
      }))

    test('an abort is never dropped by a confirmation', () =>
      withLogs(async (coordinator, agent) => {
        const record = recordFor(coordinator)
        await agent.create(tombstone(record))
        await agent.confirm(record.txnId, 0)
        await agent.confirm(record.txnId, 2)
        expect(await agent.read(record.txnId)).toEqual(tombstone(record))
      }))
  })

  describe(`${name}: outcomes`, () => {
    const outcomeOf = (log: TxnLog, { txnId }: DecisionRecord) => log.outcome(txnId, 1234567890123456789n)

    test('of a commit: told while its record is there, and when recovery has concluded it', () =>
      withLogs(async (coordinator, agent) => {
        const record = recordFor(coordinator)
        expect(await outcomeOf(agent, record)).toBe('in doubt')
        await coordinator.create(record)
        expect(await outcomeOf(agent, record)).toBe('committed')
        await agent.confirm(record.txnId, 0)
        expect(await outcomeOf(agent, record)).toBe('committed')
        await agent.confirm(record.txnId, 2)
        expect(await agent.list(10)).toEqual([])
        expect(await outcomeOf(agent, record)).toBe('committed')
        // Asked for ahead of the commit, it comes after its end.
        await agent.create(tombstone(record))
        expect(await outcomeOf(agent, record)).toBe('committed')
        await coordinator.drop([record.txnId])
        await under().settle(coordinator)
      }))

    test('of an abort: told by its tombstone, and when its coordinator is gone', () =>
      withLogs(async (_, agent) => {
        const coordinator = await under().open(newId())
        const [one, other] = [recordFor(coordinator), recordFor(coordinator)]
        await agent.create(tombstone(one))
        expect([await outcomeOf(agent, one), await outcomeOf(agent, other)]).toEqual(['aborted', 'in doubt'])
        await coordinator.close()
        await agent.sweep()
        expect([await outcomeOf(agent, one), await outcomeOf(agent, other)]).toEqual(['aborted', 'aborted'])
      }))

    test('too long ago: nothing is said of it, nor of others of its time', () =>
      withLogs(async (_, agent) => {
        const coordinator = await under().open(newId())
        const [one, other] = [recordFor(coordinator), recordFor(coordinator)]
        await coordinator.create(one)
        for (const shard of [0, 2]) await agent.confirm(one.txnId, shard)
        await coordinator.close()
        const forgetful = await under().openForgetful(-1000)
        await forgetful.sweep()
        await forgetful.close()
        expect([await outcomeOf(agent, one), await outcomeOf(agent, other)]).toEqual(['unknown', 'unknown'])
        expect(await agent.outcome(other.txnId, 1234567890123456790n)).toBe('aborted')
      }))
  })

  describe(`${name}: a record of a newer version`, () => {
    test('it is shown and left alone, whatever is asked', () =>
      withLogs(async (coordinator, agent) => {
        const record = recordFor(coordinator)
        await under().writeNewer(record.txnId)
        expect(await agent.lookup(record.txnId)).toMatchObject({ kind: 'unreadable' })
        await expect(agent.read(record.txnId)).rejects.toThrow(/version 2/)
        const other = recordFor(coordinator)
        const together = await Promise.allSettled([coordinator.create(record), coordinator.create(other)])
        expect(together.map((result) => result.status)).toEqual(['rejected', 'fulfilled'])
        await expect(agent.create(tombstone(record))).rejects.toThrow(/version 2/)
        await agent.confirm(record.txnId, 0)
        await agent.drop([other.txnId])
        await under().settle(agent)
        expect((await agent.sweep()).unreadable).toContain(record.txnId)
        expect(await agent.lookup(record.txnId)).toMatchObject({ kind: 'unreadable' })
      }))
  })
}
