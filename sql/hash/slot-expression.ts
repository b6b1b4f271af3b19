import { type KeyType, SLOT_COUNT } from '../catalog.ts'

/**
 * The hash of a column as SQL that Postgres 15 to 18 all take, immutable, built in, fit for a publication's row
 * filter, a CHECK and an index. Not every type's own function can be called there: bytea's has an `internal`
 * argument before 18, date's is int4's before 18 and no cast leads there (nor can infinite dates be subtracted). The
 * hash of a row of one column is that column's hash. A timestamptz is a timestamp in UTC. Those of types that are no
 * built-in ones, enum and citext, fit a CHECK only.
 */
const HASH: Readonly<Record<KeyType, (column: string) => string>> = {
  int2: (c) => `pg_catalog.hashint2extended(${c}, 0)`,
  int4: (c) => `pg_catalog.hashint4extended(${c}, 0)`,
  int8: (c) => `pg_catalog.hashint8extended(${c}, 0)`,
  text: (c) => `pg_catalog.hashtextextended(${c}, 0)`,
  varchar: (c) => `pg_catalog.hashtextextended(${c}, 0)`,
  uuid: (c) => `pg_catalog.uuid_hash_extended(${c}, 0)`,
  date: (c) => `pg_catalog.hash_record_extended(ROW(${c}), 0)`,
  timestamp: (c) => `pg_catalog.timestamp_hash_extended(${c}, 0)`,
  timestamptz: (c) => `pg_catalog.timestamp_hash_extended(pg_catalog.timezone('UTC', ${c}), 0)`,
  bool: (c) => `pg_catalog.hashint4extended(${c}::pg_catalog.int4, 0)`,
  numeric: (c) => `pg_catalog.hash_numeric_extended(${c}, 0)`,
  bytea: (c) => `pg_catalog.hash_record_extended(ROW(${c}), 0)`,
  bpchar: (c) => `pg_catalog.hashbpcharextended(${c}, 0)`,
  name: (c) => `pg_catalog.hashnameextended(${c}, 0)`,
  oid: (c) => `pg_catalog.hashoidextended(${c}, 0)`,
  float4: (c) => `pg_catalog.hashfloat4extended(${c}, 0)`,
  float8: (c) => `pg_catalog.hashfloat8extended(${c}, 0)`,
  time: (c) => `pg_catalog.time_hash_extended(${c}, 0)`,
  timetz: (c) => `pg_catalog.timetz_hash_extended(${c}, 0)`,
  inet: (c) => `pg_catalog.hashinetextended(${c}, 0)`,
  cidr: (c) => `pg_catalog.hashinetextended(${c}, 0)`,
  macaddr: (c) => `pg_catalog.hashmacaddrextended(${c}, 0)`,
  macaddr8: (c) => `pg_catalog.hashmacaddr8extended(${c}, 0)`,
  enum: (c) => `pg_catalog.hashtextextended(${c}::pg_catalog.text, 0)`,
  citext: (c) =>
    `pg_catalog.hashtextextended(pg_catalog.lower(${c}::pg_catalog.text COLLATE pg_catalog."default"), 0)`,
}

/** SQL for the slot of a key column, e.g. `(pg_catalog.hashint8extended("id", 0) & 4095)`; a bigint. */
export function slotExpression(keyType: KeyType, columnSql: string): string {
  return `(${hashExpression(keyType, columnSql)} & ${SLOT_COUNT - 1})`
}

/** SQL for all of its hash. */
export function hashExpression(keyType: KeyType, columnSql: string): string {
  return HASH[keyType](columnSql)
}
