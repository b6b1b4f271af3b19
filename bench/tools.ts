import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { SetupError } from '../errors/setup-error.ts'

const debianPostgres = '/usr/lib/postgresql'

/** Where a program is: on the path, in Debian's Postgres (newest first), or where Debian puts servers. */
function find(command: string): string | undefined {
  const versions = existsSync(debianPostgres) ? readdirSync(debianPostgres) : []
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a))
  const dirs = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...newestFirst.map((version) => join(debianPostgres, version, 'bin')),
    '/usr/sbin',
  ]
  return dirs.map((dir) => join(dir, command)).find((path) => existsSync(path))
}

/** A program, installed first when it is missing and we may. */
function provide(command: string, debianPackage: string, say: (text: string) => void): string | undefined {
  const there = find(command)
  if (there !== undefined || process.getuid?.() !== 0 || find('apt-get') === undefined) return there
  say(`installing ${debianPackage}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', debianPackage]]) {
    spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], { stdio: 'ignore', env })
  }
  return find(command)
}

export function providePgbench(say: (text: string) => void): string {
  const path = provide('pgbench', 'postgresql', say)
  if (path !== undefined) return path
  throw new SetupError('pgbench is not installed', 'As root: apt-get install postgresql')
}

/** Without it the table has a column less. */
export function providePgbouncer(say: (text: string) => void): string | undefined {
  const path = provide('pgbouncer', 'pgbouncer', say)
  if (path === undefined) {
    say('pgbouncer is not installed: no column for it (as root: apt-get install pgbouncer)')
  }
  return path
}

export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((done, fail) => probe.once('error', fail).listen(0, '127.0.0.1', done))
  const address = probe.address()
  await new Promise<void>((done) => probe.close(() => done()))
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}
