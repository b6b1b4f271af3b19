import type { Relation } from '../../sql/catalog.ts'
import type { PartialTables } from '../../sql/code/code-graph.ts'
import { mayName, wordsOf } from '../../sql/words.ts'

const WRITES = /\b(insert|update|delete|merge|truncate|copy|execute)\b/i

/** `::t` names the type of a table's rows, and reads none. */
const CAST = /::\s*(?:(?:[\p{L}\p{N}_$]+|"(?:[^"]|"")*")\s*\.\s*)?(?:[\p{L}\p{N}_$]+|"(?:[^"]|"")*")/gu

interface Text {
  readonly text: string
  readonly words: ReadonlySet<string>
}

/**
 * Functions that may read a sharded table, or write a reference table, by name: where they run they see one shard
 * only. Function name → table name; through views and through other functions too. Texts are searched for words.
 */
export function tablesInFunctions(
  bodies: ReadonlyMap<string, string>,
  relations: readonly Relation[],
): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const { sharded, references } = partialTables(relations)
  if (sharded.length + references.length === 0) return found
  const texts = new Map([...bodies].map(([name, text]) => [name, toText(text.replaceAll(CAST, ''))]))
  for (const [name, text] of texts) {
    const candidates = WRITES.test(text.text) ? [...sharded, ...references] : sharded
    const table = candidates.find((candidate) => mayName(text.text, text.words, candidate))
    if (table !== undefined) found.set(name, table)
  }
  for (let size = -1; size !== found.size; ) {
    size = found.size
    for (const [name, { text, words }] of texts) {
      if (found.has(name)) continue
      for (const [callee, table] of [...found]) if (mayName(text, words, callee)) found.set(name, table)
    }
  }
  return found
}

/** Tables of which code that runs on a shard sees, or changes, a part. */
export function partialTables(relations: readonly Relation[]): PartialTables {
  const references = relations.filter((r) => r.kind === 'reference').map((r) => r.name)
  return { sharded: withViews(relations), references }
}

/** Names of the sharded tables and of the views over them, those among them of which nobody knows now what they are over. */
function withViews(relations: readonly Relation[]): readonly string[] {
  const isOne = (r: Relation) => r.kind === 'sharded' || (r.kind === 'view' && r.lockedBy !== undefined)
  const names = relations.filter(isOne).map((r) => r.name)
  const views = relations.flatMap((r) =>
    r.kind === 'view' ? [{ name: r.name, ...toText(r.definition ?? '') }] : [],
  )
  for (let size = -1; size !== names.length; ) {
    size = names.length
    for (const { name, text, words } of views) {
      if (!names.includes(name) && names.some((other) => mayName(text, words, other))) names.push(name)
    }
  }
  return names
}

const toText = (text: string): Text => ({ text, words: wordsOf(text) })
