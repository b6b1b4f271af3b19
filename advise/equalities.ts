import type { Catalog } from '../sql/catalog.ts'
import { literalPlaces } from '../sql/lex/literal-places.ts'
import type { ParsedStatement } from '../sql/parse/parse.ts'
import { type Analysis, analyze } from '../sql/place/analyze.ts'
import type { Block, Leaf, Tree } from '../sql/tree/block.ts'
import { type ColumnKey, type Fact, leafOf } from '../sql/tree/facts.ts'

/** A column of a table. */
export interface TableColumn {
  readonly table: number
  readonly column: string
}

export interface Equalities {
  /** Columns that a statement compares with constants or parameters. */
  readonly constants: readonly TableColumn[]
  /** Pairs of columns that it joins by. */
  readonly joins: readonly (readonly [TableColumn, TableColumn])[]
}

/** What a statement says is equal, by the planner's own reading of it. `catalog`: one in which every table is sharded. */
export function equalitiesOf(
  stmt: ParsedStatement,
  catalog: Catalog,
  searchPath: readonly string[],
): Equalities {
  const context = { searchPath, tempTables: new Set<string>(), paramTypes: [] }
  const found: Found = { facts: [], leaves: new Map(), seen: new Set() }
  ofBlock(analysisOf(stmt, catalog, context).block, found)
  const column = (key: ColumnKey): TableColumn | undefined => {
    const leaf = found.leaves.get(leafOf(key))
    if (leaf?.kind !== 'sharded') return undefined
    return { table: leaf.relation.oid, column: key.slice(key.indexOf('.') + 1) }
  }
  const constants: TableColumn[] = []
  const joins: (readonly [TableColumn, TableColumn])[] = []
  for (const fact of found.facts) {
    if (fact.kind === 'in') constants.push(...[column(fact.column)].filter((one) => one !== undefined))
    else {
      const [a, b] = [column(fact.a), column(fact.b)]
      if (a !== undefined && b !== undefined) joins.push([a, b])
    }
  }
  return { constants, joins }
}

const analysisOf = (
  stmt: ParsedStatement,
  catalog: Catalog,
  context: Parameters<typeof analyze>[3],
): Analysis => analyze(stmt, literalPlaces(stmt.text), catalog, context)

interface Found {
  readonly facts: Fact[]
  readonly leaves: Map<number, Leaf>
  readonly seen: Set<Block>
}

function ofBlock(block: Block, found: Found): void {
  if (found.seen.has(block)) return
  found.seen.add(block)
  found.facts.push(...block.where)
  if (block.tree !== undefined) ofTree(block.tree, found)
  if (block.modify?.target !== undefined) ofLeaf(block.modify.target, found)
  for (const arm of block.arms) ofBlock(arm, found)
  for (const { block: inner } of block.ctes) ofBlock(inner, found)
  for (const { block: inner, link } of block.subs) {
    ofBlock(inner, found)
    for (const { outer, output } of link ?? []) {
      const key = inner.outputs?.[output]?.info.key
      if (key !== undefined) found.facts.push({ kind: 'eq', a: outer, b: key, strict: true })
    }
  }
}

function ofTree(tree: Tree, found: Found): void {
  if (tree.kind === 'leaf') return ofLeaf(tree.leaf, found)
  found.facts.push(...tree.on)
  ofTree(tree.left, found)
  ofTree(tree.right, found)
}

function ofLeaf(leaf: Leaf, found: Found): void {
  found.leaves.set(leaf.id, leaf)
  if (leaf.kind === 'query') ofBlock(leaf.block, found)
}
