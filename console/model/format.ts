/** Numbers as people read them, each with its unit. */

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** 12 345; fractions below ten. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const rounded = Number(value.toFixed(value < 1 ? 2 : 1))
  if (Math.abs(value) < 10 && !Number.isInteger(rounded)) return rounded.toFixed(value < 1 ? 2 : 1)
  return grouped.format(value).replaceAll(',', '\u202f')
}

export const perSecond = (value: number): string => `${count(value)} /s`

/** From milliseconds. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '–'
  if (ms === 0) return '0 ms'
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

export function bytes(value: number): string {
  let unit = 0
  let left = value
  while (left >= 1_000 && unit < UNITS.length - 1) {
    left /= 1_000
    unit++
  }
  return `${unit === 0 ? left : left.toFixed(left < 10 ? 1 : 0)} ${UNITS[unit]}`
}

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
