import { PgError } from '../../errors/pg-error.ts'
import type { StatementRef } from '../../protocol/agent-link.ts'
import type { BindMessage } from '../../protocol/wire/frontend-messages.ts'
import type { Lexed } from '../../sql/lex/lexed.ts'
import { lexedOf } from '../../sql/lex/scan.ts'
import type { Plan, PreparedPlan } from '../../sql/plan/plan.ts'
import type { OpenPortal } from '../execute/answers/open-portal.ts'
import type { Planner, PlanScope } from '../execute/plans/planner.ts'
import { conformingText, type ReadText } from './written-strings.ts'

/** What Postgres says of a prepared statement: its parameters and its rows. */
export interface Described {
  readonly paramTypes: readonly number[]
  /** The RowDescription message with text formats; undefined: it returns no rows. */
  readonly rowDescription: Buffer | undefined
}

/** A prepared statement of a client. It lives in the session; backends get it when they need it. */
export class Prepared {
  readonly name: string
  sql: Buffer
  /** What became `sql`, and what errors of that are of; undefined: it is as it was written. */
  read: ReadText | undefined
  private written: string | undefined
  /** As declared in Parse; 0: inferred. */
  readonly declaredTypes: readonly number[]
  /** SQL's own PREPARE, whole; undefined: it came by the protocol. */
  readonly source: string | undefined
  /** Of the text as it came: what it costs. */
  readonly bytes: number
  /** Milliseconds since 1970. */
  readonly madeAt: number
  /** How often it was bound. */
  uses = 0
  described: Described | undefined
  /** What was told before the schema changed; the next description must agree. */
  describedBefore: Described | undefined
  private describedEpoch = 0
  private scope: PlanScope | undefined
  private plan: Plan | undefined
  /** Types that the plan is made for: as declared, or as told where the plan depends on those. */
  plannedTypes: readonly number[]
  private lexedText: Lexed | undefined
  private ref: StatementRef | undefined
  private refScope: PlanScope | undefined
  private refEpoch = 0

  constructor(name: string, sql: Buffer, declaredTypes: readonly number[], source?: string) {
    this.name = name
    this.sql = sql
    this.bytes = sql.length
    this.declaredTypes = declaredTypes
    this.source = source
    this.madeAt = name === '' ? 0 : Date.now()
    this.plannedTypes = declaredTypes
  }

  get text(): string {
    return this.sql.toString('utf8')
  }

  /** As the client has written it. */
  get shown(): string {
    return this.source ?? this.written ?? this.text
  }

  wasRead(read: ReadText, written: string): void {
    this.read = read
    this.written = written
  }

  /** It was read before backslashes escaped, and may run now that they do. */
  respell(): void {
    const again = conformingText(this.sql)
    if (again === undefined) return
    const { read, text } = this
    this.written ??= text
    this.read = read === undefined ? again : { ...again, back: (error) => read.back(again.back(error)) }
    this.sql = again.sql
    this.plan = undefined
    this.lexedText = undefined
    this.ref = undefined
  }

  get lexed(): Lexed {
    this.lexedText ??= lexedOf(this.sql)
    return this.lexedText
  }

  /** Types of the parameters as far as they are known: told by Postgres, else as declared. */
  get paramTypes(): readonly number[] {
    return this.described?.paramTypes ?? this.declaredTypes
  }

  /** The plan under this scope when it is known without parsing. */
  planUnder(scope: PlanScope, planner: Planner): Plan | undefined {
    if (this.scope === scope && this.plan !== undefined) return this.plan
    const plan = planner.lookup(scope, this.sql, this.lexed, this.plannedTypes)
    if (plan !== undefined) this.keepPlan(scope, plan)
    return plan
  }

  /** Keeps what Postgres says of it; `epoch` is the schema's (`CoordinatorNode.schema`). */
  describe(described: Described, epoch: number): void {
    this.described = described
    this.describedBefore = undefined
    this.describedEpoch = epoch
    if (this.plan !== undefined && this.plan.paramsToDescribe.length > 0) this.planFor(described.paramTypes)
  }

  private planFor(types: readonly number[]): void {
    this.plannedTypes = types
    this.plan = undefined
  }

  /** The schema may have changed since the client was told what the statement returns. */
  isOutdated(scope: PlanScope, epoch: number): boolean {
    return this.described !== undefined && (this.scope !== scope || this.describedEpoch !== epoch)
  }

  /** Forgets an outdated description: Postgres must be asked again. */
  refresh(scope: PlanScope, epoch: number): void {
    if (!this.isOutdated(scope, epoch)) return
    this.describedBefore = this.described
    this.described = undefined
    if (this.plannedTypes !== this.declaredTypes) this.planFor(this.declaredTypes)
  }

  /** How many parameters a Bind must bring. */
  paramCount(plan: Plan): number {
    return this.described?.paramTypes.length ?? Math.max(plan.paramCount, this.declaredTypes.length)
  }

  keepPlan(scope: PlanScope, plan: Plan): void {
    this.scope = scope
    this.plan = plan
  }

  /** The name backends know it by; undefined: not worth one yet, it is parsed anew. */
  refUnder(scope: PlanScope, planner: Planner, epoch: number): StatementRef | undefined {
    if (this.ref === undefined || this.refScope !== scope || this.refEpoch !== epoch) {
      this.ref = planner.refFor(scope, this.sql, this.declaredTypes, epoch)
      this.refScope = scope
      this.refEpoch = epoch
    }
    return this.ref
  }
}

/** EXPLAIN EXECUTE p is EXPLAIN of what p says, with the same parameters. */
export async function surrounded(
  planner: Planner,
  statement: Prepared,
  plan: PreparedPlan,
): Promise<Prepared> {
  const { around, tag } = plan
  if (around === undefined) return statement
  const [parsed] = await planner.statements(statement.text)
  if (tag !== 'EXPLAIN' && parsed?.kind !== 'SelectStmt') {
    throw new PgError({ code: '42809', message: 'prepared statement is not a SELECT' })
  }
  const own = parsed?.text ?? ''
  // It may end in a comment.
  const text = `${around.before}${own}\n${around.after}`
  return new Prepared('', Buffer.from(text), statement.paramTypes)
}

/** A bound statement of a client. */
export interface Portal {
  readonly name: string
  readonly statement: Prepared
  readonly bind: BindMessage
  /** That of `SessionState.portalsMade` when it was bound. */
  readonly made: number
  /** Milliseconds since 1970. */
  readonly boundAt: number
  /** What backends have of it under its name. */
  open: OpenPortal | undefined
  /** It ran to its end, all at once; or it did not come to it, and cannot be run again. */
  ran: 'no' | 'well' | 'badly'
}
