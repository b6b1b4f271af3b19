import type * as Pg from '@pgsql/types'
import type { Relation } from '../catalog.ts'
import { as, type JoinExpr, kindOf, type Node, type RangeVar, strings, writtenName } from '../parse/ast.ts'
import { parseStatements } from '../parse/parse.ts'
import {
  type Block,
  type Cte,
  EMPTY_SPACE,
  type JoinType,
  type Leaf,
  type NamedColumn,
  type Scope,
  type Space,
  type Tree,
} from './block.ts'
import { type Builder, enterView, leaveView, resolveRelation } from './builder.ts'
import { factsOf, meansEquals, outputType } from './conditions.ts'
import { columnKey, type Fact } from './facts.ts'
import { beside, commonNames, joinUsing, relationColumns, renamed, tableSpace } from './spaces.ts'
import { traitsOf, unstableBecause } from './traits.ts'

/** An expression of the FROM clause, to be searched for subqueries in the scope given. */
export interface JoinExpression {
  readonly node: unknown
  readonly scope: Scope
}

export interface From {
  readonly tree: Tree | undefined
  readonly space: Space
  readonly expressions: readonly JoinExpression[]
}

interface Item {
  readonly tree: Tree
  readonly space: Space
}

/** `scope` is that of the enclosing query with this level's WITH queries; its space is empty. */
export function buildFrom(b: Builder, items: readonly Node[], scope: Scope): From {
  const expressions: JoinExpression[] = []
  let tree: Tree | undefined
  let space = EMPTY_SPACE
  for (const item of items) {
    const built = buildItem(b, item, { ...scope, space }, expressions)
    tree = tree ? join('inner', tree, built.tree, []) : built.tree
    space = beside(space, built.space)
  }
  return { tree, space, expressions }
}

export function leafTree(leaf: Leaf): Tree {
  return { kind: 'leaf', leaf, leaves: new Set([leaf.id]) }
}

export function join(type: JoinType, left: Tree, right: Tree, on: readonly Fact[]): Tree {
  return { kind: 'join', type, left, right, on, leaves: new Set([...left.leaves, ...right.leaves]) }
}

/** `lateral` holds what stands to the left: a LATERAL item and a function may refer to it. */
function buildItem(b: Builder, node: Node, lateral: Scope, expressions: JoinExpression[]): Item {
  switch (kindOf(node)) {
    case 'RangeVar':
      return buildRelation(b, as(node, 'RangeVar')!, lateral)
    case 'JoinExpr':
      return buildJoin(b, as(node, 'JoinExpr')!, lateral, expressions)
    case 'RangeSubselect':
      return buildSubselect(b, as(node, 'RangeSubselect')!, lateral)
    case 'RangeTableSample': {
      const sample = as(node, 'RangeTableSample')!
      expressions.push({ node: [sample.args, sample.repeatable], scope: lateral })
      return buildItem(b, sample.relation!, lateral, expressions)
    }
    default:
      return buildFunction(b, node, lateral, expressions)
  }
}

function buildRelation(b: Builder, range: RangeVar, scope: Scope): Item {
  const resolved = resolveRelation(b, range, scope)
  const names = strings(range.alias?.colnames)
  const alias = range.alias?.aliasname ?? range.relname ?? ''
  if (resolved.kind === 'cte') return queryItem(b, alias, names, resolved.cte.block, false, resolved.cte)
  if (resolved.kind === 'self') return plainItem(b, alias, undefined, [], true)
  if (resolved.kind === 'local') {
    b.locals.push(resolved.name)
    const { relation } = resolved
    const id = b.nextId++
    const told = scope.inView ? undefined : b.ctx.outside?.get(writtenName(range))
    const columns = renamed(relationColumns(id, told ?? relation), names)
    const leaf: Leaf = { kind: 'plain', id, columns, unstable: undefined }
    // The catalog does not describe local tables.
    const open = columns.length === 0
    return { tree: leafTree(leaf), space: tableSpace(alias, schemaOf(range, relation), columns, open) }
  }
  if (resolved.relation.kind === 'view') return buildView(b, range, resolved.relation, scope)
  return tableItem(b, range, resolved.relation)
}

function schemaOf(range: RangeVar, relation: Relation | undefined): string | undefined {
  return range.alias ? undefined : relation?.schema
}

/** A sharded or reference table. */
export function tableItem(b: Builder, range: RangeVar, relation: Relation): Item {
  const id = b.nextId++
  const alias = range.alias?.aliasname ?? range.relname ?? ''
  const columns = renamed(relationColumns(id, relation), strings(range.alias?.colnames))
  if (relation.kind === 'reference') {
    b.references.push(relation)
    b.referenceAliases.push(alias)
  }
  if (relation.kind === 'sharded') b.shardedCount++
  const leaf: Leaf =
    relation.kind === 'sharded'
      ? { kind: 'sharded', id, columns, relation }
      : { kind: 'plain', id, columns, unstable: undefined }
  return { tree: leafTree(leaf), space: tableSpace(alias, schemaOf(range, relation), columns, false) }
}

function plainItem(
  b: Builder,
  alias: string,
  unstable: string | undefined,
  names: readonly string[],
  open: boolean,
): Item {
  const id = b.nextId++
  const columns = names.map((name) => ({ name, info: { key: columnKey(id, name) } }))
  const leaf: Leaf = { kind: 'plain', id, columns, unstable }
  return { tree: leafTree(leaf), space: tableSpace(alias, undefined, columns, open) }
}

export function buildView(b: Builder, range: RangeVar, view: Relation, scope: Scope): Item {
  enterView(b)
  const statement = parseStatements(view.definition ?? '')[0]
  const select = as(statement?.node, 'SelectStmt')
  if (statement) b.views.push(statement.node)
  const inside: Scope = { space: EMPTY_SPACE, parent: undefined, ctes: new Map(), inView: true }
  const block = b.build.select(b, select ?? {}, inside)
  leaveView(b)
  const names = [...strings(range.alias?.colnames)]
  for (const column of view.columns.slice(names.length)) names.push(column.name)
  const alias = range.alias?.aliasname ?? view.name
  const item = queryItem(b, alias, names, block, false, undefined)
  if (range.alias || scope.inView) return item
  return {
    ...item,
    space: { ...item.space, tables: item.space.tables.map((t) => ({ ...t, schema: view.schema })) },
  }
}

function queryItem(
  b: Builder,
  alias: string,
  names: readonly string[],
  block: Block,
  lateral: boolean,
  cte: Cte | undefined,
): Item {
  const id = b.nextId++
  if (cte) cte.references++
  const outputs = block.outputs
  const columns: NamedColumn[] = (outputs ?? []).map((output, i) => {
    const name = names[i] ?? output.name
    // Output names can repeat, so the position makes the key.
    const key = columnKey(id, `#${i}`)
    const type = outputType(output)
    return { name, info: type === undefined ? { ...output.info, key } : { ...output.info, key, type } }
  })
  const leaf: Leaf = { kind: 'query', id, columns, block, lateral, ...(cte ? { cte } : {}) }
  return { tree: leafTree(leaf), space: tableSpace(alias, undefined, columns, outputs === undefined) }
}

function buildSubselect(b: Builder, item: Pg.RangeSubselect, lateral: Scope): Item {
  const select = as(item.subquery, 'SelectStmt') ?? {}
  // Without LATERAL the siblings cannot be seen, the enclosing queries can.
  const parent: Scope = item.lateral ? lateral : { ...lateral, space: EMPTY_SPACE }
  const block = b.build.select(b, select, parent)
  const alias = item.alias?.aliasname ?? ''
  return queryItem(b, alias, strings(item.alias?.colnames), block, item.lateral === true, undefined)
}

/** Functions, XMLTABLE, JSON_TABLE: the columns are whatever they are. */
function buildFunction(b: Builder, node: Node, lateral: Scope, expressions: JoinExpression[]): Item {
  expressions.push({ node, scope: lateral })
  const alias =
    as(node, 'RangeFunction')?.alias ?? as(node, 'RangeTableFunc')?.alias ?? as(node, 'JsonTable')?.alias
  const unstable = unstableBecause(traitsOf(node, b.catalog))
  return plainItem(b, alias?.aliasname ?? '', unstable, strings(alias?.colnames), true)
}

const JOIN_TYPES: Readonly<Record<string, JoinType>> = {
  JOIN_INNER: 'inner',
  JOIN_LEFT: 'left',
  JOIN_RIGHT: 'right',
  JOIN_FULL: 'full',
}

function buildJoin(b: Builder, node: JoinExpr, lateral: Scope, expressions: JoinExpression[]): Item {
  const type = JOIN_TYPES[node.jointype ?? ''] ?? 'full'
  const left = buildItem(b, node.larg!, lateral, expressions)
  const rightScope: Scope = { ...lateral, space: beside(lateral.space, left.space) }
  const right = buildItem(b, node.rarg!, rightScope, expressions)
  const names = node.isNatural ? commonNames(left.space, right.space) : strings(node.usingClause)
  const joined = joinUsing(left.space, right.space, names ?? [], type, meansEquals(lateral, b.literals))
  let space = joined.space
  if (names === undefined) space = { ...space, columns: [], open: true }
  const scope: Scope = { ...lateral, space: beside(left.space, right.space) }
  if (node.quals) expressions.push({ node: node.quals, scope })
  const on = [...joined.on, ...factsOf(node.quals, scope, b.literals)]
  const usingAlias = node.join_using_alias?.aliasname
  if (usingAlias !== undefined) {
    const table = { alias: usingAlias, columns: joined.merged, open: false }
    space = { ...space, tables: [...space.tables, table] }
  }
  if (node.alias) {
    const columns = renamed(space.columns, strings(node.alias.colnames))
    space = tableSpace(node.alias.aliasname ?? '', undefined, columns, space.open)
  }
  return { tree: join(type, left.tree, right.tree, on), space }
}
