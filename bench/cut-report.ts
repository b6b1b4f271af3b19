import type { CutLoadResult } from './cut-load.ts'
import { align } from './report.ts'
import type { Quantiles } from './steps.ts'

/** One table: transfers with reads over all shards beside them. */
export function formatCutLoads(label: string, results: readonly CutLoadResult[]): string {
  const rows = results.map((result) => {
    const { perSecond, ratio, heldShare, heldMs, cutMs, readMs, cuts } = result
    return [
      nameOf(result),
      perSecond.median.toFixed(0),
      ratio.median.toFixed(2),
      `${ratio.low.toFixed(2)}..${ratio.high.toFixed(2)}`,
      `${(100 * heldShare).toFixed(1)}%`,
      ...both(heldMs),
      ...both(cutMs),
      ...both(readMs),
      String(cuts.failed),
    ]
  })
  const head = ['reads/s', 'transfers/s', 'ratio', 'low..high', 'held', 'p50 ms', 'p99', 'cut p50 ms', 'p99']
  return [
    `Reads over all shards beside ${label}: rate, commits held and for how long, reads' wait for their cut, reads`,
    ...align([[...head, 'read p50 ms', 'p99', 'cuts failed'], ...rows]),
  ].join('\n')
}

function nameOf({ readsPerSecond, consistent }: CutLoadResult): string {
  return `${readsPerSecond}${consistent ? '' : ', consistent_reads off'}`
}

function both(quantiles: Quantiles | undefined): string[] {
  return quantiles === undefined ? ['-', '-'] : [quantiles.p50.toFixed(1), quantiles.p99.toFixed(1)]
}
