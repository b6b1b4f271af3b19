import type { ClusterAccess, ExplainedStatement } from '../cluster-access.ts'
import type { ExplainedFile } from './schemas.ts'

interface FileText {
  readonly text: string
  readonly search_path: readonly string[]
}

export async function explainFile(cluster: ClusterAccess, file: FileText): Promise<ExplainedFile> {
  const statements = await cluster.explain(file.text, file.search_path)
  const told = statements.map(({ steps, ...one }) => ({ ...one, ...(steps && { steps: [...steps] }) }))
  return { statements: told, totals: totalsOf(statements) }
}

function totalsOf(statements: readonly ExplainedStatement[]): ExplainedFile['totals'] {
  const totals = { local: 0, one: 0, some: 0, all: 0, moves: 0, refused: 0 }
  for (const { reach } of statements) totals[reach]++
  return totals
}
