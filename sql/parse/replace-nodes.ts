import type { Node } from './ast.ts'

/** In place: nodes below `root` for which `replacement` has another one. What is below those is not looked at. */
export function replaceNodes(root: unknown, replacement: (node: Node) => Node | undefined): void {
  if (typeof root !== 'object' || root === null) return
  const fields = root as Record<string, unknown>
  for (const key in fields) {
    const child = fields[key]
    const other = isNode(child) ? replacement(child) : undefined
    if (other === undefined) replaceNodes(child, replacement)
    else fields[key] = other
  }
}

/** `{ ParamRef: { … } }` */
function isNode(value: unknown): value is Node {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const keys = Object.keys(value)
  return keys.length === 1 && /^[A-Z]/.test(keys[0]!)
}
