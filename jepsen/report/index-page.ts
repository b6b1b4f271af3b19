import { html, type Markup, pageOf } from './html.ts'
import { reasonOf, VERDICTS } from './page.ts'
import { type Entry, isGood } from './run.ts'

/** Several runs as one page: what was not valid first. Pure. */
export function indexPage(entries: readonly Entry[], title: string): string {
  const order = { false: 0, unknown: 1, true: 2 }
  const sorted = entries.toSorted(
    (one, other) => order[String(isGood(one.run)) as 'true'] - order[String(isGood(other.run)) as 'true'],
  )
  const bad = entries.filter(({ run }) => isGood(run) === false).length
  const unsure = entries.filter(({ run }) => isGood(run) === 'unknown').length
  const { style, mark } =
    VERDICTS[bad > 0 ? 'false' : unsure > 0 || entries.length === 0 ? 'unknown' : 'true']
  const operations = entries.reduce((sum, entry) => sum + entry.operations, 0)
  const counts = [
    `${entries.length} runs`,
    `${bad} invalid`,
    `${unsure} unknown`,
    `${operations.toLocaleString('en')} operations`,
  ]
  return pageOf(
    title,
    html`<div class="verdict ${style}"><div class="mark" aria-hidden="true">${mark}</div><div>
      <h1>${title}</h1><p>${counts.join(', ')}</p></div></div>
      <div class="scroll"><table>
      <tr><th>verdict</th><th>workload</th><th>level</th><th>broken</th><th class="number">operations</th>
      <th class="number">seconds</th><th class="number">seed</th><th>why</th></tr>
      ${sorted.map(row)}</table></div>`,
  )
}

function row({ run, operations, seconds, href }: Entry): Markup {
  const good = isGood(run)
  const { word, style } = VERDICTS[String(good) as keyof typeof VERDICTS]
  return html`<tr><td><span class="chip ${style}">${word}</span></td><td><a href="${href}">${run.workload}</a></td>
    <td>${run.isolation}</td><td>${run.nemesis.length === 0 ? '–' : run.nemesis.join(', ')}</td>
    <td class="number">${operations.toLocaleString('en')}</td><td class="number">${Math.round(seconds)}</td>
    <td class="number">${run.seed}</td><td>${good === true ? '' : reasonOf(run)}</td></tr>`
}
