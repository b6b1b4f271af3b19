import type { Relation } from '../../sql/catalog.ts'

const DRAWN = /nextval\('((?:[^']|'')*)'/g
const LAST_NAME = /(?:"((?:[^"]|"")+)"|([^."]+))$/

/** Names of the sequences that defaults of these draw from, without schemas: plans have them in what fills the columns. */
export function drawnSequences(relations: readonly Relation[]): readonly string[] {
  const columns = relations.flatMap(({ kind, columns }) =>
    kind === 'local' || kind === 'view' ? [] : columns,
  )
  return columns.flatMap((column) => {
    if (!column.usesSequence || column.default === undefined) return []
    return [...column.default.matchAll(DRAWN)].map(([, name]) => lastOf(name!.replaceAll("''", "'")))
  })
}

function lastOf(name: string): string {
  const [, quoted, plain] = LAST_NAME.exec(name) ?? []
  return quoted?.replaceAll('""', '"') ?? plain ?? name
}
