import { PgError } from '../../errors/pg-error.ts'
import type { Catalog } from '../catalog.ts'
import { literalPlaces } from '../lex/literal-places.ts'
import { as, type RangeVar, relationsOf, walk } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { parseStatements } from '../parse/parse.ts'
import type { Plan, PlanContext } from '../plan/plan.ts'
import { planStatement } from '../plan/plan-statement.ts'
import { type Routed, refusedBy, routedPlan } from './routed.ts'
import { type Listed, splitFile } from './split.ts'
import { type Step, stepsOf } from './steps.ts'

export interface Explained extends Routed {
  readonly line: number
  readonly statement: string
  /** SELECT, INSERT, CREATE TABLE, …; '' when it could not be read. */
  readonly tag: string
  /** A tree, each step before those that it needs; absent: there is nothing to show. */
  readonly steps?: readonly Step[]
}

export interface ExplainOptions {
  readonly searchPath: readonly string[]
  /** Relations of pg_catalog, which are found before any other. */
  readonly systemNames: ReadonlySet<string>
}

/**
 * Plans the statements of files one after the other, and runs none: what a file creates is known by name only. Statements
 * that are prepared are told where they are executed, too.
 */
export class FileExplainer {
  private readonly catalog: Catalog
  private readonly options: ExplainOptions
  private readonly created = new Set<string>()
  private readonly temporary = new Set<string>()
  private readonly prepared = new Map<string, Routed>()

  constructor(catalog: Catalog, options: ExplainOptions) {
    this.catalog = catalog
    this.options = options
  }

  *explain(file: string): Generator<Explained> {
    for (const listed of splitFile(file)) yield this.one(listed)
  }

  private one({ line, text: statement, parsed }: Listed): Explained {
    if (parsed instanceof PgError) return { line, statement, tag: '', ...refusedBy(parsed) }
    const plan = this.plan(parsed)
    const routed = this.routed(parsed, plan)
    for (const { relname = '', relpersistence } of made(parsed)) {
      this.created.add(relname)
      if (relpersistence === 't') this.temporary.add(relname.toLowerCase())
    }
    const steps = routed.reach === 'refused' ? [] : stepsOf(plan)
    return { line, statement, tag: plan.tag, ...routed, ...(steps.length === 0 ? {} : { steps }) }
  }

  private plan(parsed: ParsedStatement): Plan {
    return planOf(parsed, this.catalog, { searchPath: this.options.searchPath, tempTables: this.temporary })
  }

  private routed(parsed: ParsedStatement, plan: Plan): Routed {
    if (plan.kind === 'prepared') return this.ofPrepared(plan) ?? routedPlan(plan)
    const routed = routedPlan(plan, parsed.text)
    if (routed.reach !== 'local' || plan.kind === 'ddl') return routed
    const missing = this.missing(parsed)
    if (missing === undefined) return routed
    if (this.created.has(missing))
      return { ...routed, why: `${missing} is created above: local until it is declared` }
    return { reach: 'refused', id: '42P01', why: `relation "${missing}" does not exist` }
  }

  private ofPrepared(plan: Extract<Plan, { kind: 'prepared' }>): Routed | undefined {
    if (plan.verb === 'execute') return this.prepared.get(plan.name)
    if (plan.verb !== 'prepare' || plan.sql === undefined) return undefined
    const [inner] = parseStatements(plan.sql)
    if (inner === undefined) return undefined
    const routed = this.routed(inner, this.plan(inner))
    this.prepared.set(plan.name, routed)
    return routed
  }

  /** A relation that is named, and that nobody knows. */
  private missing({ kind, node }: ParsedStatement): string | undefined {
    if (!READS.test(kind)) return undefined
    const ctes = new Set<string>()
    walk(node, (part, body) => {
      if (part === 'CommonTableExpr') ctes.add((body as { ctename?: string }).ctename ?? '')
    })
    const isUnknown = ({ schemaname, relname = '' }: RangeVar): boolean => {
      if (schemaname === undefined ? ctes.has(relname) || this.isSystem(relname) : SYSTEM.test(schemaname))
        return false
      return this.catalog.resolve(schemaname, relname, this.options.searchPath) === undefined
    }
    return relationsOf(node).find(isUnknown)?.relname
  }

  private isSystem(name: string): boolean {
    return this.options.systemNames.has(name)
  }
}

const READS = /^(?:Select|Insert|Update|Delete|Merge|Explain)Stmt$/
const SYSTEM = /^(?:pg_|information_schema$|weft$)/

/** With parameters whose types nobody has told. */
export function planOf(
  stmt: ParsedStatement,
  catalog: Catalog,
  context: Pick<PlanContext, 'searchPath' | 'tempTables'>,
): Plan {
  return planStatement(stmt, literalPlaces(stmt.text), catalog, { ...context, paramTypes: [] })
}

/** Relations that a statement creates. */
function made({ node }: ParsedStatement): RangeVar[] {
  const into = as(node, 'SelectStmt')?.intoClause ?? as(node, 'CreateTableAsStmt')?.into
  const created = [as(node, 'CreateStmt')?.relation, as(node, 'ViewStmt')?.view, into?.rel]
  return created.filter((range) => range !== undefined)
}
