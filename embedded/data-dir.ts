import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SetupError } from '../errors/setup-error.ts'
import { lockFile } from './lock-file.ts'
import { stopOrphans } from './postmaster.ts'
import { blockedAt, chooseRunAs } from './run-as.ts'

/** What a data directory was made with; a restart must not change it. */
export interface DataDirMeta {
  readonly format: 1
  /** In the names of its transactions, and of its keys in etcd. */
  readonly cluster: string
  readonly shards: number
  /** Whose Postgres: ours, or servers given by --shard. */
  readonly servers: 'embedded' | 'external'
  /** The --log value. Decisions are there: another log would not know them. */
  readonly log: string
  /** Every embedded server has been there: one that is missing is lost, not still to be made. */
  readonly made?: boolean
}

export interface DataDir {
  readonly path: string
  /** What it was made with; undefined when it is new. */
  readonly meta: DataDirMeta | undefined
  write(meta: DataDirMeta): void
  /** Lets others use it. */
  release(): void
}

/** Where the data really goes: as root, Postgres' unprivileged user must be able to reach it. */
export function placeDataDir(requested: string): { path: string; moved: boolean } {
  const path = resolve(requested)
  const runAs = chooseRunAs(path)
  if (runAs === undefined || blockedAt(path, runAs) === undefined) return { path, moved: false }
  const name = createHash('sha256').update(path).digest('hex').slice(0, 12)
  return { path: `/var/lib/weft/${name}`, moved: true }
}

/** Takes the data directory for this process. `fresh` deletes what is in it. */
export async function openDataDir(path: string, fresh: boolean): Promise<DataDir> {
  mkdirSync(path, { recursive: true })
  const metaFile = join(path, 'weft.json')
  if (!existsSync(metaFile)) refuseStrangers(path)
  const release = lock(path)
  try {
    if (fresh) await empty(path)
    return {
      path,
      meta: readMeta(metaFile),
      write: (meta) => {
        writeFileSync(`${metaFile}.new`, `${JSON.stringify(meta)}\n`)
        renameSync(`${metaFile}.new`, metaFile)
      },
      release,
    }
  } catch (error) {
    release()
    throw error
  }
}

const shardName = /^shard-\d+$/

function refuseStrangers(path: string): void {
  const inside = readdirSync(path).filter((name) => !name.startsWith(lockName) && name !== 'weft.json.new')
  if (inside.length === 0) return
  if (inside.some((name) => shardName.test(name))) {
    throw new SetupError(
      `the data directory ${path} is damaged: it has shards, but no weft.json that says how they belong together`,
      'Restore it from a backup, or choose another directory with --data-dir.',
    )
  }
  throw new SetupError(
    `${path} is not empty, and not a data directory of Weft`,
    'Choose another directory with --data-dir.',
  )
}

const ORELSE_FRESH = 'or use --fresh to delete the data and begin anew.'

function readMeta(file: string): DataDirMeta | undefined {
  if (!existsSync(file)) return undefined
  const meta = parseMeta(readFileSync(file, 'utf8'))
  if (meta === undefined) {
    throw new SetupError(`${file} is damaged`, `Restore the data directory from a backup, ${ORELSE_FRESH}`)
  }
  if (meta.format === 1) return meta
  throw new SetupError(`${file} was written by another version of Weft`, `Use that version, ${ORELSE_FRESH}`)
}

function parseMeta(text: string): DataDirMeta | undefined {
  try {
    const meta = JSON.parse(text) as DataDirMeta | null
    return typeof meta === 'object' && meta !== null ? meta : undefined
  } catch {
    return undefined
  }
}

async function empty(path: string): Promise<void> {
  for (const name of readdirSync(path)) {
    if (name === lockName) continue
    if (shardName.test(name)) await stopOrphans(join(path, name))
    rmSync(join(path, name), { recursive: true, force: true })
  }
}

const lockName = 'weft.lock'

function lock(path: string): () => void {
  const taken = lockFile(join(path, lockName))
  if (taken.isMine) return taken.release
  throw new SetupError(
    `the data directory ${path} is in use by another weft (pid ${taken.pid})`,
    'Stop it, or choose another directory with --data-dir.',
  )
}

/** Before embedded servers are started: a new, empty one must not take the place of one that is gone. */
export function checkShards(dir: DataDir, postgresMajor: string): void {
  for (let id = 0; id < (dir.meta?.shards ?? 0); id++) {
    const path = join(dir.path, `shard-${id}`)
    const version = readVersion(path)
    if (version === undefined && (dir.meta?.made === true || existsSync(path))) {
      throw new SetupError(
        `the data directory ${dir.path} is damaged: the data of shard ${id} is ${existsSync(path) ? 'incomplete' : 'gone'}`,
        `Restore ${path} from a backup, ${ORELSE_FRESH}`,
      )
    }
    if (version !== undefined && version !== postgresMajor) {
      throw new SetupError(
        `${path} is the data of Postgres ${version}, and this Weft comes with Postgres ${postgresMajor}`,
        `Use the Weft that made it, carry the data over with pg_upgrade, ${ORELSE_FRESH}`,
      )
    }
  }
}

function readVersion(path: string): string | undefined {
  const file = join(path, 'PG_VERSION')
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined
}

/** Refuses a start that would not fit the data. */
export function checkMeta(dir: DataDir, wanted: DataDirMeta): void {
  const { meta, path } = dir
  if (meta === undefined) return
  const orElse = 'use --fresh to delete the data and begin anew, or choose another --data-dir.'
  if (meta.servers !== wanted.servers) {
    const was = meta.servers === 'embedded' ? 'embedded Postgres servers' : 'servers given by --shard'
    const how = meta.servers === 'embedded' ? 'Start without --shard' : 'Give the same --shard flags again'
    throw new SetupError(`the data directory ${path} belongs to a cluster of ${was}`, `${how}, ${orElse}`)
  }
  if (meta.shards !== wanted.shards) {
    throw new SetupError(
      `the data directory ${path} has ${meta.shards} shards, not ${wanted.shards}`,
      `Start with ${meta.servers === 'embedded' ? `--shards ${meta.shards}` : 'all its --shard flags'}, ${orElse}`,
    )
  }
  if (logKind(meta.log) !== logKind(wanted.log)) {
    throw new SetupError(
      `the data directory ${path} keeps its commit decisions in ${logKind(meta.log)}, not ${logKind(wanted.log)}`,
      `Start with --log ${meta.log}, ${orElse}`,
    )
  }
}

function logKind(log: string): string {
  return log.split(':')[0]!
}
