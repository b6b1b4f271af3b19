import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Verdict } from '../check/verdict.ts'
import { Cluster } from '../cluster/cluster.ts'
import { hasEtcd } from '../cluster/etcd.ts'
import { type Claim, removeRun } from '../cluster/leftovers.ts'
import { type Liveness, makeProbe, waitUntilWhole } from '../cluster/liveness.ts'
import { ClusterProcess } from '../cluster/process.ts'
import { root } from '../cluster/root.ts'
import type { Op } from '../history/op.ts'
import { Nemesis } from '../nemesis/nemesis.ts'
import type { Options } from '../options.ts'
import type { Workload } from '../workloads/workload.ts'
import { workloadNamed } from '../workloads/workloads.ts'
import { checkOf } from './checks.ts'
import { Clients, type Endpoint } from './clients.ts'
import { Progress } from './progress.ts'
import { Recorder } from './recorder.ts'
import type { RunResult } from './result.ts'
import { inSchema, setUp, versionsOf } from './set-up.ts'

/** What of the run is still running when somebody presses Ctrl-C. */
let claimed: Claim | undefined

export async function abandonRun(): Promise<void> {
  ClusterProcess.isOver = true
  if (claimed !== undefined) await removeRun(claimed.run)
}

const FINALS_MS = 60_000
/** Of a build that is broken on purpose nothing more is to be learned by waiting. */
const MUTANT_FINALS_MS = 5_000
/** A cluster that takes longer than it may is still waited for, so that its data can be read. */
const PATIENCE_MS = 60_000

/** One run: set-up, load with nemesis, heal, liveness, final reads, check. */
export async function runOnce(options: Options, say: (line: string) => void): Promise<RunResult> {
  const started = new Date()
  const directory = options.out ?? join(root, 'jepsen', 'results', `${stamp(started)}-${options.workload}`)
  mkdirSync(directory, { recursive: true })
  let cluster: Cluster | undefined
  try {
    if (options.endpoints.length === 0) cluster = await startCluster(options, say)
    return await runOn(cluster, options, { started, directory, say })
  } finally {
    await cluster?.stop()
    // One that has not come up is taken away as well.
    if (cluster === undefined && claimed !== undefined) await removeRun(claimed.run)
    claimed = undefined
  }
}

function stamp(date: Date): string {
  return date.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-')
}

async function startCluster(options: Options, say: (line: string) => void): Promise<Cluster> {
  const log = options.log === 'etcd' && hasEtcd() ? 'etcd' : 'postgres'
  if (log !== options.log) say('no etcd here (apt-get install etcd-server): the log is in Postgres')
  return Cluster.start(
    {
      ...{ log, say, shards: 3, coordinators: 2 },
      program: options.program ?? join(root, 'dist', 'weft.js'),
      ownClocks: options.nemesis.some((name) => name === 'clock' || name === 'clock-postgres'),
      standbys: options.nemesis.includes('failover'),
      smallDisk: options.nemesis.some((name) => name.startsWith('disk')),
    },
    (claim) => {
      claimed = claim
    },
  )
}

interface Place {
  readonly started: Date
  readonly directory: string
  readonly say: (line: string) => void
}

async function runOn(cluster: Cluster | undefined, options: Options, place: Place): Promise<RunResult> {
  const { directory, say, started } = place
  const endpoints: readonly Endpoint[] =
    cluster?.endpoints ?? options.endpoints.map((url, i) => ({ name: `endpoint ${i}`, url }))
  const isWeft = cluster !== undefined || (await setUp.isWeft(endpoints))
  const workload = workloadNamed(options.workload)({
    ...{ isolation: options.isolation, rows: options.rows, seed: options.seed, isWeft },
    shardUrls: cluster?.shardUrls ?? [],
  })
  const settings = [
    inSchema,
    setUp.isolation(options.isolation),
    ...options.set.map((each) => setUp.setting(each)),
  ]
  await setUp.tables(endpoints, workload.tables)
  if (cluster !== undefined) await makeProbe(cluster)
  const versions = await versionsOf(endpoints, cluster)

  const recorder = new Recorder(directory)
  const { concurrency, rate, seed, timeoutMs } = options
  const clients = new Clients({ endpoints, concurrency, rate, seed, settings, timeoutMs }, workload, recorder)
  await load(cluster, clients, recorder, options, say)
  const liveness = cluster === undefined ? undefined : await heal(cluster, options, say)
  const missing = await clients.finals(options.mutant === undefined ? FINALS_MS : MUTANT_FINALS_MS)
  await recorder.close()

  const notes = [...(cluster?.deaths ?? [])]
  if (cluster?.network.flat !== undefined) notes.push(`${cluster.network.flat}: everything was on loopback`)
  if (missing > 0) notes.push(`${missing} of the final reads were never answered`)
  const history = recorder.ops
  const verdict = judge(workload, history, options, isWeft)
  const result = { options, started, directory, versions, history, verdict, liveness, notes }
  if (cluster !== undefined && isBad(result)) setUp.keepLogs(cluster.claim.directory, directory)
  return result
}

function isBad({ verdict, liveness, notes }: RunResult): boolean {
  return verdict.valid !== true || liveness?.ok === false || notes.length > 0
}

async function load(
  cluster: Cluster | undefined,
  clients: Clients,
  recorder: Recorder,
  { seconds, nemesis: names, seed }: Options,
  say: (line: string) => void,
): Promise<void> {
  const nemesis = cluster === undefined ? undefined : new Nemesis(cluster, recorder, { names, seed, say })
  const progress = new Progress(recorder, seconds)
  const running = Promise.all([clients.run(), nemesis?.run()])
  await Promise.race([sleep(seconds * 1000), running])
  nemesis?.stop()
  clients.stop()
  await running
  progress.end()
}

async function heal(cluster: Cluster, options: Options, say: (line: string) => void): Promise<Liveness> {
  await cluster.heal()
  const soon = await waitUntilWhole(cluster, options.settleSeconds * 1000)
  if (soon.ok) return soon
  say(`not whole after ${options.settleSeconds} s: ${soon.waitedFor}`)
  if (options.mutant !== undefined) return soon
  const later = await waitUntilWhole(cluster, PATIENCE_MS)
  return { ...soon, seconds: soon.seconds + later.seconds }
}

function judge(workload: Workload, history: readonly Op[], options: Options, isWeft: boolean): Verdict {
  return checkOf(options.workload)(history, {
    isolation: options.isolation,
    // One Postgres is strict; of Weft a session is.
    realtime: options.realtime || !isWeft,
    session: true,
    ...workload.checkOptions,
  })
}
