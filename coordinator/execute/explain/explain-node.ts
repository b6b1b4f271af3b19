/** What EXPLAIN says of what Weft does, with what Postgres says of its part below. */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
type Properties = Readonly<Record<string, Json>>

/** A step of Weft's. */
export interface WeftNode {
  readonly type: string
  /** Its line in a text, and those right below it. */
  readonly title: string
  readonly notes: readonly string[]
  readonly properties: Properties
  readonly below: readonly (WeftNode | ServerPlan)[]
}

/** What a Postgres answers to EXPLAIN of a text: lines, or one document of JSON. */
export interface ServerPlan {
  readonly title: string
  readonly properties: Properties
  readonly rows: readonly string[]
}

export const FORMATS = ['text', 'json', 'yaml', 'xml'] as const
export type Format = (typeof FORMATS)[number]
export const isFormat = (text: string): text is Format => (FORMATS as readonly string[]).includes(text)

/** The rows of the answer. */
export function printedPlan(node: WeftNode, format: Format, totals: Properties): string[] {
  if (format === 'text') {
    const last = Object.entries(totals).map(([name, value]) => `${name}: ${String(value)} ms`)
    return [...asText(node), ...last]
  }
  const document = [{ Plan: planOf(node), ...totals }]
  if (format === 'json') return [JSON.stringify(document, null, 2)]
  return [format === 'yaml' ? yamlOf(document, '').join('\n') : xmlDocument(document)]
}

function asText({ title, notes, below }: WeftNode): string[] {
  return [title, ...notes.map((note) => `  ${note}`), ...below.flatMap(branch)]
}

function branch(item: WeftNode | ServerPlan): string[] {
  const [head, ...lines] = 'rows' in item ? [item.title, ...item.rows.map((row) => `  ${row}`)] : asText(item)
  return [`  ->  ${head}`, ...lines.map((line) => `      ${line}`)]
}

function planOf(item: WeftNode | ServerPlan): Properties {
  if ('rows' in item) return serverPlan(item)
  return { 'Node Type': item.type, ...item.properties, Plans: item.below.map(planOf) }
}

function serverPlan({ properties, rows }: ServerPlan): Properties {
  const said = rows.length === 0 ? [] : (JSON.parse(rows.join('\n')) as readonly Json[])
  const [first = {}] = said
  const { Plan, ...others } = (typeof first === 'object' ? first : {}) as Properties
  return {
    'Node Type': 'Weft Shard',
    ...properties,
    ...others,
    ...(Plan === undefined ? {} : { Plans: [Plan] }),
  }
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value)
const isScalar = (value: Json): value is string | number | boolean | null =>
  value === null || typeof value !== 'object'

/** As Postgres writes it: strings in quotes, what is nested in lines of its own. */
function yamlOf(value: Json, indent: string): string[] {
  if (isScalar(value)) return [`${indent}${JSON.stringify(value)}`]
  if (isList(value)) return value.flatMap((item) => yamlItem(item, indent))
  return Object.entries(value).flatMap(([key, item]) =>
    isScalar(item)
      ? [`${indent}${key}: ${JSON.stringify(item)}`]
      : [`${indent}${key}: `, ...yamlOf(item, `${indent}  `)],
  )
}

function yamlItem(item: Json, indent: string): string[] {
  const [first = '', ...rest] = yamlOf(item, `${indent}  `)
  return [`${indent}- ${first.trimStart()}`, ...rest]
}

const xmlDocument = (document: readonly Json[]): string =>
  [
    '<explain xmlns="http://www.postgresql.org/2009/explain">',
    ...document.flatMap((query) => xmlOf('Query', query, '  ')),
    '</explain>',
  ].join('\n')

function xmlOf(name: string, value: Json, indent: string): string[] {
  const tag = name.replace(/[^\w.-]/g, '-')
  if (isScalar(value)) return [`${indent}<${tag}>${escaped(String(value))}</${tag}>`]
  const inner = isList(value)
    ? value.flatMap((item) => xmlOf(ITEMS[name] ?? 'Item', item, `${indent}  `))
    : Object.entries(value).flatMap(([key, item]) => xmlOf(key, item, `${indent}  `))
  return [`${indent}<${tag}>`, ...inner, `${indent}</${tag}>`]
}

const ITEMS: Readonly<Record<string, string>> = { Plans: 'Plan', Triggers: 'Trigger', Workers: 'Worker' }

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
