import type { Catalog } from '../../sql/catalog.ts'
import { loadCatalog, rowsOfEach } from '../catalog/load.ts'
import { type ExecContext, HOME } from '../execute/context.ts'
import { SessionRunner } from '../execute/shards/session-runner.ts'
import { needsNoMap } from '../execute/transaction/map-change.ts'

/** Definitions are printed, and read here, as under the default. */
async function begin(runner: SessionRunner, session: ExecContext) {
  const begun = await runner.query(HOME, 'SAVEPOINT weft_catalog')
  if (session.currentSettings().escapes === true)
    await runner.query(HOME, 'SET LOCAL standard_conforming_strings = on')
  return begun
}

/** The catalog with the running transaction's changes, read through it; a savepoint takes back what reading sets. */
export function loadUncommitted(session: ExecContext): Promise<Catalog> {
  needsNoMap(session)
  const runner = new SessionRunner(session)
  const run = async (sql: string) => {
    if (sql.startsWith('BEGIN')) return begin(runner, session)
    if (sql !== 'COMMIT' && sql !== 'ROLLBACK') return runner.query(HOME, sql)
    await runner.query(HOME, 'ROLLBACK TO SAVEPOINT weft_catalog')
    return runner.query(HOME, 'RELEASE SAVEPOINT weft_catalog')
  }
  return loadCatalog((statements) => rowsOfEach(statements, run), session.node.shardCount)
}
