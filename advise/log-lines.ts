import type { Asked } from './workload.ts'

/** What Postgres writes ahead of a statement, with `log_min_duration_statement` or `log_statement`. */
const LOGGED = /\bLOG:\s+(?:duration: ([\d.]+) ms\s+)?(?:statement|execute [^:]*): ([\s\S]*)$/
/** An entry begins with a prefix of its own, or is JSON; what goes on begins with a tab. */
const SEVERITY =
  /\b(?:LOG|ERROR|DETAIL|HINT|STATEMENT|CONTEXT|WARNING|FATAL|PANIC|NOTICE|INFO|DEBUG[1-5]?):\s/

/** The statements of a log (`stderr` or `jsonlog`); undefined: it is none. */
export function loggedStatements(text: string): Asked[] | undefined {
  const entries = text.trimStart().startsWith('{') ? jsonEntries(text) : lineEntries(text)
  const found = entries.flatMap((entry) => {
    const [, ms, statement] = LOGGED.exec(entry) ?? []
    return statement === undefined ? [] : [{ text: statement, calls: 1, ms: Number(ms ?? 0) }]
  })
  return found.length === 0 ? undefined : found
}

function lineEntries(text: string): string[] {
  const entries: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('\t') && entries.length > 0) entries[entries.length - 1] += `\n${line.slice(1)}`
    else if (SEVERITY.test(line)) entries.push(line)
  }
  return entries
}

function jsonEntries(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    try {
      const { error_severity: severity, message } = JSON.parse(line) as Record<string, unknown>
      return typeof message === 'string' ? [`${String(severity)}:  ${message}`] : []
    } catch {
      return []
    }
  })
}
