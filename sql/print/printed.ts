import { deparseSync } from 'pgsql-deparser'
import type { Node } from '../parse/ast.ts'
import { OFFSET_FIELDS, parseStatements } from '../parse/parse.ts'

/**
 * The statement that a syntax tree stands for, as text. It is parsed again and compared with the tree, so that a construct
 * which the printer gets wrong is never run; undefined then, or when the printer does not know it.
 */
export function printed(node: Node): string | undefined {
  try {
    // The tree is what libpg-query made, or of its shape.
    const text = deparseSync({ version: 0, stmts: [{ stmt: node }] } as unknown as Parameters<
      typeof deparseSync
    >[0])
    const again = parseStatements(text)
    return again.length === 1 && isSame(again[0]!.node, node) ? text : undefined
  } catch {
    return undefined
  }
}

/** Equal but for places in the text. */
export function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, i) => isSame(item, b[i]))
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  for (const key of keys) {
    if (OFFSET_FIELDS.has(key) || key === 'stmt_len') continue
    if (!isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false
  }
  return true
}
