/** How long single transactions took, from pgbench's log of them. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Quantiles } from './steps.ts'

/**
 * A line of the log: the third number is the time in microseconds, from when the transaction was due; the fifth the second
 * in which it ended; the seventh, with a rate, how late it began. `warmupSeconds`: those that ended so soon do not count.
 */
export function latenciesMs(log: string, warmupSeconds = 0): number[] {
  const lines = log
    .split('\n')
    .map((line) => line.split(' ').map(Number))
    .filter((numbers) => numbers.length >= 6)
  const from = lines.reduce((first, numbers) => Math.min(first, numbers[4]!), Number.POSITIVE_INFINITY)
  return lines
    .filter((numbers) => numbers[4]! >= from + warmupSeconds)
    .map((numbers) => (numbers[2]! - (numbers[6] ?? 0)) / 1000)
}

/** Those of all threads; the files are gone then. */
export function takeLatencies(logPrefix: string, warmupSeconds = 0): number[] {
  const dir = dirname(logPrefix)
  const files = readdirSync(dir).filter((file) => file.startsWith(`${basename(logPrefix)}.`))
  const logs = files.map((file) => readFileSync(join(dir, file), 'utf8'))
  for (const file of files) rmSync(join(dir, file))
  return logs.flatMap((log) => latenciesMs(log, warmupSeconds))
}

export function exactQuantiles(values: readonly number[]): Quantiles | undefined {
  if (values.length === 0) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) }
}
