import { PgError } from '../../../errors/pg-error.ts'

/** Copies of a reference table must have answered alike (invariant I5): rows affected, by shard. */
export function agreedCount(counts: readonly (number | null)[]): number | null {
  const [home = null] = counts
  if (counts.every((count) => count === home)) return home
  throw new PgError({
    code: 'XX001',
    message: 'the copies of a reference table differ',
    detail: `rows affected per shard: ${counts.join(', ')}`,
    hint: 'The transaction was rolled back. Compare the copies with the one on the home shard (0).',
  })
}
