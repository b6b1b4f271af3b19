/** The groups of a pg_regress schedule, in order. The tests of a group need nothing of each other. */
export function readSchedule(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('test:'))
    .map((line) => line.slice('test:'.length).trim().split(/\s+/))
}

/** Those asked for, and ahead of them what nearly all tests need. */
export function only(groups: readonly string[][], names: readonly string[]): string[][] {
  if (names.length === 0) return [...groups]
  const known = new Set(groups.flat())
  const unknown = names.filter((name) => !known.has(name))
  if (unknown.length > 0) throw new Error(`no such test: ${unknown.join(', ')}`)
  const wanted = new Set(['test_setup', ...names])
  return groups.map((group) => group.filter((name) => wanted.has(name))).filter((group) => group.length > 0)
}
