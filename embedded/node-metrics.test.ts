import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Metrics } from '../admin/metrics.ts'
import { coordinatorBus } from '../coordinator/events/events.ts'
import type { Coordinator } from '../coordinator/main.ts'
import { StatementStats } from '../coordinator/statistics/statement-stats.ts'
import { agentBus } from '../shard-agent/events.ts'
import type { Agent } from '../shard-agent/main.ts'
import { agentMetrics, coordinatorGauges, logMetrics, shardGauges } from './node-metrics.ts'

/** All that nodes tell, of which nothing is read. */
function everyMetric(): Metrics {
  const metrics = new Metrics()
  coordinatorGauges(metrics, {
    statistics: new StatementStats(),
    events: coordinatorBus(),
  } as unknown as Coordinator)
  shardGauges(metrics, [])
  agentMetrics(metrics, { shard: 0, events: agentBus() } as unknown as Agent)
  logMetrics(metrics, { why: undefined })
  return metrics
}

const documented = (): Map<string, string> => {
  const text = readFileSync('docs/operations.md', 'utf8')
  const rows = [
    ...text.matchAll(/^\| `(weft_[a-z_]+)(?:\{[a-z, ]+\})?` \| (counter|gauge|histogram), ([^|]+) \|/gm),
  ]
  return new Map(rows.map(([, name, kind, unit]) => [name!, `${kind} ${unit!.trim()}`]))
}

test('metrics: docs/operations.md has each of them, with its kind, and no other', () => {
  const told = [...documented()].map(([name, what]) => [name, what.split(' ')[0]])
  expect(told.sort()).toEqual([...everyMetric().names].sort())
})

test('metrics: units are said by the name, and are those of the documentation', () => {
  for (const [name, what] of documented()) {
    const unit = /_(seconds|bytes)$/.exec(name)?.[1]
    if (unit !== undefined) expect(what, name).toMatch(new RegExp(` ${unit}$`))
    expect(name.endsWith('_total'), name).toBe(what.startsWith('counter'))
  }
})
