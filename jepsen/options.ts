import { parseArgs } from 'node:util'
import type { Isolation } from './check/verdict.ts'
import { faultNames } from './nemesis/faults.ts'
import { workloadNames } from './workloads/workloads.ts'

export interface Options {
  readonly workload: string
  readonly nemesis: readonly string[]
  readonly seconds: number
  readonly rate: number
  readonly concurrency: number
  readonly seed: number
  readonly isolation: Isolation
  readonly log: 'etcd' | 'postgres'
  readonly rows: boolean
  readonly realtime: boolean
  /** `name=value`, said by every session. */
  readonly set: readonly string[]
  readonly endpoints: readonly string[]
  readonly timeoutMs: number
  /** What a healed cluster may take to be whole again. */
  readonly settleSeconds: number
  readonly out: string | undefined
  readonly program: string | undefined
  readonly mutant: string | undefined
  readonly all: boolean
  readonly mutants: boolean
}

/** What was asked for makes no sense; the message is for the person. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const usage = `npm run jepsen -- [options]: Weft, tested the way Jepsen tests

  --workload NAME       ${wrapped(workloadNames)}
  --nemesis NAME,…      what breaks meanwhile: ${wrapped(faultNames)}
  --time SECONDS        (30)          --rate OPS      a second, of all clients (100)
  --concurrency CLIENTS (10)          --seed NUMBER   of everything that is left to chance
  --isolation LEVEL     read-committed, repeatable-read or serializable (the workload's own)
  --log KIND            etcd or postgres (etcd, where it is installed)
  --rows                list-append: a row for each element, read by a query over all shards
  --realtime            what was acknowledged has to be seen by everybody at once, whatever is broken
  --set NAME=VALUE      a setting of every session (repeatable): --set weft.consistent_reads=off
  --endpoint URL        no cluster and no nemesis: any Postgres that is there (repeatable)
  --timeout SECONDS     of an operation (5)
  --settle SECONDS      within which a healed cluster is whole again (10)
  --out DIRECTORY       for the history and the report (jepsen/results/TIME-WORKLOAD)
  --mutant NAME         a build that is broken on purpose
  --mutants             every build that is broken on purpose (or that of --mutant), with what finds it
  --all                 every workload at every isolation level, each time with other faults; --time is of each

Exit status: 0 valid, 1 invalid, 2 unknown or it could not run.`

function wrapped(names: readonly string[]): string {
  return names.join(', ').replace(/(.{20,80}), /g, '$1,\n                        ')
}

export function parseOptions(args: readonly string[]): Options | 'help' {
  const { values } = parse(args)
  if (values.help === true) return 'help'
  const nemesis = values.nemesis.flatMap((names) => names.split(',')).filter((name) => name !== '')
  const unknown = nemesis.find((name) => !faultNames.includes(name))
  if (unknown !== undefined) throw new UsageError(`no nemesis ${unknown}; there are ${faultNames.join(', ')}`)
  if (!workloadNames.includes(values.workload))
    throw new UsageError(`no workload ${values.workload}; there are ${workloadNames.join(', ')}`)
  if (values.endpoint.length > 0 && nemesis.length > 0)
    throw new UsageError('with --endpoint nothing is broken: the cluster is not ours')
  const wrong = values.set.find((setting) => !/^[\w.]+=/.test(setting))
  if (wrong !== undefined) throw new UsageError(`--set takes name=value, not ${wrong}`)
  return {
    ...{ workload: values.workload, nemesis, rows: values.rows === true, realtime: values.realtime === true },
    seconds: above0('time', values.time),
    rate: above0('rate', values.rate),
    concurrency: Math.ceil(above0('concurrency', values.concurrency)),
    seed:
      values.seed === undefined ? Math.floor(Math.random() * 1e6) : Math.floor(above0('seed', values.seed)),
    isolation: isolationOf(values.isolation),
    log: logOf(values.log),
    ...{ set: values.set, endpoints: values.endpoint },
    timeoutMs: above0('timeout', values.timeout) * 1000,
    settleSeconds: above0('settle', values.settle),
    ...{
      out: values.out,
      program: values.program,
      mutant: values.mutant,
      all: values.all === true,
      mutants: values.mutants === true,
    },
  }
}

function parse(args: readonly string[]) {
  const text = (value: string) => ({ type: 'string', default: value }) as const
  const list = { type: 'string', multiple: true, default: [] as string[] } as const
  try {
    return parseArgs({
      args: [...args],
      options: {
        ...{ workload: text('list-append'), time: text('30'), rate: text('100'), concurrency: text('10') },
        ...{ isolation: text('serializable'), log: text('etcd'), timeout: text('5'), settle: text('10') },
        ...{ nemesis: list, set: list, endpoint: list },
        ...{ seed: { type: 'string' }, out: { type: 'string' }, program: { type: 'string' } },
        ...{ mutant: { type: 'string' }, rows: { type: 'boolean' }, realtime: { type: 'boolean' } },
        ...{ all: { type: 'boolean' }, mutants: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function above0(name: string, text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new UsageError(`--${name} takes a number above 0`)
}

function isolationOf(text: string): Isolation {
  const level = text.replace('-', ' ')
  if (level === 'read committed' || level === 'repeatable read' || level === 'serializable') return level
  throw new UsageError('--isolation takes read-committed, repeatable-read or serializable')
}

function logOf(text: string): 'etcd' | 'postgres' {
  if (text === 'etcd' || text === 'postgres') return text
  throw new UsageError('--log takes etcd or postgres')
}

/** The command that runs the same again. */
export function commandOf(options: Options): string {
  const parts = ['npm run jepsen --', `--workload ${options.workload}`]
  if (options.nemesis.length > 0) parts.push(`--nemesis ${options.nemesis.join(',')}`)
  parts.push(`--time ${options.seconds} --rate ${options.rate} --concurrency ${options.concurrency}`)
  parts.push(`--seed ${options.seed} --isolation ${options.isolation.replace(' ', '-')}`)
  if (options.endpoints.length === 0) parts.push(`--log ${options.log}`)
  parts.push(`--timeout ${options.timeoutMs / 1000} --settle ${options.settleSeconds}`)
  if (options.rows) parts.push('--rows')
  if (options.realtime) parts.push('--realtime')
  parts.push(...options.set.map((setting) => `--set ${setting}`))
  parts.push(...options.endpoints.map((url) => `--endpoint ${url.replace(/:[^:@/]+@/, ':…@')}`))
  if (options.mutant !== undefined) parts.push(`--mutant ${options.mutant}`)
  return parts.join(' ')
}
