import type { KeyType } from '../catalog.ts'

/** The type of a key column with its modifier, as SQL: what is stored is what must be hashed. */
export function storedType(type: KeyType, typmod: number | undefined): string {
  if (typmod === undefined || typmod < 0) return type
  switch (type) {
    case 'varchar':
      return `varchar(${typmod - 4})`
    case 'numeric':
      return `numeric(${((typmod - 4) >> 16) & 0xffff}, ${(((typmod - 4) & 0x7ff) ^ 1024) - 1024})`
    case 'timestamp':
    case 'timestamptz':
      return `${type}(${typmod})`
    default:
      return type
  }
}
