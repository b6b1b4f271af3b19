/** What a transaction has written in the catalogs of its database, as its backend counts it. PURE. */
import type { Uses } from './overreach.ts'

/** Ahead of a catalog's name in `Uses`. */
export const CATALOG = 'catalog '

/** What every shard has of its own and all have alike, by catalog. Those of relations only are home's business. */
export const SHARED_CATALOGS = [
  ...['pg_namespace', 'pg_extension', 'pg_collation', 'pg_type', 'pg_enum', 'pg_range', 'pg_proc'],
  ...['pg_class', 'pg_attribute', 'pg_constraint', 'pg_rewrite', 'pg_trigger', 'pg_policy'],
  ...['pg_aggregate', 'pg_operator', 'pg_opclass', 'pg_opfamily', 'pg_amop', 'pg_amproc', 'pg_am', 'pg_cast'],
  ...['pg_conversion', 'pg_transform', 'pg_language', 'pg_default_acl', 'pg_event_trigger', 'pg_seclabel'],
  ...['pg_ts_config', 'pg_ts_config_map', 'pg_ts_dict', 'pg_ts_parser', 'pg_ts_template'],
] as const

export type SharedCatalog = (typeof SHARED_CATALOGS)[number]

/** What is in these can be made on other shards from what home has; of the rest no statement is made. */
const CARRIED: ReadonlySet<string> = new Set<SharedCatalog>([
  ...(['pg_namespace', 'pg_extension', 'pg_collation', 'pg_type', 'pg_enum', 'pg_range', 'pg_proc'] as const),
  ...(['pg_class', 'pg_attribute', 'pg_constraint', 'pg_rewrite', 'pg_trigger', 'pg_policy'] as const),
])

export const isCarried = (catalog: string): boolean => CARRIED.has(catalog)

export interface CatalogWrites {
  /** Catalogs in which rows were inserted, changed or removed. */
  readonly written: ReadonlySet<string>
  /** In which some that were there may be gone, or have another name. */
  readonly replaced: ReadonlySet<string>
  readonly removed: ReadonlySet<string>
}

/** Attempts count, too: those of a subtransaction that was rolled back. */
export function catalogWrites(before: Uses, after: Uses): CatalogWrites {
  const found = { written: new Set<string>(), replaced: new Set<string>(), removed: new Set<string>() }
  for (const [name, counts] of Object.entries(after)) {
    if (!name.startsWith(CATALOG)) continue
    const catalog = name.slice(CATALOG.length)
    const counted = (i: 2 | 3 | 4): number => counts[i] - (before[name]?.[i] ?? 0)
    const [inserted, updated, deleted] = [counted(2), counted(3), counted(4)]
    if (inserted + updated + deleted > 0) found.written.add(catalog)
    if (updated + deleted > 0) found.replaced.add(catalog)
    if (deleted > 0) found.removed.add(catalog)
  }
  return found
}
