import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SetupError } from '../errors/setup-error.ts'
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
  const inside = readdirSync(path).filter((name) => name !== lockName)
  if (inside.length > 0 && !existsSync(metaFile)) {
    throw new SetupError(
      `${path} is not empty, and not a data directory of Weft`,
      'Choose another directory with --data-dir.',
    )
  }
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

function readMeta(file: string): DataDirMeta | undefined {
  if (!existsSync(file)) return undefined
  const meta = JSON.parse(readFileSync(file, 'utf8')) as DataDirMeta
  if (meta.format === 1) return meta
  throw new SetupError(
    `${file} was written by another version of Weft`,
    'Use that version, or --fresh to delete the data and begin anew.',
  )
}

async function empty(path: string): Promise<void> {
  for (const name of readdirSync(path)) {
    if (name === lockName) continue
    if (/^shard-\d+$/.test(name)) await stopOrphans(join(path, name))
    rmSync(join(path, name), { recursive: true, force: true })
  }
}

const lockName = 'weft.lock'

function lock(path: string): () => void {
  const file = join(path, lockName)
  const mine = `${process.pid} ${startedAt(process.pid)}`
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(file, mine, { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 3) throw error
    }
    const [pid, started] = readFileSync(file, 'utf8').split(' ')
    if (isRunning(Number(pid), started ?? '')) {
      throw new SetupError(
        `the data directory ${path} is in use by another weft (pid ${pid})`,
        'Stop it, or choose another directory with --data-dir.',
      )
    }
    rmSync(file, { force: true })
  }
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
