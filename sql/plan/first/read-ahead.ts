import type { Relation } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  type CommonTableExpr,
  columnName,
  conjuncts,
  kindOf,
  type Node,
  type RangeVar,
  relationsOf,
  type SelectStmt,
  type SubLink,
  strings,
  walk,
} from '../../parse/ast.ts'
import { printed } from '../../print/printed.ts'
import { isClosed } from '../gather/closed.ts'
import { aliasOf } from '../gather/from-items.ts'
import type { TableItem } from '../gather/inputs.ts'
import { mentioned } from '../gather/inputs.ts'
import { selectNode } from '../gather/made-nodes.ts'
import { allOf } from '../gather/plan-gather.ts'
import { quoteName } from '../text-scan.ts'
import { aheadRows, aheadValue, isGiven } from './first-step.ts'
import { labelOf, namesItself, neededBy, withNeeded } from './levels.ts'
import { DML } from './written.ts'

/** What is known of what a statement names. */
export interface Names {
  relationOf(range: RangeVar): Relation | undefined
  /** It comes out the same whenever it is run in the statement. */
  isStable(part: unknown): boolean
}

/**
 * Takes out of a statement, in place, what it reads: queries that hang on nothing around them, and else tables, of which the
 * columns that are named and rows that their own conditions leave. Answers the texts that read it, whose rows come at the
 * marks, numbered from `from` on; undefined: not all of it can be read by itself.
 */
export function readAhead(tree: Node, names: Names, from = 0): readonly string[] | undefined {
  const reading = new Reading(tree, names, from)
  reading.node(tree, [], true)
  return reading.texts()
}

type Scope = readonly CommonTableExpr[]
type Fields = Record<string, unknown>

/** A FROM at which a table stands. */
interface From {
  readonly conditions: readonly Node[]
  /** Its only item, and no target of a write beside it. */
  readonly isAlone: boolean
}

const UNSEEN: ReadonlySet<string> = new Set(['withClause', 'larg', 'rarg', 'fromClause', 'usingClause'])

class Reading {
  readonly reads: Node[] = []
  failed = false
  private readonly names: Names
  private readonly from: number
  private readonly mentions: ReturnType<typeof mentioned>

  constructor(tree: Node, names: Names, from: number) {
    this.names = names
    this.from = from
    this.mentions = mentioned({ fromClause: [tree] } as SelectStmt)
    walk(tree, (kind, body) => {
      const isQualified = kind === 'ColumnRef' && strings((body as ColumnRef).fields).length > 2
      if (isQualified || kind === 'LockingClause' || kind === 'RangeTableSample') this.failed = true
    })
  }

  texts(): readonly string[] | undefined {
    const texts = this.reads.map(printed)
    return this.failed || texts.includes(undefined) ? undefined : (texts as string[])
  }

  /** `isFree`: nothing around it can be named in it. */
  node(node: Node, scope: Scope, isFree: boolean): void {
    const kind = kindOf(node)
    const body = (node as unknown as Record<string, Fields>)[kind]!
    if (kind === 'SelectStmt') this.select(body as SelectStmt, scope, isFree)
    else if (typeof body === 'object') this.fields(body, scope, kind)
  }

  private select(select: SelectStmt, scope: Scope, isFree: boolean, isArm = false): void {
    const inner = this.withQueries(select.withClause, scope)
    if (this.isWhole(select, inner, isFree, isArm)) {
      const { withClause: _, ...query } = structuredClone(select)
      const read = withNeeded({ SelectStmt: query } as Node, neededBy(query, inner))
      if (read !== undefined) return become(select, `SELECT * FROM ${aheadRows(this.push(read))}`)
    }
    if (select.larg) this.select(select.larg, inner, isFree, true)
    if (select.rarg) this.select(select.rarg, inner, isFree, true)
    this.below(select as unknown as Fields, inner, isFree, true)
  }

  /** Those are seen by what comes after them. */
  private withQueries(clause: SelectStmt['withClause'], scope: Scope): Scope {
    const known = [...scope]
    for (const node of clause?.ctes ?? []) {
      const cte = as(node, 'CommonTableExpr')!
      // A recursive one reads itself.
      const seen = clause?.recursive ? [...known, cte] : known
      this.node(cte.ctequery!, seen, clause?.recursive !== true)
      known.push(cte)
    }
    return known
  }

  /** Of any node but a SELECT's own. */
  private fields(body: Fields, scope: Scope, kind: string): void {
    if (kind === 'SubLink') return this.subLink(body as SubLink, scope)
    const inner = this.withQueries(body.withClause as SelectStmt['withClause'], scope)
    this.below(body, inner, DML.has(kind), kind !== 'UpdateStmt' && kind !== 'DeleteStmt')
  }

  private below(body: Fields, scope: Scope, isFree: boolean, isOwn: boolean): void {
    const items = [body.fromClause, body.usingClause].flatMap((list) => (list ?? []) as Node[])
    const conditions = conjuncts(body.whereClause as Node | undefined)
    const from = {
      conditions,
      isAlone: isOwn && items.length === 1 && as(items[0], 'RangeVar') !== undefined,
    }
    for (const item of items) this.item(item, scope, isFree, from)
    if (body.sourceRelation) this.item(body.sourceRelation as Node, scope, true, NOTHING_ASKED)
    for (const key in body) {
      if (UNSEEN.has(key) || key === 'sourceRelation') continue
      if (key === 'selectStmt') this.insertSource(body[key] as Node | undefined, scope)
      else this.value(body[key], scope)
    }
  }

  /** What is inserted has the types of the columns, as an arm of a set operation has those of the others. */
  private insertSource(source: Node | undefined, scope: Scope): void {
    const select = as(source, 'SelectStmt')
    if (select !== undefined) this.select(select, scope, true, true)
  }

  private value(value: unknown, scope: Scope): void {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value) this.value(item, scope)
      return
    }
    const kind = kindOf(value as Node)
    const isNode = /^[A-Z]/.test(kind) && Object.keys(value).length === 1
    if (isNode) return this.node(value as Node, scope, false)
    for (const key in value as Fields) this.value((value as Fields)[key], scope)
  }

  private subLink(link: SubLink, scope: Scope): void {
    this.value(link.testexpr, scope)
    const select = as(link.subselect, 'SelectStmt')
    if (select === undefined) return
    const isValue = link.subLinkType === 'EXPR_SUBLINK' && select.targetList?.length === 1
    if (!isValue || !this.isWhole(select, scope, false, false)) return this.select(select, scope, false)
    become(
      select,
      `SELECT ${aheadValue(this.push({ SelectStmt: { ...select } } as Node))}() AS ${labelOf(select)}`,
    )
  }

  private item(item: Node, scope: Scope, isFree: boolean, from: From): void {
    const range = as(item, 'RangeVar')
    if (range !== undefined) return this.table(item, range, scope, from)
    const join = as(item, 'JoinExpr')
    if (join !== undefined) {
      const isInner = join.jointype === 'JOIN_INNER' && join.alias === undefined
      const kept = isInner ? { ...from, isAlone: false } : NOTHING_ASKED
      this.item(join.larg!, scope, isFree, kept)
      this.item(join.rarg!, scope, isFree, kept)
      return this.value(join.quals, scope)
    }
    const subquery = as(item, 'RangeSubselect')
    const select = as(subquery?.subquery, 'SelectStmt')
    if (select !== undefined) this.select(select, scope, isFree && subquery?.lateral !== true)
    else this.value(item, scope)
  }

  private table(item: Node, range: RangeVar, scope: Scope, from: From): void {
    if (!isRead(range, scope)) return
    const relation = this.names.relationOf(range)
    const alias = aliasOf(range)
    if (this.isRow(alias, relation)) this.failed = true
    const { all, columns } = this.mentions
    const shown =
      relation === undefined || all || !isDescribed(relation)
        ? undefined
        : relation.columns.filter(({ name }) => columns.has(name))
    const least = shown?.length === 0 ? relation!.columns.slice(0, 1) : shown
    const list = least?.map(({ name }) => quoteName(name)).join(', ') ?? '*'
    const select = selectNode(`SELECT ${list} FROM t`)
    const { alias: given, ...table } = range
    select.fromClause = [{ RangeVar: { ...table, ...(given && { alias: { aliasname: alias } }) } } as Node]
    const asked = from.conditions.filter((condition) => this.isAsked(condition, alias, relation, range, from))
    if (asked.length > 0) select.whereClause = allOf(asked)
    const subselect = selectNode(`SELECT * FROM ${aheadRows(this.push({ SelectStmt: select } as Node))}`)
    const named = { aliasname: alias, ...(given?.colnames && { colnames: given.colnames }) }
    delete (item as { RangeVar?: unknown }).RangeVar
    Object.assign(item, { RangeSubselect: { subquery: { SelectStmt: subselect }, alias: named } })
  }

  /** Its name may stand for a row, of the table's own type. */
  private isRow(alias: string, relation: Relation | undefined): boolean {
    const { bare, rows } = this.mentions
    const has = (name: string) => relation?.columns.some((column) => column.name === name)
    return rows.has(alias) || (bare.has(alias) && !has(alias))
  }

  /** A condition about this table only, which leaves out rows of it wherever it is asked. */
  private isAsked(
    condition: Node,
    alias: string,
    relation: Relation | undefined,
    range: RangeVar,
    { isAlone }: From,
  ): boolean {
    if (range.alias?.colnames !== undefined || !this.names.isStable(condition)) return false
    let isAbout = true
    let count = 0
    walk(condition, (kind, body) => {
      if (kind === 'SubLink') isAbout = false
      if (kind !== 'ColumnRef') return
      count++
      const [owner, name] = columnName({ ColumnRef: body } as Node) ?? []
      const isKnown = relation?.columns.some((column) => column.name === (name ?? owner)) === true
      if (!isKnown || (name === undefined ? !isAlone : owner !== alias)) isAbout = false
    })
    return isAbout && count > 0
  }

  /** It can be read as a whole, by itself. */
  private isWhole(select: SelectStmt, scope: Scope, isFree: boolean, isArm: boolean): boolean {
    const { withClause, ...query } = select
    if (!this.isAlone(select, scope) || (isArm && !isTyped(select))) return false
    if (!relationsOf(query).some((range) => isRead(range, scope))) return false
    const needed = neededBy(query, scope)
    return isFree || (withClause === undefined && needed.length === 0 && this.isClosedHere(query))
  }

  /** With what it names it comes out the same wherever it is run, and does nothing else. */
  private isAlone({ withClause: _, ...query }: SelectStmt, scope: Scope): boolean {
    const needed = neededBy(query, scope)
    const parts = [{ SelectStmt: query } as Node, ...needed.map(({ ctequery }) => ctequery!)]
    if (relationsOf(parts).some(({ relname }) => isGiven(relname)) || writesOrLocks(parts)) return false
    return !needed.some((cte) => namesItself(cte)) && this.names.isStable(parts)
  }

  private isClosedHere(query: SelectStmt): boolean {
    const items = relationsOf({ SelectStmt: query }).flatMap((range): TableItem[] => {
      const relation = this.names.relationOf(range)
      if (relation === undefined || !isDescribed(relation)) return []
      return [{ range, alias: aliasOf(range), relation, place: 'parts', columns: relation.columns }]
    })
    return isClosed({ SelectStmt: query } as Node, items)
  }

  private push(read: Node): number {
    return this.from + this.reads.push(structuredClone(read)) - 1
  }
}

const NOTHING_ASKED: From = { conditions: [], isAlone: false }

const isDescribed = ({ kind }: Relation): boolean => kind === 'sharded' || kind === 'reference'

/** A table, and no WITH query. */
function isRead({ schemaname, relname }: RangeVar, scope: Scope): boolean {
  if (schemaname !== undefined) return true
  return !isGiven(relname) && !scope.some(({ ctename }) => ctename === relname)
}

const DOES: ReadonlySet<string> = new Set([...DML, 'LockingClause', 'IntoClause'])

function writesOrLocks(parts: readonly Node[]): boolean {
  let does = false
  walk(parts, (kind) => {
    if (DOES.has(kind)) does = true
  })
  return does
}

/** None of its columns gets its type from elsewhere. */
function isTyped({ targetList = [], valuesLists, larg, rarg }: SelectStmt): boolean {
  if (valuesLists !== undefined) return false
  if (larg !== undefined && rarg !== undefined) return isTyped(larg) && isTyped(rarg)
  return targetList.every((node) => {
    const val = as(node, 'ResTarget')?.val
    return as(val, 'A_Const') === undefined && as(val, 'ParamRef') === undefined
  })
}

/** In place; its WITH queries stay. */
function become(select: SelectStmt, sql: string): void {
  const { withClause } = select
  for (const key of Object.keys(select)) delete (select as unknown as Fields)[key]
  Object.assign(select, selectNode(sql), withClause && { withClause })
}
