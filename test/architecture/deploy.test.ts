import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

/** As docs/operations.md lists them, which embedded/node-metrics.test.ts holds to the code: name, labels, kind. */
const known = new Map(
  [
    ...readFileSync('docs/operations.md', 'utf8').matchAll(
      /^\| `(weft_[a-z_]+)(?:\{([a-z, ]+)\})?` \| (counter|gauge|histogram)/gm,
    ),
  ].map(
    ([, name, labels = '', kind]) =>
      [name!, { labels: labels === '' ? [] : labels.split(', '), kind: kind! }] as const,
  ),
)

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly todo: string }
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

const { groups } = parse(readFileSync('deploy/prometheus-rules.yml', 'utf8')) as {
  groups: readonly { readonly name: string; readonly rules: readonly Alert[] }[]
}
const alerts = groups.flatMap(({ rules }) => rules)
const { panels } = JSON.parse(readFileSync('deploy/grafana-dashboard.json', 'utf8')) as { panels: Panel[] }
const targets = panels.flatMap(({ targets: own = [] }) => own)
const expressions = [...alerts.map(({ expr }) => expr), ...targets.map(({ expr }) => expr)]

/** The metric as it is told, of a name in an expression. */
const metricOf = (name: string): string => (known.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''))

test('deploy: metrics that alerts and panels name are there, as what they are', () => {
  for (const expr of expressions) {
    for (const [, name, labels = ''] of expr.matchAll(/\b(weft_[a-z_]+)(?:\{([^}]*)\})?/g)) {
      const found = known.get(metricOf(name!))
      expect(found, name).toBeDefined()
      expect(found!.kind === 'histogram', expr).toBe(/_(bucket|sum|count)$/.test(name!))
      if (found!.kind !== 'gauge') expect(expr, name).toMatch(new RegExp(`(rate|increase)\\(${name}`))
      for (const [, label] of labels.matchAll(/(\w+)=/g)) expect(found!.labels, expr).toContain(label)
    }
  }
})

test('deploy: labels that are summed by, or shown, are those of the metric', () => {
  const shown = [
    ...targets.map(({ expr, legendFormat }) => [expr, legendFormat] as const),
    ...alerts.map(({ expr, annotations }) => [expr, Object.values(annotations).join(' ')] as const),
  ]
  for (const [expr, text] of shown) {
    const name = /\b(weft_[a-z_]+)/.exec(expr)![1]!
    const own = [...known.get(metricOf(name))!.labels, 'le', 'instance']
    const used = [
      ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', ')),
      ...[...text.matchAll(/\{\{ ?(?:\$labels\.)?(\w+) ?\}\}/g)].map(([, label]) => label!),
    ]
    for (const label of used) expect(own, `${expr} ${text}`).toContain(label)
  }
})

test('deploy: parentheses of expressions match; each metric is in a panel', () => {
  for (const expr of expressions) {
    expect(expr.split('(').length, expr).toBe(expr.split(')').length)
    expect(expr.split('{').length, expr).toBe(expr.split('}').length)
  }
  const panelled = targets.flatMap(({ expr }) =>
    [...expr.matchAll(/\b(weft_[a-z_]+)/g)].map(([, n]) => metricOf(n!)),
  )
  const left = ['weft_plan_cache_evictions_total', 'weft_plan_cache_plans', 'weft_memory_refusals_total']
  expect([...known.keys()].filter((name) => !panelled.includes(name)).sort()).toEqual(left.sort())
})

test('deploy: alerts have a severity, and say what to do; panels do not overlap', () => {
  expect(alerts.length).toBeGreaterThan(5)
  for (const { alert, labels, annotations } of alerts) {
    expect(['critical', 'warning', 'info'], alert).toContain(labels.severity)
    expect(annotations.summary.length * annotations.todo.length, alert).toBeGreaterThan(0)
  }
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
  )
  expect(new Set(cells).size).toBe(cells.length)
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
})
