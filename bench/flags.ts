import { Command, InvalidArgumentError, Option } from 'commander'
import type { RunOptions } from './pgbench.ts'
import type { SystemName } from './system.ts'

export type LogKind = 'postgres' | 'etcd'

export interface Flags {
  readonly only: RegExp | undefined
  readonly systems: readonly SystemName[]
  readonly length: RunOptions['length']
  readonly rounds: number
  readonly clients: readonly number[] | undefined
  readonly scale: number
  readonly shards: number
  /** Connections to one Postgres, for Weft's agents and PgBouncer alike. */
  readonly poolSize: number
  /** Processes of Weft's coordinator; undefined: all of Weft is one process, `weft dev`. */
  readonly workers: number | undefined
  /** Where Weft's commit decisions are. */
  readonly log: LogKind
  /** Milliseconds that each sync of a server takes longer. */
  readonly syncLatencyMs: number
  readonly json: boolean
  /** Which rows to profile Weft in. */
  readonly profile: RegExp | undefined
  /** Which rows to look into the commits of. */
  readonly durableSteps: RegExp | undefined
  /** Which rows to run with reads over all shards beside them. */
  readonly cuts: RegExp | undefined
}

interface RawFlags {
  readonly only?: RegExp
  readonly systems: SystemName[]
  readonly seconds: number
  readonly warmup: number
  readonly rounds: number
  readonly clients?: number[]
  readonly scale: number
  readonly shards: number
  readonly poolSize: number
  readonly workers?: number
  readonly log: LogKind
  readonly syncLatency: number
  readonly json?: boolean
  readonly quick?: boolean
  readonly profile?: RegExp | true
  readonly durableSteps?: RegExp | true
  readonly cuts?: RegExp | boolean
}

const systemNames: readonly SystemName[] = ['plain', 'pgbouncer', 'weft']
const quickTransactions = 25

export function parseFlags(argv: readonly string[]): Flags {
  const command = new Command('npm run bench --')
    .description('pgbench through Weft, beside one plain Postgres and PgBouncer on the same machine')
    .option('--only <regex>', 'only rows whose name matches, for example "select, prepared, 32"', regex)
    .addOption(
      new Option('--systems <list>', 'what to measure')
        .argParser(systems)
        .default([...systemNames], 'all three'),
    )
    .option('--seconds <n>', 'length of each measurement', positive, 5)
    .option('--warmup <n>', 'seconds before it that do not count', natural, 1)
    .option('--rounds <n>', 'measurements of each row on each system; the median is told', positive, 3)
    .option('--clients <list>', 'instead of the numbers of clients of each line', clients)
    .option('--scale <n>', 'tables of n times 100000 accounts', positive, 10)
    .option('--shards <n>', 'shards of the Weft cluster', positive, 3)
    .option('--pool-size <n>', 'connections of Weft to each shard, and of PgBouncer', positive, 20)
    .option('--workers <n>', 'so many processes of the coordinator, and one for each agent', positive)
    .addOption(
      new Option('--log <log>', 'where commit decisions are: etcd has three members here')
        .choices(['postgres', 'etcd'])
        .default('postgres'),
    )
    .option('--sync-latency <ms>', 'every sync of a server takes so much longer (a slower disk)', positive, 0)
    .option('--json', 'results as JSON on standard output')
    .option('--quick', 'a few transactions only, on small tables: does everything run?')
    .option(
      '--profile [regex]',
      'then a CPU profile of Weft in these rows (point select, simple, 32 clients)',
      regex,
    )
    .option(
      '--durable-steps [regex]',
      'then where commits spend their time (transfer, simple, 32 clients)',
      regex,
    )
    .option(
      '--cuts <regex>',
      'then these with reads over all shards beside (transfer, simple, 32 clients)',
      regex,
    )
    .option('--no-cuts', 'without that')
    .allowExcessArguments(false)
    .showHelpAfterError()
    .parse(argv)
  const { workers, profile } = command.opts<RawFlags>()
  if (workers !== undefined && profile !== undefined)
    command.error('error: --profile is of one process: leave out --workers')
  return fromRaw(command.opts<RawFlags>())
}

function fromRaw(raw: RawFlags): Flags {
  const quick = raw.quick === true
  return {
    only: raw.only,
    systems: systemNames.filter((name) => raw.systems.includes(name)),
    length: quick ? { each: quickTransactions } : { warmupSeconds: raw.warmup, seconds: raw.seconds },
    rounds: quick ? 1 : raw.rounds,
    clients: raw.clients ?? (quick ? [4] : undefined),
    scale: quick ? 1 : raw.scale,
    shards: raw.shards,
    poolSize: raw.poolSize,
    workers: raw.workers,
    log: raw.log,
    syncLatencyMs: raw.syncLatency,
    json: raw.json === true,
    profile: orDefault(raw.profile, /^point select, simple, (32|4) clients/),
    durableSteps: orDefault(raw.durableSteps, /^transfer, simple, (32|4) clients/),
    cuts: orDefault(raw.cuts ?? true, /^transfer, simple, (32|4) clients/),
  }
}

function orDefault(value: RegExp | boolean | undefined, pattern: RegExp): RegExp | undefined {
  if (typeof value === 'boolean') return value ? pattern : undefined
  return value
}

function regex(text: string): RegExp {
  try {
    return new RegExp(text, 'i')
  } catch {
    throw new InvalidArgumentError('Not a regular expression.')
  }
}

function natural(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 1_000_000)
    throw new InvalidArgumentError('Not a whole number.')
  return value
}

function positive(text: string): number {
  const value = natural(text)
  if (value === 0) throw new InvalidArgumentError('Not a number above 0.')
  return value
}

function clients(text: string): number[] {
  return text.split(',').map(positive)
}

function systems(text: string): SystemName[] {
  return text.split(',').map((word) => {
    const name = systemNames.find((known) => known === word.trim())
    if (name === undefined) throw new InvalidArgumentError(`One of ${systemNames.join(', ')}.`)
    return name
  })
}
