import { escapeXml } from '../check/graph/draw.ts'

/** Text that is markup already. */
export interface Markup {
  readonly markup: string
}

type Part = string | number | Markup | undefined | readonly (string | number | Markup | undefined)[]

/** Markup with values put in: text is escaped, markup is not, arrays are joined. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  const markup = strings.reduce((all, text, i) => all + markupOf(parts[i - 1]) + text)
  return { markup }
}

function markupOf(part: Part): string {
  if (part === undefined) return ''
  if (typeof part === 'string' || typeof part === 'number') return escapeXml(String(part))
  if ('markup' in part) return part.markup
  return part.map(markupOf).join('')
}

/** SVG that was made elsewhere. */
export function raw(markup: string): Markup {
  return { markup }
}

/** A whole page that needs nothing else. */
export function pageOf(title: string, body: Markup): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`.markup
}

const STYLE = `
:root {
  --text: #101828; --dim: #5d6b82; --back: #ffffff; --panel: #f6f7f9; --line: #d6dbe3; --grid: #e8ebf0;
  --good: #177245; --good-back: #e6f4ec; --bad: #b42318; --bad-back: #fdecea; --unsure: #93590b; --unsure-back: #fdf3dc;
  --ok: #2f7ed8; --fail: #e08a00; --info: #d2266b; --band: #7a5af8;
  --ww: #b42318; --wr: #177245; --rw: #1f5fbf; --order: #7a5af8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6e9ef; --dim: #98a3b5; --back: #14171c; --panel: #1d2128; --line: #343b46; --grid: #272d36;
    --good: #5fd39a; --good-back: #16301f; --bad: #ff8a80; --bad-back: #3a1a18; --unsure: #f2c15c; --unsure-back: #352a12;
    --ok: #6aa9f0; --fail: #f0ad4e; --info: #ff77ab; --band: #a48bff;
    --ww: #ff8a80; --wr: #5fd39a; --rw: #7db2ff; --order: #a48bff;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 28px 24px 64px }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em }
h2 { font-size: 18px; margin: 40px 0 10px }
h3 { font-size: 15px; margin: 22px 0 8px }
p { margin: 6px 0 }
.dim { color: var(--dim) }
.verdict { display: flex; gap: 20px; align-items: center; padding: 18px 22px; border-radius: 10px; margin-bottom: 18px }
.verdict .mark { font-size: 34px; line-height: 1; font-weight: 700 }
.good { background: var(--good-back); color: var(--good) }
.bad { background: var(--bad-back); color: var(--bad) }
.unsure { background: var(--unsure-back); color: var(--unsure) }
.verdict p { color: var(--text) }
.chip { display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: 13px; font-weight: 600; white-space: nowrap }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; margin: 18px 0 }
.tile { background: var(--panel); border-radius: 8px; padding: 10px 14px }
.tile b { display: block; font-size: 21px; font-weight: 600; font-variant-numeric: tabular-nums }
.tile span { color: var(--dim); font-size: 13px }
pre, code { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace }
pre { background: var(--panel); border-radius: 8px; padding: 12px 14px; margin: 8px 0; white-space: pre-wrap; overflow-wrap: anywhere }
.anomaly { border: 1px solid var(--line); border-radius: 10px; padding: 4px 18px 14px; margin: 12px 0 }
.anomaly .parts { display: flex; flex-wrap: wrap; gap: 18px; align-items: flex-start }
.anomaly .picture { overflow-x: auto; max-width: 100% }
.anomaly pre { flex: 1 1 420px; min-width: 0; margin: 0 }
svg.cycle { max-width: none; display: block }
svg.chart { width: 100%; height: auto; display: block }
svg.chart text { fill: var(--dim); font: 12px system-ui, sans-serif }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-weight: 500; font-size: 13px }
td.number, th.number { text-align: right }
.scroll { overflow-x: auto }
td a { white-space: nowrap }
.legend { display: flex; flex-wrap: wrap; gap: 16px; font-size: 13px; color: var(--dim); margin: 4px 0 }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 6px }
details { margin: 12px 0 }
summary { cursor: pointer; color: var(--dim) }
a { color: var(--ok) }
`
