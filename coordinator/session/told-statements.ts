import type { Plan } from '../../sql/plan/plan.ts'
import type { PlanScope } from '../execute/plans/planner.ts'
import type { Prepared } from './prepared.ts'

const STATEMENTS_MAX = 100
const BYTES_MAX = 4096
const OF_ROWS: ReadonlySet<string> = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * What Postgres has said of the statements of a pipeline. Clients parse the same text again and again in one; as long as
 * nothing but reads and writes without code of users has run in between, the answer is the same, and need not be asked for.
 */
export class ToldStatements {
  private readonly byText = new Map<string, Prepared>()

  clear(): void {
    this.byText.clear()
  }

  /** Describes the statement, if one like it was told under the same scope. */
  describe(statement: Prepared, scope: PlanScope, epoch: number): void {
    const like = this.byText.get(keyOf(statement))
    if (like?.described === undefined || like.isOutdated(scope, epoch)) return
    statement.describe(like.described, epoch)
  }

  keep(statement: Prepared): void {
    if (statement.sql.length > BYTES_MAX || this.byText.size >= STATEMENTS_MAX) return
    this.byText.set(keyOf(statement), statement)
  }

  /** A statement is about to run, which may change what others return. */
  runs({ kind, tag, access, effects, reach }: Plan): void {
    const isOfRows = (kind === 'forward' || kind === 'insert') && OF_ROWS.has(tag)
    // A SELECT writes by functions; what triggers may do is looked at.
    const runsCode = reach !== undefined || (tag === 'SELECT' && access === 'write')
    if (!isOfRows || runsCode || effects.leaves !== 0 || effects.taintsBackend) this.byText.clear()
  }
}

const keyOf = ({ text, declaredTypes }: Prepared): string => `${declaredTypes.join()} ${text}`
