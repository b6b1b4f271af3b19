import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { connectTo, query, reload, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { runWeft, type WeftProcess } from '../helpers/weft-process.ts'

const root = mkdtempSync(join(tmpdir(), 'weft-processes-'))
const started: WeftProcess[] = []
const servers: TestPostgres[] = []

afterEach(async () => {
  for (const { child } of started) child.kill('SIGKILL')
  await Promise.all(started.splice(0).map(({ finished }) => finished))
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Two servers and the configuration of a cluster on them. */
async function twoShards(
  auth: 'trust' | 'scram-sha-256' = 'trust',
): Promise<{ config: string; agentPorts: number[] }> {
  const shards = await Promise.all([startPostgres(), startPostgres()])
  servers.push(...shards)
  if (auth === 'scram-sha-256') await Promise.all(shards.map(needPassword))
  const urlOf = ({ url }: TestPostgres) =>
    auth === 'trust' ? url : url.replace('postgres@', 'postgres:secret@')
  const agentPorts = await Promise.all([freePort(), freePort()])
  const config = join(root, 'weft.yaml')
  const lines = [
    'shards:',
    ...shards.map(
      (one, id) => `  - { id: ${id}, postgres: "${urlOf(one)}", agent: "127.0.0.1:${agentPorts[id]}" }`,
    ),
    'coordinator:',
    '  listen: 127.0.0.1:0',
    '  adminListen: 127.0.0.1:0',
    `  auth: [{ from: 127.0.0.1, method: ${auth} }]`,
    'agent: { adminListen: 127.0.0.1:0 }',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  return { config, agentPorts }
}

/** As a server is that was set up with a password: every server has its own salt for the same role. */
async function needPassword(server: TestPostgres): Promise<void> {
  await query(server.url, "ALTER ROLE postgres PASSWORD 'secret'")
  writeFileSync(join(server.dataDir, 'pg_hba.conf'), 'host all all all scram-sha-256\n')
  await reload(server.url)
}

function run(...args: string[]): WeftProcess {
  const weft = runWeft(args)
  started.push(weft)
  return weft
}

async function up(weft: WeftProcess): Promise<{ url: string; adminUrl: string }> {
  const event = JSON.parse(await weft.line('{"event":"up"')) as { listen: string; adminUrl: string }
  return { url: `postgres://postgres@${event.listen}/postgres`, adminUrl: event.adminUrl }
}

async function stop(weft: WeftProcess): Promise<void> {
  weft.child.kill('SIGTERM')
  const end = await weft.finished
  expect(end.code, end.stderr).toBe(0)
}

const ready = async (adminUrl: string): Promise<number> => (await fetch(`${adminUrl}/ready`)).status

test('weft coordinator, weft agent: processes of their own, in any order: one cluster', async () => {
  const { config } = await twoShards()
  // The first coordinator is there before its agents.
  const first = run('coordinator', '--config', config)
  const agents = [
    run('agent', '--config', config, '--shard', '0'),
    run('agent', '--config', config, '--shard', '1'),
  ]
  const second = run('coordinator', '--config', config)
  const [a, b] = await Promise.all([up(first), up(second)])
  await query(a.url, "CREATE TABLE spread (id int PRIMARY KEY, n int) WITH (shard_key = 'id')")
  await query(a.url, 'INSERT INTO spread SELECT i, i FROM generate_series(1, 100) i')
  expect(await query(b.url, 'SELECT sum(n)::int AS sum FROM spread')).toEqual([{ sum: 5050 }])
  // Under cuts too, of two coordinators at the same time; on the same rows they could deadlock.
  const both = [a.url, b.url].map((url, i) =>
    query(url, 'UPDATE spread SET n = n + 1 WHERE id > $1 AND id <= $2 RETURNING n', [50 * i, 50 * i + 50]),
  )
  expect((await Promise.all(both)).map((rows) => rows.length)).toEqual([50, 50])
  const onShards = await Promise.all(
    servers.map(({ url }) => query(url, 'SELECT count(*)::int AS n FROM spread')),
  )
  expect(onShards.map(([row]) => Number(row?.n) > 0)).toEqual([true, true])
  expect(await (await fetch(`${a.adminUrl}/api/status`)).json()).toMatchObject({
    role: 'coordinator',
    shards: [
      { shard: 0, up: true },
      { shard: 1, up: true },
    ],
  })
  await keepsUpWithTheOther(a.url, b.url)
  const metrics = async (adminUrl: string): Promise<string> => (await fetch(`${adminUrl}/metrics`)).text()
  expect(await metrics(b.adminUrl)).toMatch(/^weft_cut_wait_seconds_count [1-9]/m)
  expect(await metrics(b.adminUrl)).toMatch(/^weft_cuts_total{result="taken"} [1-9]/m)
  const { adminUrl } = await up(agents[1]!)
  expect(await metrics(adminUrl)).toMatch(/^weft_commit_held_seconds_count{shard="1",kind="decided"} \d/m)
  for (const process of [first, second, ...agents]) await stop(process)
})

/** What sessions of one coordinator have prepared is out of date when the other has changed the table. */
async function keepsUpWithTheOther(here: string, there: string): Promise<void> {
  await query(there, 'CREATE TABLE home (id int, v text)')
  await query(there, "INSERT INTO home VALUES (1, 'one')")
  const select = 'SELECT * FROM home WHERE id = $1'
  const before = await connectTo(here)
  for (let i = 0; i < 4; i++) await before.query({ text: select, values: [1], name: 'mine' })
  await query(there, 'ALTER TABLE home ADD COLUMN n int DEFAULT 7')
  // In a block, where it could not be run again: the other coordinator has told us.
  const after = await connectTo(here)
  await after.query('BEGIN')
  for (let i = 0; i < 3; i++) {
    const { rows } = await after.query({ text: select, values: [1], name: 'mine' })
    expect(rows).toEqual([{ id: 1, v: 'one', n: 7 }])
  }
  await after.query('COMMIT')
  // As in Postgres: what a named statement returns was fixed when it was prepared.
  const stale = before.query({ text: select, values: [1], name: 'mine' })
  await expect(stale).rejects.toMatchObject({ code: '0A000', routine: 'RevalidateCachedQuery' })
  await Promise.all([before.end(), after.end()])
}

test('weft agent: one is gone: the coordinator is not ready, comes back with it, and other shards go on', async () => {
  const { config } = await twoShards()
  const home = run('agent', '--config', config, '--shard', '0')
  const other = run('agent', '--config', config, '--shard', '1')
  const coordinator = run('coordinator', '--config', config)
  const { url, adminUrl } = await up(coordinator)
  expect(await ready(adminUrl)).toBe(200)
  other.child.kill('SIGKILL')
  await vi.waitFor(async () => expect(await ready(adminUrl)).toBe(503), { timeout: 20_000 })
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  const again = run('agent', '--config', config, '--shard', '1')
  await up(again)
  await vi.waitFor(async () => expect(await ready(adminUrl)).toBe(200), { timeout: 20_000 })
  for (const process of [coordinator, home, again]) await stop(process)
})

test("weft coordinator: the agent's own role logs in by password: it reaches every shard", async () => {
  const { config } = await twoShards('scram-sha-256')
  run('agent', '--config', config)
  const { url } = await up(run('coordinator', '--config', config))
  await expect(query(url.replace('postgres@', 'postgres:wrong@'), 'SELECT 1')).rejects.toMatchObject({
    code: '28P01',
  })
  const login = url.replace('postgres@', 'postgres:secret@')
  await query(login, "CREATE TABLE spread (id int PRIMARY KEY, n int) WITH (shard_key = 'id')")
  await query(login, 'INSERT INTO spread SELECT i, i FROM generate_series(1, 100) i')
  expect(await query(login, 'SELECT count(*)::int AS n FROM spread')).toEqual([{ n: 100 }])
})

test('weft agent: its port is taken: names the setting', async () => {
  const { config, agentPorts } = await twoShards()
  const blocker = createServer()
  await new Promise<void>((done) => blocker.listen(agentPorts[1], '127.0.0.1', done))
  const end = await run('agent', '--config', config, '--shard', '1').finished
  blocker.close()
  expect(end.code).toBe(1)
  expect(end.stderr).toContain(`weft: port ${agentPorts[1]} (agent of shard 1) is already in use`)
  expect(end.stderr).toContain('shards[1].agent')
})

test('weft agent: a password is wrong while another shard is waited for: ends at once, in one line', async () => {
  const { config } = await twoShards('scram-sha-256')
  const text = readFileSync(config, 'utf8')
  writeFileSync(config, text.replaceAll('postgres:secret@', 'postgres:wrong@'))
  await servers[0]!.crash()
  const end = await run('agent', '--config', config).finished
  expect(end.code).toBe(1)
  const said = end.stderr.split('\n').filter((line) => line.startsWith('weft: '))
  expect(said).toEqual([
    expect.stringMatching(/^weft: shard 1 .*: password authentication failed for user "postgres"/),
  ])
  // Also when that is the home shard's, where the log is.
  await servers[0]!.restart()
  const again = await run('agent', '--config', config, '--shard', '1').finished
  expect(again.code).toBe(1)
  expect(again.stderr).toMatch(/^weft: shard 0 .*: password authentication failed for user "postgres"/m)
})

test('weft agent: a signal while it waits for its Postgres: ends; `weft status` said what for', async () => {
  const { config } = await twoShards()
  await Promise.all(servers.map((server) => server.crash()))
  const agent = run('agent', '--config', config)
  await vi.waitFor(() => expect(agent.errors()).toContain('agent: waiting for its Postgres'), {
    timeout: 20_000,
  })
  const [, url = ''] = /"url":"([^"]+)","msg":"admin server: listening"/.exec(agent.errors()) ?? []
  const status = await runWeft(['status', '--admin', url]).finished
  expect(status.stdout).toMatch(/^transactionLog +connect ECONNREFUSED/m)
  expect(status.stdout).toMatch(
    /^ +[01] +false .* shard [01] cannot be reached at 127\.0\.0\.1:\d+: connect ECONNREFUSED/m,
  )
  await stop(agent)
})

test('weft coordinator: a signal while it waits for its agents: ends', async () => {
  const { config } = await twoShards()
  const coordinator = run('coordinator', '--config', config)
  await vi.waitFor(() => expect(coordinator.errors()).toContain('waiting for the agent'), { timeout: 20_000 })
  await stop(coordinator)
})
