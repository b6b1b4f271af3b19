import type { Block, Leaf, Output, Sub, Tree } from '../tree/block.ts'
import { isIn, isSame } from '../tree/build.ts'
import { asColumn } from '../tree/conditions.ts'
import { type ColumnKey, columnKey, type Fact, type ValueSet, valuesOf } from '../tree/facts.ts'

/** Each is asked for by what is around it for every column: without a memory the work doubles with every level. */
const guarantees = new WeakMap<Block, readonly Fact[]>()

/** What holds for every row that a query gives, in terms of its own columns. */
export function guaranteeOf(block: Block): readonly Fact[] {
  const known = guarantees.get(block)
  if (known !== undefined) return known
  const found = guaranteeOfBlock(block)
  guarantees.set(block, found)
  return found
}

function guaranteeOfBlock(block: Block): readonly Fact[] {
  if (block.modify) return modifiedKey(block)
  if (block.arms.length > 0) return armSets(block)
  const { shape } = block
  // These give rows even when no row of FROM is left, or null out columns.
  if (shape.groupingSets || ((shape.aggregate !== undefined || shape.having) && !shape.group)) return []
  return rowFacts(block)
}

/** What holds for every row of FROM that passes WHERE. */
export function rowFacts(block: Block): readonly Fact[] {
  const facts: Fact[] = [...block.where]
  if (block.tree) facts.push(...guaranteeOfTree(block.tree))
  for (const sub of block.subs) facts.push(...linkFacts(sub))
  return facts
}

/** EXISTS and IN as conjuncts: some row of the subquery goes with each row that counts. */
export function linkFacts(sub: Sub): readonly Fact[] {
  if (!sub.link) return []
  return [
    ...guaranteeOf(sub.block),
    ...sub.link.flatMap((l) => linkTo(l.outer, sub.block.outputs?.[l.output])),
  ]
}

function linkTo(outer: ColumnKey, output: Output | undefined): Fact[] {
  const set = output?.set && asColumn(output.set)
  if (set) return [{ kind: 'in', column: outer, set, strict: true }]
  if (output?.info.key === undefined) return []
  return [{ kind: 'eq', a: outer, b: output.info.key, strict: true }]
}

/** RETURNING may show new values; only the shard key cannot change. */
function modifiedKey(block: Block): Fact[] {
  const leaf = block.modify?.target
  if (leaf?.kind !== 'sharded' || !block.tree) return []
  const key = keyColumn(leaf)
  const set = key === undefined ? undefined : valuesOf(rowFacts(block), key)
  return key !== undefined && set ? [isIn(key, set)] : []
}

export function keyColumn(leaf: Leaf): ColumnKey | undefined {
  if (leaf.kind !== 'sharded' || !leaf.relation.key) return undefined
  // A view that is written may not show it.
  return leaf.columns[leaf.relation.key.index]?.info.key ?? columnKey(leaf.id, '')
}

function armSets(block: Block): Fact[] {
  const operation = block.shape.setOperation
  const facts: Fact[] = []
  for (const [i, output] of (block.outputs ?? []).entries()) {
    const [left, right] = block.arms.map((arm) => outputSet(arm, i))
    let set: ValueSet | undefined
    if (output.info.type === undefined) set = undefined
    else if (operation === 'UNION')
      set = left && right && asColumn({ values: [...left.values, ...right.values], direct: undefined })
    else if (operation === 'INTERSECT') set = left ?? right
    else if (operation === 'EXCEPT') set = left
    if (set && output.info.key !== undefined) facts.push(isIn(output.info.key, set))
  }
  return facts
}

/** The constants that an output column is one of, whichever way the query is used. */
export function outputSet(block: Block, index: number): ValueSet | undefined {
  const output = block.outputs?.[index]
  if (output?.set) return asColumn(output.set)
  return output?.info.key === undefined ? undefined : valuesOf(guaranteeOf(block), output.info.key)
}

/** What holds for every row of the FROM item, whatever is above it. */
export function guaranteeOfTree(tree: Tree): readonly Fact[] {
  if (tree.kind === 'leaf') return leafFacts(tree.leaf)
  switch (tree.type) {
    case 'inner':
      return [...guaranteeOfTree(tree.left), ...guaranteeOfTree(tree.right), ...tree.on]
    case 'left':
      return guaranteeOfTree(tree.left)
    case 'right':
      return guaranteeOfTree(tree.right)
    case 'full':
      return []
  }
}

/** One reference, and no more to it than a subquery in its place would have. */
export function isInline(leaf: Leaf): boolean {
  if (leaf.kind !== 'query') return false
  const cte = leaf.cte
  return !cte || (cte.references === 1 && !cte.modifies && !cte.recursive)
}

function leafFacts(leaf: Leaf): Fact[] {
  if (leaf.kind !== 'query') return []
  const inline = isInline(leaf)
  const facts: Fact[] = inline ? [...guaranteeOf(leaf.block)] : []
  for (const [i, output] of (leaf.block.outputs ?? []).entries()) {
    const column = leaf.columns[i]?.info.key
    if (column === undefined) continue
    const set = inline ? output.set && asColumn(output.set) : outputSet(leaf.block, i)
    if (set) facts.push(isIn(column, set))
    else if (inline && output.info.key !== undefined) facts.push(isSame(column, output.info.key))
  }
  return facts
}
