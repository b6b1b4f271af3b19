/** The types of keys and of what they are compared with that have one number on every server. */
export const TYPE_OIDS: Readonly<Record<string, number>> = {
  int2: 21,
  int4: 23,
  int8: 20,
  text: 25,
  varchar: 1043,
  uuid: 2950,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  bool: 16,
  numeric: 1700,
  bytea: 17,
  bpchar: 1042,
  name: 19,
  oid: 26,
  float4: 700,
  float8: 701,
  time: 1083,
  timetz: 1266,
  inet: 869,
  cidr: 650,
  macaddr: 829,
  macaddr8: 774,
}

const TYPE_OF_OID: ReadonlyMap<number, string> = new Map(
  Object.entries(TYPE_OIDS).map(([type, oid]) => [oid, type]),
)

export const OID_UNKNOWN = 705

export const typeOfOid = (oid: number): string | undefined => TYPE_OF_OID.get(oid)
