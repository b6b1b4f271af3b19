import type { Column } from '../../catalog.ts'

/** Codes that Bind has for how values travel. */
export const FORMAT = { text: 0, binary: 1 } as const

/**
 * How the values of a column travel from the shards to the Postgres that finishes: as elements of an array parameter, in
 * binary where the type is Postgres' own and has the same number everywhere, else as text.
 */
export interface Transport {
  readonly format: 0 | 1
  /** Number of the elements' type. */
  readonly elementOid: number
  /** Name of the parameter's type. */
  readonly arrayType: string
}

/** By number: names without a modifier of their own (`bit` alone is `bit(1)`). */
const BINARY: Readonly<Record<number, string>> = {
  16: 'bool',
  17: 'bytea',
  18: '"char"',
  19: 'name',
  20: 'int8',
  21: 'int2',
  23: 'int4',
  25: 'text',
  26: 'oid',
  27: 'tid',
  114: 'json',
  142: 'xml',
  600: 'point',
  601: 'lseg',
  602: 'path',
  603: 'box',
  604: 'polygon',
  628: 'line',
  650: 'cidr',
  700: 'float4',
  701: 'float8',
  718: 'circle',
  774: 'macaddr8',
  790: 'money',
  829: 'macaddr',
  869: 'inet',
  1042: 'bpchar',
  1043: 'varchar',
  1082: 'date',
  1083: 'time',
  1114: 'timestamp',
  1184: 'timestamptz',
  1186: 'interval',
  1266: 'timetz',
  1560: '"bit"',
  1562: 'varbit',
  1700: 'numeric',
  2950: 'uuid',
  3802: 'jsonb',
  3904: 'int4range',
  3906: 'numrange',
  3908: 'tsrange',
  3910: 'tstzrange',
  3912: 'daterange',
  3926: 'int8range',
}
const TEXT_OID = 25

export function transportOf({ typeOid }: Column, asText = false): Transport {
  const name = asText ? undefined : BINARY[typeOid]
  if (name === undefined) return { format: FORMAT.text, elementOid: TEXT_OID, arrayType: 'pg_catalog.text[]' }
  return { format: FORMAT.binary, elementOid: typeOid, arrayType: `pg_catalog.${name}[]` }
}
