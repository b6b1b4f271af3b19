/** A table of an inheritance tree. */
export interface Heir {
  readonly oid: string
  readonly parents: readonly string[]
  /** In the table's order. */
  readonly columns: readonly HeirColumn[]
}

export interface HeirColumn {
  readonly name: string
  /** Defined by the table itself; it may be its parents', too. */
  readonly isOwn: boolean
  /** Adds it to the table, and to what inherits from it. */
  readonly add: string
}

/**
 * The statements that give tables without columns the columns that they are to have: ADD COLUMN passes a column on to all
 * that inherit, and who has it already keeps his own. In an order that leaves each table's columns in their order, and as
 * its own or not; undefined where none was found. `heirs`: all of the tree.
 */
export function columnsInOrder(heirs: readonly Heir[]): readonly string[] | undefined {
  const state = new Map<string, Progress>(heirs.map((heir) => [heir.oid, { heir, has: 0 }]))
  const childrenOf = new Map(
    heirs.map(({ oid }) => [oid, heirs.filter((heir) => heir.parents.includes(oid)).map((heir) => heir.oid)]),
  )
  const statements: string[] = []
  for (let before = -1; before !== statements.length; ) {
    before = statements.length
    for (const { oid } of heirs) {
      let add = addNext(state, childrenOf, oid)
      while (add !== undefined) {
        statements.push(add)
        add = addNext(state, childrenOf, oid)
      }
    }
  }
  const isDone = [...state.values()].every(({ heir, has }) => has === heir.columns.length)
  return isDone ? statements : undefined
}

/** `has`: how many of its columns the table has by now. */
interface Progress {
  readonly heir: Heir
  has: number
}

/** Adds the table's next column, if that is one of its own and fits wherever it is inherited. */
function addNext(
  state: ReadonlyMap<string, Progress>,
  childrenOf: ReadonlyMap<string, readonly string[]>,
  oid: string,
): string | undefined {
  const { heir, has } = state.get(oid)!
  const column = heir.columns[has]
  if (column === undefined || !column.isOwn) return undefined
  const getting = new Set([oid])
  for (const at of getting) {
    for (const child of childrenOf.get(at)!) {
      const { heir: other, has: count } = state.get(child)!
      if (other.columns.slice(0, count).some(({ name }) => name === column.name)) continue
      const next = other.columns[count]
      if (next?.name !== column.name || next.isOwn) return undefined
      getting.add(child)
    }
  }
  for (const at of getting) state.get(at)!.has++
  return column.add
}
