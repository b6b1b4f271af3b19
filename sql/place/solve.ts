import { invariant } from '../../errors/pg-error.ts'
import type { Relation } from '../catalog.ts'
import { type Block, type Cte, comparedAs, type Leaf, type Sub, type Tree } from '../tree/block.ts'
import { isIn, isSame } from '../tree/build.ts'
import {
  acceptsCasts,
  type ColumnKey,
  equals,
  type Fact,
  rejectsNull,
  restrictsKey,
  type ValueSet,
  valuesOf,
} from '../tree/facts.ts'
import { comparable, NUMBER } from '../tree/value-types.ts'
import { guaranteeOf, guaranteeOfTree, isInline, keyColumn, linkFacts, rowFacts } from './guarantee.ts'

/** A place where the statement reads or writes a sharded table. */
export interface Occurrence {
  readonly relation: Relation
  /** The constants that the shard key of every row that matters is one of. */
  readonly set: ValueSet | undefined
  /** The key's column; undefined for rows that are inserted. */
  readonly column: ColumnKey | undefined
  /** The set is what is written, not what is stored: the two differ when assignment converts the value. */
  readonly converted: boolean
}

/** Why concatenating what each shard gives would not be the answer. */
export interface Obstacle {
  readonly what: string
  readonly hint?: string
}

/**
 * What each shard gives when the query runs there on the shard's own rows:
 * `none`: the same everywhere, no sharded table in it; `anchored`: likewise, given a row of the enclosing query that
 * is on this shard; `part`: a part of the whole answer, disjoint from the others'; `bad`: nothing of use.
 */
export type Status =
  | { readonly kind: 'none' | 'anchored'; unstable(): string | undefined }
  | {
      readonly kind: 'part'
      readonly keys: ReadonlyMap<ColumnKey, number>
      /** Of these, columns that an outer join may leave null, on any shard. */
      readonly nullable: ReadonlySet<ColumnKey>
      readonly tables: readonly string[]
    }
  | { readonly kind: 'bad'; readonly obstacle: Obstacle }

/** Columns that are null or hold a key of the shard where the row is, and their colocation. */
type Anchors = ReadonlyMap<ColumnKey, number>

interface Env {
  readonly facts: readonly Fact[]
  readonly anchors: Anchors
  /** What stands to the left of a LATERAL item. */
  readonly lateral: Anchors
}

export interface Solver {
  readonly occurrences: Occurrence[]
  readonly ctes: Map<Cte, Status>
  /** Every level of the query, by its node. */
  readonly levels: Map<object, Level>
  /** The statement is a SELECT: what OFFSET says is looked at when it runs. */
  readonly isSelect: boolean
  /** Instability of a subtree, looked at only when it matters; `ordered`: also what depends on the order of rows. */
  unstable(node: object, ordered: boolean): string | undefined
}

export interface Level extends Solved {
  readonly block: Block
}

export interface Solved {
  readonly status: Status
  /** The status of the rows, before DISTINCT, GROUP BY, ORDER BY and so on. */
  readonly rows: Status
  /** Of the arms of a set operation; of the source of an INSERT. */
  readonly arms: readonly Status[]
}

const NOWHERE: Anchors = new Map()
const NONE: ReadonlySet<ColumnKey> = new Set()
export const TOP: Env = { facts: [], anchors: NOWHERE, lateral: NOWHERE }

export function solve(s: Solver, block: Block, env: Env = TOP): Solved {
  const solved = solveLevel(s, block, env)
  s.levels.set(block.node, { ...solved, block })
  return solved
}

function solveLevel(s: Solver, block: Block, env: Env): Solved {
  for (const cte of block.ctes) solveCte(s, cte, env)
  const arms: Status[] = []
  const rows = solveRows(s, block, env, arms)
  if (rows.kind === 'part') return { rows, status: shaped(s, block, rows), arms }
  if (rows.kind === 'bad') return { rows, status: rows, arms }
  // The rows of an anchored query are on one shard only, so their order is a matter of that shard.
  const unstable = once(() => rows.unstable() ?? s.unstable(block.node, rows.kind === 'none'))
  return { rows, status: { kind: rows.kind, unstable }, arms }
}

function solveCte(s: Solver, cte: Cte, env: Env): void {
  if (cte.references === 1 && !cte.modifies && !cte.recursive) return
  const { status } = solve(s, cte.block, { ...env, lateral: NOWHERE })
  const writes = cte.modifies && status.kind === 'part'
  s.ctes.set(cte, writes ? bad(`data-modifying WITH query "${cte.name}"`) : status)
}

function solveRows(s: Solver, block: Block, env: Env, arms: Status[]): Status {
  const first = s.occurrences.length
  if (block.arms.length > 0) return withSubs(s, block, env, [], solveArms(s, block, env, arms))
  const facts = [...env.facts, ...block.where, ...block.subs.flatMap(linkFacts)]
  const tree = block.tree ? solveTree(s, block.tree, facts, env) : nothing()
  const solved = restrictionsAsFacts(s.occurrences.slice(first))
  addInserts(s, block, [...env.facts, ...rowFacts(block), ...solved])
  return withSubs(s, block, env, solved, tree)
}

const nothing = (): Status => ({ kind: 'none', unstable: () => undefined })
const bad = (what: string, hint?: string): Status => ({
  kind: 'bad',
  obstacle: hint === undefined ? { what } : { what, hint },
})

function restrictionsAsFacts(occurrences: readonly Occurrence[]): Fact[] {
  return occurrences.flatMap((o) => (o.set && o.column !== undefined ? [isIn(o.column, o.set)] : []))
}

function addInserts(s: Solver, block: Block, facts: readonly Fact[]): void {
  for (const insert of block.modify?.inserts ?? []) {
    const { relation } = insert
    const { type } = relation.key!
    let set = insert.set && acceptsCasts(type, insert.set) ? insert.set : undefined
    // Of another type, what the column equals is not what is stored.
    if (insert.column !== undefined && comparable(comparedAs(insert.column), keyColumnType(relation)))
      set = valuesOf(facts, insert.column.key, (v) => restrictsKey(type, v) && acceptsCasts(type, v))
    const converted = !keepsValue(relation, insert.column && comparedAs(insert.column))
    s.occurrences.push({ relation, set, column: undefined, converted })
  }
}

/** Values of this type go into the shard key's column as they are. */
function keepsValue(relation: Relation, type: string | undefined): boolean {
  // A number may have a fraction.
  if (type === NUMBER || relation.key?.typmod !== undefined) return false
  return comparable(type, keyColumnType(relation))
}

const keyColumnType = ({ key, columns }: Relation) => comparedAs(columns[key?.index ?? -1] ?? {})

/** Set operations, and the source of an INSERT. */
function solveArms(s: Solver, block: Block, env: Env, arms: Status[]): Status {
  const statuses = block.arms.map((arm) => {
    const facts = [...env.facts, ...pushedToArm(block, arm)]
    return solve(s, arm, { ...env, facts })
  })
  arms.push(...statuses.map((a) => a.status))
  const facts = [...env.facts, ...block.arms.flatMap(guaranteeOf)]
  addInserts(s, block, facts)
  const failed = statuses.find((a) => a.status.kind === 'bad')?.status
  if (failed) return failed
  if (statuses.some((a) => a.status.kind === 'part')) {
    return bad(
      block.modify ? 'INSERT of rows that a query reads from' : (block.shape.setOperation ?? 'UNION'),
    )
  }
  return statuses.reduce((acc: Status, a) => besides(acc, a.status), nothing())
}

function pushedToArm(block: Block, arm: Block): Fact[] {
  if (block.modify || block.shape.limit) return []
  return (block.outputs ?? []).flatMap((output, i) => {
    const inner = pushable(arm, i)
    // The types of the arms differ when the output has none: equal there need not be equal here.
    if (inner === undefined || output.info.key === undefined || output.info.type === undefined) return []
    return [isSame(output.info.key, inner)]
  })
}

/** The inner column of an output, if a condition on the output may be put on the inner rows instead. */
function pushable(block: Block, index: number): ColumnKey | undefined {
  const { shape } = block
  if (block.modify || shape.limit || shape.distinctOn || shape.groupingSets) return undefined
  if ((shape.aggregate !== undefined || shape.having) && !shape.group) return undefined
  const key = block.outputs?.[index]?.info.key
  if (key === undefined || (block.partitionedBy && !block.partitionedBy.has(key))) return undefined
  return key
}

/** Of a query that others name, and they again, it is asked as often as there are ways to it. */
function once(ask: () => string | undefined): () => string | undefined {
  let answer: { readonly is: string | undefined } | undefined
  return () => {
    answer ??= { is: ask() }
    return answer.is
  }
}

/** Both give the same everywhere. */
function besides(a: Status, b: Status): Status {
  if (a.kind === 'bad') return a
  if (b.kind === 'bad' || a.kind === 'part' || b.kind === 'part') return b.kind === 'part' ? a : b
  const kind = a.kind === 'anchored' || b.kind === 'anchored' ? 'anchored' : 'none'
  return { kind, unstable: once(() => a.unstable() ?? b.unstable()) }
}

function withSubs(s: Solver, block: Block, env: Env, solved: readonly Fact[], tree: Status): Status {
  const keys = tree.kind === 'part' ? tree.keys : NOWHERE
  const anchors = new Map([...env.anchors, ...keys])
  let result = tree
  for (const sub of block.subs) {
    const facts = [...env.facts, ...solved, ...factsForSub(block, sub)]
    const { status } = solve(s, sub.block, { facts, anchors, lateral: NOWHERE })
    result = withSub(result, status)
  }
  return result
}

function factsForSub(block: Block, sub: Sub): Fact[] {
  // In an ON clause the rows are not yet those that WHERE leaves.
  if (sub.inJoin || block.modify?.inserts.length) return []
  const facts: Fact[] = [...block.where, ...(block.tree ? guaranteeOfTree(block.tree) : [])]
  for (const other of block.subs) if (other !== sub) facts.push(...linkFacts(other))
  for (const link of sub.link ?? []) {
    const inner = pushable(sub.block, link.output)
    if (inner !== undefined) facts.push({ kind: 'eq', a: link.outer, b: inner, strict: true })
  }
  return facts
}

function withSub(outer: Status, sub: Status): Status {
  if (outer.kind === 'bad') return outer
  if (sub.kind === 'bad') return sub
  if (sub.kind === 'part')
    return bad(`a subquery over ${quoted(sub.tables)} that is not joined to the outer query on the shard key`)
  if (outer.kind !== 'part') return besides(outer, sub)
  const unstable = sub.unstable()
  return unstable === undefined ? outer : bad(`a subquery with ${unstable}`)
}

function solveTree(s: Solver, tree: Tree, facts: readonly Fact[], env: Env): Status {
  if (tree.kind === 'leaf') return solveLeaf(s, tree.leaf, facts, env)
  const type = reduced(tree, facts)
  const inner = [...facts, ...tree.on]
  const toLeft = type === 'inner' || type === 'right' ? [...inner, ...guaranteeOfTree(tree.right)] : facts
  const toRight = type === 'inner' || type === 'left' ? [...inner, ...guaranteeOfTree(tree.left)] : facts
  const left = solveTree(s, tree.left, toLeft, env)
  const lateral = left.kind === 'part' ? new Map([...env.lateral, ...left.keys]) : env.lateral
  const right = solveTree(s, tree.right, toRight, { ...env, lateral })
  const both = [
    ...(type === 'full' ? [] : facts),
    ...tree.on,
    ...guaranteeOfTree(tree.left),
    ...guaranteeOfTree(tree.right),
  ]
  return combine(type, left, right, both)
}

type Join = Extract<Tree, { kind: 'join' }>

/** An outer join whose null rows cannot pass what is above it is an inner one, or outer on one side only. */
function reduced(tree: Join, facts: readonly Fact[]): Join['type'] {
  if (tree.type === 'inner') return 'inner'
  const leftReal = rejectsNull(facts, tree.left.leaves)
  const rightReal = rejectsNull(facts, tree.right.leaves)
  if (tree.type === 'left') return rightReal ? 'inner' : 'left'
  if (tree.type === 'right') return leftReal ? 'inner' : 'right'
  if (leftReal && rightReal) return 'inner'
  return leftReal ? 'left' : rightReal ? 'right' : 'full'
}

function combine(type: Join['type'], left: Status, right: Status, facts: readonly Fact[]): Status {
  if (left.kind === 'bad') return left
  if (right.kind === 'bad') return right
  if (left.kind === 'part' && right.kind === 'part') return combineParts(type, left, right, facts)
  if (left.kind !== 'part' && right.kind !== 'part') return besides(left, right)
  const [part, same] = left.kind === 'part' ? [left, right] : [right as PartStatus, left]
  const partIsKept =
    type === 'inner' || (type === 'left' && part === left) || (type === 'right' && part === right)
  if (!partIsKept) {
    return bad(
      `an outer join that keeps all rows of a table which is not sharded, with ${quoted(part.tables)}`,
    )
  }
  const unstable = same.kind === 'none' || same.kind === 'anchored' ? same.unstable() : undefined
  return unstable === undefined ? part : bad(`a join with ${unstable}`)
}

type PartStatus = Extract<Status, { kind: 'part' }>

function combineParts(
  type: Join['type'],
  left: PartStatus,
  right: PartStatus,
  facts: readonly Fact[],
): Status {
  const keys = new Map([...left.keys, ...right.keys])
  const nullable = new Set([
    ...(type === 'right' || type === 'full' ? left.keys.keys() : left.nullable),
    ...(type === 'left' || type === 'full' ? right.keys.keys() : right.nullable),
  ])
  const tables = [...new Set([...left.tables, ...right.tables])]
  for (const [key, colocation] of left.keys) {
    const same = equals(facts, [key])
    for (const [other, group] of right.keys) {
      if (group === colocation && same.has(other)) return { kind: 'part', keys, nullable, tables }
    }
  }
  const groups = new Set(keys.values())
  const why = groups.size > 1 ? ', which are not colocated,' : ' that is not on their shard keys'
  return bad(`a join of ${quoted(tables)}${why}`)
}

function quoted(tables: readonly string[]): string {
  return [...new Set(tables)].map((t) => `"${t}"`).join(' and ')
}

function solveLeaf(s: Solver, leaf: Leaf, facts: readonly Fact[], env: Env): Status {
  if (leaf.kind === 'plain') return { kind: 'none', unstable: () => leaf.unstable }
  if (leaf.kind === 'query') return solveQuery(s, leaf, facts, env)
  const { relation } = leaf
  const column = keyColumn(leaf)
  invariant(column !== undefined, 'a sharded table has a key')
  const set = valuesOf(facts, column, (v) => restrictsKey(relation.key!.type, v))
  s.occurrences.push({ relation, set, column, converted: false })
  const colocation = relation.colocation ?? -1
  for (const other of equals(facts, [column])) {
    if (other !== column && env.anchors.get(other) === colocation)
      return { kind: 'anchored', unstable: () => undefined }
  }
  return { kind: 'part', keys: new Map([[column, colocation]]), nullable: NONE, tables: [relation.name] }
}

function solveQuery(
  s: Solver,
  leaf: Extract<Leaf, { kind: 'query' }>,
  facts: readonly Fact[],
  env: Env,
): Status {
  const status = isInline(leaf)
    ? solve(s, leaf.block, envOfQuery(leaf, facts, env)).status
    : s.ctes.get(leaf.cte!)
  if (!status) return bad(`WITH query "${leaf.cte?.name}"`)
  if (status.kind !== 'part') return status
  const keys = new Map<ColumnKey, number>()
  const nullable = new Set<ColumnKey>()
  for (const [i, output] of (leaf.block.outputs ?? []).entries()) {
    const inner = output.info.key
    const colocation = inner === undefined ? undefined : status.keys.get(inner)
    const column = leaf.columns[i]?.info.key
    if (colocation === undefined || column === undefined) continue
    keys.set(column, colocation)
    if (status.nullable.has(inner!)) nullable.add(column)
  }
  return { kind: 'part', keys, nullable, tables: status.tables }
}

function envOfQuery(leaf: Extract<Leaf, { kind: 'query' }>, facts: readonly Fact[], env: Env): Env {
  const pushed = leaf.columns.flatMap((column, i) => {
    const inner = pushable(leaf.block, i)
    return inner === undefined || column.info.key === undefined ? [] : [isSame(column.info.key, inner)]
  })
  const anchors = leaf.lateral ? new Map([...env.anchors, ...env.lateral]) : env.anchors
  return { facts: [...facts, ...pushed], anchors, lateral: NOWHERE }
}

/** What needs all rows of the answer together. */
function shaped(s: Solver, block: Block, rows: PartStatus): Status {
  const what = obstacleOf(block, s.isSelect)
  return what === undefined || isByKey(block, rows) ? rows : bad(what)
}

/** What it puts together has one shard key, and so is on one shard: groups, partitions of windows, rows that are alike. */
function isByKey({ shape, partitionedBy, outputs }: Block, { keys, nullable }: PartStatus): boolean {
  const { setOperation, order, limit, groupingSets, distinctOn, setReturning, aggregate, having } = shape
  if (setOperation !== undefined || order || limit || groupingSets || distinctOn) return false
  if (setReturning !== undefined || ((aggregate !== undefined || having) && !shape.group)) return false
  const isKey = (column: ColumnKey | undefined) =>
    column !== undefined && keys.has(column) && !nullable.has(column)
  if (shape.distinct && !outputs?.some(({ info }) => isKey(info.key))) return false
  const isApart = shape.group || shape.window
  return !isApart || [...(partitionedBy ?? [])].some(isKey)
}

export function obstacleOf(block: Block, mayCheckSkips = false): string | undefined {
  const { shape } = block
  if (shape.setOperation !== undefined) return shape.setOperation
  if (shape.distinct) return shape.distinctOn ? 'DISTINCT ON' : 'DISTINCT'
  if (shape.group) return 'GROUP BY'
  if (shape.window) return 'a window function'
  if (shape.having) return 'HAVING'
  if (shape.aggregate !== undefined) return `aggregate ${shape.aggregate}()`
  if (shape.order) return 'ORDER BY'
  // What its OFFSET says is looked at when it runs (ForwardPlan.skips).
  if (shape.limit && !(mayCheckSkips && shape.skips)) return 'LIMIT'
  if (shape.setReturning !== undefined) return `${shape.setReturning}() in the select list`
  return undefined
}
