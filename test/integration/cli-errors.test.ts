import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { openDataDir } from '../../embedded/data-dir.ts'
import { type Finished, processesWith, runWeft } from '../helpers/weft-process.ts'

const root = mkdtempSync(join(tmpdir(), 'weft-cli-'))
// As root, Postgres' own user has to get in.
chmodSync(root, 0o755)
const servers: Server[] = []
let count = 0
const newDir = (): string => join(root, `data-${count++}`)

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Runs a command that has to fail: one line of error, no stack, exit code 1, and nothing left running. */
async function fails(...args: string[]): Promise<string> {
  const end: Finished = await runWeft(args).finished
  expect(end.code, end.stderr).toBe(1)
  const lines = end.stderr.split('\n').filter((line) => line.startsWith('weft: '))
  expect(lines, end.stderr).toHaveLength(1)
  expect(end.stderr).not.toMatch(/^\s+at /m)
  expect(processesWith(root)).toEqual([])
  return lines[0]!
}

async function takenPort(): Promise<string> {
  const server = createServer()
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return String((server.address() as { port: number }).port)
}

test('weft dev: port for clients in use: names the port and the flag, starts nothing', async () => {
  const port = await takenPort()
  const dir = newDir()
  const line = await fails('dev', '--port', port, '--admin-port', '0', '--data-dir', dir)
  expect(line).toBe(
    `weft: port ${port} (clients) is already in use. Stop what uses it, or choose another with --port.`,
  )
  expect(existsSync(join(dir, 'shard-0'))).toBe(false)
  expect(existsSync(join(dir, 'weft.lock'))).toBe(false)
})

test('weft dev: admin port in use: names the port and the flag', async () => {
  const port = await takenPort()
  const line = await fails('dev', '--port', '0', '--admin-port', port, '--data-dir', newDir())
  expect(line).toContain(`port ${port} (admin) is already in use`)
  expect(line).toContain('--admin-port')
})

test('weft dev: data directory in use: names the other process', async () => {
  const dir = newDir()
  const taken = await openDataDir(dir, false)
  const line = await fails('dev', '--port', '0', '--admin-port', '0', '--data-dir', dir)
  expect(line).toContain(`the data directory ${dir} is in use by another weft (pid ${process.pid})`)
  taken.release()
})

test('weft dev: a lock of a process that is gone, or of another that has its pid: taken over', async () => {
  const dir = newDir()
  mkdirSync(dir)
  for (const stale of ['999999999 1', `${process.ppid} 1`, `${process.pid} 1`, '']) {
    writeFileSync(join(dir, 'weft.lock'), stale)
    const opened = await openDataDir(dir, false)
    opened.release()
  }
})

test('weft dev: data of another number of shards, kind of server or log: says what to start with', async () => {
  const dir = newDir()
  const made = await openDataDir(dir, false)
  made.write({ format: 1, cluster: 'dev-1', shards: 3, servers: 'embedded', log: 'postgres' })
  made.release()
  const dev = (...args: string[]) =>
    fails('dev', '--port', '0', '--admin-port', '0', '--data-dir', dir, ...args)
  expect(await dev('--shards', '2')).toContain('has 3 shards, not 2. Start with --shards 3')
  expect(await dev('--shard', 'postgres://postgres@127.0.0.1:1/a')).toContain('Start without --shard')
  expect(await dev('--log', 'etcd:http://127.0.0.1:1')).toContain(
    'in postgres, not etcd. Start with --log postgres',
  )
  expect(await dev('--log', 'paper')).toContain(
    '--log paper is not understood. Write postgres, or etcd:http://',
  )
})

test('weft dev: a data directory that is damaged: says what is, and makes nothing new in its place', async () => {
  const meta = { format: 1, cluster: 'dev-1', shards: 2, servers: 'embedded', log: 'postgres' }
  const dev = (dir: string) => fails('dev', '--port', '0', '--admin-port', '0', '--data-dir', dir)
  const shards = (versions: readonly (string | undefined)[], made: boolean) => {
    const dir = newDir()
    versions.forEach((version, id) => {
      mkdirSync(join(dir, `shard-${id}`), { recursive: true })
      if (version !== undefined) writeFileSync(join(dir, `shard-${id}`, 'PG_VERSION'), `${version}\n`)
    })
    writeFileSync(join(dir, 'weft.json'), JSON.stringify({ ...meta, made }))
    return dir
  }
  const gone = shards(['18'], true)
  expect(await dev(gone)).toContain(
    `the data directory ${gone} is damaged: the data of shard 1 is gone. Restore ${gone}/shard-1 from a backup`,
  )
  expect(existsSync(join(gone, 'shard-1'))).toBe(false)
  const incomplete = shards(['18', undefined], false)
  expect(await dev(incomplete)).toContain('the data of shard 1 is incomplete')
  const old = shards(['17', '17'], true)
  expect(await dev(old)).toMatch(
    /shard-0 is the data of Postgres 17, and this Weft comes with Postgres 18\. Use the Weft that made it, carry the/,
  )
  const unreadable = newDir()
  mkdirSync(unreadable)
  writeFileSync(join(unreadable, 'weft.json'), '{"format":1,')
  expect(await dev(unreadable)).toContain(`${unreadable}/weft.json is damaged. Restore the data directory`)
  const headless = newDir()
  mkdirSync(join(headless, 'shard-0'), { recursive: true })
  expect(await dev(headless)).toContain('is damaged: it has shards, but no weft.json')
})

test('weft dev: a directory with something else in it, also with --fresh: left alone', async () => {
  const dir = newDir()
  mkdirSync(dir)
  writeFileSync(join(dir, 'thesis.txt'), 'years of work')
  const line = await fails('dev', '--port', '0', '--admin-port', '0', '--data-dir', dir, '--fresh')
  expect(line).toContain(`${dir} is not empty, and not a data directory of Weft`)
  expect(existsSync(join(dir, 'thesis.txt'))).toBe(true)
})

test('weft dev: a flag that makes no sense: says what it takes', async () => {
  const { code, stderr } = await runWeft(['dev', '--shards', 'many']).finished
  expect(code).toBe(1)
  expect(stderr).toContain("'--shards <n>' argument 'many' is invalid. It is a number from 1 to 64.")
})

test('weft coordinator, weft agent: no configuration, no such shard: one line', async () => {
  const nowhere = join(root, 'nowhere.yaml')
  expect(await fails('coordinator', '--config', nowhere)).toContain(
    `cannot read the configuration ${nowhere}`,
  )
  const file = join(root, 'weft.yaml')
  writeFileSync(
    file,
    'shards: [{ id: 0, postgres: "postgres://weft@127.0.0.1:1/app", agent: "127.0.0.1:6500" }]\n',
  )
  expect(await fails('agent', '--config', file, '--shard', '7')).toContain(`${file} has no shard 7`)
})

test('weft status: nobody answers: says how to name the node', async () => {
  const line = await fails('status', '--admin', 'http://127.0.0.1:1')
  expect(line).toContain('no answer from http://127.0.0.1:1')
  expect(line).toContain('--admin http://host:port')
})
