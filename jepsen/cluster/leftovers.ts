import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { childrenOf, sendSignal } from '../../embedded/postmaster.ts'
import { removeFakeTime } from './faketime.ts'
import { pidsInNamespaces, removeNetwork } from './net.ts'
import { startedAt } from './process.ts'
import { removeSegment } from './segments.ts'

const PREFIX = 'weft-jepsen-'
const RUNS_MAX = 200

/** A number nobody else runs under, and the one directory in which everything of the run lies. */
export interface Claim {
  readonly run: number
  readonly directory: string
}

/** Takes away what runs that were killed have left, and takes the first number that is free. */
export async function claimRun(): Promise<Claim> {
  await removeLeftovers()
  for (let run = 1; run <= RUNS_MAX; run++) {
    const directory = join(tmpdir(), `${PREFIX}${run}`)
    try {
      mkdirSync(directory, { mode: 0o755 })
    } catch {
      continue
    }
    writeFileSync(join(directory, 'owner'), `${process.pid} ${startedAt(process.pid)}\n`)
    for (const name of ['logs', 'data', 'wall']) mkdirSync(join(directory, name), { mode: 0o755 })
    writeFileSync(join(directory, 'pids'), '')
    return { run, directory }
  }
  throw new Error(`${RUNS_MAX} runs have a directory in ${tmpdir()}: is one of them yours to remove?`)
}

async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const run = Number(name.slice(PREFIX.length))
    if (!name.startsWith(PREFIX) || !Number.isInteger(run)) continue
    const owner = read(join(tmpdir(), name, 'owner'))
    // One that has no owner yet is being made just now.
    if (owner !== '' && !isAlive(owner)) await removeRun(run)
  }
}

/** Ends every process of the run, and removes its network, its mounts and its directory. */
export async function removeRun(run: number): Promise<void> {
  const directory = join(tmpdir(), `${PREFIX}${run}`)
  for (let round = 0; round < 50; round++) {
    const pids = new Set([...(await pidsInNamespaces(run)), ...recorded(directory)])
    pids.delete(process.pid)
    if (pids.size === 0) break
    for (const pid of pids) sendSignal(pid, 'SIGKILL')
    await sleep(40)
  }
  for (const line of read(join(directory, 'pids')).split('\n')) removeFakeTime(Number(line.split(' ')[0]))
  const data = join(directory, 'data')
  for (const name of existsSync(data) ? readdirSync(data) : []) removeSegment(join(data, name, 'pg'))
  await removeNetwork(run)
  for (const mount of mountsBelow(directory)) await promisify(execFile)('umount', ['-l', mount])
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}

function recorded(directory: string): number[] {
  const alive = read(join(directory, 'pids')).split('\n').filter(isAlive)
  const pids = alive.map((line) => Number(line.split(' ')[0]))
  return pids.flatMap((pid) => [pid, ...childrenOf(pid)])
}

/** "pid start": that very process, not another one with its pid. */
function isAlive(line: string): boolean {
  const [pid = '', started = ''] = line.trim().split(' ')
  if (started === '' || startedAt(Number(pid)) !== started) return false
  return !/^State:\s*Z/m.test(read(`/proc/${pid}/status`))
}

function mountsBelow(directory: string): string[] {
  const mounts = read('/proc/mounts')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
  return mounts.filter((path) => path.startsWith(`${directory}/`)).reverse()
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}
