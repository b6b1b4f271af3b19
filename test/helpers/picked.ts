/** Of an object only these fields, also where they are undefined. */
export function picked(from: object, names: readonly string[]): Record<string, unknown> {
  const all = from as Record<string, unknown>
  return Object.fromEntries(names.map((name) => [name, all[name]]))
}
