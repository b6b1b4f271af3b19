/** Setting that bounds what a query may gather from the shards; and the most that it can allow. */
export const MAX_GATHERED = 'weft.max_gathered'
export const GATHERED_BYTES_MAX = 256 << 20

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1 << 10, MB: 1 << 20, GB: 1 << 30 }

/** Bytes that a value of it allows (`64MB`; without a unit bytes); undefined: not a size, or more than there may be. */
export function gatheredSize(value: string): number | undefined {
  const [, number, unit] = /^\s*(\d+)\s*(B|kB|MB|GB)?\s*$/.exec(value) ?? []
  if (number === undefined) return undefined
  const bytes = Number(number) * UNITS[unit ?? 'B']!
  return bytes <= GATHERED_BYTES_MAX ? bytes : undefined
}
