import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'

export type { Logger } from 'pino'

export interface LoggerOptions {
  /** Default: info. */
  readonly level?: string
  /** Lines for people instead of JSON. */
  readonly pretty?: boolean
  /** Default: standard error, so that standard output stays for answers. */
  readonly write?: (line: string) => void
}

/** One JSON object a line; or, for people at a terminal, `10:21:07 warn  shard 1 is down  why=refused`. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line))
  const destination: DestinationStream = {
    write: options.pretty === true ? (line) => write(prettyLine(line)) : write,
  }
  return pino(
    { level: options.level ?? 'info', base: null, timestamp: stdTimeFunctions.isoTime, ...asText },
    destination,
  )
}

const asText = { formatters: { level: (label: string) => ({ level: label }) } }

const known = new Set(['level', 'time', 'msg', 'err'])

function prettyLine(json: string): string {
  const line = JSON.parse(json) as Record<string, unknown>
  const time = new Date(String(line.time)).toTimeString().slice(0, 8)
  const fields = Object.entries(line)
    .filter(([name]) => !known.has(name))
    .map(([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const error = line.err as { message?: string; stack?: string } | undefined
  const stack = line.level === 'error' || line.level === 'fatal' ? error?.stack : undefined
  const tail = error === undefined ? '' : stack === undefined ? `: ${error.message}` : `\n${stack}`
  return `${time} ${String(line.level).padEnd(5)} ${line.msg ?? ''}${fields.join('')}${tail}\n`
}
