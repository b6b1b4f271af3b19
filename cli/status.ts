import { Command } from 'commander'
import { SetupError } from '../errors/setup-error.ts'

interface StatusFlags {
  readonly admin: string
  readonly json?: boolean
}

export function statusCommand(): Command {
  return new Command('status')
    .description('ask a running node how it is')
    .option('--admin <url>', 'its admin address', 'http://127.0.0.1:6480')
    .option('--json', 'as JSON')
    .action(status)
}

async function status(flags: StatusFlags): Promise<void> {
  const answer = await ask(new URL('/api/status', flags.admin))
  if (flags.json === true) console.log(JSON.stringify(answer, undefined, 2))
  else print(answer)
}

async function ask(url: URL): Promise<Record<string, unknown>> {
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  } catch (cause) {
    const why = ((cause as Error).cause as Error | undefined)?.message ?? (cause as Error).message
    const hint = 'Is Weft running? Give its admin address with --admin http://host:port.'
    throw new SetupError(`no answer from ${url.origin}: ${why || 'connection failed'}`, hint, { cause })
  }
  if (!response.ok)
    throw new SetupError(`${url.href} answered ${response.status}`, 'Is this the admin port of a Weft node?')
  return (await response.json()) as Record<string, unknown>
}

/** Simple values as lines, lists of objects as tables. */
function print(answer: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(answer)) {
    if (Array.isArray(value)) console.log(`\n${name}\n${table(value as Record<string, unknown>[])}`)
    else console.log(`${name.padEnd(24)}${cell(value)}`)
  }
}

function table(rows: readonly Record<string, unknown>[]): string {
  // Nested values (a server's parameters) are for --json.
  const flat = (value: unknown): boolean => typeof value !== 'object' || value === null
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row).filter((name) => flat(row[name]))))]
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines
    .map((line) => `  ${line.map((text, i) => text.padEnd(widths[i]!)).join('  ')}`.trimEnd())
    .join('\n')
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '-'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
