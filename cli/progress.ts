import type { Progress } from '../admin/api/schemas.ts'

const WIDTH = 30

/** A bar, as far as anybody knows: the number of rows is that of the last ANALYZE. */
export function progressLine({ rows_moved: moved, rows }: Progress, tookMs: number): string {
  const seconds = `${Math.round(tookMs / 1000)} s`
  if (moved === null) return `${seconds}, no rows on their way`
  const count = `${moved.toLocaleString('en')} rows`
  if (rows === null || rows < moved) return `${seconds}, ${count} moved`
  const done = Math.floor((moved / rows) * WIDTH)
  const percent = Math.floor((moved / rows) * 100)
  return `[${'#'.repeat(done)}${'.'.repeat(WIDTH - done)}] ${percent} %, ${count} moved, ${seconds}`
}
