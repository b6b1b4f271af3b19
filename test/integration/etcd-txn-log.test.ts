import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Etcd3 } from 'etcd3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeRecord } from '../../txn/decision.ts'
import { EtcdEndpoints } from '../../txn/log/etcd-endpoints.ts'
import { EtcdTxnLog, type EtcdTxnLogOptions } from '../../txn/log/etcd-txn-log.ts'
import { LogUnavailableError, LogUnknownError, type TxnLog } from '../../txn/log/txn-log.ts'
import { hasEtcd, startEtcd, type TestEtcd } from '../helpers/etcd.ts'
import { describeLog, newId, recordFor } from './txn-log-contract.ts'

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
let etcd: TestEtcd

beforeAll(async () => {
  if (hasEtcd) etcd = await startEtcd({ members: 3 })
})
afterAll(async () => {
  await etcd?.stop()
})

let clusters = 0
const open = (options: Partial<EtcdTxnLogOptions> = {}): Promise<EtcdTxnLog> =>
  EtcdTxnLog.open({ endpoints: etcd.endpoints, cluster: 'c', ...options })

describe.skipIf(!hasEtcd)('on etcd', () => {
  describeLog('etcd log', () => ({
    open: (coordinatorId?: string): Promise<TxnLog> =>
      open(coordinatorId === undefined ? {} : { coordinatorId }),
    openForgetful: (keptMs) => open({ limits: { keptMs } }),
    settle: (log) => (log as EtcdTxnLog).settled(),
    writeNewer: async (txnId) => {
      const raw = new EtcdEndpoints(etcd)
      const key = Buffer.from(`/weft/c/txn/${txnId}`)
      await raw.txn({ success: [{ request_put: { key, value: Buffer.from('{"version":2}') } }] }, 3000)
      raw.close()
    },
  }))

  describe('etcd log: members', () => {
    test('out of reach: open says so', async () => {
      const endpoints = ['http://127.0.0.1:1', 'http://127.0.0.1:2']
      await expect(open({ endpoints })).rejects.toThrow(LogUnavailableError)
    })

    test('one is killed, then another after the first is back: every decision is answered truly', async () => {
      const cluster = `m${++clusters}`
      const log = await open({ cluster, coordinatorId: newId(), limits: { callTimeoutMs: 2000 } })
      const incarnation = log.incarnation()
      const answers = new Map<string, string>()
      const decideSome = async (count: number): Promise<void> => {
        const records = Array.from({ length: count }, () => recordFor(incarnation))
        const settled = await Promise.allSettled(records.map((record) => log.create(record)))
        settled.forEach((result, i) => {
          const answer = result.status === 'fulfilled' ? result.value.kind : (result.reason as Error).name
          answers.set(records[i]?.txnId ?? '', answer)
        })
      }
      for (const member of etcd.members.slice(0, 2)) {
        const killed = member.kill()
        for (let i = 0; i < 10; i++) await decideSome(10)
        await killed
        await expect.poll(() => tryCreate(log, incarnation), { timeout: 20_000 }).toBe('created')
        await member.restart()
      }
      for (const [txnId, answer] of answers) {
        const found = await log.lookup(txnId)
        if (answer === 'created') expect(found.kind).toBe('record')
        if (answer === 'LogUnavailableError') expect(found.kind).toBe('absent')
      }
      expect([...answers.values()].filter((answer) => answer === 'created').length).toBeGreaterThan(0)
      expect(log.incarnation()).toBe(incarnation)
      await log.close()
    })

    test('all are killed: nothing is decided or begun; back again: the registration stands', async () => {
      const cluster = `m${++clusters}`
      const health: boolean[] = []
      const options = { cluster, coordinatorId: newId() }
      const log = await open({ ...options, onHealth: (reachable) => health.push(reachable) })
      const incarnation = log.incarnation()
      await Promise.all(etcd.members.map((member) => member.kill()))
      // The first may have been on its way, for all that is known; then no member can be reached at all.
      await expect(log.create(recordFor(incarnation))).rejects.toThrow()
      const record = recordFor(incarnation)
      await expect(log.create(record)).rejects.toThrow(LogUnavailableError)
      expect(() => log.incarnation()).toThrow(LogUnavailableError)
      await Promise.all(etcd.members.map((member) => member.restart()))
      await expect.poll(() => health.at(-1), { timeout: 20_000 }).toBe(true)
      expect(log.incarnation()).toBe(incarnation)
      expect(await log.lookup(record.txnId)).toEqual({ kind: 'absent', ownerRegistered: true })
      expect(await log.create(record)).toEqual({ kind: 'created' })
      await log.close()
    })

    test('the majority is paused: unknown, not unavailable; afterwards the truth can be asked', async () => {
      const cluster = `m${++clusters}`
      const log = await open({ cluster, coordinatorId: newId(), limits: { callTimeoutMs: 2_000 } })
      const incarnation = log.incarnation()
      const paused = etcd.members.slice(0, 2)
      for (const member of paused) member.pause()
      const record = recordFor(incarnation)
      await expect(log.create(record)).rejects.toThrow(LogUnknownError)
      for (const member of paused) member.resume()
      await expect.poll(() => tryAgain(log, record), { timeout: 20_000 }).toMatch(/^(created|exists)$/)
      expect(await log.read(record.txnId)).toEqual(record)
      await log.close()
    })

    test('a paused coordinator: its lease ends, its late decision is fenced, and it registers anew', async () => {
      const cluster = `m${++clusters}`
      const log = await open({ cluster, coordinatorId: newId() })
      const agent = await open({ cluster })
      const record = recordFor(log)
      const raw = new EtcdEndpoints(etcd)
      // What the end of its lease does.
      const key = Buffer.from(`/weft/${cluster}/coordinator/${log.incarnation()}`)
      await raw.txn({ success: [{ request_delete_range: { key } }] }, 3000)
      raw.close()
      expect(await agent.lookup(record.txnId)).toEqual({ kind: 'absent', ownerRegistered: false })
      expect(await log.create(record)).toEqual({ kind: 'fenced' })
      await expect.poll(() => tryIncarnation(log)).not.toBe('none')
      const next = recordFor(log)
      expect(next.txnId).not.toBe(record.txnId)
      expect(await log.create(next)).toEqual({ kind: 'created' })
      await log.close()
      await agent.close()
    })

    test('a process dies: its registration goes with its lease', async () => {
      const cluster = `m${++clusters}`
      const agent = await open({ cluster })
      const raw = new EtcdEndpoints(etcd)
      const lease = await raw.grantLease(1, 3000)
      const key = Buffer.from(`/weft/${cluster}/coordinator/dead-0`)
      await raw.txn({ success: [{ request_put: { key, value: Buffer.alloc(0), lease } }] }, 3000)
      raw.close()
      const ownerRegistered = async (): Promise<unknown> => (await agent.lookup('dead-0-1')) as unknown
      await expect
        .poll(ownerRegistered, { timeout: 20_000 })
        .toEqual({ kind: 'absent', ownerRegistered: false })
      await agent.close()
    })

    test('etcd lists what it was given', async () => {
      const cluster = `m${++clusters}`
      const log = await open({ cluster, coordinatorId: newId() })
      const records = Array.from({ length: 70 }, () => recordFor(log))
      await Promise.all(records.map((record) => log.create(record)))
      const listed = await log.list(100)
      const text = (all: readonly (typeof records)[number][]): string[] =>
        all.map((record) => encodeRecord(record).toString()).sort()
      expect(text(listed)).toEqual(text(records))
      expect(await log.list(7)).toHaveLength(7)
      await log.drop(records.map((record) => record.txnId))
      await log.settled()
      expect(await log.list(100)).toEqual([])
      await log.close()
    })
  })
})

describe.skipIf(!hasEtcd || !hasOpenssl)('etcd log: TLS and authentication', () => {
  test('a wrong password, an unknown authority: refused; the right ones: it works', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'weft-tls-'))
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const subject = ['-subj', '/CN=etcd', '-addext', 'subjectAltName=IP:127.0.0.1']
    spawnSync('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      ...subject,
      '-keyout',
      key,
      '-out',
      cert,
    ])
    const flags = ['--cert-file', cert, '--key-file', key]
    const secured = await startEtcd({ scheme: 'https', flags })
    const tls = { ca: await readFile(cert) }
    const { endpoints } = secured
    try {
      const admin = new Etcd3({ hosts: [...endpoints], credentials: { rootCertificate: tls.ca } })
      await admin.role('root').create()
      const root = await admin.user('root').create('right')
      await root.addRole('root')
      await admin.auth.authEnable()
      admin.close()
      const auth = { username: 'root', password: 'right' }
      const log = await open({ endpoints, tls, auth, coordinatorId: newId() })
      expect(await log.create(recordFor(log))).toEqual({ kind: 'created' })
      await log.close()
      const wrong = { username: 'root', password: 'wrong' }
      await expect(open({ endpoints, tls, auth: wrong })).rejects.toThrow(LogUnavailableError)
      await expect(open({ endpoints, auth })).rejects.toThrow(LogUnavailableError)
    } finally {
      await secured.stop()
      await rm(dir, { recursive: true })
    }
  })
})

const tryCreate = (log: TxnLog, incarnation: string): Promise<string> => tryAgain(log, recordFor(incarnation))

async function tryAgain(log: TxnLog, record: ReturnType<typeof recordFor>): Promise<string> {
  try {
    return (await log.create(record)).kind
  } catch (error) {
    return (error as Error).name
  }
}

function tryIncarnation(log: TxnLog): string {
  try {
    return log.incarnation()
  } catch {
    return 'none'
  }
}
