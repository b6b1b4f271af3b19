export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, undefined, 2))
}

type Rows = readonly Readonly<Record<string, unknown>>[]

/** Lines with a heading; of nested values nothing is shown: they are for --json. */
export function table(rows: Rows, columns: readonly string[] = columnsOf(rows)): string {
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines
    .map((line) => `  ${line.map((text, i) => text.padEnd(widths[i]!)).join('  ')}`.trimEnd())
    .join('\n')
}

function columnsOf(rows: Rows): string[] {
  const flat = (value: unknown): boolean => typeof value !== 'object' || value === null
  return [...new Set(rows.flatMap((row) => Object.keys(row).filter((name) => flat(row[name]))))]
}

/** Names and values, one a line. */
export function fields(value: Readonly<Record<string, unknown>>): string {
  return Object.entries(value)
    .map(([name, one]) => `${name.padEnd(24)}${cell(one)}`)
    .join('\n')
}

const CELL_MAX = 70

export function cell(value: unknown): string {
  if (value === undefined || value === null || value === '') return '-'
  // Texts of clients: no control character reaches the terminal.
  const text = (typeof value === 'object' ? JSON.stringify(value) : String(value)).replaceAll(
    /[\p{Cc}\s]+/gu,
    ' ',
  )
  return text.length > CELL_MAX ? `${text.slice(0, CELL_MAX - 1)}…` : text
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

export function bytes(value: number | null): string {
  if (value === null) return '-'
  let [amount, unit] = [value, 0]
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024
    unit++
  }
  return `${amount >= 10 || unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[unit]}`
}
