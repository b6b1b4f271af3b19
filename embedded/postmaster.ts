import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a running postmaster writes to postmaster.pid. */
export interface PidFile {
  readonly pid: number
  readonly port: number
  readonly socketDir: string
  readonly ready: boolean
}

export function readPidFile(dataDir: string): PidFile | undefined {
  let lines: string[]
  try {
    lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return undefined
  }
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3]), socketDir: lines[4] ?? '', ready: lines[7]?.trim() === 'ready' }
}

/** Pids of a process's children. */
export function childrenOf(pid: number): number[] {
  if (!existsSync('/proc/self/stat')) return listByPs().flatMap((p) => (p.parent === pid ? [p.pid] : []))
  return procPids().filter((p) => parentOf(p) === pid)
}

/**
 * Ends what a killed Weft left behind in this data directory: the postmaster, and backends that outlived theirs.
 * Postgres works in its data directory, and that tells our processes from a stranger with a reused pid.
 * Returns true if there was anything.
 */
export async function stopOrphans(dataDir: string): Promise<boolean> {
  const left = readPidFile(dataDir)
  if (left === undefined) return false
  const dir = realpathSync(dataDir)
  const found = processesIn(dir, left.pid)
  if (found.length > 0) {
    if (found.includes(left.pid)) sendSignal(left.pid, 'SIGINT')
    await waitUntilGone(dir, left.pid, 10_000)
    for (const pid of processesIn(dir, left.pid)) sendSignal(pid, 'SIGKILL')
    await waitUntilGone(dir, left.pid, 5_000)
  }
  // Postgres itself takes any live process with the recorded pid for a postmaster and refuses to start.
  rmSync(join(dataDir, 'postmaster.pid'), { force: true })
  if (left.socketDir.includes('weft-socket-')) rmSync(left.socketDir, { recursive: true, force: true })
  return found.length > 0
}

/** A signal to a process that may be gone already. */
export function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function waitUntilGone(dir: string, postmaster: number, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs
  while (processesIn(dir, postmaster).length > 0 && Date.now() < end) await sleep(20)
}

/** Without /proc (macOS) only the postmaster itself can be told, by its command line. */
function processesIn(dir: string, postmaster: number): number[] {
  if (existsSync('/proc/self/stat')) return procPids().filter((pid) => worksIn(pid, dir))
  return listByPs().flatMap((p) => (p.pid === postmaster && p.command.includes(dirname(dir)) ? [p.pid] : []))
}

function procPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function worksIn(pid: number, dir: string): boolean {
  try {
    // A shell that happens to stand in the data directory is not ours to kill.
    return (
      readlinkSync(`/proc/${pid}/cwd`) === dir &&
      /^postgres\n/.test(readFileSync(`/proc/${pid}/comm`, 'utf8'))
    )
  } catch {
    return false
  }
}

function parentOf(pid: number): number | undefined {
  try {
    // "pid (command) state ppid ...": the command may contain anything, so count from its closing bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

function listByPs(): { pid: number; parent: number; command: string }[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,command='], { encoding: 'utf8' }).split('\n')
  return lines
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((m) => m !== null)
    .map((m) => ({ pid: Number(m[1]), parent: Number(m[2]), command: m[3]! }))
}
