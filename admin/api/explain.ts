import { AdminError } from '../admin-error.ts'
import type { Actor } from '../auth.ts'
import type { ClusterAccess, ExplainedStatement } from '../cluster-access.ts'
import type { ExplainedFile } from './schemas.ts'

interface FileText {
  readonly text: string
  readonly search_path: readonly string[]
}

/** Planning takes the time of those who run statements. */
const VIEWER_CHARS_MAX = 1 << 20

/** `signal`: nobody waits for it any more. */
export async function explainFile(
  cluster: ClusterAccess,
  file: FileText,
  { role }: Pick<Actor, 'role'>,
  signal: AbortSignal,
): Promise<ExplainedFile> {
  if (role !== 'admin' && file.text.length > VIEWER_CHARS_MAX)
    throw new AdminError(413, 'the file is larger than 1 MB', 'Ask in parts, or with the role admin.')
  const statements = await cluster.explain(file.text, file.search_path, signal)
  const told = statements.map(({ steps, ...one }) => ({ ...one, ...(steps && { steps: [...steps] }) }))
  return { statements: told, totals: totalsOf(statements) }
}

function totalsOf(statements: readonly ExplainedStatement[]): ExplainedFile['totals'] {
  const totals = { local: 0, one: 0, some: 0, all: 0, moves: 0, refused: 0 }
  for (const { reach } of statements) totals[reach]++
  return totals
}
