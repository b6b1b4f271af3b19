import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

export type LockFile =
  | { readonly isMine: true; readonly release: () => void }
  /** Somebody else's, who still runs. */
  | { readonly isMine: false; readonly pid: string }

/**
 * Takes a lock that is a file with the owner's pid and start time. It appears with its content in one step (`link`), so
 * nobody can take it for one that was left behind while it is being written.
 */
export function lockFile(file: string): LockFile {
  const mine = `${process.pid} ${startedAt(process.pid)}`
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, mine)
  try {
    for (;;) {
      if (tryLink(draft, file)) return { isMine: true, release: () => rmSync(file, { force: true }) }
      const owner = readOwner(file)
      if (owner === undefined) continue
      const [pid = '', started = ''] = owner.split(' ')
      if (isRunning(Number(pid), started)) return { isMine: false, pid }
      removeStale(file, owner)
    }
  } finally {
    rmSync(draft, { force: true })
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Undefined: it has just gone. */
function readOwner(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Two may find the same stale lock: the slower one must not remove what the quicker has put in its place. */
function removeStale(file: string, owner: string): void {
  const aside = `${file}.${process.pid}.stale`
  try {
    renameSync(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (readOwner(aside) !== owner) tryLink(aside, file)
  rmSync(aside, { force: true })
}

/** The same process, not another that got its number: in a container the numbers repeat at every start. */
function isRunning(pid: number, started: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  return startedAt(pid) === started
}

/** Clock ticks between boot and start of the process, where the system tells; else ''. */
function startedAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
