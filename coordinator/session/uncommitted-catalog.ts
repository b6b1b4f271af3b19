import type { Catalog } from '../../sql/catalog.ts'
import { loadCatalog, rowsOfEach } from '../catalog/load.ts'
import { type ExecContext, HOME } from '../execute/context.ts'
import { needsNoMap } from '../execute/map-change.ts'
import { SessionRunner } from '../execute/session-runner.ts'

/** The catalog with the running transaction's changes, read through it; a savepoint takes back what reading sets. */
export function loadUncommitted(session: ExecContext): Promise<Catalog> {
  needsNoMap(session)
  const runner = new SessionRunner(session)
  const run = async (sql: string) => {
    if (sql.startsWith('BEGIN')) return runner.query(HOME, 'SAVEPOINT weft_catalog')
    if (sql !== 'COMMIT' && sql !== 'ROLLBACK') return runner.query(HOME, sql)
    await runner.query(HOME, 'ROLLBACK TO SAVEPOINT weft_catalog')
    return runner.query(HOME, 'RELEASE SAVEPOINT weft_catalog')
  }
  return loadCatalog((statements) => rowsOfEach(statements, run), session.node.shardCount)
}
