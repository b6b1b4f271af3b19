export const TIME_TYPE = 'pg_catalog.timestamptz'

/** As a `timestamptz` is written, whatever the session's settings. */
export function timeText(us: number): string {
  const ms = Math.floor(us / 1000)
  const rest = String(us - ms * 1000).padStart(3, '0')
  return `${new Date(ms).toISOString().slice(0, -1)}${rest}+00`
}

export const timeSql = (us: number): string => `'${timeText(us)}'::${TIME_TYPE}`
