import { Query } from '../wire/query.ts'

/** Nobody reads its rows. */
const noTypes = { getTypeParser: () => (text: string) => text }

/** A statement of this library's own, with texts for rows. */
export const command = (text: string): Query<Record<string, string | null>> =>
  new Query({ text, values: [] }, noTypes)
