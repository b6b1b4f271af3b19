import { loadModule } from 'libpg-query'
import pg from 'pg'
import { SetupError } from '../errors/setup-error.ts'
import { advise } from './advise.ts'
import { type AdviceReport, reportOf } from './report.ts'
import { type Ask, readSchema } from './schema.ts'
import { workloadOfDatabase, workloadOfFile } from './workload.ts'

/**
 * Reads the schema of a plain Postgres and its workload: of `statements`, a text of statements or a log, or else of
 * `pg_stat_statements`. Changes nothing there.
 */
export async function adviseDatabase(url: string, statements?: string): Promise<AdviceReport> {
  await loadModule()
  const client = new pg.Client({ connectionString: url, application_name: 'weft advise' })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const ask: Ask = async (text) => {
      const { rows } = await client.query({ text, rowMode: 'array', types: TEXTS })
      return rows as (string | null)[][]
    }
    const schema = await readSchema(ask)
    const workload = statements === undefined ? await workloadOfDatabase(ask) : workloadOfFile(statements)
    if (workload.statements.length === 0)
      throw new SetupError(
        'there are no statements to judge by',
        'Let the application run first, or give --statements.',
      )
    return reportOf(schema, workload, advise(schema, workload))
  } catch (cause) {
    if (cause instanceof SetupError) throw cause
    const { message, code } = cause as Error & { readonly code?: string }
    throw new SetupError(
      `${withoutPassword(url)}: ${message || code}`,
      'Give --from postgres://user@host:port/database.',
      { cause },
    )
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** As Postgres sends them. */
const TEXTS = { getTypeParser: () => (text: string) => text } as pg.CustomTypesConfig

function withoutPassword(text: string): string {
  try {
    const url = new URL(text)
    url.password = ''
    return url.href
  } catch {
    return 'the database'
  }
}
