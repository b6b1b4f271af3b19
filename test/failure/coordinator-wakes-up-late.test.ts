import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestFailpoints } from '../../txn/failpoints.ts'
import { coordinatorIdFrom } from '../../txn/gid.ts'
import { PostgresTxnLog } from '../../txn/log/postgres-txn-log.ts'
import { balances, createAccounts, preparedOn, startRecovery, transfer } from '../helpers/commit-world.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

let shards: TestPostgres[] = []
let home: TestPostgres
const urls = (): string[] => shards.map((shard) => shard.url)
const newId = (): string => coordinatorIdFrom(randomBytes(8))

beforeAll(async () => {
  const servers = await Promise.all([startPostgres(), startPostgres(), startPostgres()])
  shards = servers.slice(0, 2)
  home = servers[2] as TestPostgres
})
afterAll(async () => {
  await Promise.all([...shards, home].map((server) => server?.stop()))
})
beforeEach(() => createAccounts(urls()))

const openLog = (coordinatorId?: string): Promise<PostgresTxnLog> =>
  PostgresTxnLog.open({ url: home.url, ...(coordinatorId === undefined ? {} : { coordinatorId }) })

/** A recovery of both shards that sees everything through. */
async function recoverOnce(log: PostgresTxnLog): Promise<void> {
  const agents = await Promise.all(urls().map((url, shard) => startRecovery(shard, url, log)))
  await expect.poll(() => preparedOn(urls())).toBe(0)
  await Promise.all(agents.map((agent) => agent.close()))
}

describe('coordinator pauses before it decides', () => {
  test('recovery aborts meanwhile: the late decision loses, the client hears so', async () => {
    const coordinatorId = newId()
    const log = await openLog(coordinatorId)
    const agents = await openLog()
    const failpoints = new TestFailpoints().set('after-prepare', {
      kind: 'call',
      run: () => recoverOnce(agents),
    })
    const outcome = await transfer({ log, coordinatorId, urls: urls(), options: { failpoints } })
    expect(outcome).toMatchObject({ outcome: 'aborted', error: { code: '40001' } })
    expect(await balances(urls())).toEqual([100, 100])
    await log.settled()
    expect(await agents.list(10)).toEqual([])
    await log.close()
    await agents.close()
  })

  test('recovery aborts, the registration ends and the tombstone is swept: the late decision is fenced', async () => {
    const coordinatorId = newId()
    const log = await openLog(coordinatorId)
    const agents = await openLog()
    const failpoints = new TestFailpoints().set('after-prepare', {
      kind: 'call',
      run: async () => {
        await recoverOnce(agents)
        await query(home.url, 'DELETE FROM weft.txn_coordinator')
        await agents.sweep()
        expect(await agents.list(10)).toEqual([])
      },
    })
    const outcome = await transfer({ log, coordinatorId, urls: urls(), options: { failpoints } })
    expect(outcome).toMatchObject({ outcome: 'aborted', error: { code: '40001' } })
    expect(await balances(urls())).toEqual([100, 100])
    expect(await agents.list(10)).toEqual([])
    await log.close()
    await agents.close()
  })

  test('recovery commits behind its back after the decision: still committed', async () => {
    const coordinatorId = newId()
    const log = await openLog(coordinatorId)
    const agents = await openLog()
    const failpoints = new TestFailpoints().set('between-commits', {
      kind: 'call',
      run: () => recoverOnce(agents),
    })
    const outcome = await transfer({ log, coordinatorId, urls: urls(), options: { failpoints } })
    expect(outcome.outcome).toBe('committed')
    expect(await balances(urls())).toEqual([90, 110])
    await log.settled()
    expect(await agents.list(10)).toEqual([])
    await log.close()
    await agents.close()
  })
})

describe('the log is lost', () => {
  test('before the decision, and stays away: the client hears a truth, recovery settles it later', async () => {
    const coordinatorId = newId()
    const log = await openLog(coordinatorId)
    const failpoints = new TestFailpoints().set('after-prepare', { kind: 'call', run: () => home.crash() })
    const options = { failpoints, limits: { decideTimeoutMs: 300 } }
    const outcome = await transfer({ log, coordinatorId, urls: urls(), options })
    expect(outcome.outcome).not.toBe('committed')
    const next = await transfer({ log, coordinatorId, urls: urls() }).catch((error: unknown) => error)
    if (outcome.outcome === 'aborted')
      expect(next).toMatchObject({ outcome: 'aborted', error: { code: '08006' } })
    await home.restart()
    const agents = await openLog()
    await recoverOnce(agents)
    expect(await balances(urls())).toEqual([100, 100])
    await agents.close()
    await log.close()
  })

  test('just after the decision was sent: unknown until it is back, then what the log says', async () => {
    const coordinatorId = newId()
    const log = await openLog(coordinatorId)
    let restarted: Promise<void> = Promise.resolve()
    const failpoints = new TestFailpoints().set('during-decision', {
      kind: 'call',
      run: () => {
        restarted = home.crash().then(() => home.restart())
        return restarted
      },
    })
    const outcome = await transfer({ log, coordinatorId, urls: urls(), options: { failpoints } })
    await restarted
    const agents = await openLog()
    await recoverOnce(agents)
    const [from, to] = await balances(urls())
    expect((from ?? 0) + (to ?? 0)).toBe(200)
    if (outcome.outcome === 'committed') expect(from).toBe(90)
    if (outcome.outcome === 'aborted') expect(from).toBe(100)
    await agents.close()
    await log.close()
  })
})
