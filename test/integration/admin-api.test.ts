import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import type {
  AuditLine,
  ExplainedFile,
  Finding,
  LogRecord,
  Move,
  Overview,
  Progress,
  Session,
  Settings,
  Shard,
  Statement,
  Table,
  TableParts,
  TransactionInfo,
  Wait,
} from '../../admin/api/schemas.ts'
import { codeOf, useAccounts } from '../helpers/accounts.ts'
import { connectTo, query } from '../helpers/postgres.ts'
import { runWeft } from '../helpers/weft-process.ts'

const accounts = useAccounts()
const admin = (): string => accounts.cluster.weft.adminUrl

beforeAll(async () => {
  const url = accounts.cluster.weftUrl
  await query(url, 'CREATE TABLE shop (id int PRIMARY KEY, name text); CREATE TABLE "Odd one" (id int)')
  await query(url, "INSERT INTO shop SELECT i, 'x' FROM generate_series(1, 300) i")
})

async function api<T>(path: string, body?: object): Promise<{ status: number; answer: T }> {
  const post = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const response = await fetch(`${admin()}${path}`, body === undefined ? {} : post)
  return { status: response.status, answer: (await response.json()) as T }
}

/** The command as a user runs it. */
async function weft(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { code, stdout, stderr } = await runWeft([...args, '--admin', admin()]).finished
  return { code, out: stdout.trimEnd(), err: stderr.trimEnd() }
}

const pidOf = async (session: pg.Client): Promise<number> =>
  (await session.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

describe('sessions', () => {
  it('are listed, their statements are canceled, and they are ended', async () => {
    const session = await accounts.connect()
    const pid = await pidOf(session)
    const waits = codeOf(session.query('SELECT pg_sleep(60)'))
    const mine = async () => (await api<Session[]>('/api/sessions')).answer.find((one) => one.pid === pid)
    await expect.poll(mine).toMatchObject({ user: 'postgres', state: 'active', query: 'SELECT pg_sleep(60)' })
    expect(await weft('session', 'cancel', String(pid))).toEqual({
      code: 0,
      out: `session ${pid}: canceled`,
      err: '',
    })
    expect(await waits).toBe('57014')
    const { code, out } = await weft('session', 'list', '--json')
    expect([code, (JSON.parse(out) as Session[]).map((one) => one.pid)]).toEqual([
      0,
      expect.arrayContaining([pid]),
    ])
    expect((await weft('session', 'kill', String(pid))).out).toBe(`session ${pid}: ended`)
    await expect.poll(mine).toBeUndefined()
  })

  it('of a pid that is none: 404, and one line', async () => {
    expect((await api('/api/sessions/4194305/kill', {})).status).toBe(404)
    const { code, out, err } = await weft('session', 'kill', '4194305')
    expect([code, out, err]).toEqual([1, '', 'weft: there is no session 4194305. See weft session list.'])
    expect((await api('/api/sessions/x/kill', {})).status).toBe(400)
    expect((await weft('session', 'kill', 'x')).code).toBe(1)
  })
})

describe('what runs', () => {
  it('who waits for whom is told, whichever shard that is on', async () => {
    const [holder, waiter] = [await accounts.connect(), await accounts.connect()]
    const [held, waits] = [await pidOf(holder), await pidOf(waiter)]
    const id = accounts.on(2)
    await holder.query('BEGIN')
    await holder.query(`UPDATE account SET amount = amount WHERE id = ${id}`)
    const waiting = waiter.query(`UPDATE account SET amount = amount WHERE id = ${id}`)
    const asked = async () => (await api<Wait[]>('/api/waits')).answer
    await expect.poll(asked).toEqual([{ pid: waits, blocked_by: [held] }])
    await holder.query('ROLLBACK')
    await waiting
    expect(await asked()).toEqual([])
  })

  it('is told by fingerprint, and how it is run as a tree', async () => {
    const session = await accounts.connect()
    for (const id of [1, 2, 3])
      await session.query(`SELECT amount AS told_by_console FROM account WHERE id = ${id}`)
    const query = 'SELECT amount AS told_by_console FROM account WHERE id = $1'
    const found = async () =>
      (await api<Statement[]>('/api/statements?limit=1000')).answer.find((one) => one.query === query)
    await expect.poll(found).toMatchObject({ kind: 'SELECT', route: 'one', calls: 3, rows: 3, shards: 3 })
    expect((await api('/api/statements?limit=0')).status).toBe(400)
    const explained = async (text: string) =>
      (await api<ExplainedFile>('/api/explain', { text })).answer.statements[0]?.steps
    expect(await explained(query)).toEqual([
      { depth: 0, what: 'on the shard of the key' },
      { depth: 1, what: 'rows of account' },
    ])
    expect(await explained('SELECT sum(amount) FROM account')).toMatchObject([
      { depth: 0, sql: expect.any(String) },
      { depth: 1, what: 'on all shards', sql: expect.stringMatching(/^SELECT /) },
    ])
  })
})

describe('settings', () => {
  it('of this node and of the servers; nothing moves', async () => {
    const { answer } = await api<Settings>('/api/settings')
    expect(answer.node).toMatchObject({ shards: 3, log: 'postgres' })
    expect(answer.servers.map(({ shard, settings }) => [shard, settings.fsync])).toEqual([
      [0, 'off'],
      [1, 'off'],
      [2, 'off'],
    ])
    expect((await api('/api/moves')).answer).toEqual([])
  })
})

describe('tables', () => {
  it('are listed, and become sharded, reference and local ones with their rows', async () => {
    const kinds = async () =>
      Object.fromEntries((await api<Table[]>('/api/tables')).answer.map(({ table, kind }) => [table, kind]))
    expect(await kinds()).toEqual({ account: 'sharded', shop: 'local', 'Odd one': 'local' })
    expect(await weft('table', 'shard', 'shop', '--key', 'id', '--colocate-with', 'account')).toMatchObject({
      code: 0,
      out: 'table public.shop is sharded by id',
    })
    for (const { url } of accounts.cluster.weft.shards) await query(url, 'ANALYZE shop')
    const { answer } = await api<TableParts>('/api/tables/public.shop')
    expect(answer).toMatchObject({ kind: 'sharded', shard_key: 'id' })
    expect(answer.parts.map(({ rows }) => rows).reduce((a, b) => a + b)).toBe(300)
    expect((await weft('table', 'show', 'shop')).out).toMatch(/kind +sharded[\s\S]*shard +rows +bytes/)
    expect((await weft('table', 'local', 'shop')).out).toBe('table public.shop is a local table')
    expect((await weft('table', 'reference', 'Odd one')).out).toBe(
      'table public.Odd one is a reference table',
    )
    expect(await kinds()).toEqual({ account: 'sharded', shop: 'local', 'Odd one': 'reference' })
    expect(await query(accounts.cluster.weftUrl, 'SELECT count(*)::int AS n FROM shop')).toEqual([{ n: 300 }])
  })

  it('are moved for as long as it takes, and how far it is can be asked', async () => {
    const url = accounts.cluster.weftUrl
    await query(
      url,
      'CREATE TABLE slowly (id int PRIMARY KEY); INSERT INTO slowly SELECT generate_series(1, 50)',
    )
    const holder = await accounts.connect()
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE slowly IN ACCESS SHARE MODE')
    const sharding = weft('table', 'shard', 'slowly', '--key', 'id')
    const waits = async () =>
      (await accounts.direct(0, "SELECT FROM pg_locks WHERE NOT granted AND relation = 'slowly'::regclass"))
        .length > 0
    await expect.poll(waits, { timeout: 60_000 }).toBe(true)
    expect((await api<Progress>('/api/tables/slowly/progress')).answer).toMatchObject({ rows_moved: null })
    await holder.query('ROLLBACK')
    expect(await sharding).toMatchObject({ code: 0, out: 'table public.slowly is sharded by id' })
    expect((await api('/api/tables/none/progress')).status).toBe(404)
    await query(url, 'DROP TABLE slowly')
  })

  it('Ctrl-C: the change is cancelled, nothing is changed, and the audit has it', async () => {
    const url = accounts.cluster.weftUrl
    await query(url, 'CREATE TABLE stopped (id int PRIMARY KEY); INSERT INTO stopped VALUES (1)')
    const holder = await accounts.connect()
    await holder.query('BEGIN; LOCK TABLE stopped IN ACCESS SHARE MODE')
    const sharding = runWeft(['table', 'shard', 'stopped', '--key', 'id', '--admin', admin()])
    const waiting = async () =>
      (await accounts.direct(0, "SELECT FROM pg_locks WHERE NOT granted AND relation = 'stopped'::regclass"))
        .length
    await expect.poll(waiting).toBe(1)
    sharding.child.kill('SIGINT')
    const { code, stderr } = await sharding.finished
    expect([code, stderr]).toEqual([
      1,
      'weft: stopped: nothing is changed, unless it was just done. See weft table show.\n',
    ])
    await expect.poll(waiting).toBe(0)
    await holder.query('ROLLBACK')
    const last = async () => (await api<AuditLine[]>('/api/audit')).answer[0]
    await expect.poll(last).toMatchObject({
      ...{ action: 'table.shard', target: 'stopped' },
      result: 'canceling statement due to user request',
    })
    expect((await api<TableParts>('/api/tables/stopped')).answer).toMatchObject({ kind: 'local' })
    await query(url, 'DROP TABLE stopped')
  })

  it('on their way are listed, with how far they are', async () => {
    const url = accounts.cluster.weftUrl
    await query(
      url,
      `CREATE FUNCTION let_in(id int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
      $$BEGIN PERFORM pg_advisory_xact_lock_shared(4713); RETURN true; END$$;
      CREATE TABLE wide (id int PRIMARY KEY, fill text, let_in bool GENERATED ALWAYS AS (let_in(id)) STORED);
      INSERT INTO wide SELECT i, repeat('x', 2000) FROM generate_series(1, 20000) i; ANALYZE wide`,
    )
    // What rows on another shard wait for: they pile up until no more leave home.
    const door = await connectTo(accounts.cluster.weft.shards[1]!.url)
    await door.query('SELECT pg_advisory_lock(4713)')
    const sharding = weft('table', 'shard', 'wide', '--key', 'id')
    const moves = async () => (await api<Move[]>('/api/moves')).answer
    const far = { rows_moved: expect.any(Number), rows: 20_000 }
    await expect.poll(moves).toEqual([{ table: 'public.wide', ...far }])
    expect((await api<Progress>('/api/tables/wide/progress')).answer).toEqual(far)
    await door.end()
    expect(await sharding).toMatchObject({ code: 0, out: 'table public.wide is sharded by id' })
    expect(await moves()).toEqual([])
    await query(url, 'DROP TABLE wide; DROP FUNCTION let_in')
  })

  it('that cannot: one line, 409, and nothing is changed', async () => {
    const { code, out, err } = await weft('table', 'shard', 'shop', '--key', 'nothing')
    expect([code, out, err.split('\n').length]).toEqual([1, '', 1])
    expect(err).toMatch(/^weft: column "nothing" .*\(SQLSTATE 42703\)/)
    expect((await api('/api/tables/shop/shard', { key: 'nothing' })).status).toBe(409)
    expect((await api('/api/tables/shop/shard', {})).status).toBe(400)
    expect((await api("/api/tables/no'ne/local", {})).status).toBe(404)
    expect((await weft('table', 'show', 'none')).err).toContain('there is no table none')
  })
})

describe('shards', () => {
  it('and slots are listed with sizes', async () => {
    const { answer } = await api<Shard[]>('/api/shards')
    expect(answer.map(({ shard, up, slots }) => [shard, up, slots])).toEqual([
      [0, true, 1365],
      [1, true, 1365],
      [2, true, 1366],
    ])
    expect(answer.every(({ bytes, skew }) => bytes! > 0 && skew! > 0.5 && skew! < 2)).toBe(true)
    expect((await weft('slots')).out.split('\n')).toHaveLength(4)
    expect((await weft('shard', 'show', '1')).out).toMatch(/^shard +1\nup +true/)
    expect((await weft('shard', 'show', '7')).err).toBe('weft: there is no shard 7. Shards are 0 to 2.')
  })

  it('the cluster at a glance: coordinators, shards, sessions, what is in doubt, rates', async () => {
    const session = await accounts.connect()
    await session.query('BEGIN; SELECT FROM account')
    const { answer } = await api<Overview>('/api/cluster')
    expect(answer).toMatchObject({
      coordinators: [{ id: expect.any(String), shards: [0, 1, 2] }],
      sessions: { all: 1, active: 0, in_transaction: 1 },
      in_doubt: { transactions: 0, oldest_seconds: null, problems: 0 },
      log: { records: expect.any(Number) },
    })
    expect(
      answer.shards.map(({ shard, up, standbys, lag_bytes }) => [shard, up, standbys, lag_bytes]),
    ).toEqual([
      [0, true, 0, null],
      [1, true, 0, null],
      [2, true, 0, null],
    ])
    const { out } = await weft('status')
    expect(out).toMatch(
      /^cluster +1 coordinator, 3 of 3 shards up\nsessions +1, 0 run .*, 1 wait.*\nin doubt +nothing\n/,
    )
    expect(out).toMatch(/\n +2 +true +\d/)
    const { cluster, role } = JSON.parse((await weft('status', '--json')).out)
    expect([role, cluster.shards.length]).toEqual(['dev', 3])
  })
})

describe('transactions', () => {
  it('that are prepared and undecided are listed, and settled by the rules of recovery', async () => {
    const [shard0, shard1] = accounts.cluster.weft.shards
    const { cluster } = JSON.parse(
      readFileSync(join(accounts.cluster.weft.dataDir, 'weft.json'), 'utf8'),
    ) as {
      cluster: string
    }
    const [row] = await query<{ incarnation: string }>(
      shard0!.url,
      'SELECT incarnation FROM weft.txn_coordinator',
    )
    // Of the coordinator that runs: for all that recovery knows it is about to decide.
    const id = `${row!.incarnation}-zzzz`
    const direct = await connectTo(shard1!.url)
    await direct.query(`BEGIN; UPDATE account SET amount = 1 WHERE id = ${accounts.on(1)}`)
    await direct.query(`PREPARE TRANSACTION 'weft:${cluster}:${id}:1'`)
    await direct.end()
    const { answer } = await api<TransactionInfo[]>('/api/transactions')
    expect(answer).toMatchObject([{ transaction: id, log: 'undecided', prepared_on: [1], owner: 'postgres' }])
    const logged = async () =>
      (await api<LogRecord[]>('/api/log')).answer.filter(({ transaction }) => transaction === id)
    expect(await logged()).toEqual([])
    const { answer: resolved } = await api(`/api/transactions/${id}/resolve`, {})
    expect(resolved).toEqual({ transaction: id, log: 'abort', prepared_on: [] })
    // Kept against its coordinator, which runs still.
    expect(await logged()).toEqual([{ transaction: id, decision: 'abort', at: null, participants: [] }])
    expect(await accounts.direct(1, `SELECT amount FROM account WHERE id = ${accounts.on(1)}`)).toEqual([
      { amount: 100 },
    ])
    expect((await weft('txn', 'list')).out).toBe('nothing is prepared')
    const { code, err } = await weft('txn', 'resolve', id)
    expect([code, err]).toEqual([1, expect.stringContaining(`${id} is prepared on no shard`)])
    expect((await api('/api/transactions/x/resolve', {})).status).toBe(400)
  })
})

describe('doctor and audit', () => {
  it('find what is wrong', async () => {
    await accounts.direct(1, 'ALTER TABLE account ADD COLUMN stray int')
    const { code, out } = await weft('doctor', '--json')
    const findings = JSON.parse(out) as Finding[]
    expect(code).toBe(2)
    expect(findings.filter(({ about }) => about.startsWith('table'))).toMatchObject([
      {
        severity: 'error',
        found: expect.stringMatching(/public\.account has other columns on shard 1 .*stray integer/),
      },
    ])
    expect(findings).toContainEqual(expect.objectContaining({ about: 'shard 0', todo: 'Set fsync to on.' }))
    await accounts.direct(1, 'ALTER TABLE account DROP COLUMN stray')
  })

  it('tell who changed what, and what came of it', async () => {
    const { answer } = await api<AuditLine[]>('/api/audit?limit=50')
    expect(answer).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ actor: 'local', action: 'table.shard', target: 'shop', result: 'ok' }),
        expect.objectContaining({ action: 'table.shard', result: expect.stringContaining('"nothing"') }),
        expect.objectContaining({
          action: 'session.kill',
          target: '4194305',
          result: 'there is no session 4194305',
        }),
      ]),
    )
    expect((await weft('audit')).out).toContain('table.reference')
    const guest = await connectTo(accounts.cluster.weftUrl)
    await guest.query('CREATE ROLE auditor; SET ROLE auditor')
    expect(await codeOf(guest.query('SELECT * FROM weft.audit'))).toBe('42501')
    await guest.end()
  })
})

it('/docs says in OpenAPI what there is', async () => {
  const { answer } = await api<{ openapi: string; paths: Record<string, object> }>('/docs')
  expect(answer.openapi).toMatch(/^3\./)
  expect(Object.keys(answer.paths)).toEqual(
    expect.arrayContaining(['/api/sessions/{pid}/kill', '/api/tables/{table}/shard', '/api/doctor']),
  )
})

it('another site in a browser on this machine changes nothing', async () => {
  const send = (headers: Record<string, string>) =>
    fetch(`${admin()}/api/sessions/4194305/kill`, { method: 'POST', headers }).then(({ status }) => status)
  expect(await send({ origin: 'http://evil.example' })).toBe(403)
  expect(await send({ origin: new URL(admin()).origin })).toBe(404)
})

it('no answer: one line', async () => {
  const { code, stderr } = await runWeft(['session', 'list', '--admin', 'http://127.0.0.1:1']).finished
  expect([code, stderr.split('\n').length]).toEqual([1, 2])
  expect(stderr).toMatch(/^weft: no answer from http:\/\/127.0.0.1:1: .*Is Weft running\?/)
})
