interface PlanNode {
  readonly 'Node Type'?: string
  readonly 'Plan Rows'?: number
  readonly Output?: readonly string[]
  readonly Plans?: readonly PlanNode[]
}

/** Nodes that put the rows of arms together; their own output looks like that of the first. */
const TOGETHER: ReadonlySet<string> = new Set(['Append', 'Gather', 'Gather Merge'])

/**
 * Rows that the planner expects of each arm of a UNION ALL whose arms give their number as their one column, from what
 * EXPLAIN (VERBOSE, FORMAT JSON) says of it. An arm that is not there has none.
 */
export function estimatedRows(explained: string): number[] {
  const rows: number[] = []
  const visit = (node: PlanNode): void => {
    const number = /^\(?(\d+)\)?$/.exec(node.Output?.length === 1 ? node.Output[0]! : '')?.[1]
    if (number === undefined || TOGETHER.has(node['Node Type'] ?? '')) node.Plans?.forEach(visit)
    else rows[Number(number)] = (rows[Number(number)] ?? 0) + (node['Plan Rows'] ?? 0)
  }
  for (const { Plan } of JSON.parse(explained) as { readonly Plan?: PlanNode }[]) if (Plan) visit(Plan)
  return Array.from(rows, (count) => count ?? 0)
}
