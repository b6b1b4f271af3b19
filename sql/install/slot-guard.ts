import { type KeyType, SLOT_COUNT } from '../catalog.ts'
import { slotExpression } from '../hash/slot-expression.ts'

/**
 * The constraint that every shard has on its part of a sharded table: whatever writes a row there (a statement, COPY, a
 * trigger, a function, a session past Weft), the row's slot is one of this shard's, or the statement fails. A CHECK runs
 * after BEFORE triggers, and no setting turns it off. The name is Weft's own: clients can neither add nor drop it.
 */
export const SLOT_GUARD = 'weft_owns_slot'

export interface GuardedTable {
  /** Qualified and quoted. */
  readonly name: string
  /** Quoted. */
  readonly keyColumn: string
  readonly keyType: KeyType
}

interface Slots {
  readonly from: number
  readonly to: number
}

/** A CHECK takes NULL for true, so a NULL key is named. A shard without slots takes no row. */
function ownsSlot({ keyColumn, keyType }: GuardedTable, slots: readonly Slots[]): string {
  if (slots.length === 0) return 'false'
  const slot = slotExpression(keyType, keyColumn)
  const owned = slots.map((range) => within(slot, range))
  return `${keyColumn} IS NOT NULL AND (${owned.join(' OR ')})`
}

/** BETWEEN computes the hash twice: needless at either end. */
function within(slot: string, { from, to }: Slots): string {
  if (from === 0) return `${slot} <= ${to}`
  return to === SLOT_COUNT - 1 ? `${slot} >= ${from}` : `${slot} BETWEEN ${from} AND ${to}`
}

export function addSlotGuard(table: GuardedTable, slots: readonly Slots[]): string {
  return `ALTER TABLE ${table.name} ADD CONSTRAINT ${SLOT_GUARD} CHECK (${ownsSlot(table, slots)})`
}

export const dropSlotGuard = (table: string): string =>
  `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${SLOT_GUARD}`

/**
 * Home: what is to inherit from these tables, or be a partition, is to have the constraint from them, which may have been
 * made NO INHERIT for materialized views. Names are quoted; as the role that owns them.
 */
export function inheritGuard(tables: readonly string[]): string {
  const oids = tables.map((table) => `pg_catalog.to_regclass(${literal(table)})`)
  return `DO $weft_guard$ DECLARE k record; BEGIN
    FOR k IN SELECT c.conrelid::pg_catalog.regclass AS name, pg_catalog.pg_get_constraintdef(c.oid) AS def
      FROM pg_catalog.pg_constraint c
      WHERE c.conname = '${SLOT_GUARD}' AND c.connoinherit AND c.conrelid IN (${oids.join(', ')}) LOOP
      EXECUTE pg_catalog.format('ALTER TABLE ONLY %s DROP CONSTRAINT ${SLOT_GUARD}, ADD CONSTRAINT ${SLOT_GUARD} %s',
        k.name, pg_catalog.replace(k.def, ' NO INHERIT', ''));
    END LOOP; END $weft_guard$`
}

/** Home: the sharded tables as `guardMissing` takes them: name, key column, both quoted, and the key's type. */
export const shardedTablesSql = `
SELECT format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), r.key_type
FROM weft.relation r JOIN pg_catalog.pg_class c ON c.oid = r.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.relid AND a.attnum = r.key_attnum
WHERE r.kind = 'sharded' ORDER BY 1`

/**
 * For tables of a cluster older than the guard: adds it where it is missing. New rows are checked at once; the old ones
 * are not read for it, so that the start of a node does not wait for them (VALIDATE CONSTRAINT reads them).
 */
export function guardMissing(tables: readonly GuardedTable[], slots: readonly Slots[]): string {
  const each = tables.map((table) => {
    const regclass = `pg_catalog.to_regclass(${literal(table.name)})`
    return `IF ${regclass} IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = ${regclass} AND k.conname = '${SLOT_GUARD}') THEN
      ${addSlotGuard(table, slots)} NOT VALID;
    END IF;`
  })
  return `DO $weft_guard$ BEGIN\n${each.join('\n')}\nEND $weft_guard$`
}

const literal = (text: string): string => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
