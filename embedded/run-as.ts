import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { SetupError } from '../errors/setup-error.ts'

/** Whom a child process runs as; undefined means: as ourselves. */
export interface RunAs {
  readonly uid: number
  readonly gid: number
  readonly name: string
}

/**
 * Postgres refuses to run as root, so as root it gets an unprivileged user: whoever owns the data directory already,
 * else `postgres`, else `nobody`. initdb looks the user up, so a bare number would not do.
 */
export function chooseRunAs(dataDir: string): RunAs | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readUsers()
  const owner = statSync(dataDir, { throwIfNoEntry: false })?.uid ?? 0
  const user =
    (owner !== 0 ? users.find((u) => u.uid === owner) : undefined) ??
    users.find((u) => u.name === 'postgres' && u.uid !== 0) ??
    users.find((u) => u.name === 'nobody' && u.uid !== 0)
  if (user === undefined) {
    throw new SetupError(
      'Postgres cannot run as root, and this system has no user "postgres" or "nobody" to run it as',
      'Create one (useradd --system postgres), or start Weft as an ordinary user.',
    )
  }
  return user
}

function readUsers(): RunAs[] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter((f) => f.length >= 4)
    .map((f) => ({ name: f[0]!, uid: Number(f[2]), gid: Number(f[3]) }))
}

/** The nearest existing directory above `path` (or `path` itself) that `user` may not enter, if there is one. */
export function blockedAt(path: string, user: RunAs): string | undefined {
  for (let dir = path; ; dir = dirname(dir)) {
    const stat = statSync(dir, { throwIfNoEntry: false })
    if (stat !== undefined) {
      const shift = stat.uid === user.uid ? 6 : stat.gid === user.gid ? 3 : 0
      if (((stat.mode >> shift) & 1) === 0) return dir
    }
    if (dirname(dir) === dir) return undefined
  }
}
