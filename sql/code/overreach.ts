/** What code has done to sharded and reference tables that its statement does not name, and to roles. PURE. */

/** Locks of the transaction on a table, as bits: see `LOCK`; then, of the table and its indexes, what was counted. */
export type TableUse = readonly [
  locks: number,
  scans: number,
  inserted: number,
  updated: number,
  deleted: number,
  /** Where its row in pg_class is: at another place when it was altered or emptied. */
  place?: string,
]

export const LOCK = { read: 1, lockRows: 2, write: 4, more: 8 } as const

/** By `schema.table`; tables that the transaction has nothing to do with may be missing. */
export type Uses = Readonly<Record<string, TableUse>>

export interface Looked {
  readonly before: Uses
  readonly after: Uses
  /** Foreign keys between such tables: their checks and actions stay with the rows. */
  readonly linked: readonly Link[]
  /** Pairs of what is partitioned and each partition of it: who names the one has the rows of the other. */
  readonly partitions: readonly (readonly [whole: string, part: string])[]
}

/** A foreign key; what becomes of the child's rows where a parent's is deleted, or has another key: as in pg_constraint. */
export type Link = readonly [child: string, parent: string, onDelete: string, onUpdate: string]

/** What code may do where its statement runs, and nothing is amiss. */
export interface Reach {
  /** Sharded tables whose rows are the statement's, or stay with them: `schema.table`. */
  readonly tables: readonly string[]
  /** Of those the one that it writes, if nothing but code whose reach is not known would do more there. */
  readonly target?: Target
  /** Of those such as neither the statement writes nor code that stays with its rows. */
  readonly onlyRead?: readonly string[]
  /** The statement writes a reference table, and runs on every copy. */
  readonly onCopies: boolean
  /** No other reference table may change. */
  readonly copied?: Copied
  /**
   * It defines something, or keeps up what is there: it locks what it names, and the other end of foreign keys. `checked`:
   * it may look through these, too, for rows of foreign keys.
   */
  readonly defines?: 'plain' | 'checked'
  /** Of triggers that fire at the end: foreign keys are checked then, too, for what was written before. */
  readonly atEnd?: true
}

/** Reference tables. `rows`: home runs the statement, and others are told what became of rows; `emptied`: by TRUNCATE. */
export interface Copied {
  readonly tables: readonly string[]
  readonly how: 'rows' | 'emptied'
}

/** A table that its statement does not read; whether rows of it are changed, or removed. */
export interface Target {
  readonly table: string
  readonly changes: boolean
  readonly removes: boolean
}

export interface Overreach {
  readonly table: string
  /** `shared`: one of Postgres' catalogs of the whole server, of which each shard has its own. */
  readonly kind: 'sharded' | 'reference' | 'shared'
  /** `perhaps read`: a foreign key's check may have been it. */
  readonly did: 'read' | 'perhaps read' | 'changed'
}

const UNUSED: TableUse = [0, 0, 0, 0, 0]

/** The first table of which code saw or changed a part; undefined: all is well. */
export function overreach(
  looked: Looked,
  kinds: ReadonlyMap<string, Overreach['kind']>,
  allowed: Reach,
): Overreach | undefined {
  if (allowed.defines !== undefined) return ofDefinition(looked, kinds, allowed)
  const own = withPartitions(looked, allowed.tables)
  const targets = withPartitions(looked, allowed.target === undefined ? [] : [allowed.target.table])
  const onlyRead = withPartitions(looked, allowed.onlyRead ?? [])
  const wholes = new Set(looked.partitions.map(([whole]) => whole))
  const acted = actedOn(looked, kinds, own, targets, allowed)
  const checked = checkedTables(allowed.atEnd ? { ...looked, before: {} } : looked)
  for (const table of Object.keys(looked.after)) {
    const kind = kinds.get(table)
    const target = targets.has(table) ? asTarget(allowed.target, table) : undefined
    const isRead = onlyRead.has(table)
    if (kind === undefined || (own.has(table) && target === undefined && !isRead)) continue
    const use = differenceOf(looked, table)
    const did = wholes.has(table)
      ? ofWhole(use)
      : target
        ? ofTarget(use, target, acted.get(table))
        : isRead
          ? ofRead(use, acted.get(table))
          : kind === 'sharded'
            ? ofSharded(use, acted.get(table), checked.has(table))
            : ofReference(use, kind === 'reference' ? mayChange(allowed, table) : 'nothing')
    if (did !== undefined) return { table, kind, did }
  }
  return undefined
}

/**
 * Of a statement that has run on every copy: a reference table that it has changed more on one shard than on another. So
 * does code that is on home only, behind a local table to which a foreign key's action leads.
 */
export function changedUnlike(
  shards: readonly Looked[],
  kinds: ReadonlyMap<string, Overreach['kind']>,
): Overreach | undefined {
  const [first, ...others] = shards
  for (const [table, kind] of kinds) {
    if (kind !== 'reference') continue
    const expected = first && doneTo(first, table)
    if (others.some((other) => doneTo(other, table) !== expected)) return { table, kind, did: 'changed' }
  }
  return undefined
}

/** Rows that it has changed; and whether it may have emptied it, or altered what it is, by which no rows are counted. */
const doneTo = (looked: Looked, table: string): string =>
  [...rowsChanged(looked, table), differenceOf(looked, table).newLocks & LOCK.more].join()

interface Difference {
  readonly newLocks: number
  /** It had been read before, which another reading is not told by. */
  readonly wasRead: boolean
  readonly use: TableUse
}

function differenceOf(looked: Looked, table: string): Difference {
  const before = looked.before[table] ?? UNUSED
  const after = looked.after[table] ?? UNUSED
  const count = (i: 1 | 2 | 3 | 4): number => after[i] - before[i]
  const use: TableUse = [after[0], count(1), count(2), count(3), count(4)]
  const wasThere = (before[5] ?? '') !== '' && (after[5] ?? '') !== ''
  const isAltered = wasThere && before[5] !== after[5]
  const [newLocks, wasRead] = [after[0] & ~before[0], (before[0] & LOCK.read) !== 0]
  // A lock that was held before does not tell.
  return { newLocks: isAltered ? newLocks | LOCK.more : newLocks, wasRead, use }
}

/** Inserted, updated, deleted. */
function rowsChanged(looked: Looked, table: string): readonly number[] {
  const [, , inserted, updated, deleted] = differenceOf(looked, table).use
  return [inserted, updated, deleted]
}

/**
 * A row that is inserted belongs to the shard, or its guard has refused it. What is found, changed or deleted there is a
 * part of what the table has, but for the rows to which an action of a foreign key leads; its checks look for rows, and
 * lock them.
 */
function ofSharded(
  { newLocks, wasRead, use }: Difference,
  acted: Changes | undefined,
  isChecked: boolean,
): Overreach['did'] | undefined {
  const [, scans, inserted, updated, deleted] = use
  if ((newLocks & LOCK.more) !== 0) return 'changed'
  if ((newLocks & LOCK.read) !== 0) return 'read'
  if ((updated > 0 && !acted?.updated) || (deleted > 0 && !acted?.deleted)) return 'changed'
  if (acted !== undefined) return undefined
  const writesNone = (newLocks & LOCK.write) !== 0 && inserted === 0
  if (isChecked && !(writesNone && scans > 0)) return wasRead && scans > 0 ? 'perhaps read' : undefined
  return scans > 0 || (newLocks & LOCK.lockRows) !== 0 ? 'read' : undefined
}

/** Its rows are those of its partitions, which are looked at. Whoever checks a partition's bounds reads of it. */
function ofWhole({ newLocks }: Difference): Overreach['did'] | undefined {
  return (newLocks & LOCK.more) === 0 ? undefined : 'changed'
}

/** A write locks its table in another way than who reads it. Actions of foreign keys to itself stay with the rows. */
function ofTarget(
  { newLocks, use: [, , , updated, deleted] }: Difference,
  { changes, removes }: Target,
  acted: Changes | undefined,
): Overreach['did'] | undefined {
  const isMore = (updated > 0 && !changes && !acted?.updated) || (deleted > 0 && !removes && !acted?.deleted)
  if (isMore) return 'changed'
  return (newLocks & LOCK.read) !== 0 ? 'read' : undefined
}

/** In `Uses`, ahead of a table: a foreign key of a local one leads there; ahead of a JSON array: one of these to another. */
export const BESIDE = 'beside '
export const LINK = 'link '

/**
 * Rows of what it names are not changed by a definition, and what it does not name is not touched at all, but for the other
 * ends of foreign keys that there were or are.
 */
function ofDefinition(
  looked: Looked,
  kinds: ReadonlyMap<string, Overreach['kind']>,
  { tables, defines }: Reach,
): Overreach | undefined {
  const own = withPartitions(looked, tables)
  const ends = withPartitions(looked, withOtherEnds(looked, own))
  const isBeside = (table: string) =>
    `${BESIDE}${table}` in looked.before || `${BESIDE}${table}` in looked.after
  for (const table of Object.keys(looked.after)) {
    const kind = kinds.get(table)
    if (kind === undefined) continue
    const { newLocks, use } = differenceOf(looked, table)
    const [, scans, inserted, updated, deleted] = use
    if (inserted + updated + deleted > 0) return { table, kind, did: 'changed' }
    if (own.has(table)) continue
    const isEnd = ends.has(table)
    const locks = newLocks & (isEnd || isBeside(table) ? LOCK.write : LOCK.write | LOCK.more)
    if (locks !== 0) return { table, kind, did: 'changed' }
    const isRead = scans > 0 || (newLocks & (LOCK.read | LOCK.lockRows)) !== 0
    if (kind === 'sharded' && isRead && !(isEnd && defines === 'checked')) return { table, kind, did: 'read' }
  }
  return undefined
}

function withOtherEnds({ linked, before }: Looked, named: ReadonlySet<string>): string[] {
  const were = Object.keys(before).filter((key) => key.startsWith(LINK))
  const links = [...linked, ...were.map((key) => JSON.parse(key.slice(LINK.length)) as [string, string])]
  const ends = links.flatMap(([child, parent]) =>
    named.has(child) || named.has(parent) ? [child, parent] : [],
  )
  return [...named, ...ends]
}

/** Whoever writes a table that the statement reads is code, or an action of a foreign key. */
function ofRead(
  { newLocks, use: [, , inserted, updated, deleted] }: Difference,
  acted: Changes | undefined,
): Overreach['did'] | undefined {
  if ((updated > 0 && !acted?.updated) || (deleted > 0 && !acted?.deleted)) return 'changed'
  const writesNone = (newLocks & LOCK.write) !== 0 && inserted === 0 && acted === undefined
  return writesNone || (newLocks & LOCK.more) !== 0 ? 'changed' : undefined
}

/** `all`: its copies are changed alike, which is looked at elsewhere. */
function mayChange({ onCopies, copied }: Reach, table: string): 'nothing' | 'all' | Copied['how'] {
  if (!onCopies) return 'nothing'
  if (copied === undefined) return 'all'
  return copied.tables.includes(table) ? copied.how : 'nothing'
}

/** Any copy can be read; none can be changed alone. */
function ofReference(
  { newLocks, use }: Difference,
  may: ReturnType<typeof mayChange>,
): Overreach['did'] | undefined {
  if (may === 'all') return undefined
  if (may === 'rows') return (newLocks & LOCK.more) === 0 ? undefined : 'changed'
  const [, , inserted, updated, deleted] = use
  const rows = inserted + updated + deleted
  const isWritten = rows > 0 || (may === 'nothing' && (newLocks & (LOCK.write | LOCK.more)) !== 0)
  return isWritten ? 'changed' : undefined
}

/** A row that changes its partition is removed from the one it was in. */
function asTarget(target: Target | undefined, table: string): Target | undefined {
  if (target === undefined || target.table === table) return target
  return { table, changes: target.changes, removes: target.removes || target.changes }
}

function withPartitions({ partitions }: Looked, tables: readonly string[]): ReadonlySet<string> {
  const found = new Set(tables)
  // Grows while it is gone through.
  for (const table of found) for (const [whole, part] of partitions) if (whole === table) found.add(part)
  return found
}

/** Whether rows of a table may be changed, and deleted. */
interface Changes {
  readonly updated: boolean
  readonly deleted: boolean
}

/**
 * What actions of foreign keys do, from what the statement itself has done to its tables: no code that writes a table has an
 * excuse in a foreign key of that table.
 */
function actedOn(
  looked: Looked,
  kinds: ReadonlyMap<string, Overreach['kind']>,
  own: ReadonlySet<string>,
  targets: ReadonlySet<string>,
  { target, onCopies }: Reach,
): ReadonlyMap<string, Changes> {
  const sources = new Map<string, Changes>()
  for (const table of Object.keys(looked.after)) {
    if (!own.has(table) && !(onCopies && kinds.get(table) === 'reference')) continue
    const [, , , updated, deleted] = differenceOf(looked, table).use
    const said = targets.has(table) ? asTarget(target, table) : undefined
    sources.set(table, {
      updated: updated > 0 && said?.changes !== false,
      deleted: deleted > 0 && said?.removes !== false,
    })
  }
  return followed(looked, sources)
}

const UNCHANGED: Changes = { updated: false, deleted: false }

function followed(
  { linked, partitions }: Looked,
  sources: ReadonlyMap<string, Changes>,
): ReadonlyMap<string, Changes> {
  const parts = new Set(partitions.map(([, part]) => part))
  const acted = new Map<string, Changes>()
  const isOf = (table: string, how: keyof Changes): boolean =>
    sources.get(table)?.[how] === true || acted.get(table)?.[how] === true
  for (let grows = true; grows; ) {
    grows = false
    for (const [child, parent, onDelete, onUpdate] of linked) {
      const known = acted.get(child) ?? UNCHANGED
      const [isDeleted, isUpdated] = [isOf(parent, 'deleted'), isOf(parent, 'updated')]
      const updated =
        known.updated || (isDeleted && /[nd]/.test(onDelete)) || (isUpdated && /[cnd]/.test(onUpdate))
      // A row that changes its partition is removed from the one it was in.
      const deleted = known.deleted || (isDeleted && onDelete === 'c') || (updated && parts.has(child))
      if (updated === known.updated && deleted === known.deleted) continue
      acted.set(child, { updated, deleted })
      grows = true
    }
  }
  return acted
}

/** Those at which foreign keys look from what was written: what was locked before says nothing of this statement. */
function checkedTables(looked: Looked): ReadonlySet<string> {
  const isWritten = (table: string): boolean => rowsChanged(looked, table).some((count) => count !== 0)
  const checked = new Set<string>()
  for (const [child, parent] of looked.linked) {
    if (isWritten(child)) checked.add(parent)
    if (isWritten(parent)) checked.add(child)
  }
  return checked
}
