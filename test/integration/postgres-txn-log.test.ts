import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectLog } from '../../txn/log/log-connection.ts'
import { PostgresTxnLog, type PostgresTxnLogOptions } from '../../txn/log/postgres-txn-log.ts'
import { LogUnavailableError, LogUnknownError, type TxnLog } from '../../txn/log/txn-log.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { describeLog, newId, recordFor } from './txn-log-contract.ts'

let server: TestPostgres

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server?.stop()
})

const open = (options: Partial<PostgresTxnLogOptions> = {}): Promise<PostgresTxnLog> =>
  PostgresTxnLog.open({ url: server.url, ...options })

describeLog('postgres log', () => ({
  open: (coordinatorId?: string): Promise<TxnLog> =>
    open(coordinatorId === undefined ? {} : { coordinatorId }),
  openForgetful: (keptMs) => open({ limits: { keptMs } }),
  settle: (log) => (log as PostgresTxnLog).settled(),
  writeNewer: async (txnId) => {
    await query(
      server.url,
      `INSERT INTO weft.txn_log (txn_id, incarnation, version, decision, participants, record)
       VALUES ($1, 'x', 2, 'commit', '{}', '{"version":2}')`,
      [txnId],
    )
  },
}))

/** Backends of a log by what they do now. */
const killLogBackends = (): Promise<unknown> =>
  query(
    server.url,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weft log' AND pid <> pg_backend_pid()",
  )

describe('postgres log: its server', () => {
  test('out of reach: open says so', async () => {
    const options = { url: 'postgres://postgres@127.0.0.1:1/postgres' }
    await expect(PostgresTxnLog.open(options)).rejects.toThrow(LogUnavailableError)
  })

  test('decisions are written with synchronous_commit on, whatever the server says', async () => {
    expect(await query(server.url, 'SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'off' }])
    const seen: unknown[] = []
    const log = await open({
      coordinatorId: newId(),
      connect: async (to) => {
        const connection = await connectLog(to)
        seen.push(...(await connection.query({ name: 's', text: 'SHOW synchronous_commit' }, [], 1000)))
        return connection
      },
    })
    await log.create(recordFor(log))
    await log.close()
    expect(seen.length).toBeGreaterThan(1)
    for (const row of seen) expect(row).toEqual({ synchronous_commit: 'on' })
  })

  test('many at once: they share writes', async () => {
    let writes = 0
    const log = await open({
      coordinatorId: newId(),
      connect: async (to) => {
        const connection = await connectLog(to)
        const real = connection.query.bind(connection)
        connection.query = (statement, params, timeoutMs) => {
          if (statement.name === 'weft_create') writes++
          return real(statement, params, timeoutMs)
        }
        return connection
      },
    })
    const records = Array.from({ length: 1000 }, () => recordFor(log))
    const results = await Promise.all(records.map((record) => log.create(record)))
    expect(results.every((result) => result.kind === 'created')).toBe(true)
    expect(writes).toBeLessThan(20)
    await log.drop(records.map((record) => record.txnId))
    await log.settled()
    await log.close()
    expect(await query(server.url, 'SELECT count(*)::int AS n FROM weft.txn_coordinator')).toEqual([{ n: 0 }])
  })

  test('its connections are killed while decisions are written: every asked one gets a true answer', async () => {
    const log = await open({ coordinatorId: newId() })
    const incarnation = log.incarnation()
    let killing = true
    const killer = (async () => {
      while (killing) await killLogBackends()
    })()
    const answers = new Map<string, string>()
    for (let round = 0; round < 20; round++) {
      const records = Array.from({ length: 20 }, () => recordFor(incarnation))
      const settled = await Promise.allSettled(records.map((record) => log.create(record)))
      settled.forEach((result, i) => {
        const answer = result.status === 'fulfilled' ? result.value.kind : (result.reason as Error).name
        answers.set(records[i]?.txnId ?? '', answer)
      })
    }
    killing = false
    await killer
    const check = await open()
    for (const [txnId, answer] of answers) {
      const found = await check.lookup(txnId)
      if (answer === 'created') expect(found.kind).toBe('record')
      if (answer === 'LogUnavailableError') expect(found.kind).toBe('absent')
      expect(['created', 'LogUnavailableError', 'LogUnknownError']).toContain(answer)
    }
    await check.drop([...answers.keys()])
    await check.settled()
    await check.close()
    await log.close()
  })

  test('a write hangs: unknown after its time, and it may still happen', async () => {
    const log = await open({ coordinatorId: newId(), limits: { queryTimeoutMs: 2_000 } })
    const record = recordFor(log)
    const blocker = await connectLog({ url: server.url })
    await blocker.script('BEGIN; LOCK weft.txn_log IN EXCLUSIVE MODE')
    await expect(log.create(record)).rejects.toThrow(LogUnknownError)
    await blocker.script('COMMIT')
    await blocker.close()
    const agent = await open()
    await expect.poll(async () => (await agent.lookup(record.txnId)).kind).toBe('record')
    expect(await agent.create({ ...record, writer: 'again' })).toEqual({ kind: 'exists', record })
    await agent.drop([record.txnId])
    await agent.close()
    await log.close()
  })

  test('restarted: unavailable meanwhile, then the same registration goes on', async () => {
    const health: boolean[] = []
    const log = await open({ coordinatorId: newId(), onHealth: (reachable) => health.push(reachable) })
    const before = log.incarnation()
    const record = recordFor(log)
    await server.crash()
    await expect(log.create(record)).rejects.toThrow()
    await expect(log.create(record)).rejects.toThrow(LogUnavailableError)
    expect(() => log.incarnation()).toThrow(LogUnavailableError)
    await server.restart()
    await expect.poll(() => health.at(-1), { timeout: 10_000 }).toBe(true)
    expect(log.incarnation()).toBe(before)
    expect((await log.create(record)).kind).not.toBe('fenced')
    await log.drop([record.txnId])
    await log.close()
  })

  test('a coordinator is not heard of for too long: fenced, and registers anew', async () => {
    const health: boolean[] = []
    const log = await open({ coordinatorId: newId(), onHealth: (reachable) => health.push(reachable) })
    const agent = await open()
    const before = log.incarnation()
    const record = recordFor(log)
    await query(server.url, "UPDATE weft.txn_coordinator SET seen = now() - interval '1 hour'")
    // The server has just been restarted: everyone still has time to say that they live.
    await agent.sweep()
    expect((await agent.lookup(record.txnId)).kind).toBe('absent')
    await query(server.url, 'DELETE FROM weft.txn_coordinator')
    expect(await log.create(record)).toEqual({ kind: 'fenced' })
    await expect.poll(() => incarnationOrNone(log)).not.toBe('none')
    expect(log.incarnation()).not.toBe(before)
    const next = recordFor(log)
    expect(await log.create(next)).toEqual({ kind: 'created' })
    await log.drop([next.txnId])
    await log.close()
    await agent.close()
  })
})

function incarnationOrNone(log: TxnLog): string {
  try {
    return log.incarnation()
  } catch {
    return 'none'
  }
}
