/** What is measured, started and filled. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cleanup } from '../embedded/cleanup.ts'
import { SetupError } from '../errors/setup-error.ts'
import { findPairs, load, settle, sizesOf, touchPages } from './data.ts'
import { startEtcd } from './etcd.ts'
import type { Flags } from './flags.ts'
import type { DataSet, Keys } from './lines.ts'
import { startPgbouncer } from './pgbouncer.ts'
import { type PlainSystem, startPlain } from './plain.ts'
import { slowSyncs } from './sync-latency.ts'
import type { System } from './system.ts'
import { providePgbouncer } from './tools.ts'
import { startWeft, type WeftSystem } from './weft.ts'
import { startWeftWorkers } from './weft-workers.ts'

export interface Environment {
  readonly dir: string
  readonly plain: PlainSystem | undefined
  readonly weft: WeftSystem | undefined
  /** The columns, in their order. */
  readonly systems: readonly System[]
}

export interface SetupOptions {
  readonly flags: Flags
  readonly cleanup: Cleanup
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

export async function startSystems({ flags, cleanup, signal, say }: SetupOptions): Promise<Environment> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-bench-'))
  cleanup.add(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  // As root, the servers run as somebody else, who must be able to get in.
  chmodSync(dir, 0o755)
  if (flags.syncLatencyMs > 0) slowSyncs(flags.syncLatencyMs, dir)
  const wanted = (name: System['name']): boolean => flags.systems.includes(name)
  const started: System[] = []
  const keep = <S extends System>(system: S): S => {
    cleanup.add(() => system.stop())
    started.push(system)
    return system
  }
  let plain: PlainSystem | undefined
  if (wanted('plain') || wanted('pgbouncer')) {
    say('starting one plain Postgres')
    plain = keep(await startPlain(dir, flags.shards, signal))
  }
  signal.throwIfAborted()
  const pgbouncer = wanted('pgbouncer') ? providePgbouncer(say) : undefined
  if (pgbouncer !== undefined && plain !== undefined) {
    keep(await startPgbouncer(pgbouncer, plain.server, flags.poolSize, dir))
  }
  signal.throwIfAborted()
  let weft: WeftSystem | undefined
  if (wanted('weft')) {
    const etcd = flags.log === 'etcd' ? await startEtcd(dir) : undefined
    if (etcd !== undefined) cleanup.add(() => etcd.stop())
    say(`starting Weft with ${flags.shards} shards`)
    const start = flags.workers === undefined ? startWeft : startWeftWorkers
    weft = keep(
      await start({
        shards: flags.shards,
        poolSize: flags.poolSize,
        workers: flags.workers,
        dir,
        etcd: etcd?.endpoints,
        profiling: flags.profile !== undefined,
        signal,
      }),
    )
  }
  // A plain Postgres that only PgBouncer needs is not a column.
  return { dir, plain, weft, systems: started.filter(({ name }) => wanted(name)) }
}

/** Fills the tables of `sets` on plain Postgres and on Weft. */
export async function loadData(
  environment: Environment,
  sets: ReadonlySet<DataSet>,
  { flags, signal, say }: SetupOptions,
): Promise<Keys> {
  const { plain, weft } = environment
  const sizes = sizesOf(flags.scale)
  for (const set of sets) {
    for (const system of [plain, weft]) {
      signal.throwIfAborted()
      if (system === undefined) continue
      const started = performance.now()
      await load(set, system.target, sizes, system === weft).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error)
        throw new SetupError(`the ${set} tables could not be loaded into ${system.title}: ${why}`)
      })
      say(`${set} loaded into ${system.title} in ${((performance.now() - started) / 1000).toFixed(1)} s`)
    }
  }
  const shardUrls = weft?.shardUrls ?? []
  await settle([...(plain === undefined ? [] : [plain.server.url]), ...shardUrls])
  if (!sets.has('accounts')) return { ...sizes, pairs: [] }
  for (const system of [plain, weft]) if (system !== undefined) await touchPages(system.target)
  const holders = weft === undefined ? [plain!.server.url] : shardUrls
  return { ...sizes, pairs: await findPairs(holders, sizes) }
}
