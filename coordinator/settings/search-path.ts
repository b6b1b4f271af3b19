/** Longest identifier Postgres keeps (NAMEDATALEN - 1), in bytes. */
const IDENTIFIER_BYTES_MAX = 63

/**
 * The schemas that a `search_path` value names, in order, `$user` replaced by the effective role. `undefined` when
 * Postgres would reject the value. Rules of Postgres' SplitIdentifierString: names are folded to lower case
 * unless quoted, and cut after 63 bytes.
 */
export function parseSearchPath(value: string, effectiveRole: string): readonly string[] | undefined {
  const names = splitIdentifiers(value)
  return names?.map((name) => (name === '$user' ? effectiveRole : name))
}

function splitIdentifiers(text: string): string[] | undefined {
  const names: string[] = []
  let at = skipSpace(text, 0)
  if (at === text.length) return names
  for (;;) {
    const item = text[at] === '"' ? quotedName(text, at) : plainName(text, at)
    if (item === undefined) return undefined
    names.push(truncate(item.name))
    at = skipSpace(text, item.end)
    if (at === text.length) return names
    if (text[at] !== ',') return undefined
    at = skipSpace(text, at + 1)
  }
}

function quotedName(text: string, start: number): { name: string; end: number } | undefined {
  let name = ''
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] !== '"') name += text[at]
    else if (text[at + 1] === '"') name += text[at++]
    else return { name, end: at + 1 }
  }
  return undefined
}

function plainName(text: string, start: number): { name: string; end: number } | undefined {
  let end = start
  while (end < text.length && text[end] !== ',' && !isSpace(text[end])) end++
  // Only ASCII letters are folded, as Postgres does in UTF-8.
  const name = text.slice(start, end).replace(/[A-Z]/g, (c) => c.toLowerCase())
  return end === start ? undefined : { name, end }
}

function skipSpace(text: string, at: number): number {
  while (at < text.length && isSpace(text[at])) at++
  return at
}

function isSpace(c: string | undefined): boolean {
  return c === ' ' || c === '\t' || c === '\n' || c === '\r' || c === '\f' || c === '\v'
}

/** Cuts at a character boundary, as pg_mbcliplen does. */
function truncate(name: string): string {
  if (Buffer.byteLength(name) <= IDENTIFIER_BYTES_MAX) return name
  let bytes = 0
  let kept = ''
  for (const c of name) {
    bytes += Buffer.byteLength(c)
    if (bytes > IDENTIFIER_BYTES_MAX) break
    kept += c
  }
  return kept
}
