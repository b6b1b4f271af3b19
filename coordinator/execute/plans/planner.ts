import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { StatementRef } from '../../../protocol/agent-link.ts'
import { type Catalog, FIRST_USER_OID } from '../../../sql/catalog.ts'
import { Lexed } from '../../../sql/lex/lexed.ts'
import { literalPlaces } from '../../../sql/lex/literal-places.ts'
import { lexedOf, lexStatement } from '../../../sql/lex/scan.ts'
import { offsetMap } from '../../../sql/lex/split.ts'
import type { Node } from '../../../sql/parse/ast.ts'
import { type ParsedStatement, parseStatements } from '../../../sql/parse/parse.ts'
import { type FoldedInsert, foldInsert, mayFold } from '../../../sql/plan/folded/folded-insert.ts'
import type { Described, Outside } from '../../../sql/plan/gather/gather-plan.ts'
import type { Plan, PlanContext } from '../../../sql/plan/plan.ts'
import { planStatement } from '../../../sql/plan/plan-statement.ts'
import type { StatementStats } from '../../statistics/statement-stats.ts'
import { LONG_TEXT_LENGTH, type LongTexts, NoThread } from './long-texts.ts'
import { LONG_TEXT_BYTES, ParseTurns } from './parse-turns.ts'
import { type CacheScope, PlanCache } from './plan-cache.ts'
import { StatementRefs } from './statement-refs.ts'

/** Under what a statement was planned: plans of equal scopes are interchangeable. */
export interface PlanScope {
  readonly catalog: Catalog
  readonly searchPath: readonly string[]
  readonly tempTables: ReadonlySet<string>
  /** Undefined: private to a session (temporary tables, uncommitted DDL), never cached. */
  readonly cache: CacheScope | undefined
  readonly key: string
  /** See PlanContext. */
  readonly pushdown?: boolean
  readonly outside?: Outside
  readonly described?: Described
  readonly movesKey?: true
}

/** Without a `node` it has been parsed elsewhere. `folded`: its syntax tree is that of a shorter text. */
export interface Statement extends Omit<ParsedStatement, 'node'> {
  readonly node?: Node | undefined
  readonly folded?: Folded | undefined
}

interface LexedText {
  readonly sql: Buffer
  readonly lexed: Lexed
}

interface Folded extends LexedText {
  readonly insert: FoldedInsert
}

/** A statement's text with its tokens and its plan. */
export interface Planned {
  readonly plan: Plan
  readonly sql: Buffer
  readonly lexed: Lexed
}

const NO_TYPES: readonly number[] = []
const NO_TEMP_TABLES: ReadonlySet<string> = new Set()
const STATEMENT_BYTES_MAX = 8 << 20

/** Throws 54000 for a text that is not going to be parsed; asked before it is copied or looked at. */
export function refuseTooLong(bytes: number): void {
  if (bytes > STATEMENT_BYTES_MAX) throw weftError('statement_too_long', { bytes, max: STATEMENT_BYTES_MAX })
}

/** Plans are kept by it. What was planned while a part of the catalog could not be read goes when all of it is there. */
export const planVersion = ({ version, isWhole }: Catalog): number =>
  isWhole === false ? version - 0.5 : version

/** From this length on a text is looked at for rows that are all alike before it is parsed. */
const FOLDED_TEXT_LENGTH = 1024

/** No schema has such a name. */
const NO_PUSHDOWN = '\0'

/** Version of a cache scope that the cache has let go of. */
const LET_GO = -1

/** Turns statement texts into plans, by the cache where it can. One per node. */
export class Planner {
  private readonly cache: PlanCache<Plan>
  /** Lexer output of the statement that is being looked up; taken over by nobody. */
  private readonly scratch = new Lexed()
  private scopes = new Map<string, PlanScope>()
  private scopesVersion = -1
  private readonly refs: StatementRefs
  /** Long texts are parsed one after the other, with time for others in between. */
  readonly turns = new ParseTurns()

  private readonly long: LongTexts | undefined
  private readonly statistics: StatementStats | undefined

  /** `long`: who takes texts that would hold up this thread; by default nobody else. `statistics`: of what runs by them. */
  constructor(
    limits: { readonly entriesMax: number; readonly textBytesMax: number },
    long?: LongTexts,
    statistics?: StatementStats,
  ) {
    this.long = long
    this.statistics = statistics
    this.cache = new PlanCache<Plan>(limits)
    this.refs = new StatementRefs(limits)
  }

  /** Interned: sessions with the same catalog version and search path share one scope, and so their plans. */
  scope(catalog: Catalog, searchPath: readonly string[], pushdown = true): PlanScope {
    const version = planVersion(catalog)
    if (version !== this.scopesVersion) {
      this.scopes = new Map()
      this.scopesVersion = version
    }
    const key = JSON.stringify(pushdown ? searchPath : [...searchPath, NO_PUSHDOWN])
    const known = this.scopes.get(key)
    if (known !== undefined && known.catalog === catalog && known.cache?.version !== LET_GO) return known
    const cache = this.cache.scope(version, searchPath, pushdown ? '' : NO_PUSHDOWN)
    const scope: PlanScope = { catalog, searchPath, tempTables: NO_TEMP_TABLES, cache, key, pushdown }
    this.scopes.set(key, scope)
    return scope
  }

  /** A session's own scope: temporary tables, or a transaction's uncommitted DDL. Its plans are not cached. */
  privateScope(catalog: Catalog, searchPath: readonly string[], tempTables: ReadonlySet<string>): PlanScope {
    return { catalog, searchPath, tempTables, cache: undefined, key: '' }
  }

  /** The hot path: the cached plan of a text that `lexed` describes. */
  lookup(
    scope: PlanScope,
    sql: Buffer,
    lexed: Lexed,
    paramTypes: readonly number[] = NO_TYPES,
  ): Plan | undefined {
    if (scope.cache === undefined || !lexed.ok) return undefined
    const cache = this.cache.scopeWithTypes(scope.cache, paramTypes)
    return this.cache.lookup(cache, sql, lexed.start, lexed.tail, lexed)
  }

  /**
   * Plans one statement. Its literals are numbered as `lexStatement` finds them. `whole`: the text it is all of; the
   * plan is found again under that too (it may end in a semicolon, which the statement does not).
   */
  plan(scope: PlanScope, stmt: Statement, paramTypes: readonly number[] = NO_TYPES, whole?: Buffer): Planned {
    const text = stmt.folded ?? lexedText(stmt.text)
    const known = this.lookup(scope, text.sql, text.lexed, paramTypes)
    const make = () => this.made(scope, stmt, paramTypes, text.lexed)
    return this.noted(scope, text, paramTypes, known, known ?? this.timed(stmt.text, make), whole)
  }

  /** The same, with long texts planned elsewhere. */
  planned(
    scope: PlanScope,
    stmt: Statement,
    paramTypes: readonly number[] = NO_TYPES,
    whole?: Buffer,
  ): Planned | Promise<Planned> {
    const { long } = this
    const isLong = stmt.text.length >= LONG_TEXT_LENGTH && stmt.folded === undefined
    if (long === undefined || !isLong || !long.canPlan(scope))
      return this.plan(scope, stmt, paramTypes, whole)
    return this.plannedElsewhere(long, scope, stmt, paramTypes, whole)
  }

  private async plannedElsewhere(
    long: LongTexts,
    scope: PlanScope,
    stmt: Statement,
    paramTypes: readonly number[],
    whole: Buffer | undefined,
  ): Promise<Planned> {
    const text = lexedText(stmt.text)
    const known = this.lookup(scope, text.sql, text.lexed, paramTypes)
    try {
      const plan = known ?? (await long.plan(stmt.text, scope, paramTypes))
      return this.noted(scope, text, paramTypes, known, plan, whole)
    } catch (error) {
      if (!(error instanceof NoThread)) throw error
      return this.plan(scope, stmt, paramTypes, whole)
    }
  }

  private noted(
    scope: PlanScope,
    { sql, lexed }: LexedText,
    paramTypes: readonly number[],
    known: Plan | undefined,
    plan: Plan,
    whole: Buffer | undefined,
  ): Planned {
    if (known === undefined) this.remember(scope, sql, lexed, paramTypes, plan)
    this.statistics?.planned(plan, sql, lexed)
    if (whole !== undefined && whole.length !== sql.length) {
      this.remember(scope, whole, this.lex(whole, 0, whole.length), paramTypes, plan)
    }
    return { plan, sql, lexed }
  }

  private made(scope: PlanScope, stmt: Statement, paramTypes: readonly number[], lexed: Lexed): Plan {
    const { catalog, searchPath, tempTables, outside, described, movesKey, pushdown = true } = scope
    const context: PlanContext = {
      ...{ searchPath, tempTables, paramTypes, pushdown },
      ...(outside && { outside }),
      ...(described && { described }),
      ...(movesKey && { movesKey }),
    }
    const { node, folded, text } = stmt
    if (node === undefined) return this.made(scope, this.whole(text), paramTypes, lexed)
    const parsed = { ...stmt, node }
    if (folded === undefined) return planStatement(parsed, literalPlaces(text, lexed), catalog, context)
    return (
      this.unfolded(parsed, folded.insert, catalog, context) ??
      this.made(scope, this.whole(text), paramTypes, lexed)
    )
  }

  private unfolded(
    stmt: ParsedStatement,
    insert: FoldedInsert,
    catalog: Catalog,
    context: PlanContext,
  ): Plan | undefined {
    if (!insert.namesTheSame(catalog.code)) return undefined
    const { text } = insert
    const { lexed } = lexedText(text)
    const plan = planStatement({ ...stmt, text }, literalPlaces(text, lexed), catalog, context)
    return insert.unfold(plan, { lexed, map: offsetMap(text) })
  }

  /** Splits a message into statements and checks their syntax. Throws 42601; 54000 and 54001 for what is too much. */
  parse(text: string): Statement[] {
    refuseTooLong(text.length)
    if (text.length < FOLDED_TEXT_LENGTH) return this.parseAll(text)
    return this.timed(text, () => {
      const folded = this.folded(text)
      return folded === undefined ? this.parseAll(text) : [folded]
    })
  }

  /** The same, with long texts parsed elsewhere. */
  statements(text: string): Statement[] | Promise<Statement[]> {
    refuseTooLong(text.length)
    const { long } = this
    return text.length < LONG_TEXT_LENGTH || long === undefined
      ? this.parse(text)
      : this.splitElsewhere(long, text)
  }

  private async splitElsewhere(long: LongTexts, text: string): Promise<Statement[]> {
    try {
      const places = await long.split(text)
      return places.map((place) => ({ ...place, text: text.slice(place.start, place.end) }))
    } catch (error) {
      if (!(error instanceof NoThread)) throw error
      return this.parse(text)
    }
  }

  /** What a long text takes the others have back. */
  private timed<T>(text: string, work: () => T): T {
    const startMs = performance.now()
    try {
      return work()
    } finally {
      if (text.length >= LONG_TEXT_BYTES) this.turns.took(performance.now() - startMs)
    }
  }

  /** Undefined: there is no shorter text, or it is more than an INSERT, or wrong somewhere. */
  private folded(text: string): Statement | undefined {
    if (!mayFold(text)) return undefined
    const whole = lexedText(text)
    const insert = foldInsert(text, whole.lexed, offsetMap(text))
    if (insert === undefined) return undefined
    try {
      const [statement, more] = parseStatements(insert.text)
      if (statement?.kind !== 'InsertStmt' || more !== undefined || statement.start > 0) return undefined
      const end = insert.endOf(statement.end)
      const own = text.slice(0, end)
      return {
        ...statement,
        text: own,
        end,
        folded: { insert, ...(end === text.length ? whole : lexedText(own)) },
      }
    } catch (error) {
      // The whole text tells where.
      if (error instanceof PgError) return undefined
      throw error
    }
  }

  private whole(text: string): Statement {
    return this.parseAll(text)[0]!
  }

  private parseAll(text: string): ParsedStatement[] {
    try {
      return parseStatements(text)
    } catch (error) {
      throw error instanceof RangeError ? weftError('statement_too_complex', {}, error) : error
    }
  }

  /**
   * A name under which backends keep this text prepared, from its second use on; a text that is never seen again is
   * not worth a place in every backend.
   */
  refFor(
    scope: PlanScope,
    sql: Buffer,
    paramTypes: readonly number[],
    epoch: number,
  ): StatementRef | undefined {
    // Such a type has another number on each shard: the statement is parsed there with what is known there.
    if (paramTypes.some((type) => type >= FIRST_USER_OID)) return undefined
    return this.refs.get(scope, sql, paramTypes, epoch)
  }

  get stats() {
    return this.cache.stats
  }

  private remember(
    scope: PlanScope,
    sql: Buffer,
    lexed: Lexed,
    paramTypes: readonly number[],
    plan: Plan,
  ): void {
    if (scope.cache === undefined || !lexed.ok) return
    const cache = this.cache.scopeWithTypes(scope.cache, paramTypes)
    this.cache.insert(cache, sql, lexed.start, lexed.tail, lexed, plan)
  }

  /** Scratch for `lexStatement` on the hot path; valid until the next statement is lexed. */
  lex(sql: Buffer, start: number, end: number): Lexed {
    lexStatement(sql, start, end, this.scratch)
    return this.scratch
  }
}

function lexedText(text: string): LexedText {
  const sql = Buffer.from(text)
  return { sql, lexed: lexedOf(sql) }
}
