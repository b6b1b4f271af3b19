import type { Found } from '../check/verdict.ts'
import type { Op } from '../history/op.ts'
import { drawLanes } from './chart.ts'
import { drawLatency, drawRate } from './charts.ts'
import { html, type Markup, pageOf, raw } from './html.ts'
import { isGood, type Run } from './run.ts'
import {
  type Band,
  bandsOf,
  durationWords,
  latenciesOf,
  OUTCOMES,
  quantile,
  type Sample,
  samplesOf,
  secondsOf,
} from './samples.ts'

/** One run as one HTML page that needs nothing else: the verdict first. Pure. */
export function reportPage(run: Run): string {
  const samples = samplesOf(run.history)
  const bands = bandsOf(run.history)
  const seconds = secondsOf(run.history)
  const body = html`
    ${verdictOf(run, samples)}
    ${tilesOf(run, samples, seconds)}
    ${run.verdict.anomalies.length === 0 ? undefined : html`<h2>What was found</h2>${run.verdict.anomalies.map(anomaly)}`}
    ${allowed(run)}
    ${notesOf(run)}
    ${chartsOf(samples, bands, seconds)}
    ${errorsOf(run.history)}
    ${countsOf(run)}
    ${aboutOf(run)}`
  return pageOf(`${run.workload}: ${VERDICTS[String(isGood(run)) as keyof typeof VERDICTS].word}`, body)
}

export const VERDICTS = {
  true: { word: 'valid', style: 'good', mark: '✓' },
  false: { word: 'invalid', style: 'bad', mark: '✕' },
  unknown: { word: 'unknown', style: 'unsure', mark: '?' },
} as const

function verdictOf(run: Run, samples: readonly Sample[]): Markup {
  const { word, style, mark } = VERDICTS[String(isGood(run)) as keyof typeof VERDICTS]
  const faults =
    run.nemesis.length === 0 ? 'nothing broken meanwhile' : `meanwhile: ${run.nemesis.join(', ')}`
  return html`<div class="verdict ${style}"><div class="mark" aria-hidden="true">${mark}</div><div>
    <h1>${run.workload}: ${word}</h1>
    <p>${reasonOf(run)}</p>
    <p class="dim">${samples.length.toLocaleString('en')} operations at ${run.isolation.toUpperCase()}, ${faults}; ${run.started}</p>
  </div></div>`
}

/** Why the verdict is what it is, in one line. */
export function reasonOf({ verdict, liveness }: Pick<Run, 'verdict' | 'liveness'>): string {
  const kinds = [...new Set(verdict.anomalies.map(({ kind }) => kind))]
  const told = kinds.map((kind) =>
    (verdict.counts[kind] ?? 1) > 1 ? `${kind} (${verdict.counts[kind]})` : kind,
  )
  if (liveness?.ok === false) told.push(`not whole again: ${liveness.waitedFor ?? 'no reason known'}`)
  if (told.length > 0) return told.join(', ')
  return verdict.valid === true ? 'No anomaly that the level forbids.' : (verdict.notes[0] ?? 'Not judged.')
}

function tilesOf({ liveness }: Run, samples: readonly Sample[], seconds: number): Markup {
  const latencies = latenciesOf(samples)
  const tiles: [string, string][] = OUTCOMES.map((outcome) => [
    samples.filter((sample) => sample.outcome === outcome).length.toLocaleString('en'),
    { ok: 'ok', fail: 'failed', info: 'unknown' }[outcome],
  ])
  tiles.push([durationWords(quantile(latencies, 0.5)), 'median latency'])
  tiles.push([durationWords(quantile(latencies, 0.99)), '99th percentile'])
  tiles.push([durationWords(seconds * 1000), 'duration'])
  if (liveness !== undefined) {
    tiles.push([liveness.ok ? durationWords(liveness.seconds * 1000) : 'never', 'whole again after'])
  }
  return html`<div class="tiles">${tiles.map(([value, name]) => html`<div class="tile"><b>${value}</b><span>${name}</span></div>`)}</div>`
}

function anomaly({ kind, text, svg, ops }: Found): Markup {
  const picture = svg === undefined ? undefined : html`<div class="picture">${raw(svg)}</div>`
  return html`<section class="anomaly"><h3>${kind} <span class="dim">ops ${ops.join(', ')}</span></h3>
    <div class="parts">${picture}<pre>${text}</pre></div></section>`
}

function allowed({ verdict, isolation }: Run): Markup | undefined {
  if (verdict.allowed.length === 0) return undefined
  const kinds = [...new Set(verdict.allowed.map(({ kind }) => kind))].join(', ')
  return html`<details><summary>Seen, and allowed at ${isolation.toUpperCase()}: ${kinds}</summary>${verdict.allowed.map(anomaly)}</details>`
}

function notesOf({ notes, verdict }: Run): Markup | undefined {
  const all = [...notes, ...verdict.notes]
  if (all.length === 0) return undefined
  return html`<h2>Notes</h2><ul>${all.map((note) => html`<li>${note}</li>`)}</ul>`
}

function chartsOf(samples: readonly Sample[], bands: readonly Band[], seconds: number): Markup | undefined {
  if (samples.length === 0) return undefined
  const legend = OUTCOMES.map(
    (outcome) =>
      html`<span><i style="background:var(--${outcome})"></i>${{ ok: 'ok', fail: 'failed', info: 'unknown' }[outcome]}</span>`,
  )
  return html`<h2>Latency</h2>
    <div class="legend">${legend}<span>— median</span><span>- - 99th percentile</span></div>
    ${raw(drawLatency(samples, bands, seconds))}
    <h2>Operations per second</h2>
    ${raw(drawRate(samples, bands, seconds))}
    ${bands.length === 0 ? undefined : html`<h2>What was broken</h2>${raw(drawLanes(bands, seconds))}`}`
}

function errorsOf(history: readonly Op[]): Markup | undefined {
  const errors = new Map<string, { count: number; fail: number; example: string }>()
  for (const { type, error } of history) {
    if (error === undefined) continue
    const entry = errors.get(error.sqlstate ?? '') ?? { count: 0, fail: 0, example: error.message }
    errors.set(error.sqlstate ?? '', {
      ...entry,
      count: entry.count + 1,
      fail: entry.fail + (type === 'fail' ? 1 : 0),
    })
  }
  if (errors.size === 0) return undefined
  const rows = [...errors]
    .sort(([, one], [, other]) => other.count - one.count)
    .map(
      ([
        sqlstate,
        { count, fail, example },
      ]) => html`<tr><td><code>${sqlstate === '' ? 'none' : sqlstate}</code></td>
        <td class="number">${fail}</td><td class="number">${count - fail}</td><td>${example}</td></tr>`,
    )
  return html`<h2>Errors</h2><div class="scroll"><table>
    <tr><th>SQLSTATE</th><th class="number">failed</th><th class="number">unknown</th><th>for example</th></tr>${rows}</table></div>`
}

function countsOf({ verdict }: Run): Markup | undefined {
  const counts = Object.entries(verdict.counts)
  if (counts.length === 0) return undefined
  const rows = counts.map(
    ([what, count]) => html`<tr><td>${what}</td><td class="number">${count.toLocaleString('en')}</td></tr>`,
  )
  return html`<h2>What the checker counted</h2><table style="width:auto">${rows}</table>`
}

function aboutOf({ command, seed, versions }: Run): Markup {
  const rows = Object.entries(versions).map(
    ([name, version]) => html`<tr><td>${name}</td><td>${version}</td></tr>`,
  )
  return html`<h2>The same again</h2><pre>${command}</pre>
    <table style="width:auto"><tr><td>seed</td><td>${seed}</td></tr>${rows}</table>`
}
